// Every baseline with every kind of scale, against the contract's formulas in __float128.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

enum class from { group, leave_one_out, batch, none };
enum class by { group, none, batch, batch_centred, mean, nonzero };
enum class one { zero, raw, as_group };

/// The contract, written down plainly; `slack` is what rounding in float64 may cost.
struct plain_rule {
  from baseline;
  by scale;
  int ddof;
  double eps;
  one singleton;

  struct answer {
    quad value, slack;
  };
  template <class T>
  std::vector<answer> operator()(const std::vector<T>& r,
                                 const std::vector<std::int64_t>& cu) const {
    const quad total = quad(double(r.size())), e = eps;
    quad mean = 0, squares = 0, centred = 0, nonzero = 0, largest = 0;
    for (const T x : r)
      mean += x, nonzero += x != 0 ? 1 : 0, largest = std::max(largest, magnitude(x));
    mean /= total;
    bool all_equal = true;
    for (const T x : r) all_equal = all_equal && x == r[0];
    if (!all_equal)
      for (const T x : r) squares += (quad(x) - mean) * (quad(x) - mean);
    for (std::size_t g = 0; g + 1 < cu.size(); ++g) {
      const oracle own(r.data() + cu[g], std::size_t(cu[g + 1] - cu[g]));
      if (cu[g + 1] > cu[g] && !own.constant) centred += own.squares;
    }
    const quad batch_divisor = std::max(double(r.size()) - ddof, 1.0);
    const quad s_batch = square_root(squares / batch_divisor),
               s_centred = square_root(centred / batch_divisor),
               alpha = total / std::max(nonzero, quad(1));
    std::vector<answer> out;
    for (std::size_t g = 0; g + 1 < cu.size(); ++g) {
      const auto n = std::size_t(cu[g + 1] - cu[g]);
      if (n == 0) continue;
      const oracle own(r.data() + cu[g], n);
      const bool single = n == 1 && singleton != one::as_group;
      for (std::size_t i = 0; i < n; ++i) {
        const quad x = own.rewards[i], count = quad(double(n));
        quad c = x;
        if (baseline == from::batch) c = x - mean;
        if (baseline == from::group) c = own.constant ? 0 : x - own.mean;
        if (baseline == from::leave_one_out)
          c = own.constant ? 0 : (x - own.mean) * count / (count - 1);
        if (single) c = singleton == one::raw ? x : quad(0);
        quad divisor = 1;
        if (scale == by::group) divisor = (single ? quad(1) : own.sigma(ddof)) + e;
        if (scale == by::batch) divisor = s_batch + e;
        if (scale == by::batch_centred) divisor = s_centred + e;
        if (scale == by::mean && !single) divisor = own.mean + e;
        if (scale == by::nonzero) divisor = 1 / alpha;
        const bool own_mean = baseline == from::group || baseline == from::leave_one_out;
        quad slack =
            quad(0x1p-46) * (own_mean ? own.range() : 2 * largest) + quad(0x1p-40) * magnitude(c);
        if (scale == by::mean)
          slack +=
              magnitude(c) * quad(0x1p-40) * largest / std::max(magnitude(divisor), quad(1e-300));
        if (own_mean && own.constant && !single) slack = 0;
        out.push_back(divisor == 0 ? answer{0, 0}
                                   : answer{c / divisor, magnitude(slack / divisor)});
      }
    }
    return out;
  }
};

template <class T>
void compare(const char* name, const std::vector<T>& got,
             const std::vector<plain_rule::answer>& want) {
  REQUIRE(got.size() == want.size());
  std::size_t right = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const quad error = magnitude(quad(got[i]) - want[i].value);
    if (error <= quad(0.51) * ulp<T>(want[i].value) + want[i].slack)
      ++right;
    else
      FAIL_CHECK(name, "[", i, "] is ", double(got[i]), ", expected ", double(want[i].value),
                 " +- ", double(want[i].slack));
  }
  CHECK(right == want.size());
}

