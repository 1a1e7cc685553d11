/// \file
/// `view<T, Rank>`: a pointer, extents and strides; what every block takes and nothing owns.
#pragma once

#include <hence/core/check.hpp>

#include <concepts>  // convertible_to
#include <cstdint>   // int64_t

namespace hence::inline v0 {

namespace detail {

/// A contiguous one-dimensional container: std::vector, std::array, std::span, an Eigen vector.
template <class C, class T>
concept contiguous = requires(C& c) {
  { c.data() } -> std::convertible_to<T*>;
  { c.size() } -> std::convertible_to<std::int64_t>;
};

/// std::mdspan or kokkos mdspan of the given rank.
template <class C, class T, int Rank>
concept mdspan_like = requires(C& c) {
  { c.data_handle() } -> std::convertible_to<T*>;
  { c.extent(0) } -> std::convertible_to<std::int64_t>;
  { c.stride(0) } -> std::convertible_to<std::int64_t>;
} && C::rank() == Rank;

}  // namespace detail

/// A strided array of T. Offsets and products of extents are 64-bit. The default view is absent.
template <class T, int Rank = 1> struct view {
  T* data = nullptr;
  std::int64_t extent[static_cast<unsigned>(Rank)] = {};
  std::int64_t stride[static_cast<unsigned>(Rank)] = {};

  constexpr view() = default;
  /// Contiguous, `[n]`.
  constexpr view(T* p, std::int64_t n) requires(Rank == 1) : data(p), extent{n}, stride{1} {}
  /// Row-major, `[rows, columns]`; `row_stride` in elements, `columns` if omitted.
  constexpr view(T* p, std::int64_t rows, std::int64_t columns) requires(Rank == 2)
      : data(p), extent{rows, columns}, stride{columns, 1} {}
  constexpr view(T* p, std::int64_t rows, std::int64_t columns, std::int64_t row_stride) requires(Rank == 2)
      : data(p), extent{rows, columns}, stride{row_stride, 1} {}
  /// From std::vector, std::array, std::span and the like.
  template <class C> requires(Rank == 1 && detail::contiguous<C, T> && !detail::mdspan_like<C, T, 1>)
  constexpr view(C&& c) : view(c.data(), static_cast<std::int64_t>(c.size())) {}
  /// From an mdspan.
  template <class C> requires detail::mdspan_like<C, T, Rank>
  constexpr view(C&& c) : data(c.data_handle()) {
    for (int i = 0; i < Rank; ++i) {
      extent[i] = static_cast<std::int64_t>(c.extent(static_cast<unsigned>(i)));
      stride[i] = static_cast<std::int64_t>(c.stride(static_cast<unsigned>(i)));
    }
  }
  /// A view of mutable elements is a view of constant ones.
  template <class U> requires(!std::same_as<U, T> && std::convertible_to<U (*)[], T (*)[]>)
  constexpr view(const view<U, Rank>& other) : data(other.data) {
    for (int i = 0; i < Rank; ++i) extent[i] = other.extent[i], stride[i] = other.stride[i];
  }

  constexpr bool present() const { return data != nullptr; }
  constexpr T& operator[](std::int64_t i) const requires(Rank == 1) { return data[i * stride[0]]; }
  constexpr T& operator()(std::int64_t i, std::int64_t j) const requires(Rank == 2) {
    return data[i * stride[0] + j * stride[1]];
  }
};

}  // namespace hence::inline v0
