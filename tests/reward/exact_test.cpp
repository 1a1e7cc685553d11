#include <hence/reward/exact.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <random>

namespace reward = hence::reward;
using reward::exact;
using reward::exact_fault;

namespace {

constexpr exact integer(reward::wide n) { return {n, 1, 1, 0, exact_fault::none}; }
constexpr exact ratio(reward::wide a, reward::wide b) { return reward::exact_ratio(a, b); }
constexpr exact surd(reward::wide a, reward::wide b, std::uint64_t n, int k = 0) {
  return {a, b, n, k, exact_fault::none};
}
const exact pi{1, 1, 1, 1, exact_fault::none};

long double value(const exact& x) {
  const long double q = static_cast<long double>(x.num) / static_cast<long double>(x.den);
  return q * sqrtl(static_cast<long double>(x.root)) * powl(acosl(-1.0L), x.pi);
}

}  // namespace

TEST_CASE("rationals in lowest terms") {
  CHECK(ratio(4, 6) == ratio(2, 3));
  CHECK(ratio(4, -6) == ratio(-2, 3));
  CHECK(ratio(0, -5) == integer(0));
  CHECK(ratio(1, 0).fault == exact_fault::division_by_zero);
  CHECK(add(ratio(1, 2), ratio(1, 3)) == ratio(5, 6));
  CHECK(add(ratio(1, 2), ratio(-1, 2)) == integer(0));
  CHECK(multiply(ratio(2, 3), ratio(3, 2)) == integer(1));
  CHECK(divide(integer(1), integer(0)).fault == exact_fault::division_by_zero);
  CHECK(ratio(1, 3).rational());
  CHECK_FALSE(ratio(1, 3).integer());
  const exact bad = ratio(1, 0);
  CHECK_FALSE(bad == bad);  // no value equals nothing
  CHECK(add(bad, integer(1)).fault == exact_fault::division_by_zero);
  CHECK(add(integer(1), bad).fault == exact_fault::division_by_zero);
}

TEST_CASE("numbers of more than 64 bits, signs, powers of zero") {
  constexpr reward::wide word = reward::wide{1} << 64;
  CHECK(ratio(word + 2, 3) == integer((word + 2) / 3));  // 3 divides both, and not 2
  CHECK(ratio(3, word + 2) == ratio(1, (word + 2) / 3));
  CHECK(ratio(word, word * 5) == ratio(1, 5));
  constexpr reward::wide half = reward::wide{1} << 62;
  CHECK(multiply(integer(half), integer(half)) == integer(half * half));  // 126 bits
  CHECK(multiply(integer(half), integer(2 * half)).fault == exact_fault::overflow);
  CHECK(negated(ratio(2, 3)) == ratio(-2, 3));
  CHECK(negated(ratio(-2, 3)) == ratio(2, 3));
  CHECK(power(integer(0), 1) == integer(0));
  CHECK(power(integer(0), 0).fault == exact_fault::division_by_zero);
}

TEST_CASE("roots and pi") {
  CHECK(root_of(integer(12), 2) == surd(2, 1, 3));
  CHECK(root_of(ratio(1, 2), 2) == surd(1, 2, 2));
  CHECK(root_of(ratio(8, 9), 2) == surd(2, 3, 2));
  CHECK(root_of(integer(0), 2) == integer(0));
  CHECK(root_of(integer(-4), 2).fault == exact_fault::not_exact);
  CHECK(root_of(integer(-8), 3) == integer(-2));
  CHECK(root_of(ratio(8, 27), 3) == ratio(2, 3));
  CHECK(root_of(integer(9), 3).fault == exact_fault::not_exact);
  CHECK(root_of(pi, 2).fault == exact_fault::not_exact);
  CHECK(root_of(integer(4), 1).fault == exact_fault::not_exact);
  CHECK(multiply(surd(1, 1, 6), surd(1, 1, 10)) == surd(2, 1, 15));
  CHECK(inverse(surd(1, 1, 3)) == surd(1, 3, 3));
  CHECK(divide(pi, pi) == integer(1));
  CHECK(multiply(pi, inverse(multiply(pi, pi))) == surd(1, 1, 1, -1));
  CHECK(add(surd(1, 1, 2), surd(1, 2, 2)) == surd(3, 2, 2));
  CHECK(add(surd(1, 1, 2), integer(1)).fault == exact_fault::not_exact);
  CHECK(add(surd(1, 1, 2), integer(0)) == surd(1, 1, 2));
  // the square of a large prime, two large primes, and what is too long to look into
  CHECK(root_of(integer(reward::wide{1048573} * 1048573), 2) == integer(1048573));
  CHECK(root_of(integer(reward::wide{65521} * 65519), 2) == surd(1, 1, 65521ull * 65519ull));
  CHECK(root_of(integer((reward::wide{1} << 33) - 1), 2).fault == exact_fault::overflow);
  CHECK(root_of(integer(reward::wide{1} << 100), 2) == integer(reward::wide{1} << 50));
}

