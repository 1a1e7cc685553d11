#include <hence/core/batch.hpp>

#include <doctest/doctest.h>
#include <array>
#include <span>
#include <vector>

namespace {

using hence::counts;
using hence::offsets;
using hence::per_token;
using hence::view;

}  // namespace

TEST_CASE("row boundaries in 32 and in 64 bits") {
  const std::vector<std::int32_t> narrow{0, 3, 3, 2147483647};
  const std::vector<std::int64_t> wide{0, 3, std::int64_t{1} << 40};
  const offsets a = narrow, b = wide;
  CHECK(a.rows() == 3);
  CHECK(a.size() == 4);
  CHECK(a[3] == 2147483647);
  CHECK(b.rows() == 2);
  CHECK(b[2] == std::int64_t{1} << 40);
  CHECK(a.present());
  const std::array<std::int32_t, 1> none{0};
  CHECK(offsets(none).rows() == 0);
  CHECK(offsets(std::span<const std::int64_t>(wide)).size() == 3);
  CHECK(offsets(view<const std::int32_t>(narrow.data(), 2)).rows() == 1);
  std::vector<std::int32_t> mutable_ones{0, 1};
  CHECK(offsets(mutable_ones).rows() == 1);
}

TEST_CASE("no boundaries at all") {
  const offsets o;
  CHECK(!o.present());
  CHECK(o.size() == 0);
  CHECK(o.rows() == 0);
}

TEST_CASE("strided boundaries") {
  const std::vector<std::int64_t> pairs{0, -1, 4, -1, 9, -1};
  view<const std::int64_t> v(pairs.data(), 3);
  v.stride[0] = 2;
  const offsets o = v;
  CHECK(o[1] == 4);
  CHECK(o[2] == 9);
}

TEST_CASE("a value for every token, of either layout") {
  std::vector<float> x(24);
  const per_token<float> none;
  CHECK(!none.present());
  const per_token<float> line = x;
  CHECK(!line.is_padded);
  CHECK(line.is_contiguous);
  CHECK(line.extent[0] == 24);
  const per_token<const float> matrix = view<float, 2>(x.data(), 4, 5, 6);
  CHECK(matrix.is_padded);
  CHECK(matrix.row_stride == 6);
  CHECK(matrix.extent[1] == 5);
  const per_token<const float> converted = line;
  CHECK(converted.data == x.data());
  CHECK(converted.extent[0] == 24);
  view<float> strided(x);
  strided.stride[0] = 2;
  CHECK(!per_token<float>(strided).is_contiguous);
  strided.extent[0] = 1;
  CHECK(per_token<float>(strided).is_contiguous);  // of one element the stride does not matter
  view<float, 2> transposed(x.data(), 4, 5);
  transposed.stride[0] = 1, transposed.stride[1] = 4;
  CHECK(!per_token<float>(transposed).is_contiguous);
  CHECK(!std::is_constructible_v<per_token<float>, per_token<const float>>);
  CHECK(!std::is_constructible_v<per_token<float>, std::vector<double>&>);
}

TEST_CASE("counts add up member by member") {
  counts a, b;
  a.rows = 1, a.non_empty_rows = 2, a.tokens = 3, a.policy_tokens = 4, a.kl_tokens = 5,
  a.metric_tokens = 6;
  b = a;
  const counts c = a + b;
  CHECK(c.rows == 2);
  CHECK(c.non_empty_rows == 4);
  CHECK(c.tokens == 6);
  CHECK(c.policy_tokens == 8);
  CHECK(c.kl_tokens == 10);
  CHECK(c.metric_tokens == 12);
  CHECK(a == b);
  for (std::int64_t counts::* member :
       {&counts::rows, &counts::non_empty_rows, &counts::tokens, &counts::policy_tokens,
        &counts::kl_tokens, &counts::metric_tokens}) {
    counts other = a;
    other.*member += 1;
    CHECK(!(a == other));
  }
  CHECK(a != c);
  CHECK((a += b) == c);
}
