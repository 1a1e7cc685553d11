// The routing kernels, forward and backward. Judged as policy_loss.cu is; nothing here runs without
// a GPU (tests/ptx runs the kernels).
#include <hence/cuda/gate.cuh>
#include <hence/cuda/gate_backward.cuh>

namespace moe = hence::moe;

void instantiate(const moe::gate_inputs<float, hence::bf16>& in,
                 const moe::gate_outputs<float>& out,
                 const moe::gate_backward_inputs<float, hence::bf16>& back,
                 hence::view<float, 2> gradient, moe::route_counts* counts) {
  const moe::gate v3{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}},
                     moe::normalized{1e-20, moe::single_raw{}}, 2.5};
  hence::cuda::route(nullptr, v3, in, out, counts);
  hence::cuda::route_backward(nullptr, v3, back, gradient, counts);
}
