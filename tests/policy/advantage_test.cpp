// Group advantages: the contract's formulas in __float128, the bounds that the headers state, equal
// bits.
#include <doctest/doctest.h>
#include "advantage_oracle.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace hence;
using advantage::dr_grpo;
using advantage::grpo;
using advantage::singleton_error;
using advantage::singleton_raw;
using advantage::singleton_zero;
using namespace advantage_oracle;

template <class S> std::vector<S> run_one(const std::vector<S>& rewards, int ddof, double eps) {
  return run<S>(reference<S>{}, grpo(ddof, eps, singleton_zero{}),
                {0, std::int64_t(rewards.size())}, rewards);
}

template <class T> std::uint64_t hash(const std::vector<T>& x) {
  std::uint64_t h = 1469598103934665603u;
  for (const T& v : x) {
    std::uint32_t bits;
    std::memcpy(&bits, &v, 4);
    for (int i = 0; i < 4; ++i) h = (h ^ (bits >> (8 * i) & 0xff)) * 1099511628211u;
  }
  return h;
}

/// A user's baselines: (r - mu) G/(G - 1), and r itself.
struct leave_one_out {
  auto operator()(auto e, const auto& g) const {
    return e * (g.count / (g.count - decltype(e)(1.0)));
  }
};
struct plain {
  auto operator()(auto e, const auto& g) const { return e + g.mean; }
};

}  // namespace

TEST_CASE("advantages are the contract's formulas, rounded once") {
  std::mt19937 random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    const std::size_t n = 2 + random() % (trial % 10 == 0 ? 300 : 40);
    const int kind = trial % kinds, ddof = int(random() % 3);
    const double eps = std::array{0.0, 1e-9, 1e-6, 1e-4, 1.0}[random() % 5];
    const std::vector<float> r = draw<float>(kind, n, random);
    const std::vector<std::int64_t> cu{0, std::int64_t(n)};
    const oracle exact(r.data(), n);
    const auto a = run<float>(cpu{}, grpo(ddof, eps, singleton_zero{}), cu, r);
    const auto b = run<float>(cpu{}, dr_grpo(singleton_zero{}), cu, r);
    const quad divisor = exact.sigma(ddof) + quad(eps);
    for (std::size_t i = 0; i < n; ++i) {
      CAPTURE(kind);
      CAPTURE(n);
      const quad want = exact.scaled(i, ddof, eps);
      const quad slack = exact.constant ? 0 : quad(0x1p-50) * exact.range() / divisor;
      CHECK(magnitude(quad(a[i]) - want) <= quad(0.5 + 0x1p-18) * ulp<float>(want) + slack);
      const quad centred = exact.centred(i);
      if (kind != 11)
        CHECK(magnitude(quad(b[i]) - centred) <=
              quad(0.5 + 0x1p-18) * ulp<float>(centred) + quad(0x1p-50) * exact.range());
    }
  }
}

TEST_CASE("float64 rewards are computed in float64 throughout") {
  std::mt19937 random(2);
  for (int trial = 0; trial < 1500; ++trial) {
    const std::size_t n = 2 + random() % 40;
    const int ddof = int(random() % 2);
    const double eps = std::array{0.0, 1e-9, 1e-4}[random() % 3];
    std::vector<double> r = draw<double>(trial % kinds, n, random);
    const double scale = std::array{1.0, 0x1p1000, 0x1p-1000, 0x1p-40}[random() % 4];
    if (trial % kinds < 5)
      for (auto& x : r) x *= scale;
    const oracle exact(r.data(), n);
    const auto a = run_one(r, ddof, eps);
    for (std::size_t i = 0; i < n; ++i) {
      CAPTURE(trial);
      const quad want = exact.scaled(i, ddof, eps);
      CHECK(magnitude(quad(a[i]) - want) <=
            8 * ulp<double>(1.0) *
                (magnitude(want) +
                 (exact.constant ? 0 : exact.range() / (exact.sigma(ddof) + quad(eps)))));
    }
  }
}

