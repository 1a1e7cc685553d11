// GDPO against its formula, written plainly in __float128.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_gdpo.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

template <class S>
std::vector<quad> plain(const std::vector<S>& r, const std::vector<std::int64_t>& cu,
                        const std::vector<double>& w, double eps, double batch_eps, bool raw) {
  const std::size_t k = w.size(), rows = r.size() / k;
  std::vector<quad> sums(rows);
  for (std::size_t g = 0; g + 1 < cu.size(); ++g)
    for (std::size_t c = 0; c < k; ++c) {
      std::vector<S> column;
      for (auto i = std::size_t(cu[g]); i < std::size_t(cu[g + 1]); ++i)
        column.push_back(r[i * k + c]);
      const oracle own(column.data(), column.size());
      for (std::size_t i = 0; i < column.size(); ++i)
        sums[std::size_t(cu[g]) + i] += quad(w[c]) * (column.size() > 1 ? own.scaled(i, 1, eps)
                                                      : raw ? quad(column[i]) / (1 + quad(eps))
                                                            : quad(0));
    }
  quad mean = 0, squares = 0;
  bool constant = true;
  for (const quad s : sums)
    mean += s / quad(double(rows)), constant = constant && magnitude(s - sums[0]) < quad(1e-25);
  for (const quad s : sums) squares += (s - mean) * (s - mean);
  const quad divisor = square_root(squares / std::max(double(rows) - 1, 1.0)) + quad(batch_eps);
  for (quad& s : sums) s = constant ? quad(0) : (s - mean) / divisor;
  return sums;
}

template <class S, class Executor, class Rule>
std::vector<S> run_gdpo(const Executor& e, const Rule& rule, const std::vector<std::int64_t>& cu,
                        const std::vector<S>& r, int k, status* s = nullptr) {
  const auto rows = std::int64_t(r.size()) / k;
  std::vector<S> out(std::size_t(rows), S(-7));
  const status found =
      advantages(e, rule, groups{.cu_groups = cu}, view<const S, 2>(r.data(), rows, k), out);
  if (s != nullptr) *s = found;
  return out;
}

}  // namespace

TEST_CASE("GDPO") {
  std::mt19937 random(81);
  for (int trial = 0; trial < 120; ++trial) {
    std::vector<std::int64_t> sizes;
    for (int g = 0; g < 15; ++g) sizes.push_back(trial % 3 == 0 ? 8 : std::int64_t(random() % 12));
    const auto cu = offsets_of(sizes);
    std::vector<float> r;
    for (const auto n : sizes) {
      auto group = draw<float>(trial % 3, std::size_t(3 * n), random);
      if (random() % 3 == 0)
        for (std::size_t i = 0; i < group.size(); i += 3) group[i] = 0.1f;
      r.insert(r.end(), group.begin(), group.end());
    }
    const double eps = trial % 2 ? 1e-4 : 0.0;
    const bool raw = trial % 4 >= 2;
    const auto check = [&](const auto& rule) {
      const auto want = plain(r, cu, {1.0, 0.5, -2.0}, eps, 1e-8, raw);
      const auto a = run_gdpo(cpu{}, rule, cu, r, 3);
      for (std::size_t i = 0; i < a.size(); ++i)
        CHECK(magnitude(quad(a[i]) - want[i]) <= quad(0.51) * ulp<float>(want[i]) + quad(1e-12));
      CHECK(same_bits(run_gdpo(reference<float>{}, rule, cu, r, 3), a));
      for (const int threads : {1, 2, 8}) {
        reversed_pool pool{threads};
        CHECK(same_bits(run_gdpo(cpu{pool}, rule, cu, r, 3), a));
      }
      const std::vector<double> wide(r.begin(), r.end());
      const auto d = run_gdpo(reference<double>{}, rule, cu, wide, 3);
      for (std::size_t i = 0; i < a.size(); ++i)
        CHECK(magnitude(quad(d[i]) - want[i]) <= quad(1e-12));
    };
    if (raw)
      check(gdpo{{1.0, 0.5, -2.0}, eps, 1e-8, singleton_raw{}});
    else
      check(gdpo{{1.0, 0.5, -2.0}, eps, 1e-8, singleton_zero{}});
  }
}

