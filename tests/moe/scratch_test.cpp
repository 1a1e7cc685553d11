// Memory cut into arrays, rows cut into parts, and what arrays must be.

#include <hence/moe/scratch.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace detail = hence::detail;
using hence::view;

TEST_CASE("arrays begin on cache lines, one behind the other") {
  alignas(64) std::byte memory[512];
  detail::carver counts, c(memory);
  const auto both = [&](auto number, std::int64_t n, std::int64_t at) {
    using T = decltype(number);
    CHECK(counts.take<T>(n) == nullptr);
    CHECK(c.take<T>(n) == reinterpret_cast<T*>(memory + at));
    CHECK(counts.used() == c.used());
  };
  both(std::int32_t{}, 1, 0);
  both(std::uint8_t{}, 64, 64);
  both(double{}, 9, 128);
  both(float{}, 0, 256);
  both(std::int64_t{}, 16, 256);
  CHECK(c.used() == 384);
}

struct counting_pool {
  std::int64_t calls = 0;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    ++calls;
    for (std::int64_t i = n - 1; i >= 0; --i) f(i);
  }
};

TEST_CASE("a part for each 128 rows, at most 64; one part needs no pool") {
  using parallel = hence::cpu<counting_pool>;
  const std::int64_t rows[] = {0, 1, 127, 128, 255, 256, 384, 8191, 8192, 8320, 1 << 20},
                     parts[] = {1, 1, 1, 1, 1, 2, 3, 63, 64, 64, 64};
  for (int i = 0; i < 11; ++i) {
    CHECK(detail::row_parts<parallel>(rows[i]) == parts[i]);
    CHECK(detail::row_parts<hence::reference<float>>(rows[i]) == 1);
    counting_pool pool;
    std::vector<std::int64_t> begins(64, -1), ends(64, -1);
    detail::for_row_parts(hence::cpu(pool), rows[i],
                          [&](std::int64_t p, std::int64_t begin, std::int64_t end) {
                            begins[static_cast<std::size_t>(p)] = begin;
                            ends[static_cast<std::size_t>(p)] = end;
                          });
    CHECK(pool.calls == (parts[i] > 1 ? 1 : 0));
    std::int64_t next = 0;
    for (std::size_t p = 0; p < 64; ++p) {
      const bool is_part = static_cast<std::int64_t>(p) < parts[i];
      CHECK(begins[p] == (is_part ? next : -1));
      if (is_part) next = ends[p];
    }
    CHECK(next == rows[i]);
  }
}

TEST_CASE("the bytes that a matrix spans") {
  float x[32];
  const auto bytes = [&](float* data, std::int64_t rows, std::int64_t columns, std::int64_t step) {
    const auto range = detail::range_of(view<float, 2>(data, rows, columns, step));
    CHECK(range.first == data);
    return range.bytes;
  };
  CHECK(bytes(x, 3, 5, 7) == 4 * (2 * 7 + 5));
  CHECK(bytes(x, 1, 5, 7) == 4 * 5);
  CHECK(bytes(x, 3, 1, 7) == 4 * (2 * 7 + 1));
  CHECK(bytes(x, 0, 5, 7) == 0);
  CHECK(bytes(x, 3, 0, 7) == 0);
  CHECK(bytes(nullptr, 3, 5, 7) == 0);
}

template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("matrices: shape, null, strides") {
  struct matrix {
    bool present = true;
    std::int64_t rows = 3, columns = 2, row_stride = 2, stride = 1;
  };
  const auto refused = [](const matrix& m) {
    const std::int64_t extent[] = {m.rows, m.columns}, stride[] = {m.row_stride, m.stride};
    return refusal(
        [&] { detail::check_row_major("a", m.present, extent, stride, m.rows, m.columns); });
  };
  CHECK(refused({}).empty());
  CHECK(refused({.present = false}) == "hence: a is null, expected [3, 2]");
  CHECK(refused({.present = false, .rows = 0}).empty());
  CHECK(refused({.present = false, .columns = 0}).empty());
  CHECK(refused({.rows = -1}) == "hence: a has shape [-1, 2], expected no extent below 0");
  CHECK(refused({.columns = -1}) == "hence: a has shape [3, -1], expected no extent below 0");
  CHECK(refused({.stride = 2}) == "hence: a has stride 2 within a row, expected 1");
  CHECK(refused({.columns = 1, .stride = 2}).empty());  // no second column
  CHECK(refused({.row_stride = 1}) == "hence: a has row stride 1, expected at least its 2 columns");
  CHECK(refused({.rows = 1, .row_stride = 0}).empty());  // no second row
  const std::int64_t most = INT64_MAX / 16 / 3;
  CHECK(refused({.row_stride = most}).empty());
  CHECK(refused({.row_stride = most + 1}).ends_with("which times 3 rows overflows"));
  CHECK(refused({.rows = 1, .row_stride = INT64_MAX}).empty());
  const std::int64_t extent[] = {3, 2}, stride[] = {2, 1};
  const auto expected = [&](std::int64_t rows, std::int64_t columns) {
    return refusal([&] { detail::check_row_major("a", true, extent, stride, rows, columns); });
  };
  CHECK(expected(4, 2) == "hence: a has shape [3, 2], expected [4, 2]");
  CHECK(expected(3, 1) == "hence: a has shape [3, 2], expected [3, 1]");
}

TEST_CASE("counts") {
  CHECK(refusal([] { detail::check_count("n", -1); }) == "hence: n is -1, expected 0 or more");
  CHECK(refusal([] { detail::check_count("n", 0); }).empty());
}

TEST_CASE("vectors: size, null, stride") {
  const auto refused = [](bool present, std::int64_t extent, std::int64_t stride,
                          std::int64_t size) {
    return refusal([&] { detail::check_vector("v", present, extent, stride, size); });
  };
  CHECK(refused(true, 3, 1, 3).empty());
  CHECK(refused(true, 3, 1, 4) == "hence: v has 3 entries, expected 4");
  CHECK(refused(false, 3, 1, 3) == "hence: v is null, expected 3 entries");
  CHECK(refused(true, -1, 1, -1) == "hence: v has -1 entries, expected 0 or more");
  CHECK(refused(false, 0, 1, 0).empty());
  CHECK(refused(true, 3, 2, 3) == "hence: v has stride 2, expected 1");
  CHECK(refused(true, 1, 2, 1).empty());
}

}  // namespace
