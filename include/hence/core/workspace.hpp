/// \file
/// The memory of a call: the caller's workspace, or an allocation that ends with the call.
#pragma once

#include <hence/core/view.hpp>

#include <cstddef>  // byte
#include <new>      // align_val_t

namespace hence::inline v0::detail {

/// Refuses a workspace that is given and does not serve. \param bytes that the call needs.
template <class Isa = native_isa>
void check_workspace(const view<std::byte>& w, std::int64_t bytes) {
  if (!w.given()) return;
  if (w.extent[0] < bytes)
    refuse(message() << "hence: workspace has " << w.extent[0] << " bytes, expected at least "
                     << bytes);
  if (!w.present() && w.extent[0] > 0)
    refuse(message() << "hence: workspace is null, expected at least " << bytes << " bytes");
  if (reinterpret_cast<std::uintptr_t>(w.data) % 64 != 0)
    refuse(message() << "hence: workspace is not aligned to 64 bytes");
  if (w.stride[0] != 1) refuse(message() << "hence: workspace is not contiguous");
}

/// The caller's workspace, or an allocation that ends with the call, also if the pool throws.
class call_memory {
 public:
  HENCE_FN call_memory(const view<std::byte>& w, std::int64_t bytes)
      : data_(w.present() ? static_cast<void*>(w.data)
                          : ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{64})),
        own_(!w.present()) {}
  call_memory(const call_memory&) = delete;
  call_memory& operator=(const call_memory&) = delete;
  HENCE_FN ~call_memory() {
    if (own_) ::operator delete(data_, std::align_val_t{64});
  }
  /// The i-th of equal pieces.
  HENCE_FN std::byte* part(std::int64_t i, std::int64_t bytes) const {
    return static_cast<std::byte*>(data_) + i * bytes;
  }

 private:
  void* data_;
  bool own_;
};

}  // namespace hence::inline v0::detail
