/// \file
/// mdspan beside hence: std::mdspan, kokkos's, or one of the same members; none is included.
/// Towards hence nothing is needed: every view parameter takes an mdspan of its rank. This header
/// is the other direction.
#pragma once

#include <hence/core/view.hpp>

#include <array>   // array
#include <limits>  // numeric_limits

namespace hence::inline v0 {

namespace detail {

[[noreturn]] inline void refuse_mdspan(const char* what, int dimension, std::int64_t value,
                                       std::int64_t expected) {
  message m;
  refuse(m << "hence: the view has " << what << " " << value << " in dimension "
           << std::int64_t{dimension} << ", the mdspan holds " << expected);
}

template <class Mdspan, class T, int Rank> consteval bool check_mdspan() {
  constexpr bool same_rank = Mdspan::rank() == Rank;
  constexpr bool same_elements = std::is_convertible_v<T(*)[], typename Mdspan::element_type(*)[]>;
  static_assert(same_rank, "hence: the mdspan is of another rank than the view");
  static_assert(!same_rank || same_elements, "hence: the mdspan has other elements than the view");
  return same_rank && same_elements;
}

/// `as_mdspan` of what fits.
template <class Mdspan, class T, int Rank> constexpr Mdspan make_mdspan(view<T, Rank> v) {
  using extents = typename Mdspan::extents_type;
  using mapping = typename Mdspan::mapping_type;
  using index = typename Mdspan::index_type;
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<index>::max());
  std::array<index, static_cast<unsigned>(Rank)> shape{}, strides{};
  for (unsigned i = 0; i < unsigned{Rank}; ++i) {
    if (static_cast<std::uint64_t>(v.extent[i]) > largest) {
      refuse_mdspan("extent", static_cast<int>(i), v.extent[i], static_cast<std::int64_t>(largest));
    }
    if (static_cast<std::uint64_t>(v.stride[i]) > largest) {
      refuse_mdspan("stride", static_cast<int>(i), v.stride[i], static_cast<std::int64_t>(largest));
    }
    const auto fixed = static_cast<std::uint64_t>(extents::static_extent(i));
    constexpr auto dynamic = static_cast<std::uint64_t>(static_cast<std::size_t>(-1));
    if (fixed != dynamic && fixed != static_cast<std::uint64_t>(v.extent[i])) {
      refuse_mdspan("extent", static_cast<int>(i), v.extent[i], static_cast<std::int64_t>(fixed));
    }
    shape[i] = static_cast<index>(v.extent[i]);
    strides[i] = static_cast<index>(v.stride[i]);
  }
  if constexpr (std::is_constructible_v<mapping, extents, decltype(strides)>) {
    return Mdspan(v.data, mapping(extents(shape), strides));
  } else {
    const mapping m{extents(shape)};
    for (unsigned i = 0; i < unsigned{Rank}; ++i) {
      // A dimension of one element, or of none, is never stepped through.
      if (v.extent[i] > 1 && m.stride(i) != strides[i]) {
        refuse_mdspan("stride", static_cast<int>(i), v.stride[i],
                      static_cast<std::int64_t>(m.stride(i)));
      }
    }
    return Mdspan(v.data, m);
  }
}

}  // namespace detail

/// A view's memory as an mdspan of the caller's type, `[any]`. Refused are extents other than its
/// static ones or beyond its index type, and, where its layout has no strides of its own, strides
/// other than the layout's.
///
///     using matrix = std::mdspan<float, std::dextents<std::int64_t, 2>, std::layout_stride>;
///     auto m = hence::as_mdspan<matrix>(view);
/// \tparam Mdspan layout_stride takes any view, layout_right a compact one, layout_left a
/// transposed one
template <class Mdspan, class T, int Rank> constexpr Mdspan as_mdspan(view<T, Rank> v) {
  if constexpr (detail::check_mdspan<Mdspan, T, Rank>())
    return detail::make_mdspan<Mdspan>(v);
  else
    __builtin_unreachable();  // refused above
}

}  // namespace hence::inline v0