TEST_CASE("GDPO: sums that differ by their rounding alone are equal") {
  // 0.1 * 3 and 0.3 * 1
  const gdpo rounded{{0.1, 0.3}, 0.0, 0.0, singleton_raw{}};
  CHECK(0.1 * 3 != 0.3);
  CHECK(same_bits(run_gdpo(cpu{}, rounded, {0, 1, 2}, std::vector<float>{3, 0, 0, 1}, 2),
                  std::vector<float>(2, 0.0f)));
  // up to 2^-45 of the largest sum of magnitudes, here 2, that included
  const gdpo raw{{1.0, 1.0}, 0.0, 0.0, singleton_raw{}};
  const auto apart = [&](double x, double y) {
    return run_gdpo(reference<double>{}, raw, {0, 1, 2}, std::vector<double>{1, 0, x, y}, 2);
  };
  CHECK(same_bits(apart(1.5 + 0x1p-45, -0.5 + 0x1p-45), std::vector<double>(2, 0.0)));
  CHECK(apart(1.5 + 0x1p-45, -0.5 + 0x1.8p-45)[1] > 0.7);
}

TEST_CASE("GDPO: the largest eps, and an output beside the columns") {
  const gdpo most{{1.0, 0.5}, 0.0, 1.7e308, singleton_zero{}};
  std::vector<float> columns{1, 2, 3, 4, 4, 3, 1, 2, -7, -7, -7, -7};  // two, then the output
  view<const float, 2> rewards(columns.data(), 4, 2);
  rewards.stride[0] = 1, rewards.stride[1] = 4;
  const std::vector<std::int64_t> cu{0, 4};
  CHECK(advantages(cpu{}, most, groups{.cu_groups = cu}, rewards,
                   view<float>(columns.data() + 8, 4)) == status::ok);
  for (std::size_t i = 8; i < 12; ++i) CHECK(std::fabs(columns[i]) < 1e-30f);
}