TEST_CASE("the deviation is within the bounds that scale_group states, far within 2 ulp") {
  std::mt19937 random(3);
  double worst_float = 0, worst_double = 0;
  const auto check = [&](const std::vector<float>& r) {
    const double n = double(r.size());
    const oracle exact(r.data(), r.size());
    if (exact.constant) return;
    const auto [low, high] = std::minmax_element(r.begin(), r.end());
    const auto at = [&](auto f) {
      for (const float x : r) f(num<double>(x));
    };
    const detail::measured_group<float, native_isa> group(*low, *high, n, true, {}, at);
    const quad sigma = exact.sigma(1),
               got = sqrt(group.moments.squares * (num<double>(1.0) / num<double>(n - 1))).v;
    const quad error = magnitude(got - sigma) / sigma;
    CHECK(error <= quad(n + 8) * quad(0x1p-52));
    worst_float =
        std::max(worst_float, static_cast<double>(magnitude(got - sigma) / ulp<float>(sigma)));
    const std::vector<double> wide(r.begin(), r.end());
    const auto at_wide = [&](auto f) {
      for (const double x : wide) f(num<double>(x));
    };
    const detail::measured_group<double, native_isa> oracle_group(double(*low), double(*high), n,
                                                                  true, {}, at_wide);
    const quad precise =
        (sqrt(oracle_group.moments.squares * (num<double>(1.0) / num<double>(n - 1))) *
         oracle_group.moments.unit)
            .v;
    const quad precise_error = magnitude(precise - sigma) / sigma;
    CHECK(precise_error <= (square_root(2 * quad(n)) + 4) * quad(0x1p-53));
    worst_double = std::max(worst_double, static_cast<double>(precise_error / quad(0x1p-53)));
  };
  for (int trial = 0; trial < 3000; ++trial)
    check(draw<float>(trial % 10, 2 + random() % 100, random));
  for (const std::size_t n : {3u, 10u, 100u, 1000u, 5000u})  // two far apart, the rest in between
    for (const float middle : {0.5f, 0.50001f, 0.3f, 0.9999f}) {
      std::vector<float> r(n, middle);
      r[0] = 0, r[n - 1] = 1;
      check(r);
      check(draw<float>(1, n, random));
      check(draw<float>(3, n, random));
    }
  MESSAGE("sigma: worst error ", worst_float, " ulp of fp32; reference<double> ", worst_double,
          " 2^-53");
  CHECK(worst_float < 0.01);
}

