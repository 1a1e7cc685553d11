// Launching kernels, and what is asked about them.
#include "state.hpp"

#include <algorithm>

using ptx::now;

namespace ptx {
namespace {

bool fits(dim3 blocks, dim3 threads) {
  const auto one = [](unsigned n, unsigned most) { return n >= 1 && n <= most; };
  return one(blocks.x, 0x7fffffff) && one(blocks.y, 65535) && one(blocks.z, 65535) &&
         one(threads.x, 1024) && one(threads.y, 1024) && one(threads.z, 64) &&
         std::size_t{threads.x} * threads.y * threads.z <= 1024;
}

}  // namespace

cudaError_t state::launch_kernel(const void* function, dim3 blocks, dim3 threads, void** arguments,
                                 std::size_t shared, cudaStream_t stream) {
  if (sticky != cudaSuccess) return sticky;
  const auto found = functions.find(function);
  if (found == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
  if (!fits(blocks, threads)) return fail(cudaErrorInvalidConfiguration);
  try {
    const kernel& k = kernel_of(found->second);
    if (k.shared_bytes + shared > std::max(found->second.dynamic_limit, std::size_t{48 * 1024}))
      return fail(cudaErrorInvalidValue);
    std::vector<std::byte> parameters(k.parameter_bytes);
    for (std::size_t p = 0; p < k.parameters.size(); ++p)
      std::memcpy(parameters.data() + k.parameter_offsets[p], arguments[p], k.parameters[p].size);
    if (captures(stream)) {
      captured->second.push_back({cudaGraphNodeTypeKernel, [=, this, &k] {
                                    return run_kernel(k, blocks, threads, shared, parameters);
                                  }});
      return cudaSuccess;
    }
    return run_kernel(k, blocks, threads, shared, parameters);
  } catch (const refusal& e) {
    return fault(cudaErrorNotSupported, e.what());
  }
}

cudaError_t state::run_kernel(const kernel& k, dim3 blocks, dim3 threads, std::size_t shared,
                              const std::vector<std::byte>& parameters) {
  try {
    launch l;
    l.runs = &k, l.memory = &memory, l.number = ++launches;
    l.blocks = {blocks.x, blocks.y, blocks.z}, l.threads = {threads.x, threads.y, threads.z};
    l.dynamic_shared = shared;
    l.order = schedule_of_environment(), l.limit = limit_of_environment();
    l.parameters = parameters;
    if (std::getenv("HENCE_PTX_COUNTS") != nullptr) l.counted = &counted[&k];
    run(l);
  } catch (const finding& e) {
    return fault(cudaErrorLaunchFailure, e.what());
  }
  return cudaSuccess;
}

}  // namespace ptx

extern "C" {

unsigned __cudaPushCallConfiguration(dim3 blocks, dim3 threads, std::size_t shared,
                                     CUstream_st* stream) {
  now().configurations.push_back({blocks, threads, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* blocks, dim3* threads, std::size_t* shared,
                                       void* stream) {
  const ptx::call_configuration c = now().configurations.back();
  now().configurations.pop_back();
  *blocks = c.blocks, *threads = c.threads, *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 blocks, dim3 threads, void** arguments,
                               std::size_t shared, cudaStream_t s) {
  return now().launch_kernel(kernel, blocks, threads, arguments, shared, s);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 blocks, dim3 threads, void** arguments,
                             std::size_t shared, cudaStream_t s) {
  return now().launch_kernel(function, blocks, threads, arguments, shared, s);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* function,
                                void** arguments) {
  for (unsigned k = 0; k < c->numAttrs; ++k)
    if (c->attrs[k].id == cudaLaunchAttributeClusterDimension)
      return now().fault(cudaErrorNotSupported, "the emulator lacks thread-block clusters");
  return now().launch_kernel(function, c->gridDim, c->blockDim, arguments, c->dynamicSmemBytes,
                             c->stream);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, const void* function) {
  const auto found = now().functions.find(function);
  if (found == now().functions.end()) return now().fail(cudaErrorInvalidDeviceFunction);
  *out = {};
  out->maxThreadsPerBlock = 1024, out->numRegs = 32;
  out->ptxVersion = out->binaryVersion = now().major * 10 + now().minor;
  out->maxDynamicSharedSizeBytes = static_cast<int>(found->second.dynamic_limit);
  for (const ptx::function& entry : found->second.from->text.entries) {
    if (entry.name != found->second.name) continue;
    out->maxThreadsPerBlock = entry.max_threads;
    for (const ptx::variable& v : entry.variables)
      if (v.space == "shared") out->sharedSizeBytes += v.size;
  }
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute what, int value) {
  const auto found = now().functions.find(function);
  if (found == now().functions.end()) return now().fail(cudaErrorInvalidDeviceFunction);
  if (what == cudaFuncAttributeMaxDynamicSharedMemorySize)
    found->second.dynamic_limit = static_cast<std::size_t>(value);
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*,
                                                                   int threads, std::size_t,
                                                                   unsigned) {
  *blocks = std::max(1, 2048 / std::max(threads, 1));
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* f, int threads,
                                                          std::size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}

}  // extern "C"
