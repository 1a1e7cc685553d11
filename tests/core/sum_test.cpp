#include <hence/core/sum.hpp>
#include <hence/core/sum_pack.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

__extension__ typedef __float128 quad;
using hence::exact_sum;
using limits = std::numeric_limits<double>;
constexpr double inf = limits::infinity();

/// The correctly rounded sum by expansions (Shewchuk; Python's math.fsum): another method
/// altogether.
double sum_by_expansion(const std::vector<double>& terms) {
  std::vector<double> parts;
  for (double x : terms) {
    std::size_t kept = 0;
    for (double y : parts) {
      if (std::fabs(x) < std::fabs(y)) std::swap(x, y);
      const volatile double high = x + y;
      const volatile double back = high - x;
      const volatile double low = y - back;
      if (low != 0) parts[kept++] = low;
      x = high;
    }
    parts.resize(kept);
    parts.push_back(x);
  }
  double high = 0, low = 0;
  while (!parts.empty()) {
    const double x = high, y = parts.back();
    parts.pop_back();
    const volatile double sum = x + y, back = sum - x;
    high = sum;
    low = y - back;
    if (low != 0) break;
  }
  if (!parts.empty() && ((low < 0 && parts.back() < 0) || (low > 0 && parts.back() > 0))) {
    const double twice = low * 2;
    const volatile double sum = high + twice, back = sum - high;
    if (back == twice) high = sum;
  }
  return high;
}

template <class T> exact_sum sum_of_all(const std::vector<T>& terms) {
  exact_sum s;
  for (const T x : terms) s.add(x);
  return s;
}
bool same_words(exact_sum a, exact_sum b) {
  a.normalise();
  b.normalise();
  return std::memcmp(a.words(), b.words(), exact_sum::words_count * sizeof(std::int64_t)) == 0;
}
bool same(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

struct dice {
  std::mt19937_64 engine;
  double unit() { return static_cast<double>(engine() >> 11) * 0x1p-53; }
  /// Any sign, any significand, an exponent in [low, high).
  double any(int low, int high) {
    const int e = low + static_cast<int>(engine() % static_cast<std::uint64_t>(high - low));
    return std::ldexp(engine() & 1 ? 1 + unit() : -1 - unit(), e);
  }
};

std::vector<double> random_terms(dice& random, std::size_t n, int low, int high) {
  std::vector<double> terms(n);
  for (double& x : terms) x = random.any(low, high);
  return terms;
}

}  // namespace

TEST_CASE("the empty sum, zeros and one term") {
  CHECK(same(exact_sum().value(), 0.0));
  exact_sum s;
  s.add(-0.0);
  s.add(0.0f);
  CHECK(same(s.value(), 0.0));
  for (const double x : {1.0, -1.0, 0.1, -1e-30, 3e38, 0x1.fffffffffffffp+158, -0x1p-172,
                         0x1.8p-224, 0x1p-149, double(std::numeric_limits<float>::max())}) {
    exact_sum one;
    one.add(x);
    CHECK(same(one.value(), x == 0x1.8p-224 ? 0x1p-224 : x));
  }
}

TEST_CASE("sums within 80 binades against quadruple precision, which is exact there") {
  dice random{std::mt19937_64(1)};
  for (int k = 0; k < 200; ++k) {
    const int low = static_cast<int>(random.engine() % 180) - 150;
    std::vector<float> terms(1 + random.engine() % 300);
    for (float& x : terms) x = static_cast<float>(random.any(low, low + 70));
    quad sum = 0;
    for (const float x : terms) sum += x;
    CHECK(same(sum_of_all(terms).value(), static_cast<double>(sum)));
  }
}

TEST_CASE("whole numbers against 128-bit integers") {
  __extension__ typedef __int128 wide;
  dice random{std::mt19937_64(2)};
  for (int k = 0; k < 200; ++k) {
    exact_sum s;
    wide total = 0;
    for (int i = 0; i < 500; ++i) {
      const auto n = static_cast<std::int64_t>(random.engine()) >> (2 + random.engine() % 50);
      s.add_scaled(n, 0);
      total += n;
    }
    CHECK(same(s.value(), static_cast<double>(static_cast<quad>(total))));
  }
}