TEST_CASE("a constant group gets exactly +0, whatever eps is") {
  std::vector<std::pair<float, int>> cases = {{0.7f, 8},     {1.1f, 48},  {0.1f, 3},  {1e38f, 64},
                                              {-3.4e38f, 5}, {1e-45f, 7}, {0.0f, 16}, {-0.0f, 2}};
  std::mt19937 random(4);
  for (int i = 0; i < 200; ++i)
    cases.push_back({draw<float>(8, 1, random)[0], 2 + int(random() % 70)});
  for (const auto& [value, n] : cases)
    for (const double eps : {0.0, 1e-320, 1e-9, 1e-6, 1e-4}) {
      const std::vector<float> r(std::size_t(n), value);
      const std::vector<double> wide(r.begin(), r.end());
      const std::vector<float> zeros(r.size(), 0.0f);
      const std::vector<std::int64_t> cu{0, n};
      for (const int ddof : {0, 1, 5}) {
        CHECK(same_bits(run<float>(cpu{}, grpo(ddof, eps, singleton_zero{}), cu, r), zeros));
        CHECK(same_bits(run_one(r, ddof, eps), zeros));
        CHECK(same_bits(run_one(wide, ddof, eps), std::vector<double>(r.size(), 0.0)));
      }
      CHECK(same_bits(run<float>(cpu{}, dr_grpo(singleton_zero{}), cu, r), zeros));
      CHECK(same_bits(run<double>(reference<double>{}, dr_grpo(singleton_zero{}), cu, wide),
                      std::vector<double>(r.size(), 0.0)));
      const auto every = [&](const auto& rule) {  // a mean below 0 among them
        CHECK(same_bits(run<float>(cpu{}, rule, cu, r), zeros));
        CHECK(same_bits(run<float>(reference<float>{}, rule, cu, r), zeros));
        CHECK(same_bits(run<double>(reference<double>{}, rule, cu, wide),
                        std::vector<double>(r.size(), 0.0)));
      };
      every(maxrl(eps, singleton_zero{}));
      every(rloo(singleton_zero{}));
      every(gpg(singleton_zero{}));
      every(advantage::group_baseline{advantage::baseline_leave_one_out{},
                                      advantage::scale_mean{eps}, singleton_zero{}});
      every(advantage::group_baseline{advantage::baseline_group{}, advantage::scale_batch{1, eps},
                                      singleton_zero{}});
      every(advantage::group_baseline{advantage::baseline_group{},
                                      advantage::scale_batch_centred{1, eps}, singleton_zero{}});
    }
  CHECK(same_bits(
      run<float>(cpu{}, maxrl(1e-6, singleton_zero{}), {0, 2}, std::vector<float>{-4, -4}),
      std::vector<float>(2, 0.0f)));
  const std::vector<float> mixed{-0.0f, 0.0f, 0.0f, -0.0f};  // equal, though not in bits
  CHECK(same_bits(run_one(mixed, 1, 0.0), std::vector<float>(4, 0.0f)));
  CHECK(same_bits(run_one(std::vector<double>{0.0, -0.0, -0.0}, 1, 0.0),
                  std::vector<double>(3, 0.0)));
}

TEST_CASE("|A| keeps its bound, and the advantages of a group sum to about 0") {
  std::mt19937 random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::size_t n = 2 + random() % 200;
    std::vector<float> r = draw<float>(trial % 10, n, random);
    if (trial % 4 == 0) {  // the bound is reached: all equal but one
      std::fill(r.begin(), r.end(), 0.3f);
      r[random() % n] = 0.9f;
    }
    for (const int ddof : {0, 1}) {
      const double count = double(n),
                   bound = ddof == 1 ? (count - 1) / std::sqrt(count) : std::sqrt(count - 1);
      const auto a = run<float>(cpu{}, grpo(ddof, 0.0, singleton_zero{}), {0, std::int64_t(n)}, r);
      const auto wide = run_one(std::vector<double>(r.begin(), r.end()), ddof, 0.0);
      double sum = 0, largest = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double magnitude_of = std::fabs(double(a[i]));
        CHECK(magnitude_of <= bound + double(ulp<float>(bound)));
        CHECK(std::fabs(wide[i]) <= bound * (1 + 0x1p-50));
        sum += double(a[i]);
        largest = std::max(largest, magnitude_of);
      }
      CHECK(std::fabs(sum) <= count * 0x1p-24 * largest);
    }
  }
}

