// The distillation kernels against the CPU executor, to the bit (a NaN is a NaN).
#include "distill.hpp"

#include "check.hpp"
#include "distill_ends.hpp"

#include <hence/cuda/distill_top_k.cuh>

namespace {

using distill_case::batch, distill_case::outcome;
using hence::view;
using hence::cuda::token_logprob_tuning;

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(a[i] != a[i] && b[i] != b[i])) {
      std::printf("entry %zu is %.9g, expected %.9g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return true;
}

/// A batch on the device, and what a call makes of it: call(the student's logits, inputs, results,
/// workspace, status).
template <class T, class Q, class F>
void run(const std::string& name, const batch<T, Q>& b, bool in_place, const outcome& wanted,
         int kernels, cudaStream_t stream, F&& call) {
  const test::input<T> student(b.student);
  const test::input<std::uint8_t> mask(b.mask);
  const test::input<float> cotangent(b.cotangent);
  const auto n = b.cotangent.size();
  const test::output<float> per_token(n), gradient(b.student.size());
  const auto bytes = hence::cuda::distill_workspace_bytes(b.rows());
  const test::output<std::byte> workspace(static_cast<std::size_t>(bytes));
  const test::output<hence::status> conditions(1);
  hence::distill_inputs<float> in{.cotangent = view<const float>(cotangent.get(), b.rows())};
  if (b.with_mask) in.mask = view<const std::uint8_t>(mask.get(), b.rows());
  const view<float, 2> to(gradient.get(), b.rows(), b.columns, b.stride);
  view<const T, 2> from(student.get(), b.rows(), b.columns, b.stride);
  // what lies between rows stays; in place the gradient's array holds the logits first
  if constexpr (std::same_as<T, float>) {
    test::check(cudaMemcpy(gradient.get(), b.student.data(), b.student.size() * sizeof(float),
                           cudaMemcpyHostToDevice));
    if (in_place) from = to;
  } else {
    // no gradient: a thread that writes nothing is seen
    test::check(cudaMemset(gradient.get(), 0x4b, b.student.size() * sizeof(float)));
  }
  const int found = test::captured(stream, [&] {
    call(from, in,
         hence::distill_results<float>{.per_token = view<float>(per_token.get(), b.rows()),
                                       .gradient = to},
         std::span(workspace.get(), static_cast<std::size_t>(bytes)), conditions.get());
  });
  test::check(found == kernels, name + ": kernels");
  test::check(same(per_token.read(), wanted.per_token), name + ": per_token");
  std::vector<float> slopes;
  const auto all = gradient.read();
  for (std::int64_t i = 0; i < b.rows(); ++i)
    for (std::int64_t c = 0; c < b.columns; ++c) slopes.push_back(all[b.at(i, c)]);
  test::check(same(slopes, wanted.gradient), name + ": gradient");
  test::check(conditions.read()[0] == wanted.found, name + ": status");
}

template <token_logprob_tuning Tuning, class How, class T, class Q>
void run_full(const How& how, const char* divergence, const batch<T, Q>& b, cudaStream_t stream) {
  const test::input<Q> teacher(b.teacher);
  const view<const Q, 2> q(teacher.get(), b.rows(), b.columns, b.stride);
  run(b.name + ", " + divergence, b, b.in_place, distill_case::on_cpu(how, b),
      std::same_as<T, Q> ? 3 : 4, stream,
      [&](const auto& from, const auto& in, const auto& out, auto workspace, auto* found) {
        hence::cuda::distill<Tuning>(stream, how, {.temperature = b.temperature}, from, q, in, out,
                                     workspace, found);
      });
}
template <token_logprob_tuning Tuning, class How, class Tail, class T, class Q>
void run_top_k(const How& how, Tail rest, const char* divergence, const batch<T, Q>& b,
               cudaStream_t stream) {
  const test::input<std::int64_t> ids(b.ids);
  const test::input<float> teacher_logp(b.teacher_logp);
  for (const bool is_bounded : {false, true})
    run(b.name + ", top k, " + divergence, b, false,
        distill_case::top_k_on_cpu(how, rest, is_bounded, b), 3, stream,
        [&](const auto& from, const auto& in, const auto& out, auto workspace, auto* found) {
          hence::cuda::distill_top_k<Tuning>(
              stream, how, rest, distill_case::rule_of(b.temperature, is_bounded), from,
              view<const std::int64_t, 2>(ids.get(), b.rows(), b.k),
              view<const float, 2>(teacher_logp.get(), b.rows(), b.k), in, out, workspace, found);
        });
}

/// Only what is asked for; no tokens launch nothing; what does not fit is refused before a launch.
void run_odd(cudaStream_t stream) {
  const test::input<float> logits({0, 0, 0, 0}), logp({-0.5f, -0.5f});
  const test::input<std::int64_t> ids({0, 1});
  const test::output<float> values(2), gradient(4);
  const test::output<hence::status> conditions(1);
  const test::output<std::byte> workspace(
      static_cast<std::size_t>(hence::cuda::distill_workspace_bytes(2)));
  const std::span<std::byte> scratch(
      workspace.get(), static_cast<std::size_t>(hence::cuda::distill_workspace_bytes(2)));
  const auto call = [&](std::int64_t rows, const hence::distill_results<float>& out,
                        std::span<std::byte> memory, hence::status* s) {
    const view<const float, 2> x(logits.get(), rows, 2);
    hence::cuda::distill(stream, distill_case::forward{}, {.temperature = 1}, x, x, {}, out, memory,
                         s);
  };
  const auto call_top_k = [&](double least, const hence::distill_results<float>& out) {
    hence::cuda::distill_top_k(
        stream, distill_case::forward{}, distill_case::ignored{},
        {.temperature = 1, .log_prob_min = least}, view<const float, 2>(logits.get(), 2, 2),
        view<const std::int64_t, 2>(ids.get(), 2, 1), view<const float, 2>(logp.get(), 2, 1), {},
        out, scratch, conditions.get());
  };
  const hence::distill_results<float> value{.per_token = view<float>(values.get(), 2)};
  test::check(test::captured(stream, [&] { call(2, value, scratch, conditions.get()); }) == 2,
              "values alone");
  test::check(values.read() == std::vector<float>(2, 0.0f), "of equal distributions");
  test::check(conditions.read()[0] == hence::status::ok, "status");
  test::check(test::captured(stream, [&] { call(0, {}, {}, conditions.get()); }) == 0, "no tokens");
  test::refused([&] { call(2, value, scratch, nullptr); }, "hence: conditions is null");
  test::refused([&] { call(2, value, scratch.first(8), conditions.get()); },
                "hence: workspace has 8 bytes, expected at least");
  test::refused([&] { call(2, value, {scratch.data() + 4, scratch.size()}, conditions.get()); },
                "hence: workspace is not aligned to 16 bytes");
  test::refused(
      [&] { call(2, value, scratch, reinterpret_cast<hence::status*>(scratch.data() + 16)); },
      "hence: workspace overlaps conditions");
  test::refused(
      [&] {
        call(2, {.per_token = view<float>(reinterpret_cast<float*>(scratch.data()), 2)}, scratch,
             conditions.get());
      },
      "hence: workspace overlaps another array");
  test::refused([&] { call(2, value, scratch, reinterpret_cast<hence::status*>(values.get())); },
                "hence: an output overlaps conditions");
  test::refused(
      [&] { call(2, {.per_token = view<float>(values.get(), 1)}, scratch, conditions.get()); },
      "hence: out.per_token has 1 entries, logits has 2 rows");
  test::refused([&] { call_top_k(NAN, value); }, "hence: log_prob_min is nan");
  test::refused(
      [&] { call_top_k(-9, {.gradient = view<float, 2>(const_cast<float*>(logits.get()), 2, 2)}); },
      "hence: out.gradient overlaps student");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  constexpr token_logprob_tuning few{.max_blocks = 2, .columns_of_piece = 1024}, many{};
  for (const auto& b : distill_case::batches<float, float>()) {
    run_full<few>(distill_case::jsd{0.3f}, "jsd", b, stream);
    run_full<many>(distill_case::forward{}, "forward", b, stream);
    run_full<few>(distill_case::cancelling{}, "cancelling", b, stream);
    run_top_k<many>(distill_case::forward{}, distill_case::ignored{}, "forward", b, stream);
    run_top_k<few>(distill_case::jsd{0.3f}, distill_case::one_token{}, "jsd", b, stream);
  }
  for (const auto& b : distill_case::batches<hence::bf16, float>()) {
    run_full<many>(distill_case::mixed{0.3f}, "mixed", b, stream);
    run_top_k<few>(distill_case::reverse{}, distill_case::one_token{}, "reverse", b, stream);
  }
  for (const auto& b : distill_case::ends<float, float>()) {
    run_full<few>(distill_case::jsd{0.3f}, "jsd", b, stream);
    run_top_k<few>(distill_case::forward{}, distill_case::ignored{}, "forward", b, stream);
  }
  for (const auto& b : distill_case::ends<hence::bf16, float>()) {
    run_full<few>(distill_case::mixed{0.3f}, "mixed", b, stream);
    run_top_k<few>(distill_case::reverse{}, distill_case::one_token{}, "reverse", b, stream);
  }
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