TEST_CASE("sums over the whole range against expansions, in any order, split in any way") {
  dice random{std::mt19937_64(3)};
  for (int k = 0; k < 150; ++k) {
    auto terms = random_terms(random, 2 + random.engine() % 200, -170, 159);
    for (std::size_t i = 0; i + 1 < terms.size(); i += 3)
      terms[i + 1] = -terms[i] * (k % 2 ? 1 : 1 + 0x1p-30);
    for (double& x : terms)
      if (std::fabs(x) >= 0x1p159) x = 0.5;
    const exact_sum whole = sum_of_all(terms);
    const double expected = sum_by_expansion(terms);
    CHECK(whole.value() == expected);
    auto shuffled = terms;
    std::shuffle(shuffled.begin(), shuffled.end(), random.engine);
    CHECK(same_words(whole, sum_of_all(shuffled)));
    std::sort(shuffled.begin(), shuffled.end());
    CHECK(same_words(whole, sum_of_all(shuffled)));
    // ranks of random sizes, merged word by word as an integer all-reduce does
    exact_sum merged, added;
    std::size_t at = 0;
    while (at < terms.size()) {
      const std::size_t end = std::min(terms.size(), at + 1 + random.engine() % 40);
      exact_sum rank;
      for (; at < end; ++at) rank.add(terms[at]);
      added += rank;
      rank.normalise();
      for (int w = 0; w < exact_sum::words_count; ++w) merged.words()[w] += rank.words()[w];
    }
    CHECK(same_words(whole, merged));
    CHECK(same_words(whole, added));
    CHECK(same(merged.value(), whole.value()));
  }
}

TEST_CASE("cancellation to nothing, and to one last bit") {
  dice random{std::mt19937_64(4)};
  auto terms = random_terms(random, 400, -170, 150);
  exact_sum s = sum_of_all(terms);
  for (const double x : terms) s.add(-x);
  CHECK(same(s.value(), 0.0));
  CHECK(same_words(s, exact_sum()));
  s.add(0x1p-224);
  CHECK(same(s.value(), 0x1p-224));
  s.add(-0x1p-223);
  CHECK(same(s.value(), -0x1p-224));
  const std::vector<double> classic{1, 1e100, 1, -1e100};
  exact_sum t;
  t.add(1.0), t.add(0x1p150), t.add(1.0), t.add(-0x1p150);
  CHECK(t.value() == 2);
}

TEST_CASE("value() rounds once, ties to even, however far below the deciding bit lies") {
  const auto of = [](std::initializer_list<double> terms) {
    return sum_of_all(std::vector<double>(terms)).value();
  };
  CHECK(of({1, 0x1p-53}) == 1);
  CHECK(of({1 + 0x1p-52, 0x1p-53}) == 1 + 0x1p-51);
  CHECK(of({1, 0x1p-53, 0x1p-200}) == 1 + 0x1p-52);
  CHECK(of({1, 0x1p-53, 0x1p-224}) == 1 + 0x1p-52);
  CHECK(of({1, 0x1p-53, -0x1p-224}) == 1);
  CHECK(of({1 + 0x1p-52, 0x1p-53, -0x1p-224}) == 1 + 0x1p-52);
  CHECK(of({-1, -0x1p-53}) == -1);
  CHECK(of({-1, -0x1p-53, -0x1p-100}) == -1 - 0x1p-52);
  CHECK(of({2, -0x1p-53}) == 2);  // a tie just below a power of two
  CHECK(of({2, -0x1p-53, -0x1p-80}) == 2 - 0x1p-52);
  CHECK(of({0x1.fffffffffffffp+158, 0x1p105}) == 0x1p159);  // carries into the next binade
  // every alignment of the leading bit within a limb, and of the deciding bit below it
  for (int e = -170; e < 158; ++e) {
    const double one = std::ldexp(1.0, e), tie = std::ldexp(1.0, e - 53);
    CHECK(of({one, tie}) == one);
    CHECK(of({one, std::ldexp(1.0, e - 52), tie}) == one + std::ldexp(1.0, e - 51));
    CHECK(of({one, tie, 0x1p-224}) ==
          (tie == 0x1p-224 ? one + 2 * tie : one + std::ldexp(1.0, e - 52)));
    CHECK(of({-one, -tie, -0x1p-224}) == -of({one, tie, 0x1p-224}));
  }
}