TEST_CASE("powers") {
  CHECK(power(integer(2), 10) == integer(1024));
  CHECK(power(integer(2), -3) == ratio(1, 8));
  CHECK(power(surd(1, 1, 2), 3) == surd(2, 1, 2));
  CHECK(power(integer(0), 0).fault == exact_fault::division_by_zero);
  CHECK(power(integer(0), -1).fault == exact_fault::division_by_zero);
  CHECK(power(integer(0), 5) == integer(0));
  CHECK(power(integer(7), 0) == integer(1));
  CHECK(power(integer(-1), 1000001) == integer(-1));
  CHECK(power(integer(-1), reward::wide{1} << 80) == integer(1));
  CHECK(power(integer(0), reward::wide{1} << 80) == integer(0));
  CHECK(power(integer(2), 127).fault == exact_fault::overflow);
  CHECK(power(surd(1, 1, 2), 126) == integer(reward::wide{1} << 63));
  CHECK(power(surd(1, 1, 2), 127).fault == exact_fault::overflow);
  CHECK(power(integer(3), 100).fault == exact_fault::overflow);
  CHECK(power(pi, 65).fault == exact_fault::overflow);
}

TEST_CASE("overflow is a fault, never a wrong value") {
  const exact big = integer(reward::wide{1} << 100);
  CHECK(multiply(big, big).fault == exact_fault::overflow);
  CHECK(add(ratio(1, reward::wide{1} << 70), ratio(1, (reward::wide{1} << 70) - 1)).fault ==
        exact_fault::overflow);
  CHECK(inverse(surd(reward::wide{1} << 100, 1, 1048573)) ==
        surd(1, (reward::wide{1} << 100) * 1048573, 1048573));
  CHECK(inverse(surd(reward::wide{1} << 120, 1, 1048573)).fault == exact_fault::overflow);
  CHECK(add(big, big) == integer(reward::wide{1} << 101));
  CHECK(multiply(surd(1, 1, 1ull << 61 | 1), surd(1, 1, (1ull << 61) - 1)).fault ==
        exact_fault::overflow);
}

