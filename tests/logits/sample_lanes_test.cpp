// The sampler's passes over a row by registers, against loops over its logits.
#include <doctest/doctest.h>
#include <hence/logits/sample_lanes.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace hence;
using V = pack<float>;
using Isa = native_isa;
constexpr int width = V::lanes;
constexpr float inf = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> row(std::int64_t n, unsigned seed, float mean = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(mean, 2);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

TEST_CASE("a bit for each lane, and the lanes that bits name") {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    float a[width], b[width];
    unsigned want = 0;
    for (int i = 0; i < width; ++i) {
      a[i] = float(random() % 3), b[i] = float(random() % 3);
      if (random() % 7 == 0) a[i] = nan;
      want |= (a[i] >= b[i] ? 1u : 0u) << i;
    }
    const V x = V::load(a), y = V::load(b);
    CHECK(detail::lane_bits(x >= y) == want);
    CHECK(detail::bits_at_least(x, y) == want);
    const auto lanes = detail::lane_indices<V>(100 * round);
    float values[2 * width];
    std::int32_t index[2 * width];
    detail::compress(x, want, values);
    detail::compress_indices(lanes, want, index);
    int n = 0;
    for (int i = 0; i < width; ++i)
      if (want >> i & 1) {
        CHECK(values[n] == a[i]);
        CHECK(index[n++] == 100 * round + i);
      }
  }
}

TEST_CASE("the largest logit") {
  for (std::int64_t n = 0; n <= 9 * width + 3; ++n) {
    auto x = row(n, unsigned(n));
    for (std::int64_t at = 0; at < n; at += 1 + n / 20) {
      const auto i = static_cast<std::size_t>(at);
      const float was = x[i];
      x[i] = 50;
      CHECK(detail::top_of<V>(x.data(), n).top == 50);
      CHECK(detail::top_of<V>(x.data(), n).is_number);
      for (const float bad : {nan, inf}) {
        x[i] = bad;
        CHECK_FALSE(detail::top_of<V>(x.data(), n).is_number);
      }
      x[i] = was;
    }
    std::fill(x.begin(), x.end(), -inf);
    CHECK(detail::top_of<V>(x.data(), n).top == -inf);
    CHECK(detail::top_of<V>(x.data(), n).is_number);
  }
}

TEST_CASE("a bound is the count-th largest of maxima of disjoint parts") {
  for (const std::int64_t count : {1, width / 4, width / 2, width, 17, 50})
    for (const std::int64_t more : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{999}})
      for (const float mean : {-100.0f, 0.0f, 100.0f}) {
        std::int64_t groups = 1;
        while (groups * width < 4 * count) groups *= 2;
        const std::int64_t n = 4 * groups * width + more, registers = n / width / groups;
        const auto x = row(n, unsigned(n), mean);
        std::vector<float> most(static_cast<std::size_t>(groups * width), -inf);
        for (std::int64_t g = 0; g < groups; ++g)
          for (std::int64_t r = 0; r < registers; ++r)
            for (std::int64_t j = 0; j < width; ++j) {
              float& m = most[static_cast<std::size_t>(g * width + j)];
              m = std::max(m, x[static_cast<std::size_t>((g * registers + r) * width + j)]);
            }
        std::sort(most.begin(), most.end(), std::greater<>());
        std::vector<detail::candidate> room(static_cast<std::size_t>(16 * count + width));
        const float bound = detail::bound_of_largest<V>(x.data(), n, count, room.data());
        CHECK(bound == (more < 0 ? -inf : most[static_cast<std::size_t>(count - 1)]));
      }
}

TEST_CASE("what reaches a bound") {
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{width},
                               std::int64_t{width + 1}, std::int64_t{10 * width - 1}}) {
    auto x = row(n, unsigned(n));
    for (std::size_t i = 0; i < x.size(); i += 3) x[i] = 0.5f;
    if (n > 0) x.back() = 0.5f;
    std::vector<float> values(static_cast<std::size_t>(n + width));
    std::vector<std::int32_t> index(values.size());
    double visited = 0, taken = 0;
    const std::int64_t found = detail::gather_from<V>(
        x.data(), n, 0.5f, values.data(), index.data(), [&]<class U>(U v, auto takes) {
          float lane[detail::lane_count<U>];
          detail::store_as(lane, v);
          for (const float f : lane) visited += double(f);
          detail::store_as(lane, select(takes, v, U(0.0f)));
          for (const float f : lane) taken += double(f);
        });
    std::int64_t want = 0;
    double all = 0, reached = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      all += double(x[i]);
      if (!(x[i] >= 0.5f)) continue;
      reached += double(x[i]);
      CHECK(values[static_cast<std::size_t>(want)] == x[i]);
      CHECK(index[static_cast<std::size_t>(want++)] == static_cast<std::int32_t>(i));
    }
    CHECK(found == want);
    CHECK(visited == doctest::Approx(all));
    CHECK(taken == doctest::Approx(reached));
  }
}

TEST_CASE("weights of a row, and the place where their sum exceeds a target") {
  for (const std::int64_t n : {0, 1, 63, 64, 65, 128, 200}) {
    auto x = row(n, unsigned(n) + 7);
    if (n > 1) x[1] = -inf;
    if (n > 2) x[2] = -400;
    const detail::weigher<Isa> weigh{9.0f, 1.25};
    std::vector<std::uint64_t> weights(static_cast<std::size_t>(n + 64), 77);
    const auto chosen = [](const auto& v) { return v; };
    const detail::wide_integer total =
        detail::weigh_row<V>(weigh, x.data(), n, weights.data(), chosen);
    CHECK(total == detail::weigh_row<V>(weigh, x.data(), n, nullptr, chosen));
    detail::wide_integer sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(weights[i] == detail::sample_weight<Isa>(x[i], 9.0f, 1.25));
      sum += weights[i];
    }
    CHECK(total == sum);
    CHECK(weights.back() == 77);  // at most 63 are written behind the row
    if (n > 1) {                  // whatever lies behind one weight is not looked at
      const std::uint64_t alone[2] = {5, ~std::uint64_t{2}};
      std::vector<std::uint64_t> behind(64, 0);
      std::copy(alone, alone + 2, behind.begin());
      CHECK(detail::place_beyond<Isa>(behind.data(), 1, 2) == 0);
    }
    detail::wide_integer ahead = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint64_t w = weights[static_cast<std::size_t>(i)];
      if (w > 0) CHECK(detail::place_beyond<Isa>(weights.data(), n, ahead) == i);
      if (w > 1) CHECK(detail::place_beyond<Isa>(weights.data(), n, ahead + (w - 1)) == i);
      ahead += w;
    }
  }
}

}  // namespace
