// The policy headers and the launcher as nvcc's host compiler sees them: reference<float> in a .cu
// file, and a launch, which throws where there is no GPU and must equal the reference where there
// is one.
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy.hpp>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

int faults = 0;
void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++faults;
}

const std::vector<float> logp{-1.0f, -0.5f, -2.0f, -0.25f, -3.0f},
    old{-1.1f, -0.6f, -1.9f, -0.25f, -3.5f}, ref{-1.0f, -0.75f, -2.0f, -0.5f, -3.0f},
    row_advantages{1.0f, -0.5f};
const std::vector<std::int32_t> cu_seqlens{0, 3, 5};

template <class T> T* to_device(const std::vector<T>& host) {
  void* p = nullptr;
  hence::cuda::check(cudaMalloc(&p, host.size() * sizeof(T)), "cudaMalloc");
  hence::cuda::check(cudaMemcpy(p, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
                     "cudaMemcpy");
  return static_cast<T*>(p);
}

}  // namespace

int main() {
  using namespace hence;
  const auto loss = recipe::grpo(0.2f);
  std::vector<float> wanted(5), gradient(5, -7.0f);
  const policy_inputs<float> in{{logp, {1.0}}, {old, {1.0}}, {ref, {1.0}}, row_advantages, {}, {}};
  const auto reference = loss_and_gradient(hence::reference<float>{}, loss, ragged{cu_seqlens, {}},
                                           in, over_this_call, wanted, with_metrics);
  expect(reference.loss() < 0 && reference.counts().tokens == 5, "reference<float> in a .cu file");

  using state_t =
      cuda::loss_state_for<decltype(recipe::grpo(0.2f)), over_this_call_t, with_metrics_t>;
  try {
    cuda::loss_and_gradient(nullptr, loss, ragged{cu_seqlens, {}}, in, over_this_call, gradient,
                            static_cast<state_t*>(nullptr), with_metrics);
    expect(false, "a null state is refused");
  } catch (const std::invalid_argument& e) {
    expect(std::string(e.what()).find("hence: state is null") == 0, e.what());
  }

  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    try {  // the first CUDA call fails; the state is not touched
      state_t state;
      cuda::loss_and_gradient(nullptr, loss, ragged{cu_seqlens, {}}, in, over_this_call, gradient,
                              &state, with_metrics);
      expect(false, "without a GPU a launch throws");
    } catch (const cuda_error& e) {
      expect(e.code() != cudaSuccess && std::string(e.call()) == "cudaMemsetAsync", e.what());
      expect(std::string(e.location().file_name()).find("host.cu") != std::string::npos &&
                 e.location().line() > 40,
             e.what());
      std::printf("no GPU: %s\n", e.what());
    }
    return faults == 0 ? 0 : 1;
  }

  policy_inputs<float> on_device;
  on_device.logp = {view<const float>(to_device(logp), 5), {1.0}};
  on_device.old = {view<const float>(to_device(old), 5), {1.0}};
  on_device.ref = {view<const float>(to_device(ref), 5), {1.0}};
  on_device.advantages = view<const float>(to_device(row_advantages), 2);
  float* out = to_device(gradient);
  auto* state = reinterpret_cast<state_t*>(to_device(std::vector<char>(sizeof(state_t))));
  cuda::loss_and_gradient(nullptr, loss,
                          ragged{view<const std::int32_t>(to_device(cu_seqlens), 3), {}}, on_device,
                          over_this_call, view<float>(out, 5), state, with_metrics);
  state_t result;
  cuda::check(cudaMemcpy(&result, state, sizeof(result), cudaMemcpyDeviceToHost), "cudaMemcpy");
  cuda::check(cudaMemcpy(gradient.data(), out, 5 * sizeof(float), cudaMemcpyDeviceToHost),
              "cudaMemcpy");
  expect(std::memcmp(gradient.data(), wanted.data(), 5 * sizeof(float)) == 0,
         "the gradient's bits");
  expect(result.result().loss() == reference.loss(), "the loss's bits");
  expect(result.result().counts() == reference.counts(), "the counts");
  expect(result.result().metrics().kl_mean() == reference.metrics().kl_mean(), "the metrics' bits");
  return faults == 0 ? 0 : 1;
}
