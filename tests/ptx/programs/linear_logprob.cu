// The linear log-prob and the ordered product against the CPU, to the bit (a NaN is a NaN).
#include "linear_logprob.hpp"

#include "check.hpp"
#include "linear_grids.hpp"

#include <hence/cuda/linear_logprob.cuh>

namespace {

using hence::view;
using linear_case::batch, linear_case::matrix_of;

template <class F> bool same(const std::vector<F>& a, const std::vector<F>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(F)) != 0 && !(a[i] != a[i] && b[i] != b[i])) {
      std::printf("entry %zu is %.17g, expected %.17g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return true;
}

/// An output that begins as these values: what lies between rows stays, sums go on.
void begin_as(const test::output<float>& to, const std::vector<float>& values) {
  test::check(cudaMemcpy(to.get(), values.data(), values.size() * 4, cudaMemcpyHostToDevice));
}

void run(const batch& b, cudaStream_t stream) {
  using states_t = hence::softmax_state;
  const auto wanted = linear_case::on_cpu(b);
  const auto n = b.labels.size();
  const test::input<hence::bf16> weight(b.weight);
  const test::input<float> hidden(b.hidden), bias(b.bias), g(b.g), h(b.h);
  const test::input<std::int64_t> labels(b.labels);
  const test::output<float> v0(n), v1(n), v2(n), v3(n), v4(n), to_hidden(b.hidden.size()),
      to_weight(b.weight.size()), to_bias(b.bias.size());
  const test::output<states_t> states(n);
  const test::output<hence::status> conditions(2);
  begin_as(to_hidden, b.to_hidden), begin_as(to_weight, b.to_weight), begin_as(to_bias, b.to_bias);
  const auto bytes =
      static_cast<std::size_t>(hence::cuda::linear_logprob_workspace_bytes(b.tile, b.columns));
  const test::output<std::byte> workspace(bytes);
  const auto rows_of = [&](auto* p) {
    return view<std::remove_pointer_t<decltype(p)>>(p, b.tokens);
  };
  const auto from = matrix_of(hidden.get(), b.tokens, b.width, b.gap);
  hence::linear_head<const hence::bf16> head{matrix_of(weight.get(), b.columns, b.width, b.gap)};
  if (b.has_bias) head.bias = {bias.get(), b.columns};
  const hence::token_labels of(rows_of(labels.get()));
  const int kernels = test::captured(stream, [&] {
    hence::cuda::linear_logprob(stream, b.rule, from, head, of,
                                {rows_of(v0.get()), rows_of(v1.get()), rows_of(v2.get()),
                                 rows_of(v3.get()), rows_of(v4.get()), rows_of(states.get())},
                                {workspace.get(), bytes}, conditions.get());
    hence::cuda::linear_logprob_gradient(
        stream, b.rule, from, head, of, view<const states_t>(rows_of(states.get())),
        {rows_of(g.get()), rows_of(h.get())},
        {matrix_of(to_hidden.get(), b.tokens, b.width, b.gap),
         matrix_of(to_weight.get(), b.columns, b.width, b.gap),
         view<float>(to_bias.get(), b.columns), b.of_hidden, b.of_head},
        {workspace.get(), bytes}, conditions.get() + 1);
  });
  test::check(kernels == 7 * ((b.tokens + b.tile - 1) / b.tile), b.name + ": kernels");
  const test::output<float>* const values[] = {&v0, &v1, &v2, &v3, &v4};
  const char* const names[] = {"logp", "entropy", "anchor", "log_sum", "expected_logit"};
  for (int k = 0; k < 5; ++k)
    test::check(same(values[k]->read(), wanted.values[k]), b.name + ": " + names[k]);
  std::vector<double> numbers;
  for (const states_t& s : states.read())
    numbers.insert(numbers.end(), {s.others, s.moment, s.reference, s.shift, s.label});
  test::check(same(numbers, wanted.states), b.name + ": states");
  test::check(same(to_hidden.read(), wanted.hidden), b.name + ": gradient of hidden");
  test::check(same(to_weight.read(), wanted.weight), b.name + ": gradient of the head");
  test::check(same(to_bias.read(), wanted.bias), b.name + ": gradient of the bias");
  const auto found = conditions.read();
  test::check(found[0] == wanted.forward, b.name + ": status");
  test::check(found[1] == wanted.backward, b.name + ": status of the gradient");
}

void run(const linear_case::product& p, cudaStream_t stream) {
  const test::input<float> a(p.a), b(p.b);
  const test::output<float> c(p.c.size());
  begin_as(c, p.c);
  hence::cuda::ordered_product(stream, p.left(a.get()), p.right(b.get()),
                               view<float, 2>(c.get(), p.m, p.n), p.u);
  test::check(cudaStreamSynchronize(stream));
  test::check(same(c.read(), linear_case::on_cpu(p)), "product");
}

/// No tokens launch nothing, yet the head's gradient becomes 0; what does not fit is refused before
/// a launch.
void run_odd(cudaStream_t stream) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  const test::input<float> hidden({1, 2, 3, 4}), other({1, 2, 3, 4, 5, 6});
  const test::input<hence::bf16> weight(std::vector<hence::bf16>(6, hence::bf16(1.0f)));
  const test::input<std::int64_t> labels({1, 0});
  const test::output<float> logp(2), to_weight(8), to_bias(3);
  const test::output<hence::status> conditions(1);
  const test::output<std::byte> workspace(32);
  begin_as(to_weight, std::vector<float>(8, 5.0f));
  const hence::linear_head<const hence::bf16> head{view<const hence::bf16, 2>(weight.get(), 3, 2)};
  const auto call = [&](std::int64_t tokens, std::size_t bytes, hence::status* to) {
    hence::cuda::linear_logprob(stream, rule, view<const float, 2>(hidden.get(), tokens, 2), head,
                                view<const std::int64_t>(labels.get(), tokens),
                                {.logp = view<float>(logp.get(), tokens)}, {workspace.get(), bytes},
                                to);
  };
  test::check(
      test::captured(stream,
                     [&] {
                       call(0, 32, conditions.get());
                       hence::cuda::linear_logprob_gradient(
                           stream, rule, view<const float, 2>(hidden.get(), 0, 2), head,
                           view<const std::int64_t>(labels.get(), 0),
                           view<const hence::softmax_state>(), {},
                           {.weight = {to_weight.get(), 3, 2, 3}, .bias = {to_bias.get(), 3}},
                           {workspace.get(), 32}, conditions.get());
                     }) == 0,
      "no tokens");
  test::check(to_weight.read() == std::vector<float>{0, 0, 5, 0, 0, 5, 0, 0},
              "the head's gradient of no tokens");
  test::check(to_bias.read() == std::vector<float>{0, 0, 0}, "the bias's gradient of no tokens");
  test::refused([&] { call(2, 15, conditions.get()); },
                "hence: workspace has 15 bytes, expected at least 16");
  test::refused([&] { call(2, 32, nullptr); }, "hence: conditions is null");
  test::refused([&] { call(2, 32, reinterpret_cast<hence::status*>(logp.get())); },
                "hence: an output overlaps conditions");
  test::refused([&] { call(2, 32, reinterpret_cast<hence::status*>(workspace.get() + 16)); },
                "hence: workspace overlaps conditions");
  test::refused(
      [&] {
        hence::cuda::ordered_product(stream, view<const float, 2>(hidden.get(), 2, 2),
                                     view<const float, 2>(other.get(), 3, 2),
                                     view<float, 2>(logp.get(), 1, 2), hence::update::overwrite);
      },
      "hence: gemm: A is [2, 2], B [3, 2], C [1, 2]");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  for (const auto& b : linear_case::batches()) run(b, stream);
  for (const auto& p : linear_case::products()) run(p, stream);
  linear_grids::run();
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
