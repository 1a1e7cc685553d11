// Rows of experts one function at a time: padding, parts, copies, segments, and what is refused.
#include <hence/core/execute.hpp>
#include <hence/moe/expert_arrays.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <refusal.hpp>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace moe = hence::moe;
namespace detail = hence::detail;
using hence::view;
using ints = std::vector<std::int64_t>;

TEST_CASE("padded rows are whole lines, never whole pages apart") {
  for (std::int64_t n = 1; n <= 4096; ++n) {
    const std::int64_t padded = detail::padded_row(n);
    CHECK(padded >= n);
    CHECK(padded < n + 32);       // at most one line more than needed
    CHECK(padded % 16 == 0);      // 64 bytes of float
    CHECK(padded / 16 % 4 != 0);  // 16 rows of these never 4 KiB apart, nor 64 rows 16 KiB
    if ((n + 15) / 16 % 4 != 0) CHECK(padded < n + 16);  // no line more without need
  }
}

TEST_CASE("parts by the number of rows alone") {
  using pooled = hence::cpu<hence::thread_pool>;
  for (const auto& [rows, parts] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1},
                                                          {1, 1},
                                                          {64, 1},
                                                          {65, 2},
                                                          {128, 2},
                                                          {129, 3},
                                                          {960, 15},
                                                          {961, 16},
                                                          {1024, 16},
                                                          {1025, 16},
                                                          {1 << 20, 16}}) {
    CHECK(detail::expert_parts<pooled>(rows) == parts);
    CHECK(detail::expert_parts<hence::cpu<>>(rows) == 1);
  }
  CHECK(detail::expert_block<hence::cpu<>>() == 512);
  CHECK(detail::expert_block<pooled>() == 4096);
}

TEST_CASE("rows as they lie, or copied from their tokens") {
  std::vector<float> x(5 * 4);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const view<const float, 2> from(x.data(), 5, 3, 4);
  const detail::row_source<float> lying{from, nullptr};
  CHECK(!lying.copies());
  std::array<float, 4 * 16> room;
  room.fill(-1);
  const auto as_they_lie = lying.take(2, 2, room.data());
  CHECK(as_they_lie.data == x.data() + 8);
  CHECK(as_they_lie.extent[0] == 2);
  CHECK(as_they_lie.extent[1] == 3);
  CHECK(as_they_lie.stride[0] == 4);
  for (const float v : room) CHECK(v == -1);
  const ints token{4, 1, 1, 0, 3};
  const detail::row_source<float> copied{from, token.data()};
  CHECK(copied.copies());
  const auto taken = copied.take(1, 3, room.data());
  CHECK(taken.data == room.data());
  CHECK(taken.extent[0] == 3);
  CHECK(taken.stride[0] == 16);
  for (std::int64_t i = 0; i < 3; ++i)
    for (std::int64_t d = 0; d < 16; ++d)
      CHECK(room[static_cast<std::size_t>(i * 16 + d)] ==
            (d < 3 ? from(token[static_cast<std::size_t>(1 + i)], d) : -1));
  for (std::size_t i = 48; i < 64; ++i) CHECK(room[i] == -1);
}

TEST_CASE("the matrix of an expert keeps its strides") {
  std::vector<float> m(100);
  view<float, 3> all(m.data(), 2, 3, 4);
  all.stride[0] = 50, all.stride[1] = 7, all.stride[2] = 2;
  const auto second = detail::matrix_of(all, 1);
  CHECK(second.data == m.data() + 50);
  CHECK(&second(2, 3) == m.data() + 50 + 14 + 6);
  CHECK(second.extent[0] == 3);
  CHECK(second.extent[1] == 4);
}

struct matrices {
  bool present = true;
  std::int64_t extent[3] = {2, 3, 4}, stride[3] = {12, 4, 1};
  bool is_written = true;
  std::string refused(std::int64_t e, std::int64_t r, std::int64_t c) const {
    return refusal(
        [&] { detail::check_matrices("m", present, extent, stride, e, r, c, is_written); });
  }
};

TEST_CASE("matrices: shape, null, strides of what is written") {
  CHECK(matrices{}.refused(2, 3, 4) == "accepted");
  CHECK(matrices{}.refused(1, 3, 4) == "hence: m has shape [2, 3, 4], expected [1, 3, 4]");
  CHECK(matrices{}.refused(2, 2, 4) == "hence: m has shape [2, 3, 4], expected [2, 2, 4]");
  CHECK(matrices{}.refused(2, 3, 5) == "hence: m has shape [2, 3, 4], expected [2, 3, 5]");
  CHECK(matrices{.present = false}.refused(2, 3, 4) == "hence: m is null, expected [2, 3, 4]");
  const std::string apart = ", expected rows and matrices one after the other";
  CHECK(matrices{.stride = {24, 8, 2}}.refused(2, 3, 4) ==
        "hence: m has stride 2 within a row, expected 1");
  CHECK(matrices{.stride = {12, 3, 1}}.refused(2, 3, 4) == "hence: m has strides [12, 3]" + apart);
  CHECK(matrices{.stride = {11, 4, 1}}.refused(2, 3, 4) == "hence: m has strides [11, 4]" + apart);
  CHECK(matrices{.stride = {20, 6, 1}}.refused(2, 3, 4) == "accepted");
  // what is only read lies anyhow
  CHECK(matrices{.stride = {0, 1, 3}, .is_written = false}.refused(2, 3, 4) == "accepted");
  // a stride to nowhere is not looked at
  CHECK(matrices{.extent = {2, 3, 1}, .stride = {3, 1, 9}}.refused(2, 3, 1) == "accepted");
  CHECK(matrices{.extent = {2, 1, 4}, .stride = {4, 0, 1}}.refused(2, 1, 4) == "accepted");
  CHECK(matrices{.extent = {1, 3, 4}, .stride = {0, 4, 1}}.refused(1, 3, 4) == "accepted");
}

