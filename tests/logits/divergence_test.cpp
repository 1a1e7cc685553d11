// One token's divergence and its slope in log S, against the definitions in long double.
#include <doctest/doctest.h>
#include <hence/logits/divergence.hpp>

#include <cmath>
#include <refusal.hpp>

namespace {

using namespace hence;
using real = long double;
using N = num<double>;

real forward(real s, real q) { return std::exp(q) * (q - s); }
real reverse(real s, real q) { return std::exp(s) * (s - q); }
/// beta Q (log Q - log M) + (1 - beta) S (log S - log M).
real jsd(real s, real q, real beta) {
  const real m = std::log((1 - beta) * std::exp(s) + beta * std::exp(q));
  return beta * std::exp(q) * (q - m) + (1 - beta) * std::exp(s) * (s - m);
}

template <class How, class Definition> void check_at(const How& how, const Definition& of) {
  for (const double s : {-0.01, -0.5, -1.0, -2.0, -7.5, -30.0})
    for (const double q : {-0.02, -0.5, -0.75, -3.0, -12.0}) {
      CAPTURE(s);
      CAPTURE(q);
      const dual<N, zero, one> log_s{N(s), {}, {}};
      const auto f = how(log_s, N(q));
      const real value = of(real(s), real(q)), h = 1e-6L;
      const real slope = (of(s + h, q) - of(s - h, q)) / (2 * h);
      CHECK(std::abs(double(f.value.v) - double(value)) <= 1e-14 + 1e-12 * double(std::abs(value)));
      CHECK(std::abs(double(f.own.v) - double(slope)) <= 1e-9 * (1 + double(std::abs(slope))));
    }
}

TEST_CASE("values and slopes") {
  check_at(divergence::forward_kl{}, forward);
  check_at(divergence::reverse_kl{}, reverse);
  for (const double share : {0.0, 0.25, 1.0})
    check_at(divergence::mixed_kl{share}, [&](real s, real q) {
      return real(share) * forward(s, q) + (1 - real(share)) * reverse(s, q);
    });
  for (const double beta : {0.1, 0.5, 0.9})
    check_at(divergence::generalized_jsd{beta},
             [&](real s, real q) { return jsd(s, q, real(beta)); });
}

TEST_CASE("equal log-probs are 0 apart, with no slope; a masked token too") {
  for (const double x : {-0.1, -1.0, -20.0, -1e30}) {
    const dual<N, zero, one> log_s{N(x), {}, {}};
    const auto f = divergence::generalized_jsd{0.3}(log_s, N(x));
    CHECK(f.value.v == 0);
    CHECK(std::abs(f.own.v) < 1e-16);
    CHECK(divergence::forward_kl{}(log_s, N(x)).value.v == 0);
    CHECK(divergence::reverse_kl{}(log_s, N(x)).value.v == 0);
  }
  // one of them masked: beta Q log(1 / beta) and (1 - beta) S log(1 / (1 - beta))
  const auto value = [](double s, double q) {
    return divergence::generalized_jsd{0.3}(N(s), N(q)).v;
  };
  CHECK(std::abs(value(-1e30, -1.0) - 0.3 * std::exp(-1.0) * std::log(1 / 0.3)) < 1e-15);
  CHECK(std::abs(value(-1.0, -1e30) - 0.7 * std::exp(-1.0) * std::log(1 / 0.7)) < 1e-15);
}

TEST_CASE("shares from 0 to 1, and between") {
  const auto mixed = [](double x) { return refusal([&] { divergence::mixed_kl{x}.check(); }); };
  for (const double x : {0.0, 0.5, 1.0}) CHECK(mixed(x) == "accepted");
  CHECK(mixed(-0.5) == "hence: mixed_kl.forward is -0.5, expected 0 to 1");
  CHECK(mixed(1.5) == "hence: mixed_kl.forward is 1.5, expected 0 to 1");
  CHECK(mixed(std::nan("")).find("hence: mixed_kl.forward is ") == 0);
  const auto between = [](double x) {
    return refusal([&] { divergence::generalized_jsd{x}.check(); });
  };
  CHECK(between(0.5) == "accepted");
  for (const double x : {0.0, 1.0, -0.5, 1.5, std::nan("")})
    CHECK(between(x).find("hence: generalized_jsd.beta is ") == 0);
  CHECK(!divergence::generalized_jsd<>::needs_equal_support);
  CHECK(divergence::forward_kl::needs_equal_support);
  CHECK(divergence::reverse_kl::needs_equal_support);
  CHECK(divergence::mixed_kl<>::needs_equal_support);
}

}  // namespace
