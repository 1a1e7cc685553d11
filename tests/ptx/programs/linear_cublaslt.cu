// The linear log-prob by cuBLASLt: against the CPU with products that round as the library's
// stand-in does, to the bit (a NaN is a NaN), and against float64 formulas, which hold for any
// library.
#include "linear_cublaslt.hpp"

#include "check.hpp"

#include <hence/cuda/linear_logprob_cublaslt.cuh>

namespace {

using hence::bf16, hence::view;
using library_case::batch, library_case::matrix_of;

/// Equal bits; in gradients zeros of either sign are equal, since ignored tokens add zeros.
template <class F>
bool same(const std::vector<F>& a, const std::vector<F>& b, bool zeros_are_equal = false) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(F)) != 0 && !(a[i] != a[i] && b[i] != b[i]) &&
        !(zeros_are_equal && a[i] == 0 && b[i] == 0)) {
      std::printf("entry %zu is %.17g, expected %.17g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return true;
}
/// Within `part` of the largest; a NaN fails.
bool near(const std::vector<float>& a, const std::vector<double>& b, double part) {
  double most = 0;
  for (const double x : b) most = std::fmax(most, std::fabs(x));
  for (std::size_t i = 0; i < b.size(); ++i)
    if (!(std::fabs(double(a[i]) - b[i]) <= part * most)) {
      std::printf("entry %zu is %.9g, expected %.9g within %.3g\n", i, double(a[i]), b[i],
                  part * most);
      return false;
    }
  return true;
}
void begin_as(const test::output<float>& to, const std::vector<float>& values) {
  test::check(cudaMemcpy(to.get(), values.data(), values.size() * 4, cudaMemcpyHostToDevice));
}

/// An output whose bytes may be left unwritten: a workspace, on a boundary of 256.
struct memory {
  explicit memory(std::int64_t n) : size(static_cast<std::size_t>(n)), bytes(size) {}
  std::span<std::byte> get() const { return {bytes.get(), size}; }
  std::size_t size;
  test::output<std::byte> bytes;
};

hence::linear_shape shape_of(const batch& b) {
  const std::int64_t pitch = b.width + b.gap;
  return {.tokens = b.tokens,
          .width = b.width,
          .vocabulary = b.columns,
          .has_bias = b.has_bias,
          .tile_tokens = b.tile_tokens,
          .tile_columns = b.tile_columns,
          .library_bytes = 5000,
          .hidden_stride = pitch,
          .weight_stride = pitch,
          .to_hidden_stride = pitch,
          .to_weight_stride = pitch};
}

template <class T> void run(const batch& b, cublasLtHandle_t handle, cudaStream_t stream) {
  using states_t = hence::softmax_state;
  constexpr bool is_bf16 = std::same_as<T, bf16>;
  const std::string name = b.name + (is_bf16 ? ", bf16: " : ": ");
  const auto wanted = library_case::on_cpu(b, is_bf16);
  const auto n = b.labels.size();
  const test::input<T> weight(std::vector<T>(b.weight.begin(), b.weight.end())),
      hidden(std::vector<T>(b.hidden.begin(), b.hidden.end()));
  const test::input<float> bias(b.bias), g(b.g), h(b.h);
  const test::input<std::int64_t> labels(b.labels);
  const test::output<float> v0(n), v1(n), v2(n), v3(n), v4(n), to_hidden(b.hidden.size()),
      to_weight(b.weight.size()), to_bias(b.bias.size());
  const test::output<states_t> states(n);
  const test::output<hence::status> conditions(2);
  begin_as(to_hidden, b.to_hidden), begin_as(to_weight, b.to_weight), begin_as(to_bias, b.to_bias);
  const hence::gemm::cublaslt<T> products(handle, shape_of(b));
  const memory forward(products.forward_bytes()), both(products.workspace_bytes());
  const auto rows_of = [&](auto* p) {
    return view<std::remove_pointer_t<decltype(p)>>(p, b.tokens);
  };
  const auto from = matrix_of(hidden.get(), b.tokens, b.width, b.gap);
  hence::linear_head<const T> head{matrix_of(weight.get(), b.columns, b.width, b.gap)};
  if (b.has_bias) head.bias = {bias.get(), b.columns};
  const hence::token_labels of(rows_of(labels.get()));
  test::captured(stream, [&] {
    hence::cuda::linear_logprob(stream, products, b.rule, from, head, of,
                                {rows_of(v0.get()), rows_of(v1.get()), rows_of(v2.get()),
                                 rows_of(v3.get()), rows_of(v4.get()), rows_of(states.get())},
                                forward.get(), conditions.get());
    hence::cuda::linear_logprob_gradient(
        stream, products, b.rule, from, head, of, view<const states_t>(rows_of(states.get())),
        {rows_of(g.get()), rows_of(h.get())},
        {matrix_of(to_hidden.get(), b.tokens, b.width, b.gap),
         matrix_of(to_weight.get(), b.columns, b.width, b.gap),
         view<float>(to_bias.get(), b.columns), b.of_hidden, b.of_head},
        both.get(), conditions.get() + 1);
  });
  const test::output<float>* const values[] = {&v0, &v1, &v2, &v3, &v4};
  const char* const names[] = {"logp", "entropy", "anchor", "log_sum", "expected_logit"};
  for (int k = 0; k < 5; ++k)
    test::check(same(values[k]->read(), wanted.values[k]), name + names[k]);
  std::vector<double> numbers;
  for (const states_t& s : states.read())
    numbers.insert(numbers.end(), {s.others, s.moment, s.reference, s.shift, s.label});
  test::check(same(numbers, wanted.states), name + "states");
  test::check(same(to_hidden.read(), wanted.hidden, true), name + "gradient of hidden");
  test::check(same(to_weight.read(), wanted.weight, true), name + "gradient of the head");
  if (!is_bf16)  // there it adds the rounded gradients
    test::check(same(to_bias.read(), wanted.bias, true), name + "gradient of the bias");
  const auto found = conditions.read();
  test::check(found[0] == wanted.forward, name + "status");
  test::check(found[1] == wanted.backward, name + "status of the gradient");
  if (b.is_odd) return;
  const auto exact = library_case::in_float64(b);
  const double part = is_bf16 ? 0x1p-7 : 1e-5;
  test::check(near(v0.read(), exact.logp, 1e-5), name + "logp, float64");
  test::check(near(v1.read(), exact.entropy, 1e-5), name + "entropy, float64");
  test::check(near(to_hidden.read(), exact.hidden, part), name + "gradient of hidden, float64");
  test::check(near(to_weight.read(), exact.weight, part), name + "gradient of the head, float64");
  test::check(near(to_bias.read(), exact.bias, part), name + "gradient of the bias, float64");
}

/// No tokens launch nothing, yet the head's gradient becomes 0; what does not fit is refused before
/// a launch.
void run_odd(cublasLtHandle_t handle, cudaStream_t stream) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  const test::input<float> hidden(std::vector<float>(16, 1)), weight(std::vector<float>(32, 1));
  const test::input<std::int64_t> labels({1, 0});
  const test::output<float> logp(2), to_weight(32);
  const test::output<hence::status> conditions(1);
  begin_as(to_weight, std::vector<float>(32, 5.0f));
  const hence::gemm::cublaslt<float> none(handle, {.tokens = 0, .width = 3, .vocabulary = 8}),
      two(handle, {.tokens = 2, .width = 3, .vocabulary = 8, .library_bytes = 100});
  const memory workspace(two.workspace_bytes());
  const auto call = [&](const hence::gemm::cublaslt<float>& products, std::int64_t tokens,
                        std::int64_t stride, const float* from, std::span<std::byte> space) {
    const hence::linear_head<const float> head{view<const float, 2>(weight.get(), 8, 3)};
    hence::cuda::linear_logprob(stream, products, rule,
                                view<const float, 2>(from, tokens, 3, stride), head,
                                view<const std::int64_t>(labels.get(), tokens),
                                {.logp = view<float>(logp.get(), tokens)}, space, conditions.get());
  };
  const int kernels = test::captured(stream, [&] {
    call(none, 0, 3, hidden.get(), workspace.get());
    hence::cuda::linear_logprob_gradient(
        stream, none, rule, view<const float, 2>(hidden.get(), 0, 3),
        hence::linear_head<const float>{view<const float, 2>(weight.get(), 8, 3)},
        view<const std::int64_t>(labels.get(), 0), view<const hence::softmax_state>(), {},
        {.weight = {to_weight.get(), 8, 3}}, workspace.get(), conditions.get());
  });
  test::check(kernels == 0, "no tokens");
  std::vector<float> cleared(32, 5.0f);
  for (std::size_t i = 0; i < 24; ++i) cleared[i] = 0;
  test::check(to_weight.read() == cleared, "the head's gradient of no tokens");
  const auto space = workspace.get();
  test::refused([&] { call(two, 1, 3, hidden.get(), space); },
                "hence: hidden has tokens 1, gemm::cublaslt was made for 2");
  test::refused([&] { call(two, 2, 4, hidden.get(), space); },
                "hence: hidden has stride 4, gemm::cublaslt was made for 3");
  test::refused([&] { call(two, 2, 3, hidden.get() + 1, space); },
                "hence: hidden is not aligned to 16 bytes");
  test::refused([&] { call(two, 2, 3, hidden.get(), space.subspan(16)); },
                "hence: workspace is not aligned to 256 bytes");
  test::refused([&] { call(two, 2, 3, hidden.get(), space.first(8)); },
                "hence: workspace has 8 bytes");
  const auto made = [&](const hence::linear_shape& s) { hence::gemm::cublaslt<float>(handle, s); };
  test::refused([&] { made({.tokens = 70, .width = 3, .vocabulary = 8, .tile_tokens = 60}); },
                "hence: linear_shape.tile_tokens is 60, expected a multiple of 64, or all tokens");
  test::refused([&] { made({.tokens = 70, .width = 3, .vocabulary = 8000, .tile_columns = 4000}); },
                "hence: linear_shape.tile_columns is 4000, expected a multiple of 4096");
  test::refused([&] { made({.tokens = 70, .width = 3, .vocabulary = 8, .weight_stride = 2}); },
                "hence: linear_shape.weight_stride is 2, expected the width or more");
}

}  // namespace

int main() {
  cudaStream_t stream;
  cublasLtHandle_t handle;
  test::check(cudaStreamCreate(&stream));
  hence::cuda::check(cublasLtCreate(&handle), "cublasLtCreate");
  for (const auto& b : library_case::batches()) {
    run<float>(b, handle, stream);
    run<bf16>(b, handle, stream);
  }
  run_odd(handle, stream);
  hence::cuda::check(cublasLtDestroy(handle), "cublasLtDestroy");
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
