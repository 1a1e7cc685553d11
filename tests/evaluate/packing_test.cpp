#include <hence/evaluate/packing.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <random>
#include <vector>

namespace evaluate = hence::evaluate;
using ids = std::vector<std::int64_t>;

namespace {

struct packed {
  evaluate::packing p;
  ids chunk;
};
packed pack(const ids& lengths, std::int64_t capacity, std::int64_t ranks) {
  packed out{{}, ids(lengths.size(), -7)};
  ids workspace(static_cast<std::size_t>(evaluate::packing_workspace_size(
                    static_cast<std::int64_t>(lengths.size()), capacity)),
                -9);
  out.p = evaluate::pack_chunks(lengths, capacity, ranks, out.chunk, workspace);
  return out;
}

/// Best fit by looking at every chunk. \return the chunks before any filling up.
std::int64_t plain_best_fit(const ids& lengths, std::int64_t capacity) {
  ids sorted = lengths, rooms;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (const auto l : sorted) {
    auto best = rooms.end();
    for (auto r = rooms.begin(); r != rooms.end(); ++r)
      if (*r >= l && (best == rooms.end() || *r < *best)) best = r;
    if (best == rooms.end())
      rooms.push_back(capacity - l);
    else
      *best -= l;
  }
  return static_cast<std::int64_t>(rooms.size());
}

}  // namespace

TEST_CASE("a small case by hand") {
  const auto r = pack({3, 7, 5, 5}, 10, 1);
  CHECK(r.p.chunks == 2);
  CHECK(r.p.empty == 0);
  CHECK(r.p.tokens == 20);
  CHECK(r.chunk[0] == r.chunk[1]);
  CHECK(r.chunk[2] == r.chunk[3]);
}

TEST_CASE("random lengths: nothing overflows, as many chunks as plain best fit") {
  std::mt19937 random(8);
  for (int i = 0; i < 400; ++i) {
    ids lengths(random() % 60);
    const std::int64_t capacity = 1 + static_cast<std::int64_t>(random() % 100),
                       ranks = 1 + static_cast<std::int64_t>(random() % 5);
    for (auto& l : lengths) l = static_cast<std::int64_t>(random()) % (capacity + 1);
    const auto r = pack(lengths, capacity, ranks);
    const std::int64_t plain = plain_best_fit(lengths, capacity);
    CHECK(r.p.chunks == (plain + ranks - 1) / ranks * ranks);
    ids used(static_cast<std::size_t>(r.p.chunks)), members(used.size());
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      REQUIRE(r.chunk[s] >= 0);
      REQUIRE(r.chunk[s] < r.p.chunks);
      used[static_cast<std::size_t>(r.chunk[s])] += lengths[s];
      ++members[static_cast<std::size_t>(r.chunk[s])];
    }
    for (const auto u : used) CHECK(u <= capacity);
    CHECK(std::count(members.begin(), members.end(), 0) == r.p.empty);
    // an empty chunk is left only where every sequence is alone
    if (r.p.empty > 0) CHECK(*std::max_element(members.begin(), members.end()) <= 1);
  }
}

TEST_CASE("the order of equal lengths does not matter to the chunks' sizes, and ranks are even") {
  const auto r = pack({4, 4, 4}, 10, 4);
  CHECK(r.p.chunks == 4);
  CHECK(r.p.empty == 1);
  CHECK(pack({4, 4, 4}, 10, 1).chunk == ids{0, 0, 1});  // of equal ones the first is packed first
  CHECK(pack({}, 10, 4).p.chunks == 0);
  CHECK(pack({10, 10, 0}, 10, 1).p.chunks == 2);
  CHECK(pack({0, 0}, 10, 1).p.chunks == 1);  // a chunk that is all room takes more
}

TEST_CASE("a workspace with gaps") {
  const ids lengths{3, 7, 5, 5, 9, 1};
  ids chunk(6), room(static_cast<std::size_t>(2 * evaluate::packing_workspace_size(6, 10)), -5);
  hence::view<std::int64_t> gaps(room.data(), evaluate::packing_workspace_size(6, 10));
  gaps.stride[0] = 2;
  CHECK(evaluate::pack_chunks(lengths, 10, 2, chunk, gaps).chunks == 4);
  CHECK(chunk == pack(lengths, 10, 2).chunk);
  for (std::size_t i = 1; i < room.size(); i += 2) CHECK(room[i] == -5);
}

TEST_CASE("what does not fit is refused before anything is written") {
  ids room(100), chunk(1, 7), two(2, 7);
  const ids lengths{11}, good{1, 2}, negative{1, -1};
  CHECK_THROWS_WITH(evaluate::pack_chunks(lengths, 10, 1, chunk, room),
                    "hence: lengths[0] is 11, expected 0 to capacity, which is 10");
  CHECK_THROWS_WITH(evaluate::pack_chunks(negative, 10, 1, two, room),
                    "hence: lengths[1] is -1, expected 0 to capacity, which is 10");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, 0, 1, two, room),
                    "hence: capacity is 0, expected 1 to 2^40");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, (std::int64_t{1} << 40) + 1, 1, two, room),
                    "hence: capacity is 1099511627777, expected 1 to 2^40");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, 10, 0, two, room),
                    "hence: ranks is 0, expected 1 to 2^31");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, 10, (std::int64_t{1} << 31) + 1, two, room),
                    "hence: ranks is 2147483649, expected 1 to 2^31");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, 10, 1, chunk, room),
                    "hence: chunk has 1 entries, lengths has 2");
  CHECK_THROWS_WITH(evaluate::pack_chunks(good, 1000, 1, two, room),
                    "hence: workspace has 100 entries, expected at least 2010");
  CHECK(chunk[0] == 7);
  CHECK(two[0] == 7);
}
