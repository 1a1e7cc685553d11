// OPO's length-weighted baseline against its formula in __float128.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_opo.hpp>

#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

view<const std::int64_t> view_of(const std::vector<std::int64_t>& x) { return x; }

template <class S>
void check(const std::vector<S>& r, const std::vector<std::int64_t>& l,
           const std::vector<std::int64_t>& cu, const std::vector<S>& got) {
  for (std::size_t g = 0; g + 1 < cu.size(); ++g) {
    const auto begin = std::size_t(cu[g]), end = std::size_t(cu[g + 1]);
    quad weighted = 0, tokens = 0, least = 0, most = 0;
    bool constant = true;
    for (auto i = begin; i < end; ++i) {
      const quad x = r[i];
      weighted += quad(double(l[i])) * x, tokens += quad(double(l[i]));
      least = i == begin ? x : std::min(least, x), most = i == begin ? x : std::max(most, x);
      constant = constant && r[i] == r[begin];
    }
    for (auto i = begin; i < end; ++i) {
      const bool zero = constant || tokens == 0 || end - begin == 1;
      const quad want = zero ? quad(0) : quad(r[i]) - weighted / tokens;
      CHECK(magnitude(quad(got[i]) - want) <=
            (zero ? quad(0) : quad(0.51) * ulp<S>(want) + quad(0x1p-48) * (most - least)));
    }
  }
}

}  // namespace

TEST_CASE("OPO") {
  std::mt19937 random(61);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::int64_t> sizes;
    for (int g = 0; g < 12; ++g) sizes.push_back(std::int64_t(random() % 20));
    const auto cu = offsets_of(sizes);
    std::vector<float> r;
    std::vector<std::int64_t> l;
    for (const auto n : sizes) {
      const auto group = draw<float>(trial % 10, std::size_t(n), random);
      r.insert(r.end(), group.begin(), group.end());
      const int lengths = int(random() % 3);
      for (std::int64_t i = 0; i < n; ++i)
        l.push_back(lengths == 0   ? 0
                    : lengths == 1 ? std::int64_t(random() % 33000)
                                   : std::int64_t(1) << (random() % 32));
    }
    const opo rule{view_of(l), singleton_zero{}};
    status s;
    const auto a = run<float>(cpu{}, rule, cu, r, &s);
    check(r, l, cu, a);
    CHECK(s == (r.empty() ? status::empty : status::ok));
    CHECK(same_bits(run<float>(reference<float>{}, rule, cu, r), a));
    for (const int threads : {1, 2, 8}) {
      reversed_pool pool{threads};
      CHECK(same_bits(run<float>(cpu{pool}, rule, cu, r), a));
    }
    const std::vector<double> wide(r.begin(), r.end());
    check(wide, l, cu, run<double>(reference<double>{}, rule, cu, wide));
    // backwards
    std::vector<float> reversed(r.rbegin(), r.rend());
    const std::vector<std::int64_t> l_reversed(l.rbegin(), l.rend()),
        sizes_reversed(sizes.rbegin(), sizes.rend());
    auto b = run<float>(cpu{}, opo{view_of(l_reversed), singleton_zero{}},
                        offsets_of(sizes_reversed), reversed);
    std::reverse(b.begin(), b.end());
    CHECK(same_bits(b, a));
  }
}

TEST_CASE("OPO: groups of one, bad rewards, bad lengths") {
  const std::vector<std::int64_t> l{3, 1, 3, 5}, cu{0, 1, 3, 4};
  const std::vector<float> r{2, 1, 5, 0.25f};
  status s;
  CHECK(run<float>(cpu{}, opo{view_of(l), singleton_raw{}}, cu, r, &s) ==
        std::vector<float>{2, -3, 1, 0.25f});
  CHECK(s == status::ok);
  run<float>(cpu{}, opo{view_of(l), singleton_error{}}, cu, r, &s);
  CHECK(s == status::singleton);
  const auto a =
      run<float>(cpu{}, opo{view_of(l), singleton_zero{}}, {0, 2, 4}, {std::nanf(""), 1, 2, 2}, &s);
  CHECK((std::isnan(a[0]) && std::isnan(a[1]) && a[2] == 0 && a[3] == 0));
  CHECK(s == status::non_finite);
  run<float>(cpu{}, opo{view_of(l), singleton_zero{}}, {0, 2, 4}, {-3e38f, 3e38f, 2, 2}, &s);
  CHECK(s == status::non_finite);  // 3e38 - -1.5e38
  std::vector<float> out(4, -7.0f);
  std::vector<std::int64_t> bad{3, -1, 3, 5};
  const auto refused = [&](const std::string& want, const view<const std::int64_t>& lengths) {
    CHECK_THROWS_WITH_AS(
        advantages(cpu{}, opo{lengths, singleton_zero{}}, groups{.cu_groups = cu}, r, out),
        want.c_str(), std::invalid_argument);
    CHECK(out == std::vector<float>(4, -7.0f));
  };
  refused("hence: lengths[1] is -1, expected 0 to 2^31", bad);
  bad[1] = (std::int64_t{1} << 31) + 1;
  refused("hence: lengths[1] is 2147483649, expected 0 to 2^31", bad);
  refused("hence: lengths has 3 entries, cu_groups describes 4 rows", {bad.data(), 3});
  refused("hence: out overlaps lengths, expected separate arrays of 4 rows",
          {reinterpret_cast<const std::int64_t*>(out.data()), 4});
}
