/// \file
/// `view<T, Rank>`: a pointer, extents and strides; what every block takes and nothing owns.
#pragma once

#include <hence/core/check.hpp>

#include <concepts>     // convertible_to
#include <cstdint>      // int64_t
#include <type_traits>  // remove_cvref_t
#include <utility>      // declval

namespace hence::inline v0 {

namespace detail {

/// A dense Eigen object, recognised by its members so that Eigen need not be included.
template <class C>
concept eigen_like = requires(C& c) {
  c.data();
  c.innerStride();
  c.outerStride();
  std::remove_cvref_t<C>::IsRowMajor;
  std::remove_cvref_t<C>::IsVectorAtCompileTime;
};

/// A temporary that owns its elements: a view of it would dangle.
template <class C>
concept dying_owner = !std::is_lvalue_reference_v<C> && (requires { typename std::remove_cvref_t<C>::allocator_type; } || requires {
  requires std::same_as<typename std::remove_cvref_t<C>::PlainObject, std::remove_cvref_t<C>>;  // Eigen's owners
});

/// A contiguous one-dimensional container: std::vector, std::array, std::span.
template <class C, class T>
concept contiguous = requires(C& c) {
  { c.data() } -> std::convertible_to<T*>;
  { c.size() } -> std::convertible_to<std::int64_t>;
} && !eigen_like<C>;

/// An mdspan whose elements are not what lies in memory (std::linalg::scaled), or not in strides.
template <class C>
concept computed_mdspan = (requires { typename C::reference; } &&
                           !requires { requires std::is_same_v<typename C::reference, typename C::element_type&>; }) ||
                          (requires { C::is_always_strided(); } && !requires { requires C::is_always_strided(); });

/// std::mdspan or kokkos mdspan of the given rank.
template <class C, class T, int Rank>
concept mdspan_like = requires(C& c) {
  { c.data_handle() } -> std::convertible_to<T*>;
  { c.extent(0) } -> std::convertible_to<std::int64_t>;
  { c.stride(0) } -> std::convertible_to<std::int64_t>;
} && std::remove_cvref_t<C>::rank() == Rank && !computed_mdspan<std::remove_cvref_t<C>>;

}  // namespace detail

/// A strided array of T. Offsets and products of extents are 64-bit. The default view is absent.
template <class T, int Rank = 1> struct view {
  T* data = nullptr;  ///< of the first element; null is an address like any other
  /// Elements along each dimension.
  std::int64_t extent[static_cast<unsigned>(Rank)] = {};
  /// Elements from one to the next, along each dimension.
  std::int64_t stride[static_cast<unsigned>(Rank)] = {};

  HENCE_FN constexpr view() {}
  /// Contiguous, `[n]`.
  HENCE_FN constexpr view(T* p, std::int64_t n)
    requires(Rank == 1)
      : data(p), extent{n}, stride{1} {}
  /// Row-major, `[rows, columns]`; `row_stride` in elements, `columns` if omitted.
  HENCE_FN constexpr view(T* p, std::int64_t rows, std::int64_t columns)
    requires(Rank == 2)
      : data(p), extent{rows, columns}, stride{columns, 1} {}
  HENCE_FN constexpr view(T* p, std::int64_t rows, std::int64_t columns, std::int64_t row_stride)
    requires(Rank == 2)
      : data(p), extent{rows, columns}, stride{row_stride, 1} {}
  /// Matrices one after the other, `[count, rows, columns]`, each row-major.
  HENCE_FN constexpr view(T* p, std::int64_t count, std::int64_t rows, std::int64_t columns)
    requires(Rank == 3)
      : data(p), extent{count, rows, columns}, stride{rows * columns, columns, 1} {}
  /// From std::vector, std::array, std::span and the like.
  template <class C>
    requires(Rank == 1 && detail::contiguous<C, T> && !detail::mdspan_like<C, T, 1> &&
             !detail::dying_owner<C>)
  [[gnu::always_inline]] constexpr view(C&& c)
      : view(c.data(), static_cast<std::int64_t>(c.size())) {}
  /// From an Eigen vector, `[size]`, or matrix of either storage order, `[rows, cols]`.
  template <class C>
    requires(detail::eigen_like<C> && !detail::dying_owner<C> &&
             std::convertible_to<decltype(std::declval<C&>().data()), T*> &&
             (Rank == 2 || bool(std::remove_cvref_t<C>::IsVectorAtCompileTime)))
  [[gnu::always_inline]] constexpr view(C&& c) : data(c.data()) {
    if constexpr (Rank == 1) {
      extent[0] = c.size();
      stride[0] = c.innerStride();
    } else {
      using matrix = std::remove_cvref_t<C>;
      extent[0] = c.rows(), extent[1] = c.cols();
      stride[0] = matrix::IsRowMajor ? c.outerStride() : c.innerStride();
      stride[1] = matrix::IsRowMajor ? c.innerStride() : c.outerStride();
    }
  }
  /// From an mdspan.
  template <class C>
    requires detail::mdspan_like<C, T, Rank>
  [[gnu::always_inline]] constexpr view(C&& c) : data(c.data_handle()) {
    for (int i = 0; i < Rank; ++i) {
      extent[i] = static_cast<std::int64_t>(c.extent(static_cast<unsigned>(i)));
      stride[i] = static_cast<std::int64_t>(c.stride(static_cast<unsigned>(i)));
    }
  }
  /// A view of mutable elements is a view of constant ones.
  template <class U>
    requires(!std::same_as<U, T> && std::convertible_to<U (*)[], T (*)[]>)
  HENCE_FN constexpr view(const view<U, Rank>& other) : data(other.data) {
    for (int i = 0; i < Rank; ++i) extent[i] = other.extent[i], stride[i] = other.stride[i];
  }

  /// Masks of bool are masks of bytes.
  template <class U>
    requires(std::same_as<std::remove_const_t<U>, bool> && std::same_as<T, const unsigned char>)
  HENCE_FN view(const view<U, Rank>& other)
      : data(reinterpret_cast<const unsigned char*>(other.data)) {
    for (int i = 0; i < Rank; ++i) extent[i] = other.extent[i], stride[i] = other.stride[i];
  }

  HENCE_FN constexpr bool present() const { return data != nullptr; }
  /// Whether it was made of something, if only of a null pointer or an empty container.
  HENCE_FN constexpr bool given() const {
    bool any = present();
    for (int i = 0; i < Rank; ++i) any |= extent[i] != 0 || stride[i] != 0;
    return any;
  }
  HENCE_FN constexpr T& operator[](std::int64_t i) const
    requires(Rank == 1)
  {
    return data[i * stride[0]];
  }
  HENCE_FN constexpr T& operator()(std::int64_t i, std::int64_t j) const
    requires(Rank == 2)
  {
    return data[i * stride[0] + j * stride[1]];
  }
};

namespace detail {

template <class T, int Rank> HENCE_FN byte_range range_of(const view<T, Rank>& a) {
  std::int64_t below = 0, above = 0;
  for (int i = 0; i < Rank; ++i) {
    if (!a.present() || a.extent[i] < 1) return {a.data, 0};
    const std::int64_t reach = (a.extent[i] - 1) * a.stride[i];
    (reach < 0 ? below : above) += reach;
  }
  return {a.data + below, (above - below + 1) * static_cast<std::int64_t>(sizeof(T))};
}

}  // namespace detail

}  // namespace hence::inline v0