/// The rule against its plain form, on every executor, with every kind of reward.
template <class Rule> void check_rule(const char* name, const Rule& rule, const plain_rule& plain) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 48; ++trial) {
    const int kind = trial % 6;  // finite and of a moderate range: batch rules mix the groups
    std::vector<std::int64_t> sizes;
    for (int g = 0; g < 40; ++g)
      sizes.push_back(trial % 3 == 0   ? std::int64_t(random() % 20)
                      : trial % 3 == 1 ? 16
                                       : 1 + g % 3);
    const auto cu = offsets_of(sizes);
    std::vector<float> r;
    for (const auto n : sizes) {
      auto group = draw<float>(kind, std::size_t(n), random);
      if (random() % 4 == 0) std::fill(group.begin(), group.end(), 0.7f);
      if (random() % 5 == 0) std::fill(group.begin(), group.end(), 0.0f);
      r.insert(r.end(), group.begin(), group.end());
    }
    if (trial % 12 == 11) std::fill(r.begin(), r.end(), 1.1f);
    const auto want = plain(r, cu);
    status s, other;
    const auto a = run<float>(reference<float>{}, rule, cu, r, &s);
    compare(name, a, want);
    CHECK(same_bits(run<float>(cpu{}, rule, cu, r, &other), a));
    CHECK(s == other);
    for (const int threads : {1, 2, 3, 8}) {
      reversed_pool pool{threads};
      CHECK(same_bits(run<float>(cpu{pool}, rule, cu, r), a));
    }
    const std::vector<double> wide(r.begin(), r.end());
    compare(name, run<double>(reference<double>{}, rule, cu, wide), want);
    // rows backwards: no bit depends on the order
    std::vector<float> reversed(r.rbegin(), r.rend());
    std::vector<std::int64_t> sizes_reversed(sizes.rbegin(), sizes.rend());
    auto b = run<float>(cpu{}, rule, offsets_of(sizes_reversed), reversed);
    std::reverse(b.begin(), b.end());
    CHECK(same_bits(b, a));
    // a NaN spoils its group, or the batch where the batch is read
    if (r.size() > 3) {
      auto bad = r;
      bad[3] = std::numeric_limits<float>::quiet_NaN();
      for (const auto& x : {run<float>(cpu{}, rule, cu, bad, &s),
                            run<float>(reference<float>{}, rule, cu, bad, &other)}) {
        CHECK(std::isnan(x[3]));
        if (detail::reads_batch<Rule>)
          CHECK(std::all_of(x.begin(), x.end(), [](float y) { return std::isnan(y); }));
      }
      CHECK(has(s, status::non_finite));
      CHECK(s == other);
    }
  }
}

}  // namespace

TEST_CASE("leave one out: RLOO") {
  check_rule("rloo", rloo(singleton_zero{}), {from::leave_one_out, by::none, 1, 0, one::zero});
  check_rule("rloo raw", rloo(singleton_raw{}), {from::leave_one_out, by::none, 1, 0, one::raw});
  check_rule("loo group",
             group_baseline{baseline_leave_one_out{}, scale_group{1, 1e-6}, singleton_raw{}},
             {from::leave_one_out, by::group, 1, 1e-6, one::raw});
  const auto a = run<float>(cpu{}, rloo(singleton_zero{}), {0, 3}, std::vector<float>{1, 2, 6});
  CHECK(a == std::vector<float>{-3.0f, -1.5f, 4.5f});
}

TEST_CASE("scale by the batch") {
  check_rule("group batch",
             group_baseline{baseline_group{}, scale_batch{1, 1e-4}, singleton_zero{}},
             {from::group, by::batch, 1, 1e-4, one::zero});
  check_rule("loo batch",
             group_baseline{baseline_leave_one_out{}, scale_batch{0, 0.0}, singleton_raw{}},
             {from::leave_one_out, by::batch, 0, 0, one::raw});
  check_rule("group centred",
             group_baseline{baseline_group{}, scale_batch_centred{1, 1e-5}, singleton_raw{}},
             {from::group, by::batch_centred, 1, 1e-5, one::raw});
}

TEST_CASE("the batch's mean as baseline") {
  check_rule("batch batch",
             group_baseline{baseline_batch{}, scale_batch{1, 1e-4}, singleton_as_group{}},
             {from::batch, by::batch, 1, 1e-4, one::as_group});
  check_rule("batch none", group_baseline{baseline_batch{}, scale_none{}, singleton_as_group{}},
             {from::batch, by::none, 1, 0, one::as_group});
  check_rule("batch group",
             group_baseline{baseline_batch{}, scale_group{1, 0.5}, singleton_as_group{}},
             {from::batch, by::group, 1, 0.5, one::as_group});
  const std::vector<float> equal(33, 1.1f);
  CHECK(run<float>(cpu{},
                   group_baseline{baseline_batch{}, scale_batch{1, 0.0}, singleton_as_group{}},
                   {0, 16, 33}, equal) == std::vector<float>(33, 0.0f));
}

TEST_CASE("no baseline") {
  check_rule("none none", group_baseline{baseline_none{}, scale_none{}, singleton_raw{}},
             {from::none, by::none, 1, 0, one::raw});
  check_rule("none group",
             group_baseline{baseline_none{}, scale_group{0, 0.25}, singleton_as_group{}},
             {from::none, by::group, 0, 0.25, one::as_group});
  check_rule("none batch", group_baseline{baseline_none{}, scale_batch{1, 0.0}, singleton_zero{}},
             {from::none, by::batch, 1, 0, one::zero});
  // r itself, to the last bit
  std::mt19937 random(12);
  const auto r = draw<float>(9, 100, random);
  const group_baseline rule{baseline_none{}, scale_none{}, singleton_raw{}};
  CHECK(same_bits(run<float>(cpu{}, rule, {0, 60, 61, 100}, r), r));
  // a group of equal rewards is not 0 where no mean is taken off, unless the divisor is 0
  const std::vector<float> equal(8, 3.0f);
  CHECK(run<float>(cpu{}, group_baseline{baseline_none{}, scale_group{1, 0.5}, singleton_zero{}},
                   {0, 8}, equal) == std::vector<float>(8, 6.0f));
  CHECK(run<float>(cpu{}, group_baseline{baseline_none{}, scale_group{1, 0.0}, singleton_zero{}},
                   {0, 8}, equal) == std::vector<float>(8, 0.0f));
}