TEST_CASE("below 2^-224 bits are dropped towards zero; a term and its negative still cancel") {
  const auto of = [](std::initializer_list<double> terms) {
    return sum_of_all(std::vector<double>(terms)).value();
  };
  CHECK(same(of({0x1p-225}), 0.0));
  CHECK(same(of({-0x1p-225}), 0.0));
  CHECK(same(of({0x1.8p-224}), 0x1p-224));
  CHECK(same(of({-0x1.8p-224}), -0x1p-224));
  CHECK(same(of({0x1.8p-224, -0x1.8p-224}), 0.0));
  CHECK(same(of({limits::denorm_min(), -limits::min(), limits::min()}), 0.0));
  CHECK(same(of({0x1p-277, -0x1p-300, 0x1p-1000}), 0.0));
  exact_sum s;
  s.add_scaled((std::int64_t{1} << 62) - 1, -286);  // 2^-224 - 2^-286
  CHECK(same(s.value(), 0.0));
  s.add_scaled((std::int64_t{1} << 62) - 1, -285);
  CHECK(same(s.value(), 0x1p-224));
  s.add_scaled(-((std::int64_t{1} << 62) - 1), -285);
  CHECK(same(s.value(), 0.0));
  s.add_scaled(-5, -400);
  CHECK(same(s.value(), 0.0));
}

TEST_CASE("subnormal floats are exact, subnormal doubles vanish") {
  exact_sum s;
  for (int i = 0; i < 1000; ++i) s.add(std::numeric_limits<float>::denorm_min());
  CHECK(same(s.value(), 1000 * 0x1p-149));
  s.add(limits::denorm_min());
  CHECK(same(s.value(), 1000 * 0x1p-149));
}

TEST_CASE("infinities, NaN and terms of 2^159 and above") {
  const auto of = [](std::initializer_list<double> terms) {
    return sum_of_all(std::vector<double>(terms)).value();
  };
  CHECK(of({inf, 1}) == inf);
  CHECK(of({-inf, 1e300, 1}) != of({-inf, 1e300, 1}));  // 1e300 counts as +inf
  CHECK(of({-inf, 1}) == -inf);
  CHECK(std::isnan(of({inf, -inf})));
  CHECK(std::isnan(of({1, limits::quiet_NaN()})));
  CHECK(std::isnan(of({limits::signaling_NaN()})));
  CHECK(std::isnan(of({-limits::quiet_NaN(), inf})));
  CHECK(of({0x1p159}) == inf);
  CHECK(of({-0x1p159, 3}) == -inf);
  CHECK(of({limits::max()}) == inf);
  CHECK(of({0x1.fffffffffffffp+158, 0x1.fffffffffffffp+158}) == 0x1.fffffffffffffp+159);
  // the counts survive merging
  exact_sum a, b;
  a.add(inf), b.add(-inf);
  exact_sum c = a;
  c += b;
  CHECK(std::isnan(c.value()));
  c = a;
  c += a;
  CHECK(c.value() == inf);
}

TEST_CASE("headroom: 2^60 copies of the largest and of the smallest float") {
  for (const double x : {double(std::numeric_limits<float>::max()),
                         -double(std::numeric_limits<float>::max()), 0x1p-149, -0.1}) {
    exact_sum s;
    s.add(x);
    for (int k = 1; k <= 60; ++k) {
      s += s;
      CHECK(same(s.value(), std::ldexp(x, k)));
    }
  }
}