TEST_CASE("GDPO: constant sums, groups of one, bad rewards, bad input") {
  status s;
  const std::vector<std::int64_t> cu{0, 2, 4};
  const std::vector<float> equal(8, 0.7f);
  const gdpo rule{{1.0, 0.5}, 0.0, 0.0, singleton_zero{}};
  CHECK(same_bits(run_gdpo(cpu{}, rule, cu, equal, 2, &s), std::vector<float>(4, 0.0f)));
  CHECK(s == status::ok);
  const gdpo error{{1.0, 0.5}, 0.0, 0.0, singleton_error{}};
  const auto a = run_gdpo(cpu{}, error, {0, 1, 4}, equal, 2, &s);
  CHECK((std::isnan(a[0]) && std::isnan(a[3])));
  CHECK(s == status::singleton);
  std::vector<float> bad = equal;
  bad[5] = std::nanf("");
  const auto b = run_gdpo(cpu{}, rule, cu, bad, 2, &s);
  CHECK((std::isnan(b[0]) && std::isnan(b[3])));
  CHECK(s == status::non_finite);
  CHECK(run_gdpo(cpu{}, rule, {0}, std::vector<float>{}, 2, &s).empty());
  CHECK(s == status::empty);
  const auto two = run_gdpo(cpu{}, error, cu, std::vector<float>{1, 2, 3, 5, 2, 7, 4, 4}, 2, &s);
  CHECK(s == status::ok);  // no group of one
  CHECK(two[0] != 0);
  run_gdpo(cpu{}, error, {0, 3, 4}, equal, 2, &s);
  CHECK(s == status::singleton);
  for (const float x : {std::numeric_limits<float>::infinity(),
                        -std::numeric_limits<float>::infinity(), std::nanf("")})
    for (std::size_t i = 0; i < 8; ++i) {
      std::vector<float> one = {1, 2, 3, 5, 2, 7, 4, 4};
      one[i] = x;
      for (const float y : run_gdpo(cpu{}, rule, cu, one, 2, &s)) CHECK(std::isnan(y));
      CHECK(s == status::non_finite);
    }
  // rewards that cancel: what rounding leaves of S is no signal
  for (const std::vector<float>& cancel : {std::vector<float>{0, 0, 1, -3, 3, -9},
                                           {0, 0, 2, -6, 5, -15},
                                           {0.25f, 0.75f, 0.125f, 0.875f, 0.75f, 0.25f}}) {
    CHECK(same_bits(
        run_gdpo(cpu{}, gdpo{{1.0, 1.0}, 0.0, 0.0, singleton_zero{}}, {0, 3}, cancel, 2, &s),
        std::vector<float>(3, 0.0f)));
    CHECK(s == status::ok);
  }
  std::vector<float> both = equal;
  both[7] = std::nanf("");
  run_gdpo(cpu{}, error, {0, 1, 4}, both, 2, &s);
  CHECK((has(s, status::singleton) && has(s, status::non_finite)));
  // an advantage beyond float's range: a thousand sums of 0 and one of 1
  std::vector<float> rare(2002, 0.0f);
  rare[2000] = 1;
  std::vector<std::int64_t> ones(1002);
  for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = std::int64_t(i);
  const gdpo raw{{1.0, 0.0}, 0.0, 0.0, singleton_raw{}};
  CHECK(std::isfinite(run_gdpo(cpu{}, raw, ones, rare, 2, &s).back()));
  CHECK(s == status::ok);
  const std::vector<double> huge{1e200, 0, -1e200, 0};
  for (const double y : run_gdpo(reference<double>{}, gdpo{{1e200, 1.0}, 0.0, 0.0, singleton_raw{}},
                                 {0, 1, 2}, huge, 2, &s))
    CHECK(std::isnan(y));
  CHECK(s == status::non_finite);
  // the least and the greatest sum far apart in size, and all sums far from 0
  for (const std::vector<float>& sums : {std::vector<float>{-3e6f, 1, 2, 4},
                                         {3e6f, -1, -2, -4},
                                         {16777212, 16777213, 16777214, 16777216},
                                         {-9000001, -9000002, -9000004}}) {
    std::vector<float> r;
    std::vector<std::int64_t> alone{0};
    for (const float x : sums) r.push_back(x), r.push_back(0), alone.push_back(alone.back() + 1);
    const auto want = plain(r, alone, {1.0, 0.0}, 0.0, 0.0, true);
    const auto got = run_gdpo(cpu{}, raw, alone, r, 2);
    for (std::size_t i = 0; i < got.size(); ++i)
      CHECK(magnitude(quad(got[i]) - want[i]) <= quad(0.51) * ulp<float>(want[i]));
  }
  // a column that is not asked for
  const std::vector<float> wide{1, 2, NAN, 3, 5, NAN, 2, 7, NAN, 4, 4, NAN};
  view<const float, 2> narrow(wide.data(), 4, 2);
  narrow.stride[0] = 3;
  std::vector<float> part(4, -7.0f);
  CHECK(advantages(cpu{}, rule, groups{.cu_groups = cu}, narrow, part) == status::ok);
  CHECK(same_bits(part, run_gdpo(cpu{}, rule, cu, std::vector<float>{1, 2, 3, 5, 2, 7, 4, 4}, 2)));
  // columns far apart
  const std::vector<float> columns{1, 2, 3, 4, 9, 9, 4, 3, 2, 1};
  view<const float, 2> strided(columns.data(), 4, 2);
  strided.stride[0] = 1, strided.stride[1] = 6;
  const std::vector<float> rowwise{1, 4, 2, 3, 3, 2, 4, 1};
  std::vector<float> out(4, -7.0f);
  advantages(cpu{}, rule, groups{.cu_groups = cu}, strided, out);
  CHECK(same_bits(out, run_gdpo(cpu{}, rule, cu, rowwise, 2)));
  std::fill(out.begin(), out.end(), -7.0f);
  const auto refused = [&](const std::string& want, auto&& call) {
    CHECK_THROWS_WITH_AS(call(), want.c_str(), std::invalid_argument);
    CHECK(out == std::vector<float>(4, -7.0f));
  };
  const groups batch{.cu_groups = cu};
  refused("hence: rewards has shape [4, 3], expected [4, 2]",
          [&] { advantages(cpu{}, rule, batch, view<const float, 2>(columns.data(), 4, 3), out); });
  refused("hence: gdpo.batch_eps is -1, expected a finite number, 0 or more", [&] {
    advantages(cpu{}, gdpo{{1.0, 0.5}, 0.0, -1.0, singleton_zero{}}, batch, strided, out);
  });
  refused("hence: gdpo.batch_eps is inf, expected a finite number, 0 or more", [&] {
    advantages(cpu{}, gdpo{{1.0, 0.5}, 0.0, HUGE_VAL, singleton_zero{}}, batch, strided, out);
  });
  refused("hence: rewards is null, expected 4 rows",
          [&] { advantages(cpu{}, rule, batch, view<const float, 2>(nullptr, 4, 2), out); });
  refused("hence: gdpo.weights[1] is nan, expected a finite number", [&] {
    advantages(cpu{}, gdpo{{1.0, std::nan("")}, 0.0, 0.0, singleton_zero{}}, batch, strided, out);
  });
  refused("hence: out has 3 entries, cu_groups describes 4 rows",
          [&] { advantages(cpu{}, rule, batch, strided, view<float>(out.data(), 3)); });
}
