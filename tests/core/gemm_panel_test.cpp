// Panels of the ordered product: every number in its place for every layout, width and depth, and
// nothing written behind the last register of an incomplete panel.
#include <doctest/doctest.h>
#include <hence/core/gemm/panel.hpp>

#include <vector>

namespace {

using namespace hence;

constexpr int lanes = pack<float>::lanes;

/// The number in row i, column k, which bf16 and f16 hold too.
float number(std::int64_t i, std::int64_t k) { return float((7 * i + 3 * k) % 101 + 1); }

template <int Width, class T>
void check_panel(std::int64_t along, std::int64_t deep, int width, std::int64_t depth) {
  CAPTURE(Width);
  CAPTURE(along);
  CAPTURE(width);
  CAPTURE(depth);
  std::vector<T> from(static_cast<std::size_t>((width - 1) * along + (depth - 1) * deep + 1),
                      T(0.5f));
  for (std::int64_t i = 0; i < width; ++i)
    for (std::int64_t k = 0; k < depth; ++k)
      from[static_cast<std::size_t>(i * along + k * deep)] = T(number(i, k));
  std::vector<float> to(static_cast<std::size_t>(Width * depth), -1.0f);
  detail::fetches_of_panel ahead{{{from.data(), 0, along, deep, width, depth}, 1}, {}};
  detail::pack_panel<Width, native_isa>(from.data(), along, deep, width, depth, to.data(), ahead);
  const int step = Width < lanes ? Width : lanes, filled = (width + step - 1) / step * step;
  bool right = true;
  for (std::int64_t k = 0; k < depth; ++k)
    for (int i = 0; i < Width; ++i)
      right = right && to[static_cast<std::size_t>(k * Width + i)] == (i < width    ? number(i, k)
                                                                       : i < filled ? 0.0f
                                                                                    : -1.0f);
  CHECK(right);
}

template <int Width, class T> void check_layouts() {
  for (const int width : {1, Width / 2, Width - 1, Width})
    for (const std::int64_t depth : {1, 15, 16, 37}) {
      check_panel<Width, T>(depth + 3, 1, width, depth);
      check_panel<Width, T>(1, Width + 5, width, depth);
      check_panel<Width, T>(2, 2 * Width + 1, width, depth);
    }
}

TEST_CASE("a panel holds the rows turned, and zeros up to the end of a register") {
  check_layouts<4, float>();
  check_layouts<8, float>();
  check_layouts<3 * lanes, float>();
  check_layouts<8, bf16>();
  check_layouts<3 * lanes, f16>();
}

TEST_CASE("many rows are panels one after another, the last one filled up with zeros") {
  const std::int64_t rows = 21, depth = 19;
  std::vector<float> from(static_cast<std::size_t>(rows * depth)), to(24 * 19, -1.0f);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t k = 0; k < depth; ++k)
      from[static_cast<std::size_t>(i * depth + k)] = number(i, k);
  detail::pack_rows<8, native_isa>(from.data(), depth, 1, int(rows), depth, to.data(), {});
  for (std::int64_t i = 0; i < 24; ++i)
    for (std::int64_t k = 0; k < depth; ++k)
      CHECK(to[static_cast<std::size_t>(i / 8 * 8 * depth + k * 8 + i % 8)] ==
            (i < rows ? number(i, k) : 0.0f));
}

}  // namespace
