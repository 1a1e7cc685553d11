// The kernels of vocabulary shards against the CPU executor, to the bit (a NaN is a NaN).
#include "vocabulary_shards.hpp"

#include "check.hpp"
#include "token_logprob_ends.hpp"

#include <hence/cuda/vocabulary_shards.cuh>

namespace {

using hence::view;
using shard_case::batch, shard_case::columns_of, shard_case::numbers_of;
using state = hence::softmax_state;

template <class F> bool same(const std::vector<F>& a, const std::vector<F>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(F)) != 0 && !(a[i] != a[i] && b[i] != b[i])) {
      std::printf("entry %zu is %.17g, expected %.17g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return true;
}

/// All shards, one after the other, as their ranks would.
template <hence::cuda::token_logprob_tuning Tuning, class T>
void run(const batch<T>& b, const std::vector<std::int64_t>& cuts, cudaStream_t stream) {
  const auto wanted = shard_case::on_cpu(b, cuts);
  const std::size_t n = b.labels.size(), shards = cuts.size() - 1;
  const test::input<T> logits(b.logits);
  const test::input<std::int64_t> labels(b.labels);
  const test::input<std::uint8_t> kept(b.keep);
  const test::input<float> g(b.g), h(b.h);
  const test::output<float> v0(n), v1(n), v2(n), v3(n), v4(n);
  const test::output<state> parts(shards * n), whole(n);
  const test::output<T> gradient(b.logits.size());
  const test::output<hence::status> conditions(2 * shards + 1);
  const auto rows_of = [&](auto* p) {
    return view<std::remove_pointer_t<decltype(p)>>(p, b.rows());
  };
  const auto matrix_of = [&](auto* p) {
    return view<std::remove_pointer_t<decltype(p)>, 2>(p + b.offset, b.rows(), b.columns, b.stride);
  };
  const view<const std::uint8_t, 2> keep =
      b.has_keep ? view<const std::uint8_t, 2>(kept.get(), b.rows(), b.columns)
                 : view<const std::uint8_t, 2>();
  const hence::token_labels of(rows_of(labels.get()));
  // what lies between rows stays; in place the gradient's array holds the logits first
  test::check(cudaMemcpy(gradient.get(), b.logits.data(), b.logits.size() * sizeof(T),
                         cudaMemcpyHostToDevice));
  const auto to = matrix_of(gradient.get());
  const auto from = b.in_place ? view<const T, 2>(to) : matrix_of(logits.get());
  const int kernels = test::captured(stream, [&] {
    for (std::size_t k = 0; k < shards; ++k)
      hence::cuda::shard_states<Tuning>(stream, b.rule, columns_of(from, cuts[k], cuts[k + 1]), of,
                                        cuts[k], rows_of(parts.get() + k * n), conditions.get() + k,
                                        columns_of(keep, cuts[k], cuts[k + 1]));
    hence::cuda::merge_shards<Tuning>(
        stream, b.rule,
        view<const state, 2>(parts.get(), static_cast<std::int64_t>(shards), b.rows()), of,
        b.columns,
        {rows_of(v0.get()), rows_of(v1.get()), rows_of(v2.get()), rows_of(v3.get()),
         rows_of(v4.get()), rows_of(whole.get())},
        conditions.get() + 2 * shards);
    for (std::size_t k = 0; k < shards; ++k)
      hence::cuda::shard_gradient<Tuning>(
          stream, b.rule, columns_of(from, cuts[k], cuts[k + 1]), of, cuts[k],
          view<const state>(rows_of(whole.get())), {rows_of(g.get()), rows_of(h.get())},
          columns_of(to, cuts[k], cuts[k + 1]), conditions.get() + shards + k,
          columns_of(keep, cuts[k], cuts[k + 1]));
  });
  test::check(kernels == static_cast<int>(2 * shards + 1), "kernels of all calls");
  const std::string name = b.name + ", " + std::to_string(sizeof(T)) + " bytes: ";
  const auto found = conditions.read();
  const auto all = parts.read();
  for (std::size_t k = 0; k < shards; ++k) {
    const std::string shard = name + "shard " + std::to_string(k);
    test::check(same(numbers_of(all.data() + k * n, b.rows()), wanted.shards[k]), shard);
    test::check(found[k] == wanted.forward[k], shard + ", status");
    test::check(found[shards + k] == wanted.backward[k], shard + ", status of the gradient");
  }
  const test::output<float>* const values[] = {&v0, &v1, &v2, &v3, &v4};
  const char* const names[] = {"logp", "entropy", "anchor", "log_sum", "expected_logit"};
  for (int k = 0; k < 5; ++k)
    test::check(same(values[k]->read(), wanted.values[k]), name + names[k]);
  test::check(same(numbers_of(whole.read().data(), b.rows()), wanted.states), name + "states");
  test::check(found[2 * shards] == wanted.merged, name + "status of the merge");
  std::vector<float> slopes;
  const std::vector<T> written = gradient.read();
  for (std::int64_t i = 0; i < b.rows(); ++i)
    for (std::int64_t c = 0; c < b.columns; ++c)
      slopes.push_back(
          static_cast<float>(written[static_cast<std::size_t>(b.offset + i * b.stride + c)]));
  test::check(same(slopes, wanted.gradient), name + "gradient");
}

/// Batches in shards of many sizes; rows at the ends of what a step tells apart as one shard, where
/// the ends are its own, and as two, where a shard's state meets another.
template <hence::cuda::token_logprob_tuning Tuning, class T> void run_all(cudaStream_t stream) {
  if constexpr (!std::is_same_v<T, hence::f16>)
    for (const auto& b : logprob_case::batches<T>()) run<Tuning>(b, shard_case::cuts_of(b), stream);
  for (const auto& b : logprob_case::ends<T>()) {
    run<Tuning>(b, {0, b.columns}, stream);
    if (sizeof(T) == 4 && b.columns < 300) run<Tuning>(b, {0, b.columns / 2, b.columns}, stream);
  }
}

/// Only what is asked for; no rows launch nothing; what does not fit is refused before a launch.
void run_odd(cudaStream_t stream) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  const test::input<float> logits({0, 0, 0, 0});
  const test::input<std::int64_t> labels({1, 2});
  const test::output<float> logp(2);
  const test::output<state> parts(4);
  const test::output<hence::status> conditions(1);
  const auto sums = [&](std::int64_t rows, std::int64_t first, hence::status* s) {
    hence::cuda::shard_states(stream, rule, view<const float, 2>(logits.get(), rows, 2),
                              view<const std::int64_t>(labels.get(), rows), first,
                              view<state>(parts.get() + 2 * (first / 2), rows), s);
  };
  const auto merge = [&](std::int64_t rows, const hence::token_results<float>& out,
                         hence::status* s) {
    hence::cuda::merge_shards(stream, rule, view<const state, 2>(parts.get(), 2, rows),
                              view<const std::int64_t>(labels.get(), rows), 4, out, s);
  };
  sums(2, 0, conditions.get());
  sums(2, 2, conditions.get());
  merge(2, {.logp = view<float>(logp.get(), 2)}, conditions.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(logp.read() == std::vector<float>(2, -1.38629436f), "log-probs alone");
  test::check(conditions.read()[0] == hence::status::ok, "status");
  const auto gradient = [&](std::int64_t rows, std::int64_t first, const state* whole,
                            hence::status* s) {
    hence::cuda::shard_gradient(stream, rule, view<const float, 2>(logits.get(), rows, 2),
                                view<const std::int64_t>(labels.get(), rows), first,
                                view<const state>(whole, rows), {},
                                view<float, 2>(logp.get(), rows, 2), s);
  };
  test::check(test::captured(stream,
                             [&] {
                               sums(0, 0, conditions.get());
                               merge(0, {}, conditions.get());
                               gradient(0, 0, parts.get(), conditions.get());
                             }) == 0,
              "no rows");
  test::refused([&] { sums(2, 0, nullptr); }, "hence: conditions is null");
  test::refused([&] { sums(2, -2, conditions.get()); },
                "hence: first_column is -2, expected 0 or more");
  test::refused([&] { sums(2, 0, reinterpret_cast<hence::status*>(parts.get())); },
                "hence: an output overlaps conditions");
  test::refused([&] { merge(2, {.logp = view<float>(logp.get(), 1)}, conditions.get()); },
                "hence: out.logp has 1 entries, logits has 2 rows");
  test::refused([&] { merge(2, {}, reinterpret_cast<hence::status*>(parts.get())); },
                "hence: an input overlaps conditions");
  test::refused([&] { gradient(1, -1, parts.get(), conditions.get()); },
                "hence: first_column is -1");
  test::refused([&] { gradient(1, 0, nullptr, conditions.get()); }, "hence: states is null");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  constexpr hence::cuda::token_logprob_tuning few{.max_blocks = 2, .columns_of_piece = 1024};
  run_all<few, float>(stream);
  run_all<hence::cuda::token_logprob_tuning{}, hence::bf16>(stream);
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