TEST_CASE("faults come through every operation") {
  const exact bad = ratio(1, 0), big = integer(reward::wide{1} << 120);
  CHECK_FALSE(integer(1) == bad);
  CHECK(multiply(bad, integer(1)).fault == exact_fault::division_by_zero);
  CHECK(multiply(integer(1), bad).fault == exact_fault::division_by_zero);
  CHECK(inverse(bad).fault == exact_fault::division_by_zero);
  CHECK(power(bad, 2).fault == exact_fault::division_by_zero);
  CHECK(root_of(bad, 2).fault == exact_fault::division_by_zero);
  CHECK(reward::detail::reduced<hence::native_isa>(bad).fault == exact_fault::division_by_zero);
  CHECK(add(big, ratio(1, 1000)).fault == exact_fault::overflow);
  CHECK(add(ratio(1, 1000), big).fault == exact_fault::overflow);
  CHECK(multiply(inverse(big), inverse(big)).fault == exact_fault::overflow);
  CHECK(power(inverse(pi), 65).fault == exact_fault::overflow);
  CHECK(power(inverse(pi), 64) == surd(1, 1, 1, -64));
  CHECK(power(pi, 64) == surd(1, 1, 1, 64));
  CHECK(power(integer(1), reward::wide{1} << 80) == integer(1));
  CHECK(power(integer(-1), (reward::wide{1} << 80) + 1) == integer(-1));
  CHECK(power(ratio(1, 2), 127).fault == exact_fault::overflow);
  CHECK(root_of(integer(1), 126) == integer(1));
  CHECK(root_of(integer(1), 127).fault == exact_fault::not_exact);
  CHECK(root_of(integer((reward::wide{1} << 100) + 1), 2).fault == exact_fault::overflow);
  CHECK(root_of(ratio(3, (reward::wide{1} << 70) + 1), 2).fault == exact_fault::overflow);
  CHECK(root_of(integer((reward::wide{1} << 125) - 1), 2).fault == exact_fault::overflow);
  CHECK(root_of(integer(reward::wide{1} << 124), 124) == integer(2));
  CHECK(root_of(integer(reward::wide{1} << 120), 3) == integer(reward::wide{1} << 40));
  using isa = hence::native_isa;
  CHECK(reward::detail::gcd<isa>(std::uint64_t{0}, std::uint64_t{6}) == 6);
  CHECK(reward::detail::gcd<isa>(std::uint64_t{6}, std::uint64_t{0}) == 6);
  CHECK(reward::detail::gcd<isa>(reward::unsigned_wide{0}, reward::unsigned_wide{6}) == 6);
  CHECK(reward::detail::gcd<isa>(reward::unsigned_wide{6}, reward::unsigned_wide{0}) == 6);
}

TEST_CASE("a sum of 127 bits has a root still") {
  // each term below 2^126, their sum (2^63 + 1)^2 above it
  const reward::wide p = 3037000499, v = p * p, side = (reward::wide{1} << 63) + 1;
  const reward::wide whole = (reward::wide{1} << 63) - 1;
  const auto rest = static_cast<reward::wide>(static_cast<reward::unsigned_wide>(side) *
                                                  static_cast<reward::unsigned_wide>(side) -
                                              static_cast<reward::unsigned_wide>(whole * v));
  const exact x = add(integer(whole), ratio(rest, v));
  CHECK(x == exact{side * side, v, 1, 0, exact_fault::none});
  CHECK(root_of(x, 2) == ratio(side, p));
  CHECK(root_of(negated(x), 2).fault == exact_fault::not_exact);
}

TEST_CASE("integer roots from below and above") {
  for (int k = 2; k <= 126; ++k)
    for (reward::unsigned_wide r = 1; r < 50; ++r) {
      reward::unsigned_wide p = 1;
      bool fits = true;
      for (int i = 0; fits && i < k; ++i) {
        fits = p <= (reward::unsigned_wide{1} << 125) / r;
        if (fits) p *= r;
      }
      if (!fits) break;
      CHECK((reward::detail::integer_root<hence::native_isa>(p, k) == r));
      if (r > 1) CHECK((reward::detail::integer_root<hence::native_isa>(p - 1, k) == r - 1));
    }
}

TEST_CASE("every square root below 20000 against its factors") {
  int wrong = 0;
  for (int n = 1; n < 20000; ++n) {
    int square = 1;
    for (int p = 2; p * p <= n; ++p)
      if (n % (p * p) == 0) square = p;
    wrong += !(root_of(integer(n), 2) ==
               surd(square, 1, static_cast<std::uint64_t>(n / square / square)));
  }
  CHECK(wrong == 0);
}