TEST_CASE("bits: executors, pools, the order of rows and of groups, int32 and int64, strides") {
  std::mt19937 random(6);
  for (int trial = 0; trial < 44; ++trial) {
    // ragged sizes 0 to 200; equal ones of every fast size and of others; a group beyond a tile
    std::vector<std::int64_t> sizes;
    const int layout = trial % 11;
    const std::size_t count = layout == 9 ? 3 : 50 + random() % 400;
    const std::int64_t equal[] = {0, 8, 16, 32, 64, 4, 13, 24};
    for (std::size_t i = 0; i < count; ++i)
      sizes.push_back(layout == 0 || layout == 8 ? std::int64_t(random() % (layout == 0 ? 201 : 5))
                      : layout == 9  ? std::int64_t(i == 1 ? 5000 + random() % 3000 : 20)
                      : layout == 10 ? equal[i / 37 % 8]  // runs of each size
                                     : equal[layout]);
    const auto cu = offsets_of(sizes);
    std::vector<float> r;
    for (const auto n : sizes) {
      const auto group = draw<float>(int(random() % kinds), std::size_t(n), random);
      r.insert(r.end(), group.begin(), group.end());
    }
    const auto each_rule = [&](const auto& rule) {
      status want_status, s;
      const auto want = run<float>(reference<float>{}, rule, cu, r, &want_status);
      CHECK(same_bits(run<float>(cpu{}, rule, cu, r, &s), want));
      CHECK(s == want_status);
      for (const int threads : {1, 2, 3, 8}) {
        reversed_pool pool{threads};
        CHECK(same_bits(run<float>(cpu{pool}, rule, cu, r, &s), want));
        CHECK(s == want_status);
      }
      // groups in another order, rows in another order
      std::vector<std::size_t> order(sizes.size());
      std::iota(order.begin(), order.end(), 0u);
      std::shuffle(order.begin(), order.end(), random);
      std::vector<std::int64_t> other_sizes;
      std::vector<float> other, other_want;
      for (const std::size_t g : order) {
        std::vector<std::int64_t> rows(static_cast<std::size_t>(sizes[g]));
        std::iota(rows.begin(), rows.end(), cu[g]);
        std::shuffle(rows.begin(), rows.end(), random);
        for (const auto row : rows)
          other.push_back(r[std::size_t(row)]), other_want.push_back(want[std::size_t(row)]);
        other_sizes.push_back(sizes[g]);
      }
      const auto other_cu = offsets_of(other_sizes);
      CHECK(same_bits(run<float>(cpu{}, rule, other_cu, other), other_want));
      CHECK(same_bits(run<float>(reference<float>{}, rule, other_cu, other), other_want));
      // int32 offsets; rows two apart, the result within the same array, backwards
      const std::vector<std::int32_t> narrow(cu.begin(), cu.end());
      const std::int64_t rows = cu.back();
      std::vector<float> out(r.size());
      advantages(cpu{}, rule, groups{.cu_groups = narrow}, r, out);
      CHECK(same_bits(out, want));
      std::vector<float> pairs(2 * r.size() + 2);
      view<float> even(pairs.data(), rows), odd(pairs.data() + 1, rows);
      even.stride[0] = odd.stride[0] = 2;
      for (std::int64_t i = 0; i < rows; ++i) even[i] = r[std::size_t(i)];
      advantages(cpu{}, rule, groups{.cu_groups = cu}, even, odd);
      for (std::int64_t i = 0; i < rows; ++i) out[std::size_t(i)] = odd[i];
      CHECK(same_bits(out, want));
      if (rows > 0) {
        view<float> backwards(pairs.data() + rows - 1, rows);
        backwards.stride[0] = -1;
        advantages(cpu{}, rule, groups{.cu_groups = cu}, r, backwards);
        for (std::int64_t i = 0; i < rows; ++i) out[std::size_t(i)] = backwards[i];
        CHECK(same_bits(out, want));
      }
      // ranges of groups; what lies around them stays
      std::vector<float> pieces(r.size(), -7.0f);
      status all = status::ok;
      std::int64_t cut = 0;
      while (cut < std::int64_t(sizes.size())) {
        const std::int64_t next =
            std::min(std::int64_t(sizes.size()), cut + 1 + std::int64_t(random() % 60));
        const status part =
            advantages_groups(cpu{}, rule, groups{.cu_groups = cu}, r, pieces, cut, next);
        if (part != status::empty) all |= part;
        cut = next;
        for (std::size_t i = std::size_t(cu[std::size_t(cut)]); i < pieces.size(); ++i)
          if (!(pieces[i] == -7.0f)) FAIL("row ", i, " behind the range was written");
      }
      CHECK(same_bits(pieces, want));
      if (rows > 0) CHECK(all == want_status);
    };
    each_rule(grpo(1, 1e-6, singleton_raw{}));
    each_rule(grpo(0, 0.0, singleton_error{}));
    each_rule(dr_grpo(singleton_zero{}));
  }
}