TEST_CASE("segments are ascending, apart and within the rows") {
  const auto refused = [](const ints& first, const ints& count, std::int64_t rows) {
    std::int64_t live = -1;
    const auto what = refusal([&] {
      live = detail::check_segments({first, count}, static_cast<std::int64_t>(count.size()), rows);
    });
    return what == "accepted" ? std::to_string(live) : what;
  };
  CHECK(refused({0, 3, 3}, {3, 0, 2}, 5) == "5");
  CHECK(refused({0, 3, 3, 5}, {3, 0, 2}, 5) == "5");  // offsets are one longer
  CHECK(refused({1, 9, 4}, {2, 0, 1}, 5) == "3");     // an empty segment lies anywhere
  CHECK(refused({5}, {0}, 5) == "0");
  CHECK(refused({0}, {5}, 5) == "5");
  CHECK(refused({1}, {5}, 5) ==
        "hence: segments: expert 0 has 5 rows from row 1 on, expected them within [0, 5)");
  CHECK(refused({-1}, {2}, 5) ==
        "hence: segments: expert 0 has 2 rows from row -1 on, expected them within [0, 5)");
  CHECK(refused({6}, {1}, 5) ==
        "hence: segments: expert 0 has 1 rows from row 6 on, expected them within [0, 5)");
  CHECK(refused({0, 1}, {2, 1}, 5) ==
        "hence: segments: expert 1 has 1 rows from row 1 on, expected them within [2, 5)");
  CHECK(refused({0, 3}, {2, INT64_MAX}, 5) ==
        "hence: segments: expert 1 has 9223372036854775807 rows from row 3 on, expected them "
        "within [2, 5)");
  CHECK(refused({0, 2}, {2, -1}, 5) == "hence: segments.count[1] is -1, expected 0 or more");
  CHECK(refused({0}, {2, 1}, 5) ==
        "hence: segments.first has 1 entries, expected at least the 2 experts");
}

TEST_CASE("the live rows of a range, at most so many at a time") {
  const ints first{2, 9, 9, 20, 30}, count{3, 0, 4, 0, 2};
  struct row {
    std::int64_t expert, at;
    bool operator==(const row&) const = default;
  };
  std::vector<row> live;
  for (std::int64_t e = 0; e < 5; ++e)
    for (std::int64_t i = 0; i < count[static_cast<std::size_t>(e)]; ++i)
      live.push_back({e, first[static_cast<std::size_t>(e)] + i});
  for (std::int64_t begin = 0; begin <= 9; ++begin)
    for (std::int64_t end = begin; end <= 9; ++end)
      for (const std::int64_t most : {1, 2, 3, 512}) {
        std::vector<row> seen;
        detail::for_segments({first, count}, begin, end, most,
                             [&](std::int64_t e, std::int64_t at, std::int64_t n) {
                               CHECK(n >= 1);
                               CHECK(n <= most);
                               for (std::int64_t i = 0; i < n; ++i) seen.push_back({e, at + i});
                             });
        CHECK(seen == std::vector<row>(live.begin() + begin, live.begin() + end));
      }
}

TEST_CASE("arrays apart by name, whichever of the two comes first") {
  std::byte memory[64];
  using ranges = detail::named_places<2>;
  const auto at = [&](std::int64_t byte, std::int64_t n) {
    return detail::byte_range{memory + byte, n};
  };
  const auto refused = [](const ranges& written, const ranges& read) {
    return refusal([&] { detail::check_written_apart(written.of, read.of); });
  };
  const ranges read{{{"c", at(32, 8)}, {"d", at(36, 8)}}};  // what is read may overlap
  CHECK(refused({{{"a", at(0, 8)}, {"b", at(8, 8)}}}, read) == "accepted");
  CHECK(refused({{{"a", at(0, 8)}, {"b", at(7, 8)}}}, read) ==
        "hence: b overlaps a, expected separate arrays");
  CHECK(refused({{{"a", at(0, 8)}, {"b", at(28, 8)}}}, read) ==
        "hence: b overlaps c, expected separate arrays");
  CHECK(refused({{{"a", at(43, 8)}, {"b", at(8, 8)}}}, read) ==
        "hence: a overlaps d, expected separate arrays");
  const auto of_memory = [&](std::int64_t byte, std::int64_t n) {
    return refusal([&] { detail::check_memory_apart(view<std::byte>(memory + byte, n), read); });
  };
  CHECK(of_memory(0, 32) == "accepted");
  CHECK(of_memory(0, 33) == "hence: workspace overlaps c, expected separate arrays");
  CHECK(of_memory(43, 8) == "hence: workspace overlaps d, expected separate arrays");
}

}  // namespace
