// The log-prob kernels against the CPU executor, to the bit (a NaN is a NaN); a block a row and
// eight.
#include "token_logprob_ends.hpp"

#include "check.hpp"

#include <hence/cuda/token_logprob_split.cuh>

namespace {

using hence::view;
using logprob_case::batch;

template <class F> bool same(const std::vector<F>& a, const std::vector<F>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(F)) != 0 && !(a[i] != a[i] && b[i] != b[i])) {
      std::printf("entry %zu is %.17g, expected %.17g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return true;
}

template <class T> std::vector<T> row_after_row(const std::vector<T>& x, const batch<T>& b) {
  std::vector<T> out;
  for (std::int64_t i = 0; i < b.rows(); ++i) {
    const auto begin = x.begin() + b.offset + i * b.stride;
    out.insert(out.end(), begin, begin + b.columns);
  }
  return out;
}

/// What the forward pass writes.
struct forward {
  explicit forward(std::size_t rows)
      : n(static_cast<std::int64_t>(rows)),
        v0(rows),
        v1(rows),
        v2(rows),
        v3(rows),
        v4(rows),
        states(rows),
        conditions(1) {}

  hence::token_results<float> results() const {
    return {view<float>(v0.get(), n), view<float>(v1.get(), n),
            view<float>(v2.get(), n), view<float>(v3.get(), n),
            view<float>(v4.get(), n), view<hence::softmax_state>(states.get(), n)};
  }
  void compare(const logprob_case::outcome& wanted, const std::string& name) const {
    const test::output<float>* const values[] = {&v0, &v1, &v2, &v3, &v4};
    const char* const names[] = {"logp", "entropy", "anchor", "log_sum", "expected_logit"};
    for (int k = 0; k < 5; ++k)
      test::check(same(values[k]->read(), wanted.values[k]), name + names[k]);
    std::vector<double> numbers;
    for (const hence::softmax_state& s : states.read())
      numbers.insert(numbers.end(), {s.others, s.moment, s.reference, s.shift, s.label});
    test::check(same(numbers, wanted.states), name + "states");
    test::check(conditions.read()[0] == wanted.forward, name + "status");
  }

  std::int64_t n;
  test::output<float> v0, v1, v2, v3, v4;
  test::output<hence::softmax_state> states;
  test::output<hence::status> conditions;
};

template <hence::cuda::token_logprob_tuning Tuning, class T>
void run(const batch<T>& b, cudaStream_t stream) {
  using states_t = hence::softmax_state;
  const auto wanted = logprob_case::on_cpu(b);
  const auto n = b.labels.size();
  const test::input<T> logits(b.logits);
  const test::input<std::int64_t> wide(b.labels);
  const test::input<std::int32_t> narrow({b.labels.begin(), b.labels.end()});
  const test::input<std::uint8_t> kept(b.keep);
  const test::input<float> g(b.g), h(b.h);
  const forward out(n), split(n);
  const test::output<T> gradient(b.logits.size());
  const test::output<hence::status> conditions(1);
  const auto bytes = static_cast<std::size_t>(hence::cuda::token_logprob_workspace_bytes(b.rows()));
  const test::output<std::byte> workspace(bytes);
  const auto rows_of = [&](auto* p) {
    return view<std::remove_pointer_t<decltype(p)>>(p, b.rows());
  };
  const auto matrix_of = [&](auto* p) {
    view<std::remove_pointer_t<decltype(p)>, 2> v(p + b.offset, b.rows(), b.columns);
    v.stride[0] = b.stride;
    return v;
  };
  const view<const std::uint8_t, 2> keep =
      b.has_keep ? view<const std::uint8_t, 2>(kept.get(), b.rows(), b.columns)
                 : view<const std::uint8_t, 2>();
  const hence::token_labels labels = b.has_keep ? hence::token_labels(rows_of(narrow.get()))
                                                : hence::token_labels(rows_of(wide.get()));
  // what lies between rows stays; in place the gradient's array holds the logits first
  test::check(cudaMemcpy(gradient.get(), b.logits.data(), b.logits.size() * sizeof(T),
                         cudaMemcpyHostToDevice));
  const auto to = matrix_of(gradient.get());
  const auto from = b.in_place ? view<const T, 2>(to) : matrix_of(logits.get());
  const bool is_split = b.rows() <= logprob_case::kinds + 2;  // not a row of each end
  const int kernels = test::captured(stream, [&] {
    if (is_split)
      hence::cuda::token_logprob<Tuning>(stream, b.rule, from, labels, split.results(),
                                         {workspace.get(), bytes}, split.conditions.get(), keep);
    hence::cuda::token_logprob<Tuning>(stream, b.rule, from, labels, out.results(),
                                       out.conditions.get(), keep);
    hence::cuda::token_logprob_gradient<Tuning>(
        stream, b.rule, from, labels, view<const states_t>(rows_of(out.states.get())),
        {rows_of(g.get()), rows_of(h.get())}, to, conditions.get(), keep);
  });
  test::check(kernels == (is_split ? 4 : 2), "kernels of the calls");
  const std::string name = b.name + ", " + std::to_string(sizeof(T)) + " bytes: ";
  out.compare(wanted, name);
  if (is_split) split.compare(wanted, name + "split, ");
  std::vector<float> slopes;
  for (const T x : row_after_row(gradient.read(), b)) slopes.push_back(static_cast<float>(x));
  test::check(same(slopes, wanted.gradient), name + "gradient");
  test::check(conditions.read()[0] == wanted.backward, name + "status of the gradient");
}

/// Each result alone, and the gradient of each alone, of 15 logits of 0 and one of log 2.
template <class T> void run_parts(cudaStream_t stream) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  std::vector<T> row(16, T(0.0f));
  row[5] = T(0.69314718f);
  const double x = static_cast<float>(row[5]), total = 15 + std::exp(x), p = std::exp(x) / total;
  const double entropy = std::log(total) - p * x;
  const test::input<T> logits(row);
  const test::input<std::int64_t> labels({5});
  const test::input<float> one({1});
  const view<const T, 2> from(logits.get(), 1, 16);
  const view<const std::int64_t> at(labels.get(), 1);
  const test::output<hence::softmax_state> states(1);
  const test::output<hence::status> conditions(1);
  const view<hence::softmax_state> all(states.get(), 1);
  hence::cuda::token_logprob(stream, rule, from, at, {.states = all}, conditions.get());
  const auto value = [&](auto member, double wanted) {
    const test::output<float> to(1);
    hence::token_results<float> out;
    out.*member = view<float>(to.get(), 1);
    hence::cuda::token_logprob(stream, rule, from, at, out, conditions.get());
    test::check(cudaStreamSynchronize(stream));
    test::check(std::abs(to.read()[0] - wanted) < 1e-6, "a result alone");
  };
  value(&hence::token_results<float>::logp, x - std::log(total));
  value(&hence::token_results<float>::entropy, entropy);
  value(&hence::token_results<float>::expected_logit, p * x);
  const auto slope = [&](const hence::token_cotangents<float>& cot, double label, double other) {
    const test::output<T> to(16);
    hence::cuda::token_logprob_gradient(stream, rule, from, at,
                                        view<const hence::softmax_state>(all), cot,
                                        view<T, 2>(to.get(), 1, 16), conditions.get());
    test::check(cudaStreamSynchronize(stream));
    const auto found = to.read();
    for (std::size_t i = 0; i < 16; ++i) {
      const double wanted = i == 5 ? label : other, error = sizeof(T) == 4 ? 1e-6 : 0x1p-8;
      test::check(std::abs(static_cast<float>(found[i]) - wanted) < error * std::abs(wanted),
                  "a slope alone");
    }
  };
  const view<const float> g(one.get(), 1);
  slope({.logp = g}, 1 - p, -1 / total);
  slope({.entropy = g}, -p * (std::log(p) + entropy), -(entropy - std::log(total)) / total);
}