TEST_CASE("bits do not depend on how large the call is: stores past the caches") {
  std::mt19937 random(7);
  for (const std::int64_t n : {16, 37}) {
    const std::vector<std::int64_t> sizes(std::size_t(700000 / n), n);
    const auto cu = offsets_of(sizes);
    const auto r = draw<float>(0, std::size_t(cu.back()), random);
    const auto rule = grpo(1, 1e-4, singleton_zero{});
    const auto want = run<float>(reference<float>{}, rule, cu, r);
    CHECK(same_bits(run<float>(cpu{}, rule, cu, r), want));
    reversed_pool pool{3};
    CHECK(same_bits(run<float>(cpu{pool}, rule, cu, r), want));
    std::vector<float> room(r.size() + 16);
    float* aligned = room.data();
    while (reinterpret_cast<std::uintptr_t>(aligned) % 64 != 0) ++aligned;
    advantages(cpu{}, rule, groups{.cu_groups = cu}, r, view<float>(aligned, cu.back()));
    CHECK(std::memcmp(aligned, want.data(), 4 * want.size()) == 0);
    std::vector<float> shifted(r.size() + 1);  // not aligned
    advantages(cpu{}, rule, groups{.cu_groups = cu}, r, view<float>(shifted.data() + 1, cu.back()));
    CHECK(std::memcmp(shifted.data() + 1, want.data(), 4 * want.size()) == 0);
  }
}

TEST_CASE("bits are those of every build") {
  std::vector<float> r;
  std::vector<std::int64_t> sizes;
  std::uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u, state >> 8; };
  for (int g = 0; g < 300; ++g) {
    sizes.push_back(g % 3 == 0 ? 16 : next() % 90);
    for (std::int64_t i = 0; i < sizes.back(); ++i)
      r.push_back(std::ldexp(float(int(next()) - (1 << 23)), g % 7 == 0 ? -120 : -20));  // exact
  }
  const auto cu = offsets_of(sizes);
  CHECK(hash(run<float>(cpu{}, grpo(1, 1e-4, singleton_raw{}), cu, r)) == 0x57721463c61f3c88u);
  CHECK(hash(run<float>(cpu{}, grpo(0, 0.0, singleton_zero{}), cu, r)) == 0x31bd3d41595c80cfu);
  CHECK(hash(run<float>(cpu{}, dr_grpo(singleton_raw{}), cu, r)) == 0xfeb2fa4c23f8a257u);
}

TEST_CASE("rewards that are not finite spoil their own group and no other") {
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(8);
  for (const float bad : {inf, -inf, nan})
    for (int layout = 0; layout < 4; ++layout) {
      std::vector<std::int64_t> sizes;
      for (int i = 0; i < 70; ++i)
        sizes.push_back(layout == 0   ? 16
                        : layout == 1 ? 64
                        : layout == 2 ? 1 + std::int64_t(random() % 30)
                        : i == 3      ? 3000
                                      : 5);
      const auto cu = offsets_of(sizes);
      auto r = draw<float>(0, std::size_t(cu.back()), random);
      const auto rule = grpo(1, 1e-4, singleton_raw{});
      auto want = run<float>(cpu{}, rule, cu, r);
      for (const std::size_t g : {3u, 40u, 69u}) {
        const auto begin = std::size_t(cu[g]), end = std::size_t(cu[g + 1]);
        for (std::size_t k = 0; k < (g == 40u ? 2u : 1u); ++k)
          r[begin + random() % (end - begin)] = bad;
        std::fill(want.begin() + cu[g], want.begin() + cu[g + 1], nan);
      }
      status s;
      CHECK(same_bits(run<float>(cpu{}, rule, cu, r, &s), want));
      CHECK(s == status::non_finite);
      CHECK(same_bits(run<float>(reference<float>{}, rule, cu, r, &s), want));
      CHECK(s == status::non_finite);
      reversed_pool pool{2};
      run<float>(cpu{pool}, rule, cu, r, &s);
      CHECK(s == status::non_finite);
    }
  // finite rewards whose sum overflows fp32 are no fault
  status s;
  const std::vector<float> huge(64, 3.4e38f);
  CHECK(same_bits(run<float>(cpu{}, grpo(1, 0.0, singleton_zero{}), {0, 64}, huge, &s),
                  std::vector<float>(64, 0.0f)));
  CHECK(s == status::ok);
  // r - mean beyond the range of the scalar
  const std::vector<float> wide{3.4e38f, -3.4e38f, -3.4e38f, -3.4e38f};
  for (const bool packs : {true, false}) {
    const auto a =
        packs ? run<float>(cpu{}, dr_grpo(singleton_zero{}), {0, 4}, wide, &s)
              : run<float>(reference<float>{}, dr_grpo(singleton_zero{}), {0, 4}, wide, &s);
    CHECK(a[0] == inf);
    CHECK(a[1] == doctest::Approx(-1.7e38f));
    CHECK(s == status::non_finite);
  }
  run<float>(cpu{}, grpo(1, 0.0, singleton_zero{}), {0, 4}, wide, &s);
  CHECK(s == status::ok);
}

