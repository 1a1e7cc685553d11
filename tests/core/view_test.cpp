#include <hence/core/view.hpp>

#include <doctest/doctest.h>
#include <array>
#include <span>
#include <vector>

namespace {

using hence::view;

/// As Eigen::Matrix or Eigen::Map shows itself.
template <bool RowMajor, bool Vector> struct eigen_object {
  static constexpr bool IsRowMajor = RowMajor;
  static constexpr bool IsVectorAtCompileTime = Vector;
  float* memory;
  std::int64_t row_count, column_count, inner, outer;
  float* data() { return memory; }
  const float* data() const { return memory; }
  std::int64_t rows() const { return row_count; }
  std::int64_t cols() const { return column_count; }
  std::int64_t size() const { return row_count * column_count; }
  std::int64_t innerStride() const { return inner; }
  std::int64_t outerStride() const { return outer; }
};

/// As std::mdspan shows itself, with 32-bit extents.
template <class T, std::size_t Rank> struct mdspan_object {
  T* memory;
  std::array<int, Rank> extents;
  std::array<int, Rank> strides;
  static constexpr std::size_t rank() { return Rank; }
  T* data_handle() const { return memory; }
  int extent(std::size_t i) const { return extents[i]; }
  int stride(std::size_t i) const { return strides[i]; }
};

float sum(view<const float> v) {
  float total = 0;
  for (std::int64_t i = 0; i < v.extent[0]; ++i) total += v[i];
  return total;
}

}  // namespace

TEST_CASE("the default view is absent") {
  const view<float> a;
  CHECK(!a.present());
  CHECK(a.extent[0] == 0);
  const view<const double, 2> b;
  CHECK(!b.present());
}

TEST_CASE("only the default view is not given") {
  CHECK(!view<float>().given());
  CHECK(!view<float, 2>().given());
  CHECK(!view<float, 3>().given());
  CHECK(view<float>(nullptr, 0).given());
  CHECK(view<float, 2>(nullptr, 0, 0).given());
  view<float, 2> v;
  v.extent[0] = 3;
  CHECK(v.given());
  v = {};
  v.extent[1] = 3;
  CHECK(v.given());
  v = {};
  v.stride[0] = 1;  // Eigen's columns
  CHECK(v.given());
  float x = 0;
  v = {};
  v.data = &x;
  CHECK(v.given());
}

TEST_CASE("from containers, const and not") {
  std::vector<float> v{1, 2, 3};
  const std::vector<float> c{4, 5};
  std::array<float, 2> a{6, 7};
  const std::span<const float> s(v);
  CHECK(sum(v) == 6);
  CHECK(sum(c) == 9);
  CHECK(sum(a) == 13);
  CHECK(sum(s) == 6);
  CHECK(sum(std::span<float>(v)) == 6);
  const view<float> w = v;
  w[1] = 20;
  CHECK(v[1] == 20);
  CHECK(w.stride[0] == 1);
  CHECK(w.present());
  CHECK(view<const float>(std::vector<float>{}.data(), 0).extent[0] == 0);
}

TEST_CASE("what a view refuses to be made from") {
  CHECK(!std::is_constructible_v<view<float>, const std::vector<float>&>);  // not mutable
  CHECK(!std::is_constructible_v<view<float>, std::vector<double>&>);
  CHECK(!std::is_constructible_v<view<const float>, std::vector<int>&>);
  CHECK(!std::is_constructible_v<view<float>, view<const float>>);
  CHECK(!std::is_constructible_v<view<const float>, std::vector<float>>);  // would dangle
  CHECK(!std::is_constructible_v<view<float, 2>, std::vector<float>&>);
  CHECK(!std::is_constructible_v<view<float, 1>, mdspan_object<float, 2>&>);
  CHECK(!std::is_constructible_v<view<float, 2>, mdspan_object<float, 1>&>);
  CHECK(!std::is_constructible_v<view<float, 1>, eigen_object<true, false>&>);
  CHECK(std::is_trivially_copyable_v<view<float, 2>>);
}