/// Only what is asked for; no rows launch nothing; what does not fit is refused before a launch.
void run_odd(cudaStream_t stream) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  const test::input<float> logits({0, 0, 0, 0});
  const test::input<std::int64_t> labels({1, 0});
  const test::output<float> logp(2);
  const test::output<hence::status> conditions(1);
  const view<const std::int64_t> both(labels.get(), 2);
  const auto call = [&](std::int64_t rows, hence::status* s) {
    hence::cuda::token_logprob(stream, rule, view<const float, 2>(logits.get(), rows, 2),
                               view<const std::int64_t>(labels.get(), rows),
                               {.logp = view<float>(logp.get(), rows)}, s);
  };
  call(2, conditions.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(logp.read() == std::vector<float>(2, -0.693147182f), "log-probs alone");
  test::check(conditions.read()[0] == hence::status::ok, "status");
  test::check(test::captured(stream, [&] { call(0, conditions.get()); }) == 0, "no rows");
  const test::output<std::byte> workspace(2 * 9248);
  const std::span<std::byte> space(workspace.get(), 2 * 9248);
  const auto split = [&](std::int64_t rows, std::span<std::byte> memory, float* to) {
    hence::cuda::token_logprob(stream, rule, view<const float, 2>(logits.get(), rows, 2),
                               view<const std::int64_t>(labels.get(), rows),
                               {.logp = view<float>(to, rows)}, memory, conditions.get());
  };
  test::check(test::captured(stream, [&] { split(0, {}, logp.get()); }) == 0, "no rows, split");
  test::refused([&] { split(2, space.first(9248), logp.get()); },
                "hence: workspace has 9248 bytes, expected at least 18496");
  test::refused([&] { split(2, space, reinterpret_cast<float*>(workspace.get() + 64)); },
                "hence: workspace overlaps another array");
  test::refused([&] { call(2, nullptr); }, "hence: conditions is null");
  test::refused([&] { call(2, reinterpret_cast<hence::status*>(logp.get())); },
                "hence: an output overlaps conditions");
  test::refused(
      [&] { call(2, reinterpret_cast<hence::status*>(const_cast<std::int64_t*>(labels.get()))); },
      "hence: an input overlaps conditions");
  test::refused(
      [&] {
        hence::cuda::token_logprob(
            stream, rule, view<const float, 2>(logits.get(), 2, 2), both,
            {.logp = view<float>(logp.get(), 2), .entropy = view<float>(logp.get() + 1, 2)},
            conditions.get());
      },
      "hence: out.entropy overlaps out.logp");
  test::refused(
      [&] {
        hence::cuda::token_logprob(stream, rule, view<const float, 2>(logits.get(), 2, 2), both,
                                   {.logp = view<float>(logp.get(), 1)}, conditions.get());
      },
      "hence: out.logp has 1 entries, logits has 2 rows");
  test::refused(
      [&] {
        hence::cuda::token_logprob_gradient(stream, rule, view<const float, 2>(logits.get(), 2, 2),
                                            both, view<const hence::softmax_state>(), {},
                                            view<float, 2>(logp.get(), 2, 2), conditions.get());
      },
      "hence: states is null");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  constexpr hence::cuda::token_logprob_tuning few{.max_blocks = 2, .columns_of_piece = 1024};
  for (const auto& b : logprob_case::batches<float>()) run<few>(b, stream);
  for (const auto& b : logprob_case::batches<hence::bf16>())
    run<hence::cuda::token_logprob_tuning{}>(b, stream);
  for (const auto& b : logprob_case::batches<hence::f16>()) run<few>(b, stream);
  for (const auto& b : logprob_case::ends<float>()) run<few>(b, stream);
  for (const auto& b : logprob_case::ends<hence::bf16>()) run<few>(b, stream);
  for (const auto& b : logprob_case::ends<hence::f16>()) run<few>(b, stream);
  run_parts<float>(stream);
  run_parts<hence::bf16>(stream);
  run_parts<hence::f16>(stream);
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
