// expect: ^hence: the mdspan is of another rank than the view
#include <hence/interop/mdspan.hpp>

#include <cstddef>

struct extents {
  explicit extents(std::array<int, 1>) {}
  static constexpr std::size_t static_extent(std::size_t) { return static_cast<std::size_t>(-1); }
};
struct mapping {
  mapping(extents, std::array<int, 1>) {}
};
struct line {
  using extents_type = extents;
  using mapping_type = mapping;
  using index_type = int;
  using element_type = float;
  static constexpr std::size_t rank() { return 1; }
  line(float*, mapping) {}
};

#ifdef FIXED
line whole(hence::view<float, 1> v) { return hence::as_mdspan<line>(v); }
#else
line whole(hence::view<float, 2> v) { return hence::as_mdspan<line>(v); }
#endif
