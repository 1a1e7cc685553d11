// Rows to lanes and back, against indexing.

#include <hence/core/storage.hpp>
#include <hence/moe/lanes.hpp>

#include <doctest/doctest.h>
#include <vector>

namespace {

template <class V, class Z> void check(std::int64_t n) {
  constexpr int lanes = hence::detail::lane_count<V>;
  std::vector<std::vector<Z>> from(static_cast<std::size_t>(lanes));
  std::vector<std::vector<float>> back(from.size(),
                                       std::vector<float>(static_cast<std::size_t>(n), -1.0f));
  std::vector<const Z*> rows;
  std::vector<float*> to;
  for (std::size_t l = 0; l < from.size(); ++l) {
    for (std::int64_t e = 0; e < n; ++e)
      from[l].push_back(Z(static_cast<float>(static_cast<int>(l) * 7 + static_cast<int>(e) % 100)));
    rows.push_back(from[l].data());
    to.push_back(back[l].data());
  }
  std::vector<float> out(static_cast<std::size_t>(n) * from.size());
  hence::detail::rows_to_lanes<V>(rows.data(), n, out.data());
  for (std::size_t l = 0; l < from.size(); ++l)
    for (std::size_t e = 0; e < static_cast<std::size_t>(n); ++e)
      REQUIRE(out[e * from.size() + l] == static_cast<float>(from[l][e]));
  hence::detail::lanes_to_rows<V>(out.data(), n, lanes - 1, to.data());
  for (std::size_t l = 0; l < from.size(); ++l)
    for (std::size_t e = 0; e < static_cast<std::size_t>(n); ++e)
      REQUIRE(back[l][e] == (l + 1 < from.size() ? static_cast<float>(from[l][e]) : -1.0f));
}

TEST_CASE("packs and scalars, every storage") {
  for (const std::int64_t n : {0, 1, 5, 16, 31, 64, 77}) {
    check<hence::pack<float>, float>(n);
    check<hence::pack<float>, hence::bf16>(n);
    check<hence::pack<float>, hence::f16>(n);
    check<hence::num<float>, float>(n);
  }
}

}  // namespace
