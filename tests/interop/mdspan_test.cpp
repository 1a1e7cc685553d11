#include <hence/interop/mdspan.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <vector>

#if __has_include(<mdspan>)
#  include <mdspan>
#elif __has_include(<experimental/mdspan>)
#  include <experimental/mdspan>
#endif

namespace {

// What the standard says of mdspan, as far as a view needs it, for libraries that have none.
constexpr std::size_t dynamic = static_cast<std::size_t>(-1);

template <class Index, std::size_t... E> struct small_extents {
  using index_type = Index;
  std::array<Index, sizeof...(E)> e;
  explicit small_extents(const std::array<Index, sizeof...(E)>& x) : e(x) {}
  static constexpr std::size_t static_extent(std::size_t i) {
    return std::array<std::size_t, sizeof...(E)>{E...}[i];
  }
};
template <class Extents> struct strided_mapping {
  Extents x;
  decltype(Extents::e) s;
  strided_mapping(const Extents& extents, const decltype(Extents::e)& strides)
      : x(extents), s(strides) {}
  auto stride(std::size_t i) const { return s[i]; }
};
template <class Extents> struct right_mapping {
  Extents x;
  explicit right_mapping(const Extents& extents) : x(extents) {}
  typename Extents::index_type stride(std::size_t i) const {
    typename Extents::index_type s = 1;
    for (std::size_t j = i + 1; j < x.e.size(); ++j) s *= x.e[j];
    return s;
  }
};
template <class T, class Extents, class Mapping> struct small_mdspan {
  using element_type = T;
  using reference = T&;
  using extents_type = Extents;
  using mapping_type = Mapping;
  using index_type = typename Extents::index_type;
  T* data;
  Mapping mapping;
  small_mdspan(T* p, const Mapping& m) : data(p), mapping(m) {}
  static constexpr std::size_t rank() { return std::tuple_size_v<decltype(Extents::e)>; }
  T* data_handle() const { return data; }
  index_type extent(std::size_t i) const { return mapping.x.e[i]; }
  index_type stride(std::size_t i) const { return mapping.stride(i); }
  T& operator()(index_type i, index_type j) const { return data[i * stride(0) + j * stride(1)]; }
};
template <class T, class Index, std::size_t... E>
using strided =
    small_mdspan<T, small_extents<Index, E...>, strided_mapping<small_extents<Index, E...>>>;
template <class T, class Index, std::size_t... E>
using compact =
    small_mdspan<T, small_extents<Index, E...>, right_mapping<small_extents<Index, E...>>>;

/// As std::linalg::scaled: the handle is a pointer, the elements are not what it points to.
struct scaled : strided<float, int, dynamic> {
  using reference = float;
};
/// As a symmetric packed matrix: stride() is there and must not be called.
struct packed : strided<float, int, dynamic> {
  static constexpr bool is_always_strided() { return false; }
};

}  // namespace

TEST_CASE("views become mdspans and mdspans views, with the same elements") {
  std::vector<float> data{0, 1, 2, 3, 4, 5, 6, 7};
  const hence::view<float, 2> v(data.data(), 2, 3, 4);
  const auto m = hence::as_mdspan<strided<float, std::int64_t, dynamic, dynamic>>(v);
  CHECK(m.extent(1) == 3);
  CHECK(m(1, 2) == 6);
  m(0, 1) = 9;
  CHECK(data[1] == 9);
  const hence::view<const float, 2> back = m;
  CHECK(back.data == v.data);
  CHECK(back.stride[0] == 4);

  const hence::view<float, 2> dense(data.data(), 2, 4);
  CHECK(hence::as_mdspan<compact<const float, int, dynamic, 4>>(dense)(1, 1) == 5);
}

TEST_CASE("what an mdspan cannot say is refused") {
  std::vector<float> data(12);
  const hence::view<float, 2> gapped(data.data(), 2, 3, 4);
  CHECK_THROWS_WITH_AS((hence::as_mdspan<compact<float, int, dynamic, dynamic>>(gapped)),
                       "hence: the view has stride 4 in dimension 0, the mdspan holds 3",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS((hence::as_mdspan<strided<float, int, dynamic, 4>>(gapped)),
                       "hence: the view has extent 3 in dimension 1, the mdspan holds 4",
                       std::invalid_argument);
  hence::view<float> large(data.data(), std::int64_t{1} << 40);
  CHECK_THROWS_WITH_AS(
      (hence::as_mdspan<strided<float, int, dynamic>>(large)),
      "hence: the view has extent 1099511627776 in dimension 0, the mdspan holds 2147483647",
      std::invalid_argument);
  large.extent[0] = 3, large.stride[0] = -1;  // a reversed view: an mdspan has no negative strides
  CHECK_THROWS_AS((hence::as_mdspan<strided<float, int, dynamic>>(large)), std::invalid_argument);
  // One row is compact whatever its stride.
  CHECK(hence::as_mdspan<compact<float, int, dynamic, dynamic>>(
            hence::view<float, 2>(data.data(), 1, 3, 7))
            .extent(1) == 3);
}

TEST_CASE("an mdspan whose elements are computed is no view") {
  static_assert(std::is_constructible_v<hence::view<float>, strided<float, int, dynamic>&>);
  static_assert(!std::is_constructible_v<hence::view<float>, scaled&>);
  static_assert(!std::is_constructible_v<hence::view<float>, packed&>);
}

#if defined(__cpp_lib_mdspan) || defined(MDSPAN_IMPL_STANDARD_NAMESPACE)
TEST_CASE("the library's own mdspan") {
#  if !defined(__cpp_lib_mdspan)
  namespace std = MDSPAN_IMPL_STANDARD_NAMESPACE;
#  endif
  float data[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  using matrix = std::mdspan<float, std::dextents<long, 2>, std::layout_stride>;
  const hence::view<float, 2> v(data, 2, 3, 4);
  const auto m = hence::as_mdspan<matrix>(v);
  CHECK(&m[std::array<long, 2>{1, 2}] == &v(1, 2));
  const hence::view<float, 2> back = m;
  CHECK(&back(1, 1) == &data[5]);
  using left = std::mdspan<float, std::extents<int, 3, std::dynamic_extent>, std::layout_left>;
  hence::view<float, 2> transposed(data, 3, 4);
  transposed.stride[0] = 1, transposed.stride[1] = 3;
  CHECK(hence::as_mdspan<left>(transposed)[std::array<int, 2>{1, 2}] == 7);
  CHECK_THROWS(hence::as_mdspan<left>(hence::view<float, 2>(data, 3, 4)));
}
#endif
