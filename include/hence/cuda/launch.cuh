/// \file
/// What every launcher shares: the stream, the error, the one check. Nothing prints, allocates or
/// synchronises.
#pragma once

#include <hence/core/check.hpp>

#include <cuda_runtime_api.h>

#include <cstdlib>  // abort
#include <source_location>
#include <stdexcept>  // runtime_error

namespace hence::inline v0 {

namespace detail {

/// "hence: cudaMemsetAsync: cudaErrorInvalidValue (1), invalid argument, at step.cu:41".
inline message describe(cudaError_t code, const char* call, const std::source_location& at) {
  message text;
  text << "hence: " << call << ": " << cudaGetErrorName(code) << " ("
       << static_cast<std::int64_t>(code) << "), " << cudaGetErrorString(code) << ", at "
       << at.file_name() << ":" << static_cast<std::int64_t>(at.line());
  return text;
}

}  // namespace detail

/// A CUDA call that failed.
class cuda_error : public std::runtime_error {
 public:
  cuda_error(cudaError_t code, const char* call, const std::source_location& where)
      : std::runtime_error(detail::describe(code, call, where).text()),
        code_(code),
        call_(call),
        where_(where) {}

  /// What CUDA said.
  cudaError_t code() const noexcept { return code_; }
  /// E.g. "cudaErrorInvalidValue".
  const char* name() const noexcept { return cudaGetErrorName(code_); }
  /// E.g. "cudaMemsetAsync", or the kernel's name.
  const char* call() const noexcept { return call_; }
  /// The user's call of the launcher that failed.
  const std::source_location& location() const noexcept { return where_; }

 private:
  cudaError_t code_;
  const char* call_;  // a string literal
  std::source_location where_;
};

}  // namespace hence::inline v0

namespace hence::inline v0::cuda {

/// Where the work goes. The caller owns it; null is the default stream.
using stream = cudaStream_t;

/// The one check: throws `cuda_error`; without exceptions it calls `on_refusal`, then aborts.
template <bool Exceptions = hence::detail::exceptions_enabled>
void check(cudaError_t code, const char* call,
           const std::source_location& where = std::source_location::current()) {
  if (code == cudaSuccess) return;
#if defined(__cpp_exceptions)
  if constexpr (Exceptions) throw cuda_error(code, call, where);
#endif
  if (on_refusal != nullptr) on_refusal(hence::detail::describe(code, call, where).text());
  std::abort();
}

/// The smaller: blocks of a grid that strides over what there is to do, or what is left of a tile.
constexpr std::int64_t at_most(std::int64_t wanted, std::int64_t most) {
  return wanted < most ? wanted : most;
}

/// Launches a kernel on a stream, with `shared` bytes of dynamic shared memory a block. Unlike
/// `<<<>>>`, it reports its own error and not an earlier one.
template <class... Parameters, class... Arguments>
void launch_with_shared(const char* name, void (*kernel)(Parameters...), std::int64_t blocks,
                        int threads, std::int64_t shared, stream s,
                        const std::source_location& where, Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shared);
  config.stream = s;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Arguments&&>(arguments)...), name, where);
}
/// The same without dynamic shared memory.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), std::int64_t blocks, int threads,
            stream s, const std::source_location& where, Arguments&&... arguments) {
  launch_with_shared(name, kernel, blocks, threads, 0, s, where,
                     static_cast<Arguments&&>(arguments)...);
}

}  // namespace hence::inline v0::cuda
