// The passes over one row of logits: every length and label against long double, packs against
// single numbers, the ends of the fast range, masks, soft-caps, shifts, and the gradient.
#include <doctest/doctest.h>
#include <hence/logits/softmax_row.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace hence;
using namespace hence::detail;
using V = pack<float>;
using N = num<float>;
using real = long double;
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Some more numbers behind, which are not the row's.
std::vector<float> row(std::int64_t columns, unsigned seed, float spread = 3) {
  std::mt19937 random(seed);
  std::vector<float> x;
  for (std::int64_t i = 0; i < columns; ++i)
    x.push_back(spread * (static_cast<float>(random() >> 8) * 0x1p-23f - 1));
  x.insert(x.end(), 64, 50.0f);
  return x;
}
bool same(double a, double b) { return std::memcmp(&a, &b, 8) == 0; }
bool same(const softmax_state& a, const softmax_state& b) {
  return same(a.others, b.others) && same(a.moment, b.moment) && same(a.reference, b.reference) &&
         same(a.shift, b.shift) &&
         (same(a.label, b.label) || (a.label != a.label && b.label != b.label));
}
/// \param x the row as it is summed.
template <class F>
void check_sums(const softmax_state& s, std::int64_t columns, std::int64_t label, real scale, F x) {
  real others = 0, moment = 0;
  for (std::int64_t i = 0; i < columns; ++i) {
    const real z = real(x(i)) * scale - real(s.reference);
    if (i == label || !(x(i) > -inf)) continue;
    others += std::exp2(z), moment += std::exp2(z) * z;
  }
  CHECK(std::abs(double(others) - s.others) <= 1e-6 * double(others));
  CHECK(std::abs(double(moment) - s.moment) <= 2e-5 * (double(others) + std::abs(double(moment))));
}

TEST_CASE("sums of every length, the label anywhere") {
  for (const std::int64_t columns :
       {1,    2,    7,    8,    9,    31,   64,   255,  256,  257,  511,  512,
        1023, 1024, 1025, 1279, 2048, 2060, 3072, 4095, 4096, 4097, 5000, 9001})
    for (const std::int64_t label : {std::int64_t{-1}, std::int64_t{0}, columns / 2, columns - 1}) {
      const auto x = row(columns, unsigned(columns));
      const plain_row<float> r{x.data(), columns};
      const auto s = sum_row<V>(r, label, 1.25f);
      CAPTURE(columns);
      CAPTURE(label);
      check_sums(s, columns, label, 1.25L, [&](std::int64_t i) { return x[std::size_t(i)]; });
      CHECK(same(s, sum_row<N>(r, label, 1.25f)));
      CHECK(s.shift == 0);
      if (label < 0)
        CHECK(std::isnan(s.label));
      else
        CHECK(s.label == double(x[std::size_t(label)]));
    }
}

TEST_CASE("a single large logit anywhere moves the reference") {
  for (std::int64_t at = 0; at < 5000; at += 61) {
    auto x = row(5000, 3);
    x[std::size_t(at)] = 90;
    const plain_row<float> r{x.data(), 5000};
    const auto s = sum_row<V>(r, 17, 1.0f);
    CHECK(s.reference == (at == 17 ? s.reference : 90));
    CHECK(s.reference >= (at == 17 ? 0 : 90));
    check_sums(s, 5000, 17, 1, [&](std::int64_t i) { return x[std::size_t(i)]; });
    CHECK(same(s, sum_row<N>(r, 17, 1.0f)));
  }
}

TEST_CASE(
    "columns 1024 apart are of different lanes, up to the fourth; references are the first "
    "4096's") {
  std::vector<float> x(4096, -inf);
  x[0] = 0, x[1024] = x[3072] = -24;  // in one lane each small one would be lost beside the 1
  CHECK(sum_row<V>(plain_row<float>{x.data(), 4096}, -1, 1.0f).others == 1 + 0x1p-23);
  x = row(5000, 9);
  x[100] = 3, x[4500] = 5;
  CHECK(sum_row<V>(plain_row<float>{x.data(), 5000}, -1, 1.0f).reference == 3);
  CHECK(sum_row<V>(plain_row<float>{x.data(), 5000}, 100, 1.0f).reference <= 3);
}