TEST_CASE("groups of one") {
  const std::vector<float> r{2.0f, 1.0f, 3.0f, -0.5f};
  const std::vector<std::int64_t> cu{0, 1, 3, 3, 4};
  const float half = static_cast<float>(1.0 / (std::sqrt(2.0) + 0.25));
  const auto check = [&](const auto& executor) {
    status s;
    CHECK(run<float>(executor, grpo(1, 0.25, singleton_zero{}), cu, r, &s) ==
          std::vector<float>{0.0f, -half, half, 0.0f});
    CHECK(s == status::ok);
    CHECK(run<float>(executor, grpo(1, 0.25, singleton_raw{}), cu, r, &s) ==
          std::vector<float>{1.6f, -half, half, -0.4f});
    CHECK(s == status::ok);
    CHECK(run<float>(executor, dr_grpo(singleton_raw{}), cu, r, &s) ==
          std::vector<float>{2.0f, -1.0f, 1.0f, -0.5f});
    const auto a = run<float>(executor, dr_grpo(singleton_error{}), cu, r, &s);
    CHECK((std::isnan(a[0]) && a[1] == -1.0f && a[2] == 1.0f && std::isnan(a[3])));
    CHECK(s == status::singleton);
    const float inf = std::numeric_limits<float>::infinity();
    const auto b = run<float>(executor, grpo(1, 0.0, singleton_zero{}), {0, 1}, {inf}, &s);
    CHECK((std::isnan(b[0]) && s == status::non_finite));
  };
  check(cpu{});
  check(reference<float>{});
  status s;
  CHECK(run<double>(reference<double>{}, grpo(1, 0.25, singleton_raw{}), {0, 1}, {2.0}, &s) ==
        std::vector<double>{1.6});
}

TEST_CASE("no group, or none with a row, is empty") {
  status s;
  for (const std::vector<std::int64_t>& cu : {std::vector<std::int64_t>{0}, {0, 0, 0}}) {
    CHECK(run<float>(cpu{}, grpo(1, 0.0, singleton_zero{}), cu, {}, &s).empty());
    CHECK(s == status::empty);
    CHECK(run<double>(reference<double>{}, grpo(1, 0.0, singleton_zero{}), cu, {}, &s).empty());
    CHECK(s == status::empty);
  }
}

TEST_CASE("a variant of parts is a part") {
  using namespace advantage;
  const group_baseline rule{
      baseline_group{}, std::variant<scale_none, scale_group>(scale_group{1, 1e-4}),
      std::variant<singleton_zero, singleton_raw, singleton_error>(singleton_raw{})};
  const std::vector<float> r{1, 2, 4, 5};
  const std::vector<std::int64_t> cu{0, 3, 4};
  CHECK(same_bits(run<float>(cpu{}, rule, cu, r),
                  run<float>(cpu{}, grpo(1, 1e-4, singleton_raw{}), cu, r)));
}

