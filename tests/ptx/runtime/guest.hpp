// What another stand-in library, such as that for cuBLASLt, asks of the stand-in for the runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace ptx {

/// A piece of device memory; `written` has a byte for each byte, 1 where it holds a value.
struct device_range {
  std::byte* data;
  std::uint8_t* written;
};

}  // namespace ptx

extern "C" {

/// False, with the reason, unless `size` bytes from p on lie in one live allocation.
bool hence_ptx_range(const void* p, std::size_t size, ptx::device_range* out, std::string* reason);
/// Does the work now, or when the graph that the stream is captured into is launched, where it is a
/// kernel's node. The work answers with what is at fault, or with nothing.
cudaError_t hence_ptx_queue(cudaStream_t s, const std::function<std::string()>& work);
/// Says that the program asked for what a stand-in lacks; the program then fails.
void hence_ptx_lacks(const char* what);

}  // extern "C"