TEST_CASE_TEMPLATE("the largest of the first columns, the label left out, NaN overlooked", U, N,
                   V) {
  std::mt19937 random(6);
  for (const std::int64_t columns : {1, 3, 8, 16, 17, 63, 64, 65, 100, 256})
    for (int round = 0; round < 40; ++round) {
      auto x = row(columns, unsigned(random()));
      const auto label = std::int64_t(random() % std::uint64_t(columns + 1)) - 1;
      if (label >= 0) x[std::size_t(label)] = 40;
      const auto hole = std::int64_t(random() % std::uint64_t(columns));
      if (round % 2 && hole != label) x[std::size_t(hole)] = nan;
      float want = -inf;
      for (std::int64_t i = 0; i < columns; ++i)
        if (i != label && x[std::size_t(i)] > want) want = x[std::size_t(i)];
      CHECK(largest_logit<U>(plain_row<float>{x.data(), columns}, columns, label) == want);
    }
  // of a longer row only the columns before the end
  auto x = row(512, 1);
  x[255] = 20, x[256] = 30;
  CHECK(largest_logit<U>(plain_row<float>{x.data(), 512}, 256, -1) == 20);
  CHECK(largest_logit<U>(plain_row<float>{x.data(), 512}, 256, 255) < 20);
}

TEST_CASE("where references start, and what is beyond the fast range") {
  const auto first = [](float largest, float scale) {
    return first_reference(N(largest), N(scale)).v;
  };
  CHECK(first(3.3f, 2) == 7);
  CHECK(first(-3.3f, 2) == -7);
  CHECK(first(0, 1) == 0);
  CHECK(first(0x1p22f - 1, 1) == 0x1p22f - 1);
  CHECK(first(0x1p22f, 1) == lowest_reference);
  CHECK(first(-0x1p22f + 1, 1) == -0x1p22f + 1);
  CHECK(first(-0x1p22f, 1) == lowest_reference);
  for (const float x : {inf, -inf, nan}) CHECK(first(x, 1) == lowest_reference);

  const softmax_state good{1, 0, 5, 0, 2};
  const auto leaves = [&](auto change) {
    softmax_state s = good;
    change(s);
    return leaves_fast_range(s, 0.5f);
  };
  CHECK(!leaves([](softmax_state&) {}));
  CHECK(leaves([](softmax_state& s) { s.others = double(nan); }));
  CHECK(leaves([](softmax_state& s) { s.reference = double(lowest_reference); }));
  CHECK(!leaves([](softmax_state& s) { s.reference = double(lowest_reference) + 1; }));
  CHECK(leaves([](softmax_state& s) { s.label = 0x1p23; }));
  CHECK(!leaves([](softmax_state& s) { s.label = 0x1p23 - 1; }));
  CHECK(!leaves([](softmax_state& s) { s.label = double(nan); }));
}

TEST_CASE("masks, soft-caps and shifts are of what is summed") {
  const std::int64_t columns = 1300;
  const auto x = row(columns, 8, 20);
  std::vector<std::uint8_t> keep(x.size(), 1);
  for (std::size_t i = 0; i < x.size(); ++i) keep[i] = std::uint8_t(i % 5 ? i % 3 : 0);
  for (const bool masks : {false, true})
    for (const float cap : {0.0f, 6.0f})
      for (const float shift : {0.0f, 4.0f}) {
        const mapped_row<float> r{
            x.data(), columns, masks ? keep.data() : nullptr, cap, cap > 0 ? 1 / cap : 0, shift};
        const auto seen = [&](std::int64_t i) {
          const auto at = std::size_t(i);
          if (masks && keep[at] == 0) return double(-inf);
          const double v = double(x[at]);
          return (cap > 0 ? double(cap) * std::tanh(v / double(cap)) : v) - double(shift);
        };
        for (const std::int64_t label : {-1, 700}) {
          const auto s = sum_row<V>(r, label, 0.75f);
          real others = 0;
          for (std::int64_t i = 0; i < columns; ++i)
            if (i != label && seen(i) > -1e300)
              others += std::exp2(real(seen(i)) * 0.75L - real(s.reference));
          CHECK(std::abs(s.others - double(others)) <= 1e-5 * double(others));
          CHECK(same(s, sum_row<N>(r, label, 0.75f)));
        }
      }
}