TEST_CASE("random arithmetic against long double") {
  std::mt19937_64 random(11);
  const auto pick = [&] {
    const auto n = static_cast<reward::wide>(random() % 41) - 20;
    return multiply(ratio(n == 0 ? 1 : n, static_cast<reward::wide>(random() % 20) + 1),
                    random() % 3 == 0   ? root_of(integer(reward::wide(random() % 30) + 1), 2)
                    : random() % 3 == 0 ? pi
                                        : integer(1));
  };
  for (int i = 0; i < 20000; ++i) {
    const exact a = pick(), b = pick();
    const auto near = [&](const exact& x, long double want) {
      return !x.ok() || fabsl(value(x) - want) <= 1e-16L * fabsl(want);
    };
    CHECK(near(multiply(a, b), value(a) * value(b)));
    CHECK(near(divide(a, b), value(a) / value(b)));
    if (a.root == b.root && a.pi == b.pi) {
      const exact sum = add(a, b);
      CHECK(sum.ok());
      CHECK(fabsl(value(sum) - (value(a) + value(b))) <=
            1e-16L * (fabsl(value(a)) + fabsl(value(b))));
    }
    CHECK(divide(multiply(a, b), b) == a);
  }
}

TEST_CASE("bits of wide numbers") {
  for (int i = 0; i < 128; ++i) {
    const auto one = reward::unsigned_wide{1} << i;
    CHECK(reward::detail::trailing_zeros(one) == i);
    CHECK(reward::detail::trailing_zeros(~reward::unsigned_wide{0} << i) == i);
    CHECK(reward::detail::bit_width(one) == i + 1);
    CHECK(reward::detail::bit_width(one - 1) == i);
  }
}

TEST_CASE("square roots against the largest square by trial, and near the limit") {
  const auto root_of = [](std::uint64_t n) {
    return reward::root_of(exact{static_cast<reward::wide>(n), 1, 1, 0, exact_fault::none}, 2);
  };
  for (std::uint64_t n = 1; n < 20000; ++n) {
    std::uint64_t side = 1;
    for (std::uint64_t d = 2; d * d <= n; ++d)
      if (n % (d * d) == 0) side = d;
    const exact x = root_of(n);
    CHECK(x.num == static_cast<reward::wide>(side));
    CHECK(x.root == n / (side * side));
  }
  const auto ratio = [](std::uint64_t a, std::uint64_t b) {
    return reward::root_of(
        reward::exact_ratio(static_cast<reward::wide>(a), static_cast<reward::wide>(b)), 2);
  };
  const std::uint64_t p = 65521, q = 1621, r = 1627, last = 4294967291;  // primes
  CHECK(root_of(p * p) == exact{65521, 1, 1, 0, exact_fault::none});
  CHECK(root_of(q * q * r) == exact{1621, 1, r, 0, exact_fault::none});
  CHECK(root_of(q * 7 * r * 11) == exact{1, 1, q * 7 * r * 11, 0, exact_fault::none});
  CHECK(root_of(4 * p * 9) == exact{6, 1, p, 0, exact_fault::none});
  CHECK(root_of(last) == exact{1, 1, last, 0, exact_fault::none});
  CHECK(root_of(last * last) == exact{4294967291, 1, 1, 0, exact_fault::none});
  CHECK(root_of(std::uint64_t{1} << 31) == exact{32768, 1, 2, 0, exact_fault::none});
  CHECK(root_of(std::uint64_t{1} << 32) == exact{65536, 1, 1, 0, exact_fault::none});
  CHECK(root_of((std::uint64_t{1} << 32) + 1).fault == exact_fault::overflow);
  // the parts of a fraction apart
  CHECK(ratio(12 * 25, 7 * 9) == exact{10, 21, 21, 0, exact_fault::none});
  CHECK(ratio(1, last) == exact{1, 4294967291, last, 0, exact_fault::none});
  CHECK(ratio(2, (std::uint64_t{1} << 32) + 1).fault == exact_fault::overflow);
  CHECK(ratio(last, 1073741789) == exact{1, 1073741789, last * 1073741789, 0, exact_fault::none});
  CHECK(ratio(last, 2147483647).fault == exact_fault::overflow);  // a root beyond 2^62
}