TEST_CASE("MaxRL") {
  check_rule("maxrl", maxrl(1e-6, singleton_zero{}), {from::group, by::mean, 1, 1e-6, one::zero});
  check_rule("maxrl raw", maxrl(0.0, singleton_raw{}), {from::group, by::mean, 1, 0, one::raw});
  CHECK(run<float>(cpu{}, maxrl(0.0, singleton_zero{}), {0, 4}, std::vector<float>{1, 0, 0, 0}) ==
        std::vector<float>{3, -1, -1, -1});
  CHECK(run<float>(cpu{}, maxrl(0.0, singleton_zero{}), {0, 2}, std::vector<float>{1, -1}) ==
        std::vector<float>{0, 0});
}

TEST_CASE("GPG") {
  check_rule("gpg", gpg(singleton_zero{}), {from::group, by::nonzero, 1, 0, one::zero});
  check_rule("gpg raw", gpg(singleton_raw{}), {from::group, by::nonzero, 1, 0, one::raw});
  CHECK(run<float>(cpu{}, gpg(singleton_zero{}), {0, 2, 4}, std::vector<float>{1, 0, 0, 0}) ==
        std::vector<float>{2, -2, 0, 0});
}

TEST_CASE("batch rules stay in range") {
  const std::vector<double> huge{1e300, -1e300, 1e300, 5e299}, tiny{1e-300, 0, 0, -1e-300};
  const group_baseline rule{baseline_batch{}, scale_batch{1, 0.0}, singleton_as_group{}};
  for (const auto& r : {huge, tiny}) {
    const auto want = plain_rule{from::batch, by::batch, 1, 0, one::as_group}(r, {0, 2, 4});
    compare("range", run<double>(reference<double>{}, rule, {0, 2, 4}, r), want);
  }
  const std::vector<float> wide{3e38f, -3e38f, 3e38f, 1e38f}, small{1e-45f, 0, 0, -3e-45f};
  for (const auto& r : {wide, small}) {
    compare("range", run<float>(cpu{}, rule, {0, 2, 4}, r),
            plain_rule{from::batch, by::batch, 1, 0, one::as_group}(r, {0, 2, 4}));
    compare(
        "range",
        run<float>(cpu{},
                   group_baseline{baseline_group{}, scale_batch_centred{1, 0.0}, singleton_zero{}},
                   {0, 2, 4}, r),
        plain_rule{from::group, by::batch_centred, 1, 0, one::zero}(r, {0, 2, 4}));
  }
}

TEST_CASE("numbers of a scale are checked before anything is written") {
  const std::vector<float> r{1, 2, 3, 4};
  std::vector<float> out(4, -7.0f);
  const std::vector<std::int64_t> cu{0, 2, 4};
  const auto refused = [&](const std::string& want, const auto& rule) {
    CHECK_THROWS_WITH_AS(advantages(cpu{}, rule, groups{.cu_groups = cu}, r, out), want.c_str(),
                         std::invalid_argument);
    CHECK(out == std::vector<float>(4, -7.0f));
  };
  CHECK(hence::detail::inverse_or_zero(hence::num<double>(0x1p-1000)).v == 0x1p1000);
  CHECK(hence::detail::inverse_or_zero(hence::num<double>(0x1.8p-1001)).v == 0);
  refused("hence: scale_batch.ddof is -1, expected 0 or more",
          group_baseline{baseline_group{}, scale_batch{-1, 0.0}, singleton_zero{}});
  refused("hence: scale_batch_centred.eps is -1, expected a finite number, 0 or more",
          group_baseline{baseline_group{}, scale_batch_centred{1, -1.0}, singleton_zero{}});
  refused("hence: scale_mean.eps is nan, expected a finite number, 0 or more",
          maxrl(std::nan(""), singleton_zero{}));
}

TEST_CASE("a group of one under a batch's scale: r/(s + eps), and GPG's alpha without a reward") {
  const std::vector<std::int64_t> cu{0, 1, 3};
  const std::vector<float> r{4, 1, 1};  // mean 2, deviation sqrt(6/2); about their groups' means 0
  const auto first = [&](const auto& scale) {
    return run<float>(cpu{}, group_baseline{baseline_group{}, scale, singleton_raw{}}, cu, r)[0];
  };
  CHECK(first(scale_batch{1, 0.5}) == doctest::Approx(4 / (std::sqrt(3.0) + 0.5)).epsilon(1e-6));
  CHECK(first(scale_batch_centred{1, 0.5}) == 8);
  const auto gpg = group_baseline{baseline_group{}, scale_nonzero{}, singleton_raw{}};
  CHECK(run<float>(cpu{}, gpg, cu, std::vector<float>(3, 0.0f)) == std::vector<float>(3, 0.0f));
}

TEST_CASE("a group of one as any other keeps what its rule gave") {
  CHECK(singleton_as_group{}(hence::num<double>(3.0)).v == 3);
}