TEST_CASE("headroom: additions without a carry until 2^30 of them, by whole limbs") {
  // a limb takes 2^30 terms of almost 2^32 before it must carry: the state just before and after
  exact_sum s;
  s.words()[5] = ((std::int64_t{1} << 30) - 1) * 0xffffffff;
  s.words()[6] = -((std::int64_t{1} << 30) - 1) * 0xffffffff;
  const double value =
      static_cast<double>((quad(1 << 30) - 1) * 0xffffffffu * (1 - quad(4294967296.0)) * 0x1p-64);
  CHECK(same(s.value(), value));
  s.normalise();
  CHECK(same(s.value(), value));
  exact_sum many;
  for (int i = 0; i < 1 << 20; ++i) many.add_scaled(-((std::int64_t{1} << 62) - 1), 31);
  CHECK(same(many.value(), -0x1p113));
}

TEST_CASE("normalising and merging leave the value, and a negative sum has one normal form") {
  dice random{std::mt19937_64(7)};
  for (int k = 0; k < 100; ++k) {
    const auto terms = random_terms(random, 20, -100, 100);
    exact_sum a = sum_of_all(terms), b = a;
    b.normalise();
    CHECK(same(a.value(), b.value()));
    b.normalise();
    CHECK(same_words(a, b));
    for (int w = 0; w + 1 < exact_sum::limbs; ++w) {
      CHECK(b.words()[w] >= 0);
      CHECK(b.words()[w] <= 0xffffffff);
    }
    exact_sum nothing;
    b += nothing;
    nothing += a;
    CHECK(same_words(a, b));
    CHECK(same_words(a, nothing));
  }
}

TEST_CASE("a constant expression") {
  constexpr double third = [] {
    exact_sum s;
    for (int i = 0; i < 10; ++i) s.add(0.1f);
    return s.value();
  }();
  static_assert(third == 10 * double(0.1f));
  CHECK(sizeof(exact_sum) <= 17 * 8);
}

TEST_CASE_TEMPLATE("plain_sum is compensated", T, double, long double) {
  hence::plain_sum<T> s;
  CHECK(s.value() == 0);
  s.add(T(1));
  for (int i = 0; i < 1000; ++i) s.add(std::numeric_limits<T>::epsilon() / 8);
  s.add(T(-1));
  CHECK(s.value() ==
        doctest::Approx(double(1000 * std::numeric_limits<T>::epsilon() / 8)).epsilon(1e-12));
  hence::plain_sum<T> large, both;
  large.add(T(0x1p100)), both.add(T(1));
  both += large;
  hence::plain_sum<T> minus;
  minus.add(T(-0x1p100));
  both += minus;
  CHECK(both.value() == 1);
  hence::plain_sum<T> infinite;
  infinite.add(std::numeric_limits<T>::infinity());
  infinite.add(T(1));
  CHECK(infinite.value() == std::numeric_limits<T>::infinity());
  infinite.add(-std::numeric_limits<T>::infinity());
  CHECK(infinite.value() != infinite.value());
}

TEST_CASE("what an executor of each scalar sums with") {
  CHECK(std::is_same_v<hence::sum_of<float>, exact_sum>);
  CHECK(std::is_same_v<hence::sum_of<double>, hence::plain_sum<double>>);
}

// --- core/sum_pack.hpp -------------------------------------------------------------------------

namespace {

/// add_block against term by term, to the word. The block ends in zeros as add_block asks.
bool block_is_exact(const std::vector<float>& x, exact_sum start = {}) {
  std::vector<float> padded = x;
  padded.resize(x.size() + 16, 0.0f);
  exact_sum a = start, b = start;
  hence::detail::add_block<hence::native_isa>(a, padded.data(), static_cast<int>(x.size()));
  for (const float v : x) b.add(v);
  return same_words(a, b);
}

std::vector<float> block(dice& random, std::size_t n, int low, int high) {
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(random.any(low, high));
  return x;
}

}  // namespace

TEST_CASE("a block of packs adds what its terms add, one by one: every length") {
  dice random{std::mt19937_64(11)};
  for (std::size_t n = 0; n <= 70; ++n) CHECK(block_is_exact(block(random, n, -20, 20)));
  for (const std::size_t n : {1000u, 1007u, 1008u, 1023u, 1024u}) {
    CHECK(block_is_exact(block(random, n, -3, 3)));
    CHECK(block_is_exact(block(random, n, 0, 1)));
  }
}

