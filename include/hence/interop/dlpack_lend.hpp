/// \file
/// Results for other libraries: a view as a DLPack tensor, with what keeps its memory alive.
///
///     std::vector<float> gradient(n);
///     const hence::view<float> values(gradient);  // not inside the call: the move may come first
///     auto* managed = dlpack::lend(values, std::move(gradient));
///     // -> PyCapsule_New(managed, "dltensor_versioned", ...)
///
/// A moved std::vector keeps its elements where they are.
#pragma once

#include <hence/interop/dlpack.hpp>

namespace hence::inline v0::dlpack {

namespace detail {

/// What a lent tensor consists of, freed by its deleter.
template <class Managed, int Rank, class Keep> struct lent {
  Managed managed;
  std::int64_t shape[static_cast<unsigned>(Rank)], strides[static_cast<unsigned>(Rank)];
  Keep keep;

  static void free(Managed* m) { delete static_cast<lent*>(m->manager_ctx); }
};

}  // namespace detail

/// Makes a managed tensor of a view's memory; its consumer calls the deleter, which destroys `keep`
/// (a moved container, a shared pointer, or nothing: then the memory must outlive the tensor). A
/// view of constants is read-only, which only the versioned struct can say.
/// \param v its memory, `[any]`
/// \param keep destroyed when the consumer is done
/// \param where the memory's device; `{device_cuda, id}` for a view of device memory
/// \tparam Managed `managed_tensor_versioned` or, for consumers before version 1, `managed_tensor`
template <class Managed = managed_tensor_versioned, class T, int Rank, class Keep = int>
Managed* lend(view<T, Rank> v, Keep keep = {}, device where = {device_cpu, 0}) {
  constexpr bool versioned = requires(Managed m) { m.flags; };
  static_assert(
      versioned || !std::is_const_v<T>,
      "hence: an unversioned DLPack tensor cannot be read-only; lend a view of mutable elements");
  auto* const t = new detail::lent<Managed, Rank, Keep>{{}, {}, {}, std::move(keep)};
  for (int i = 0; i < Rank; ++i) t->shape[i] = v.extent[i], t->strides[i] = v.stride[i];
  t->managed.dl_tensor.data = const_cast<std::remove_const_t<T>*>(v.data);
  t->managed.dl_tensor.device = where;
  t->managed.dl_tensor.ndim = Rank;
  t->managed.dl_tensor.dtype = type_of<T>();
  t->managed.dl_tensor.shape = t->shape;
  t->managed.dl_tensor.strides = t->strides;
  t->managed.manager_ctx = t;
  t->managed.deleter = &detail::lent<Managed, Rank, Keep>::free;
  if constexpr (versioned) {
    t->managed.version = {1, 0};
    t->managed.flags = std::is_const_v<T> ? std::uint64_t{flag_read_only} : 0;
  }
  return &t->managed;
}

}  // namespace hence::inline v0::dlpack
