// Instructions that compute each lane from the same lane of their sources.
#pragma once

#include "table.hpp"
#include "warp.hpp"

#include <utility>

namespace ptx {

namespace detail {

template <class F, class R, class... A, std::size_t... K>
void run_map(warp& w, const instruction& i, mask set, std::index_sequence<K...>) {
  lanes& d = w[i.d[0]];
  const lanes* const s[] = {&w[i.s[K]]...};
  for_each(set,
           [&](int lane) { d.v[lane] = bits_of<R>(static_cast<R>(F{}(as<A>(s[K]->v[lane])...))); });
}

}  // namespace detail

/// The action of `d = f(a...)`, with R d and A a...; f has no state.
template <class R, class... A, class F> action map(F) {
  return [](warp& w, const instruction& i, mask set) {
    detail::run_map<F, R, A...>(w, i, set, std::index_sequence_for<A...>{});
  };
}

/// Calls f with a type and its PTX name.
template <class T> struct named {
  const char* name;
  using type = T;
};
template <class F, class... T> void for_types(F&& f, named<T>... types) { (f(types), ...); }

template <class F> void for_integers(F&& f) {
  for_types(f, named<std::uint16_t>{"u16"}, named<std::int16_t>{"s16"}, named<std::uint32_t>{"u32"},
            named<std::int32_t>{"s32"}, named<std::uint64_t>{"u64"}, named<std::int64_t>{"s64"});
}
template <class F> void for_bits(F&& f) {
  for_types(f, named<std::uint16_t>{"b16"}, named<std::uint32_t>{"b32"},
            named<std::uint64_t>{"b64"});
}

}  // namespace ptx
