// What the stand-in for the CUDA runtime knows. One device, one thread, everything at once.
#pragma once

#include "../emulator/grid.hpp"

#include <cuda_runtime_api.h>

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>

namespace ptx {

/// One fat binary of the program.
struct loaded_module {
  module text{};
  symbols globals{};
  std::map<std::string, kernel> kernels{};  // decoded when first used
};

/// A __global__ function of the host program.
struct host_function {
  loaded_module* from;
  std::string name;
  std::size_t dynamic_limit = 48 * 1024;
};

struct call_configuration {
  dim3 blocks, threads;
  std::size_t shared;
  cudaStream_t stream;
};

/// What a captured stream was asked to do.
struct graph_node {
  cudaGraphNodeType type;
  std::function<cudaError_t()> run;
};

class state {
 public:
  device_memory memory;
  std::list<loaded_module> modules;
  std::map<const void*, host_function> functions;
  std::map<const void*, std::pair<std::uint64_t, std::size_t>> variables;  // address, size
  std::vector<call_configuration> configurations;
  std::uint32_t launches = 0;
  std::map<const kernel*, counts> counted;  // by HENCE_PTX_COUNTS
  std::optional<std::pair<cudaStream_t, std::vector<graph_node>>> captured{};

  /// Whether work on this stream is being captured instead of done.
  bool captures(cudaStream_t s) const { return captured.has_value() && captured->first == s; }
  /// What a call that allocates or synchronises answers while a stream is captured.
  bool forbids() const { return captured.has_value(); }

  int major = 8, minor = 0;  // of the device: what the program's PTX was made for

  /// Remembers an error for cudaGetLastError and hands it on.
  cudaError_t fail(cudaError_t e) {
    if (e != cudaSuccess) last = e;
    return sticky != cudaSuccess ? sticky : e;
  }
  /// A fault of the program: said at once, kept, and the exit status at the end.
  cudaError_t fault(cudaError_t e, const std::string& what);
  bool has_faults() const { return faults_ > 0; }

  /// Writes what was counted to a file, a line a kernel, a line an instruction that ran.
  void write_counts(const char* path) const;

  kernel& kernel_of(host_function& f);
  cudaError_t launch_kernel(const void* function, dim3 blocks, dim3 threads, void** arguments,
                            std::size_t shared, cudaStream_t stream);

  cudaError_t run_kernel(const kernel& k, dim3 blocks, dim3 threads, std::size_t shared,
                         const std::vector<std::byte>& parameters);

  cudaError_t last = cudaSuccess, sticky = cudaSuccess;

 private:
  int faults_ = 0;
};

state& now();

}  // namespace ptx
