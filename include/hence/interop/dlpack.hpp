/// \file
/// Tensors of other libraries as views, through DLPack: what PyTorch, JAX, numpy, cupy, TVM, MLX
/// and Paddle hand out as `__dlpack__`. Nothing is copied.
///
///     auto logp = dlpack::take<const float, 2>(managed, "logp", dlpack::on_host);
///     const hence::view<const float, 2> v = logp;
///     float first = v(0, 0);  // the producer's memory; its deleter runs with ~logp
///
/// `take` and `borrow` refuse, before they take anything, a tensor of another type, rank, device or
/// major version, a read-only one where T is not const, and a misaligned one. The producer's work
/// on the tensor must be done: on CUDA, ask it for the tensor on the stream that hence will use.
#pragma once

#include <hence/core/view.hpp>
#include <hence/interop/dlpack_layout.hpp>

#include <concepts>  // convertible_to
#include <utility>   // exchange

namespace hence::inline v0::dlpack {

/// Where the memory will be read or written.
struct place {
  bool host;               ///< whether the CPU uses it
  std::int32_t device_id;  ///< of CUDA, where the CPU does not
};
/// By the CPU: CPU, pinned and managed memory.
inline constexpr place on_host{true, 0};
/// By kernels on this CUDA device: its own and managed memory.
constexpr place on_cuda(std::int32_t device_id) { return {false, device_id}; }

namespace detail {

using hence::detail::message;
using hence::detail::refuse;

inline message& put(message& m, data_type t) {
  const char* names[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  m << (t.code < 7 ? names[t.code] : "type code ");
  if (t.code >= 7) m << std::int64_t{t.code} << " of ";
  m << std::int64_t{t.bits};
  if (t.lanes != 1) m << " x " << std::int64_t{t.lanes};
  return m;
}

template <class Device> message& put(message& m, const Device& d) {
  const auto type = static_cast<std::int64_t>(d.device_type);
  if (type == device_cpu) return m << "cpu";
  m << (type == device_cuda ? "cuda" : "device type ");
  if (type != device_cuda) m << type;
  return m << ":" << std::int64_t{d.device_id};
}

template <class Device> bool reaches(const place& where, const Device& d) {
  const auto type = static_cast<std::int64_t>(d.device_type);
  if (type == device_cuda_managed) return true;
  if (where.host) {
    return type == device_cpu || type == device_cuda_host || type == device_rocm_host;
  }
  return type == device_cuda && d.device_id == where.device_id;
}

template <class T> bool holds(const data_type& t) {
  constexpr data_type wanted = type_of<T>();
  // A mask of bool is one of bytes.
  constexpr bool bytes = std::is_same_v<T, const unsigned char>;
  return t.bits == wanted.bits && t.lanes == 1 &&
         (t.code == wanted.code || (bytes && t.code == code_bool));
}

}  // namespace detail

/// A view of a tensor that stays the producer's, such as a TVM-FFI TensorView or a `DLTensor*`
/// argument.
/// \param t a `dlpack::tensor` or a `DLTensor`
/// \param name what messages call it
/// \param where who uses it: `on_host` or `on_cuda(id)`
template <class T, int Rank = 1, class Tensor>
view<T, Rank> borrow(const Tensor& t, const char* name, place where) {
  using detail::message;
  const data_type type{static_cast<std::uint8_t>(t.dtype.code), t.dtype.bits, t.dtype.lanes};
  if (!detail::holds<T>(type)) {
    message m;
    detail::put(m << "hence: " << name << " is a DLPack tensor of ", type) << ", expected ";
    detail::refuse(detail::put(m, type_of<T>()));
  }
  if (t.ndim != Rank) {
    message m;
    detail::refuse(m << "hence: " << name << " has " << std::int64_t{t.ndim}
                     << " dimensions, expected " << std::int64_t{Rank});
  }
  if (!detail::reaches(where, t.device)) {
    message m;
    detail::put(m << "hence: " << name << " is on ", t.device) << ", expected ";
    if (where.host) detail::refuse(m << "memory that the CPU reads");
    detail::refuse(m << "cuda:" << std::int64_t{where.device_id});
  }
  view<T, Rank> v;
  std::int64_t compact = 1;
  bool empty = false;
  for (int i = Rank - 1; i >= 0; --i) {
    if (t.shape[i] < 0) {
      message m;
      detail::refuse(m << "hence: " << name << " has extent " << t.shape[i] << " in dimension "
                       << std::int64_t{i} << ", expected none below 0");
    }
    v.extent[i] = t.shape[i];
    v.stride[i] = t.strides != nullptr ? t.strides[i] : compact;
    compact = static_cast<std::int64_t>(static_cast<std::uint64_t>(compact) *
                                        static_cast<std::uint64_t>(t.shape[i]));
    empty = empty || t.shape[i] == 0;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(t.data) + t.byte_offset;
  if (!empty && (t.data == nullptr || address % alignof(T) != 0)) {
    message m;
    detail::refuse(m << "hence: " << name
                     << (t.data == nullptr ? " has elements at a null pointer" : " is misaligned")
                     << ", expected an address that is a multiple of "
                     << static_cast<std::int64_t>(alignof(T)));
  }
  v.data = t.data == nullptr ? nullptr : reinterpret_cast<T*>(address);
  return v;
}

/// A view that owns its tensor: the producer's deleter runs when this is destroyed or assigned to.
/// Converts to `view<T, Rank>` and `view<const T, Rank>`, not from a temporary.
template <class T, int Rank = 1> class owned {
 public:
  owned() = default;
  template <class Managed>
  owned(view<T, Rank> v, Managed* m)
      : view_(v), managed_(m), release_([](void* p) {
          auto* self = static_cast<Managed*>(p);
          if (self->deleter != nullptr) self->deleter(self);
        }) {}
  owned(owned&& other) noexcept
      : view_(std::exchange(other.view_, {})),
        managed_(std::exchange(other.managed_, nullptr)),
        release_(other.release_) {}
  owned& operator=(owned&& other) noexcept {
    if (this != &other) {
      reset();
      view_ = std::exchange(other.view_, {});
      managed_ = std::exchange(other.managed_, nullptr);
      release_ = other.release_;
    }
    return *this;
  }
  ~owned() { reset(); }

  /// Gives the tensor back to its producer now.
  void reset() {
    view_ = {};
    if (void* const p = std::exchange(managed_, nullptr)) release_(p);
  }
  /// The memory, while this owns it.
  const view<T, Rank>& get() const& { return view_; }
  const view<T, Rank>& get() const&& = delete;

  template <class U>
    requires std::convertible_to<T (*)[], U (*)[]>
  operator view<U, Rank>() const& {
    return view_;
  }
  template <class U>
    requires std::convertible_to<T (*)[], U (*)[]>
  operator view<U, Rank>() const&& = delete;

 private:
  view<T, Rank> view_;
  void* managed_ = nullptr;
  void (*release_)(void*) = nullptr;
};

/// Takes over a managed tensor. Whoever holds its capsule must now call it used. If it is refused,
/// it still belongs to the caller.
/// \param m a `managed_tensor`, `managed_tensor_versioned`, `DLManagedTensor` or
///          `DLManagedTensorVersioned`; the major version, where it has one, must be 1
/// \param name what messages call it
/// \param where who uses it: `on_host` or `on_cuda(id)`
template <class T, int Rank = 1, class Managed>
owned<T, Rank> take(Managed* m, const char* name, place where) {
  using detail::message;
  if (m == nullptr) {
    message text;
    detail::refuse(text << "hence: " << name << " is a null pointer, expected a DLPack tensor");
  }
  if constexpr (requires { m->version.major; }) {
    if (m->version.major != 1) {
      message text;
      detail::refuse(text << "hence: " << name << " is of DLPack version "
                          << std::int64_t{m->version.major} << ", expected 1");
    }
    if (!std::is_const_v<T> && (m->flags & flag_read_only) != 0) {
      message text;
      detail::refuse(text << "hence: " << name << " is read-only, expected a writable tensor");
    }
  }
  return owned<T, Rank>(borrow<T, Rank>(m->dl_tensor, name, where), m);
}

}  // namespace hence::inline v0::dlpack