TEST_CASE("blocks of wide and of narrow ranges of exponents") {
  dice random{std::mt19937_64(12)};
  for (int k = 0; k < 2000; ++k) {
    const int low = static_cast<int>(random.engine() % 270) - 149;
    const int width = 1 + static_cast<int>(random.engine() % (k % 3 == 0 ? 120 : 30));
    CHECK(
        block_is_exact(block(random, 1 + random.engine() % 300, low, std::min(low + width, 128))));
  }
}

TEST_CASE("blocks whose largest term lies at the ends of the fast range") {
  dice random{std::mt19937_64(13)};
  for (const int top : {-149, -126, -125, -104, -103, -82, -81, -80, -79, -58, -57, 0, 99, 118, 119,
                        120, 121, 126, 127})
    for (const int range : {1, 2, 23, 24, 46, 47, 69, 70, 200}) {
      auto x = block(random, 200, std::max(-149, top - range), top + 1);
      CHECK(block_is_exact(x));
      for (float& v : x) v = std::fabs(v);
      x[7] = std::ldexp(0x1.fffffep0f, top);  // the largest significand of the top binade
      CHECK(block_is_exact(x));
      x.assign(1024, x[7]);  // every lane takes the largest integers of one sign
      CHECK(block_is_exact(x));
      x.assign(1024, -x[7]);
      CHECK(block_is_exact(x));
    }
}

TEST_CASE("terms at the splitters' ties") {
  // x = (k + 1/2) q for the coarse unit q = 2^(e - 21) and for the fine one
  for (const int e : {-80, -30, 0, 50, 120}) {
    std::vector<float> x{std::ldexp(1.0f, e)};
    for (int k = -40; k <= 40; ++k) {
      x.push_back(std::ldexp(static_cast<float>(2 * k + 1), e - 22));
      x.push_back(std::ldexp(static_cast<float>(2 * k + 1), e - 45));
      x.push_back(std::ldexp(1 + std::ldexp(static_cast<float>(k), -23), e - 1));
    }
    CHECK(block_is_exact(x));
    for (float& v : x) v = -v;
    CHECK(block_is_exact(x));
  }
}

TEST_CASE("blocks of zeros, subnormals, infinities and NaN") {
  using f = std::numeric_limits<float>;
  CHECK(block_is_exact({}));
  CHECK(block_is_exact(std::vector<float>(100, 0.0f)));
  CHECK(block_is_exact(std::vector<float>(100, -0.0f)));
  CHECK(block_is_exact(std::vector<float>(100, f::denorm_min())));
  CHECK(block_is_exact({-0.0f, f::denorm_min(), -f::min(), 1.0f}));
  for (const float special : {f::infinity(), -f::infinity(), f::quiet_NaN(), f::signaling_NaN(),
                              -f::quiet_NaN(), f::max(), -f::max()})
    for (const std::size_t at : {0u, 5u, 15u, 16u, 98u}) {
      dice random{std::mt19937_64(14)};
      auto x = block(random, 99, -10, 10);
      x[at] = special;
      CHECK(block_is_exact(x));
      x[50] = -special;
      CHECK(block_is_exact(x));
    }
}

TEST_CASE("a block is added to whatever was there") {
  dice random{std::mt19937_64(15)};
  exact_sum start;
  for (int k = 0; k < 50; ++k) {
    start.add(random.any(-100, 100));
    CHECK(block_is_exact(block(random, 130, -8, 8), start));
  }
}

namespace {

/// guessed_sum against term by term, to the word, with that guess. x is whole packs.
bool guess_is_exact(const std::vector<float>& x, int guess, int* mended = nullptr) {
  using V = hence::pack<float>;
  hence::detail::guessed_sum<hence::native_isa> sum(guess);
  exact_sum a, b;
  for (std::size_t i = 0; i < x.size(); i += std::size_t(V::lanes)) sum.add(V::load(x.data() + i));
  sum.add_to(a, x.data(), static_cast<int>(x.size()), guess);
  for (const float v : x) b.add(v);
  if (mended) *mended = guess;
  return same_words(a, b);
}

}  // namespace

