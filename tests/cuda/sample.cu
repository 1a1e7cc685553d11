// The sampling kernel. Judged as policy_loss.cu is; nothing here runs without a GPU (tests/ptx runs
// the kernel).
#include <hence/cuda/sample.cuh>

template __global__ void hence::cuda::detail::sample_kernel<hence::bf16>(
    hence::cuda::detail::sample_call<hence::bf16>, hence::status*);
