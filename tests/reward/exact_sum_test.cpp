#include <hence/reward/exact_sum.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <random>

namespace reward = hence::reward;
using reward::exact;
using reward::exact_fault;
using reward::exact_sum;

namespace {

exact_sum number(reward::wide a, reward::wide b = 1) { return reward::exact_ratio(a, b); }
exact_sum surd(std::uint64_t n, int pi = 0) { return exact{1, 1, n, pi, exact_fault::none}; }

long double value(const exact_sum& x) {
  long double sum = 0;
  for (int i = 0; i < x.terms; ++i) {
    const exact& t = x.term[i];
    sum += static_cast<long double>(t.num) / static_cast<long double>(t.den) *
           sqrtl(static_cast<long double>(t.root)) * powl(acosl(-1.0L), t.pi);
  }
  return sum;
}

}  // namespace

TEST_CASE("sums are equal where their terms are, in whatever order they were added") {
  const exact_sum a = add(add(number(1), surd(2)), surd(3));
  const exact_sum b = add(surd(3), add(surd(2), number(1)));
  CHECK(a.terms == 3);
  CHECK(a == b);
  CHECK_FALSE(a == add(number(1), surd(2)));
  CHECK_FALSE(add(number(1), surd(2)) == a);
  CHECK_FALSE(a == add(add(number(1), surd(2)), surd(5)));
  CHECK(add(a, negated(a)) == number(0));
  CHECK(add(a, negated(a)).terms == 0);
  CHECK(add(add(a, negated(surd(2))), negated(surd(3))) == number(1));
  CHECK_FALSE(add(surd(2), surd(2, 1)) == add(surd(2), surd(2)));
  CHECK(add(surd(2, 1), surd(2)) == add(surd(2), surd(2, 1)));
  CHECK(add(surd(1, -1), surd(1, 1)) == add(surd(1, 1), surd(1, -1)));
}

TEST_CASE("one term is a number, no term is 0") {
  CHECK(number(0).terms == 0);
  CHECK(number(0).single() == reward::exact_ratio(0, 1));
  CHECK(number(6, 4).single() == reward::exact_ratio(3, 2));
  CHECK(number(3).integer());
  CHECK(number(0).integer());
  CHECK_FALSE(number(1, 2).integer());
  CHECK(number(1, 2).rational());
  CHECK_FALSE(surd(2).rational());
  const exact_sum two = add(number(1), surd(2));
  CHECK_FALSE(two.integer());
  CHECK(two.single().fault == exact_fault::not_exact);
  const exact_sum bad = reward::detail::fail(exact_fault::overflow);
  CHECK(bad.single().fault == exact_fault::overflow);
  CHECK_FALSE(bad == bad);
  CHECK(add(bad, two).fault == exact_fault::overflow);
  CHECK(add(two, bad).fault == exact_fault::overflow);
  CHECK(multiply(bad, two).fault == exact_fault::overflow);
  CHECK(multiply(two, bad).fault == exact_fault::overflow);
  CHECK(inverse(bad).fault == exact_fault::overflow);
  CHECK_FALSE(two == bad);
  CHECK_FALSE(bad == two);
  CHECK(add(exact_sum(reward::exact_ratio(reward::wide{1} << 120, 3)), number(1, 1000)).fault ==
        exact_fault::overflow);
  CHECK(power(add(surd(2), number(reward::wide{1} << 20)), 16).fault == exact_fault::overflow);
}

TEST_CASE("products, conjugates, powers, roots") {
  const exact_sum x = add(number(1), surd(2)), y = add(number(1), negated(surd(2)));
  CHECK(multiply(x, y) == number(-1));
  CHECK(inverse(x) == add(surd(2), number(-1)));
  CHECK(divide(number(1), add(surd(3), negated(surd(2)))) == add(surd(2), surd(3)));
  CHECK(divide(multiply(x, x), x) == x);
  CHECK(multiply(x, number(0)) == number(0));
  CHECK(inverse(number(0)).fault == exact_fault::division_by_zero);
  CHECK(inverse(add(x, surd(3))).fault == exact_fault::not_exact);             // three terms
  CHECK(inverse(add(number(1), surd(1, 1))).fault == exact_fault::not_exact);  // 1 + pi
  CHECK(inverse(add(surd(1, 1), surd(2, 1))) ==
        multiply(add(surd(2), number(-1)), surd(1, -1)));  // 1 / (pi + sqrt(2) pi)
  CHECK(power(x, 2) == add(number(3), multiply(number(2), surd(2))));
  CHECK(power(x, 0) == number(1));
  CHECK(power(x, -2) == inverse(power(x, 2)));
  CHECK(power(x, 16).ok());
  CHECK(power(x, -16).ok());
  CHECK(power(x, 17).fault == exact_fault::overflow);
  CHECK(power(x, -17).fault == exact_fault::overflow);
  CHECK(power(number(2), 100).single() == power(exact{2, 1, 1, 0, exact_fault::none}, 100));
  CHECK(root_of(number(8), 2) == multiply(number(2), surd(2)));
  CHECK(root_of(power(x, 2), 2).fault == exact_fault::not_exact);
}