TEST_CASE("rows beyond the fast range are shifted by their largest logit") {
  auto x = row(100, 4);
  const mapped_row<float> r{x.data(), 100, nullptr, 0, 0, 0};
  for (float& v : x) v = std::round(v) + 2e7f;
  const auto s = sum_row_shifted<V>(r, 3, 1.5f);
  const float top = *std::max_element(x.begin(), x.begin() + 100);
  CHECK(s.shift == double(top));
  CHECK(s.label == double(x[3]) - double(top));
  check_sums(s, 100, 3, 1.5L, [&](std::int64_t i) { return x[std::size_t(i)] - top; });
  CHECK(std::isnan(sum_row_shifted<V>(r, -1, 1.5f).label));
  x[0] = 1.5f;  // its distance to the largest is no fp32 number
  CHECK(sum_row_shifted<V>(r, 0, 1.5f).label == 1.5 - double(top));
  x[99] = nan;
  CHECK(same(sum_row_shifted<V>(r, -1, 1.5f).shift, without_numbers().shift));
  CHECK(std::isnan(sum_row_shifted<V>(r, -1, 1.5f).others));
  x[99] = inf;
  CHECK(same(sum_row_shifted<V>(r, -1, 1.5f).shift, without_numbers().shift));
  for (std::size_t i = 0; i < 100; ++i) x[i] = -inf;
  CHECK(same(sum_row_shifted<V>(r, -1, 1.5f).shift, without_support().shift));
  CHECK(std::isnan(sum_row_shifted<V>(r, -1, 1.5f).reference));
}

TEST_CASE("gradients of every length, in place and apart, end with the row") {
  for (const std::int64_t columns : {1, 5, 8, 16, 21, 64, 100})
    for (const std::int64_t label : {std::int64_t{-1}, std::int64_t{0}, columns - 1})
      for (const float cap : {0.0f, 5.0f}) {
        auto x = row(columns, 2, 4);
        std::vector<float> out(x.size(), 77.0f);
        const mapped_row<float> mapped{x.data(), columns, nullptr, cap, cap > 0 ? 1 / cap : 0, 0};
        const auto write = [&](float* to) {
          row_gradient<V>(mapped, label, 1.5f, 3.0f, -0.5f, 0.25f, 0.125f, to);
        };
        write(out.data());
        for (std::int64_t i = 0; i < columns; ++i) {
          const double v = double(x[std::size_t(i)]), t = cap > 0 ? std::tanh(v / double(cap)) : 0;
          const double seen = cap > 0 ? double(cap) * t : v, slope = 1 - t * t;
          const double z = seen * 1.5 - 3;
          const double want = (i == label ? 0.125 : std::exp2(z) * (-0.5 + 0.25 * z)) * slope;
          CHECK(double(out[std::size_t(i)]) == doctest::Approx(want).epsilon(2e-5).scale(1e-3));
        }
        for (std::size_t i = std::size_t(columns); i < out.size(); ++i) CHECK(out[i] == 77);
        if (cap > 0) continue;
        std::vector<float> plain(x.size(), 77.0f);
        row_gradient<V>(plain_row<float>{x.data(), columns}, label, 1.5f, 3.0f, -0.5f, 0.25f,
                        0.125f, plain.data());
        CHECK(plain == out);
        write(x.data());
        CHECK(std::memcmp(x.data(), out.data(), 4 * std::size_t(columns)) == 0);
      }
}

}  // namespace