TEST_CASE("a sum with a guessed exponent is exact whatever the guess") {
  dice random{std::mt19937_64(16)};
  for (int k = 0; k < 2000; ++k) {
    const int top = static_cast<int>(random.engine() % 200) - 90;
    const int width = 1 + static_cast<int>(random.engine() % 16);
    const int guess = top + static_cast<int>(random.engine() % 9) - 4;
    const std::size_t n = 16 * (1 + random.engine() % 64);
    CHECK(guess_is_exact(block(random, n, std::max(-149, top - width), top + 1), guess));
  }
  for (const int guess : {-149, -127, -81, -80, 0, 110, 111, 127}) {  // the ends of its range
    CHECK(guess_is_exact(std::vector<float>(1024, std::ldexp(1.0f, guess)), guess));
    CHECK(guess_is_exact(std::vector<float>(1024, 0.0f), guess));
  }
}

TEST_CASE("a guessed sum takes a whole block of the largest terms, and of its last bits") {
  for (const int top : {-70, 0, 100})
    for (const float sign : {1.0f, -1.0f}) {
      const float largest = sign * std::ldexp(0x1.fffffep0f, top);
      for (const int guess : {top - 1, top, top + 1})
        CHECK(guess_is_exact(std::vector<float>(1024, largest), guess));
      for (int below = 0; below < 14; ++below) {  // an odd significand at the end of what it holds
        std::vector<float> x(1024, largest);
        for (std::size_t i = 0; i < x.size(); i += 2)
          x[i] = sign * std::ldexp(0x1.000002p0f, top - below);
        CHECK(guess_is_exact(x, top));
      }
    }
}

TEST_CASE("a guessed sum sees infinities, NaN, zeros and subnormals") {
  using f = std::numeric_limits<float>;
  for (const float special : {f::infinity(), -f::infinity(), f::quiet_NaN(), 0.0f, -0.0f, f::max(),
                              f::denorm_min(), -f::min()})
    for (const std::size_t at : {0u, 17u, 63u}) {
      std::vector<float> x(64, 1.5f);
      x[at] = special;
      CHECK(guess_is_exact(x, 1));
    }
}

TEST_CASE("a wrong guess is mended if there is a right one") {
  int mended = 0;
  CHECK(guess_is_exact(std::vector<float>(64, 1.5f), -3, &mended));
  CHECK(mended == 1);
  CHECK(guess_is_exact(std::vector<float>(64, 1.5f), 50, &mended));
  CHECK(mended == 1);
  std::vector<float> wide(64, 1.5f);
  wide[5] = 0x1p-60f;
  CHECK(guess_is_exact(wide, -3, &mended));
  CHECK(mended == -3);
}

TEST_CASE("blocks of hundreds of binades take several rounds") {
  dice random{std::mt19937_64(17)};
  for (const std::size_t n : {16u, 333u, 1024u}) CHECK(block_is_exact(block(random, n, -149, 120)));
  for (int e = -148; e < 120; e += 23) {
    std::vector<float> x(1024, 1.0f);
    for (std::size_t i = 0; i < x.size(); i += 3) x[i] = std::ldexp(0x1.234566p0f, e);
    CHECK(block_is_exact(x));
  }
}

TEST_CASE("a pack's helper: any bit, the sum of lanes") {
  using I = hence::pack<float>::ints;
  I zero{}, ones{}, last{};
  for (unsigned i = 0; i < sizeof(I) / 4; ++i) ones[i] = -1;
  last[sizeof(I) / 4 - 1] = 1 << 30;
  CHECK(!hence::detail::any_bit(zero));
  CHECK(hence::detail::any_bit(last));
  CHECK(hence::detail::sum_lanes(ones) == -static_cast<std::int64_t>(sizeof(I) / 4));
  CHECK(hence::detail::sum_lanes(last) == 1 << 30);
}