TEST_CASE("a user's own baseline and scale") {
  const advantage::group_baseline rule{leave_one_out{}, advantage::scale_none{}, singleton_zero{}};
  for (const auto& a : {run<float>(cpu{}, rule, {0, 3}, {1, 2, 6}),
                        run<float>(reference<float>{}, rule, {0, 3}, {1, 2, 6})})
    CHECK(a == std::vector<float>{-3.0f, -1.5f, 4.5f});
  const advantage::group_baseline raw{plain{}, advantage::scale_none{}, singleton_raw{}};
  CHECK(run<float>(cpu{}, raw, {0, 3, 4}, {1, 2.5, 6, 7}) == std::vector<float>{1, 2.5, 6, 7});
}

TEST_CASE("what is refused, with its message, before anything is written") {
  std::vector<float> r{1, 2, 3, 4}, out(4, -7.0f);
  const std::vector<std::int64_t> good{0, 2, 4};
  const auto rule = grpo(1, 1e-4, singleton_zero{});
  const auto refused = [&](const std::string& want, auto&& call) {
    CAPTURE(want);
    CHECK_THROWS_WITH_AS(call(), want.c_str(), std::invalid_argument);
    CHECK(out == std::vector<float>(4, -7.0f));
    CHECK(r == std::vector<float>{1, 2, 3, 4});
  };
  const auto with = [&](const std::vector<std::int64_t>& cu) {
    return [&, cu] { advantages(cpu{}, rule, groups{.cu_groups = cu}, r, out); };
  };
  refused("hence: cu_groups is empty, expected groups + 1 entries from 0",
          [&] { advantages(cpu{}, rule, groups{}, r, out); });
  refused("hence: cu_groups is empty, expected groups + 1 entries from 0",
          [&] { advantages_groups(cpu{}, rule, groups{}, r, out, 0, 0); });
  refused("hence: cu_groups is empty, expected groups + 1 entries from 0", [&] {
    advantages(cpu{}, rule, groups{.cu_groups = view<const std::int64_t>(good.data(), 0)}, r, out);
  });
  refused("hence: cu_groups is empty, expected groups + 1 entries from 0", [&] {
    advantages_groups(cpu{}, rule, groups{.cu_groups = view<const std::int64_t>(good.data(), 0)}, r,
                      out, 0, 0);
  });
  refused("hence: cu_groups[2] is 4, expected at least its predecessor 5", with({0, 5, 4}));
  const auto range = [&](const std::vector<std::int64_t>& cu, std::int64_t begin,
                         std::int64_t end) {
    return [&, cu, begin, end] {
      advantages_groups(cpu{}, rule, groups{.cu_groups = cu}, r, out, begin, end);
    };
  };
  refused("hence: cu_groups[2] is 4, expected at least its predecessor 5", range({0, 5, 4}, 0, 1));
  refused("hence: cu_groups[1] is -2, expected at least its predecessor 0",
          range({0, -2, 4}, 1, 2));
  refused("hence: cu_groups[0] is 1, expected 0 (boundaries, not lengths)", with({1, 4}));
  refused("hence: cu_groups[2] is 1, expected at least its predecessor 2", with({0, 2, 1, 4}));
  refused("hence: cu_groups[1] is -2, expected at least its predecessor 0", with({0, -2, 4}));
  refused("hence: rewards has 4 entries, cu_groups describes 5 rows", with({0, 2, 5}));
  refused("hence: rewards has 4 entries, cu_groups describes 0 rows", with({0, 0}));
  const groups batch{.cu_groups = good};
  refused("hence: rewards is null, expected 4 rows",
          [&] { advantages(cpu{}, rule, batch, view<const float>(nullptr, 4), out); });
  refused("hence: out is null, expected 4 rows",
          [&] { advantages(cpu{}, rule, batch, r, view<float>()); });
  refused("hence: out has 3 entries, cu_groups describes 4 rows",
          [&] { advantages(cpu{}, rule, batch, r, view<float>(out.data(), 3)); });
  refused("hence: out overlaps rewards, expected separate arrays of 4 rows",
          [&] { advantages(cpu{}, rule, batch, r, r); });
  refused("hence: out overlaps rewards, expected separate arrays of 4 rows", [&] {
    std::vector<float> joint(7);
    advantages(cpu{}, rule, batch, view<const float>(joint.data(), 4),
               view<float>(joint.data() + 3, 4));
  });
  refused("hence: out overlaps rewards, expected separate arrays of 4 rows", [&] {
    std::vector<float> joint(8);
    view<float> every_second(joint.data(), 4);
    every_second.stride[0] = 2;
    advantages(cpu{}, rule, batch, view<const float>(joint.data(), 4), every_second);
  });
  {  // fields of one array, from the last row down
    std::vector<float> joint(8, 1.0f);
    view<const float> rewards(joint.data() + 6, 4);
    view<float> fields(joint.data() + 7, 4);
    rewards.stride[0] = fields.stride[0] = -2;
    CHECK(advantages(cpu{}, rule, batch, rewards, fields) == status::ok);
    CHECK(joint == std::vector<float>{1, 0, 1, 0, 1, 0, 1, 0});
  }
  refused("hence: out overlaps rewards, expected separate arrays of 1 rows", [&] {
    const std::vector<std::int64_t> one{0, 1};
    view<const float> same(r.data(), 1);
    view<float> still(r.data(), 1);
    same.stride[0] = still.stride[0] = 0;
    advantages(cpu{}, rule, groups{.cu_groups = one}, same, still);
  });
  refused("hence: out overlaps rewards, expected separate arrays of 1 rows", [&] {
    const std::vector<std::int64_t> one{0, 1};
    advantages(cpu{}, rule, groups{.cu_groups = one}, view<const float>(r.data(), 1),
               view<float>(r.data(), 1));
  });
  refused("hence: out overlaps cu_groups, expected separate arrays of 4 rows", [&] {
    std::vector<std::int64_t> boundaries(good);
    advantages(cpu{}, rule, groups{.cu_groups = boundaries}, r,
               view<float>(reinterpret_cast<float*>(boundaries.data() + 1), 4));
  });
  refused("hence: out has stride 0, expected another: its 4 entries are one", [&] {
    view<float> one(out.data(), 4);
    one.stride[0] = 0;
    advantages(cpu{}, rule, batch, r, one);
  });
  refused("hence: scale_group.ddof is -1, expected 0 or more",
          [&] { advantages(cpu{}, grpo(-1, 0.0, singleton_zero{}), batch, r, out); });
  refused("hence: scale_group.eps is -0.5, expected a finite number, 0 or more",
          [&] { advantages(cpu{}, grpo(1, -0.5, singleton_zero{}), batch, r, out); });
  refused("hence: scale_group.eps is nan, expected a finite number, 0 or more", [&] {
    advantages(reference<float>{}, grpo(1, std::nan(""), singleton_zero{}), batch, r, out);
  });
  refused("hence: scale_group.eps is inf, expected a finite number, 0 or more",
          [&] { advantages(cpu{}, grpo(1, 1.0 / 0.0, singleton_zero{}), batch, r, out); });
  refused("hence: groups [-1, 1) are not within the batch's 2",
          [&] { advantages_groups(cpu{}, rule, batch, r, out, -1, 1); });
  refused("hence: groups [1, 0) are not within the batch's 2",
          [&] { advantages_groups(cpu{}, rule, batch, r, out, 1, 0); });
  refused("hence: groups [0, 3) are not within the batch's 2",
          [&] { advantages_groups(cpu{}, rule, batch, r, out, 0, 3); });
  reversed_pool pool{2};
  refused("hence: rewards has 4 entries, cu_groups describes 5 rows", [&] {
    const std::vector<std::int64_t> five{0, 5};
    advantages(cpu{pool}, rule, groups{.cu_groups = five}, r, out);
  });
}
