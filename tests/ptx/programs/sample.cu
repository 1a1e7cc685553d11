// The sampling kernel against the CPU executor: the same tokens, kept sets and log-probs, to the
// bit.
#include "sample_ends.hpp"

#include "check.hpp"

#include <hence/cuda/sample.cuh>

namespace {

using hence::view;
using sample_case::batch;

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], 4) != 0 && !(a[i] != a[i] && b[i] != b[i])) return false;
  return a.size() == b.size();
}

template <hence::cuda::sample_tuning Tuning, class T>
void run(const batch<T>& b, cudaStream_t stream) {
  const auto wanted = sample_case::on_cpu(b);
  const auto n = b.uniforms.size();
  const test::input<T> logits(b.logits);
  const test::input<float> uniforms(b.uniforms);
  const test::output<std::int64_t> token(n);
  const test::output<float> logp(n), logp_full(n);
  const test::output<std::uint8_t> kept(wanted.kept.size());
  const test::output<hence::status> conditions(1);
  view<const T, 2> in(logits.get(), b.rows(), b.columns);
  in.stride[0] = b.stride;
  const int kernels = test::captured(stream, [&] {
    hence::cuda::sample<Tuning>(stream, b.rule, in, view<const float>(uniforms.get(), b.rows()),
                                {view<std::int64_t>(token.get(), b.rows()),
                                 view<float>(logp.get(), b.rows()),
                                 view<float>(logp_full.get(), b.rows()),
                                 {kept.get(), b.rows(), b.columns}},
                                conditions.get());
  });
  test::check(kernels == (b.rule.temperature > 0 ? 2 : 1), "kernels of a call");
  const std::string name = b.name + ", " + std::to_string(sizeof(T)) + " bytes: ";
  test::check(token.read() == wanted.token, name + "tokens");
  test::check(kept.read() == wanted.kept, name + "kept");
  test::check(same(logp.read(), wanted.logp), name + "logp");
  test::check(same(logp_full.read(), wanted.logp_full), name + "logp_full");
  test::check(conditions.read()[0] == wanted.found, name + "status");
}

/// Tokens alone, and of nothing but equal logits.
template <class T> void run_tokens(cudaStream_t stream) {
  const test::input<T> logits(std::vector<T>(32, T(0.5f)));
  const test::input<float> uniforms({0.3f, 0.8f});
  const test::output<std::int64_t> token(2);
  const test::output<hence::status> conditions(1);
  hence::cuda::sample(stream, {.temperature = 1}, view<const T, 2>(logits.get(), 2, 16),
                      view<const float>(uniforms.get(), 2), {.token = {token.get(), 2}},
                      conditions.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(token.read() == std::vector<std::int64_t>{4, 12}, "tokens alone");
}

__global__ void fill(float* u, std::uint64_t seed) {
  u[threadIdx.x] = hence::uniform_of(seed, {.token = 7, .step = 3, .sequence = threadIdx.x});
}

/// Uniforms made on the device by place; tokens alone; no rows launch nothing; what does not fit is
/// refused before a launch.
void run_odd(cudaStream_t stream) {
  const test::input<float> logits(std::vector<float>(64, 0.5f));
  const test::output<float> uniforms(4);
  const test::output<float> full(4);
  const test::output<std::int64_t> token(4);
  const test::output<hence::status> conditions(1);
  fill<<<1, 4, 0, stream>>>(uniforms.get(), 42);
  const hence::sample_rule rule{.temperature = 1};
  const auto call = [&](std::int64_t rows, const hence::sample_rule& r,
                        const hence::sample_results& out, hence::status* s) {
    hence::cuda::sample(stream, r, view<const float, 2>(logits.get(), rows, 16),
                        view<const float>(uniforms.get(), rows), out, s);
  };
  const hence::sample_results tokens{.token = {token.get(), 4}};
  call(4, rule, tokens, conditions.get());
  test::check(cudaStreamSynchronize(stream));
  std::vector<std::int64_t> wanted;  // of 16 equal ones the u 16-th
  for (std::uint64_t i = 0; i < 4; ++i)
    wanted.push_back(static_cast<std::int64_t>(
        16 * hence::uniform_of(42, {.token = 7, .step = 3, .sequence = i})));
  test::check(token.read() == wanted, "tokens of uniforms by place");
  hence::cuda::sample(stream, {.temperature = 0}, view<const float, 2>(logits.get(), 4, 16), {},
                      tokens, conditions.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(token.read() == std::vector<std::int64_t>(4, 0), "greedy without uniforms");
  test::check(conditions.read()[0] == hence::status::ok, "status");
  const int kernels = test::captured(stream, [&] { call(0, rule, {}, conditions.get()); });
  test::check(kernels == 0, "no rows launch nothing");
  test::refused([&] { call(4, rule, tokens, nullptr); }, "hence: conditions is null");
  test::refused([&] { call(4, {.temperature = 1, .top_p = 0}, tokens, conditions.get()); },
                "hence: sample_rule.top_p is 0");
  test::refused([&] { call(3, rule, tokens, conditions.get()); },
                "hence: out.token has 4 entries, logits has 3 rows");
  test::refused([&] { call(4, rule, {.logp_full = {full.get(), 4}}, conditions.get()); },
                "hence: out.token is null");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  for (const auto& b : sample_case::batches<float>()) run<hence::cuda::sample_tuning{}>(b, stream);
  for (const auto& b : sample_case::batches<hence::bf16>())
    run<hence::cuda::sample_tuning{.max_blocks = 5}>(b, stream);
  for (const auto& b : sample_case::exact_batches<float>())
    run<hence::cuda::sample_tuning{.max_blocks = 3}>(b, stream);
  for (const auto& b : sample_case::exact_batches<hence::bf16>())
    run<hence::cuda::sample_tuning{}>(b, stream);
  for (const auto& b : sample_case::ends<float>()) run<hence::cuda::sample_tuning{}>(b, stream);
  for (const auto& b : sample_case::ends<hence::bf16>())
    run<hence::cuda::sample_tuning{}>(b, stream);
  run_tokens<float>(stream);
  run_tokens<hence::bf16>(stream);
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