TEST_CASE("a sum that keeps all its terms leaves nothing to compute") {
  using reward::detail::keeps_terms;
  const exact_sum one = number(1), root = surd(2), both = add(one, root);
  CHECK(keeps_terms(one, root, both));
  CHECK(keeps_terms(both, surd(3), add(both, surd(3))));
  CHECK_FALSE(keeps_terms(one, one, number(2)));
  CHECK_FALSE(keeps_terms(both, one, add(both, one)));
  CHECK_FALSE(keeps_terms(both, negated(root), one));
  const exact x{1, 1, 1, 0, exact_fault::none};
  CHECK_FALSE(keeps_terms(x, x, x));  // of one term, nothing stays
}

TEST_CASE("eight terms, not nine") {
  // as constant expressions, which the compiler lets read nothing behind the eighth
  constexpr auto eight = [] {
    exact_sum sum = exact{0, 1, 1, 0, exact_fault::none};
    for (int k = 1; k <= 8; ++k) sum = add(sum, exact_sum(exact{1, 1, 1, k, exact_fault::none}));
    return sum;
  };
  static_assert(eight() == eight() && eight().terms == 8);
  static_assert(!(eight() == add(eight(), eight())));
  static_assert(add(eight(), negated(eight())).terms == 0);
  exact_sum sum = number(0);
  for (const std::uint64_t n : {2u, 3u, 5u, 6u, 7u, 10u, 11u, 13u}) sum = add(sum, surd(n));
  CHECK(sum.terms == reward::most_terms);
  CHECK(add(sum, surd(14)).fault == exact_fault::overflow);
  CHECK(add(sum, surd(2)).ok());  // no further term
  CHECK(add(sum, negated(surd(2))).terms == 7);
  CHECK(multiply(sum, sum).fault == exact_fault::overflow);
}

TEST_CASE("random sums against long double, and the laws of a field") {
  std::mt19937_64 random(3);
  const std::uint64_t roots[] = {1, 2, 3, 6};
  const auto pick = [&] {
    exact_sum x = number(0);
    for (auto n = random() % 3; n > 0; --n)
      x = add(x, multiply(number(static_cast<reward::wide>(random() % 9) - 4,
                                 static_cast<reward::wide>(random() % 4) + 1),
                          surd(roots[random() % 4])));
    return x;
  };
  int judged = 0;
  for (int i = 0; i < 20000; ++i) {
    const exact_sum a = pick(), b = pick(), c = pick();
    const auto near = [&](const exact_sum& x, long double want) {
      return x.ok() && fabsl(value(x) - want) <= 1e-14L * (1 + fabsl(want));
    };
    CHECK(near(add(a, b), value(a) + value(b)));
    CHECK(near(multiply(a, b), value(a) * value(b)));
    CHECK(add(a, b) == add(b, a));
    CHECK(multiply(a, b) == multiply(b, a));
    CHECK(multiply(a, add(b, c)) == add(multiply(a, b), multiply(a, c)));
    if (b.terms == 0) continue;
    const exact_sum q = divide(a, b);
    CHECK(q.ok());
    CHECK(multiply(q, b) == a);
    CHECK(near(q, value(a) / value(b)));
    ++judged;
  }
  CHECK(judged > 8000);
}

TEST_CASE("terms ascend by the power of pi, then by the root") {
  const auto term = [](std::uint64_t root, int pi) {
    return reward::exact_sum(reward::exact{1, 1, root, pi, reward::exact_fault::none});
  };
  reward::exact_sum sum = term(2, 1);
  for (const auto& t : {term(3, -1), term(5, 0), term(1, 0), term(1, 1), term(2, -1)})
    sum = reward::add(sum, t);
  const std::uint64_t roots[] = {2, 3, 1, 5, 1, 2};
  const int powers[] = {-1, -1, 0, 0, 1, 1};
  CHECK(sum.terms == 6);
  for (int i = 0; i < 6; ++i) {
    CHECK(sum.term[i].root == roots[i]);
    CHECK(sum.term[i].pi == powers[i]);
  }
}
