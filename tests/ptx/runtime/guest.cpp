#include "guest.hpp"

#include "state.hpp"

using ptx::now;

bool hence_ptx_range(const void* p, std::size_t size, ptx::device_range* out, std::string* reason) {
  const auto address = reinterpret_cast<std::uint64_t>(p);
  ptx::allocation* a = now().memory.find(address);
  if (a == nullptr || a->size - (address - a->begin) < size) {
    *reason = std::to_string(size) + " bytes out of bounds: " + now().memory.describe(address);
    if (a != nullptr)
      *reason = std::to_string(size) + " bytes out of bounds: at byte " +
                std::to_string(address - a->begin) + " of an allocation of " +
                std::to_string(a->size);
    return false;
  }
  const std::size_t at = address - a->begin;
  *out = {a->data.data() + at, a->memory.written.data() + at};
  return true;
}

cudaError_t hence_ptx_queue(cudaStream_t s, const std::function<std::string()>& work) {
  if (now().sticky != cudaSuccess) return now().sticky;
  const auto run = [work] {
    const std::string fault = work();
    return fault.empty() ? cudaSuccess : now().fault(cudaErrorLaunchFailure, fault);
  };
  if (!now().captures(s)) return run();
  now().captured->second.push_back({cudaGraphNodeTypeKernel, run});
  return cudaSuccess;
}

void hence_ptx_lacks(const char* what) {
  now().fault(cudaErrorNotSupported, std::string("the stand-in lacks ") + what);
}
