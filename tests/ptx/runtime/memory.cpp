// Allocating, copying, filling.
#include "state.hpp"

using ptx::now;

namespace {

/// A range of device memory or of the host's.
struct range {
  std::byte* data = nullptr;
  std::uint8_t* written = nullptr;  // null: the host's
  ptx::allocation* of = nullptr;
  bool inside = true;
};

range range_at(const void* p, std::size_t size) {
  const auto address = reinterpret_cast<std::uint64_t>(p);
  if (!now().memory.is_device_address(address))
    return {static_cast<std::byte*>(const_cast<void*>(p)), nullptr, nullptr, true};
  ptx::allocation* a = now().memory.find(address);
  if (a == nullptr || a->size - (address - a->begin) < size) return {nullptr, nullptr, a, false};
  const std::size_t at = address - a->begin;
  return {a->data.data() + at, a->memory.written.data() + at, a, true};
}

cudaError_t outside(const char* call, const void* p) {
  return now().fault(cudaErrorInvalidValue,
                     std::string(call) + ": out of bounds: " +
                         now().memory.describe(reinterpret_cast<std::uint64_t>(p)));
}

cudaError_t copy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind) {
  if (now().sticky != cudaSuccess) return now().sticky;
  if (size == 0) return cudaSuccess;
  const range d = range_at(to, size), s = range_at(from, size);
  if (!d.inside) return outside("cudaMemcpy", to);
  if (!s.inside) return outside("cudaMemcpy", from);
  const bool to_device = d.written != nullptr, from_device = s.written != nullptr;
  if ((kind == cudaMemcpyHostToDevice && (!to_device || from_device)) ||
      (kind == cudaMemcpyDeviceToHost && (to_device || !from_device)) ||
      (kind == cudaMemcpyDeviceToDevice && (!to_device || !from_device)))
    return now().fail(cudaErrorInvalidValue);
  if (from_device && !to_device)
    for (std::size_t k = 0; k < size; ++k)
      if (s.written[k] == 0)
        return now().fault(
            cudaErrorInvalidValue,
            "unwritten output: the host copies byte " +
                std::to_string(static_cast<std::size_t>(s.data - s.of->data.data()) + k) +
                " of an allocation of " + std::to_string(s.of->size) +
                " bytes, which nothing has written");
  std::memmove(d.data, s.data, size);
  if (to_device && from_device)
    std::memmove(d.written, s.written, size);
  else if (to_device)
    std::memset(d.written, 1, size);
  return cudaSuccess;
}

cudaError_t set(void* p, int value, std::size_t size) {
  if (now().sticky != cudaSuccess) return now().sticky;
  if (size == 0) return cudaSuccess;
  const range d = range_at(p, size);
  if (!d.inside || d.written == nullptr) return outside("cudaMemset", p);
  std::memset(d.data, value, size);
  std::memset(d.written, 1, size);
  return cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** out, std::size_t size) {
  if (now().forbids()) return now().fail(cudaErrorStreamCaptureUnsupported);
  if (now().sticky != cudaSuccess) return now().sticky;
  if (size == 0) {
    *out = nullptr;
    return cudaSuccess;
  }
  try {
    *out = reinterpret_cast<void*>(now().memory.allocate(size).begin);
  } catch (const std::bad_alloc&) {
    return now().fail(cudaErrorMemoryAllocation);
  }
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** out, std::size_t size, cudaStream_t) {
  return cudaMalloc(out, size);
}
cudaError_t cudaFree(void* p) {
  if (p == nullptr || now().memory.free(reinterpret_cast<std::uint64_t>(p))) return now().sticky;
  return now().fail(cudaErrorInvalidValue);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
cudaError_t cudaMallocHost(void** out, std::size_t size) {
  *out = std::malloc(size);
  return *out == nullptr ? now().fail(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind) {
  if (now().forbids()) return now().fail(cudaErrorStreamCaptureUnsupported);
  return copy(to, from, size, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t s) {
  const auto move = [=] { return copy(to, from, size, kind); };
  if (!now().captures(s)) return move();
  now().captured->second.push_back({cudaGraphNodeTypeMemcpy, move});
  return cudaSuccess;
}
cudaError_t cudaMemset(void* p, int value, std::size_t size) {
  return now().forbids() ? now().fail(cudaErrorStreamCaptureUnsupported) : set(p, value, size);
}
cudaError_t cudaMemsetAsync(void* p, int value, std::size_t size, cudaStream_t s) {
  const auto fill = [=] { return set(p, value, size); };
  if (!now().captures(s)) return fill();
  now().captured->second.push_back({cudaGraphNodeTypeMemset, fill});
  return cudaSuccess;
}
cudaError_t cudaMemset2DAsync(void* p, std::size_t pitch, int value, std::size_t width,
                              std::size_t height, cudaStream_t s) {
  const auto fill = [=] {
    for (std::size_t row = 0; row < height; ++row) {
      const cudaError_t e = set(static_cast<char*>(p) + row * pitch, value, width);
      if (e != cudaSuccess) return e;
    }
    return cudaSuccess;
  };
  if (!now().captures(s)) return fill();
  now().captured->second.push_back({cudaGraphNodeTypeMemset, fill});
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = std::size_t{16} << 30, *free = *total - now().memory.live_bytes();
  return cudaSuccess;
}

cudaError_t cudaGetSymbolAddress(void** out, const void* symbol) {
  const auto found = now().variables.find(symbol);
  if (found == now().variables.end()) return now().fail(cudaErrorInvalidSymbol);
  *out = reinterpret_cast<void*>(found->second.first);
  return cudaSuccess;
}
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, std::size_t size,
                               std::size_t offset, cudaMemcpyKind kind) {
  void* to = nullptr;
  const cudaError_t e = cudaGetSymbolAddress(&to, symbol);
  return e != cudaSuccess ? e : copy(static_cast<char*>(to) + offset, from, size, kind);
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, std::size_t size, std::size_t offset,
                                 cudaMemcpyKind kind) {
  void* from = nullptr;
  const cudaError_t e = cudaGetSymbolAddress(&from, symbol);
  return e != cudaSuccess ? e : copy(to, static_cast<char*>(from) + offset, size, kind);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* p) {
  *out = {};
  const bool device = now().memory.is_device_address(reinterpret_cast<std::uint64_t>(p));
  out->type = device ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  (device ? out->devicePointer : out->hostPointer) = const_cast<void*>(p);
  return cudaSuccess;
}

}  // extern "C"