TEST_CASE("a view of mutable elements is one of constant elements") {
  std::vector<float> v{1, 2, 3, 4, 5, 6};
  view<float> a(v);
  a.stride[0] = 2;
  a.extent[0] = 3;
  const view<const float> b = a;
  CHECK(b.stride[0] == 2);
  CHECK(sum(b) == 9);
  const view<const float, 2> m = view<float, 2>(v.data(), 2, 2, 3);
  CHECK(m(1, 1) == 5);
  CHECK(m.stride[0] == 3);
}

TEST_CASE("rows and columns") {
  std::vector<float> v{0, 1, 2, 3, 4, 5, 6, 7};
  const view<float, 2> dense(v.data(), 2, 3);
  CHECK(dense(1, 2) == 5);
  CHECK(dense.stride[0] == 3);
  const view<float, 2> gapped(v.data(), 2, 3, 5);
  CHECK(gapped(1, 0) == 5);
  CHECK(gapped.extent[1] == 3);
}

TEST_CASE("from an Eigen vector and matrices of both orders") {
  std::vector<float> v{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  eigen_object<false, true> every_second{v.data(), 4, 1, 2, 8};
  const view<const float> x = every_second;
  CHECK(x.extent[0] == 4);
  CHECK(x[3] == 6);
  eigen_object<true, false> by_rows{v.data(), 2, 3, 1, 4};
  const view<float, 2> a = by_rows;
  CHECK(a(1, 2) == 6);
  CHECK(a.extent[0] == 2);
  CHECK(a.extent[1] == 3);
  eigen_object<false, false> by_columns{v.data(), 2, 3, 1, 4};
  const view<const float, 2> b = by_columns;
  CHECK(b(1, 2) == 9);
  CHECK(b.stride[0] == 1);
  CHECK(b.stride[1] == 4);
}

TEST_CASE("from an mdspan of either rank, whatever its index type") {
  std::vector<float> v{0, 1, 2, 3, 4, 5, 6, 7};
  mdspan_object<float, 1> line{v.data(), {3}, {2}};
  const view<const float> a = line;
  CHECK(a[2] == 4);
  mdspan_object<const float, 2> matrix{v.data(), {2, 3}, {4, 1}};
  const view<const float, 2> b = matrix;
  CHECK(b(1, 2) == 6);
  CHECK(b.extent[1] == 3);
}

TEST_CASE("masks of bool are masks of bytes") {
  bool live[] = {true, false, true};
  const view<const bool> v(live, 3);
  const view<const unsigned char> m = v;
  CHECK(m[0] == 1);
  CHECK(m[1] == 0);
  CHECK(m.extent[0] == 3);
  const view<bool, 2> w(live, 1, 3);
  const view<const unsigned char, 2> n = w;
  CHECK(n(0, 2) == 1);
}

TEST_CASE("offsets beyond 2^31 elements are computed in 64 bits") {
  // no element is touched: only addresses are formed, by a stride of 2^33
  static float anchor;
  view<float, 2> v(&anchor, 3, 5, std::int64_t{1} << 33);
  CHECK(v.stride[0] * 2 == std::int64_t{1} << 34);
  view<float> w(&anchor, 2);
  w.stride[0] = 0;
  CHECK(&w[std::int64_t{1} << 40] == &anchor);
}

TEST_CASE("a constant expression") {
  static constexpr float x[] = {1, 2, 3, 4, 5, 6};
  constexpr view<const float, 2> v(x, 2, 3);
  static_assert(v(1, 1) == 5);
  constexpr view<const float> w(x, 6);
  CHECK((w[5] == 6 && w.present()));
  CHECK(v(0, 2) == 3);
}

TEST_CASE("matrices one after the other") {
  std::vector<float> v(24);
  const view<float, 3> m(v.data(), 2, 3, 4);
  CHECK(m.extent[0] == 2);
  CHECK(m.stride[0] == 12);
  CHECK(m.stride[1] == 4);
  CHECK(m.stride[2] == 1);
  const view<const float, 3> c = m;
  CHECK(c.data == v.data());
  CHECK(hence::detail::range_of(c).bytes == 96);
}

TEST_CASE("no element, no byte") {
  float x[4];
  CHECK(hence::detail::range_of(hence::view<float>(x, 0)).bytes == 0);
  CHECK(hence::detail::range_of(hence::view<float, 2>(x, 2, 0)).bytes == 0);
  CHECK(hence::detail::range_of(hence::view<float, 2>(x, 2, 2)).bytes == 16);
}
