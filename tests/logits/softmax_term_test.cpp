// One logit's term and a row's numbers at the ends of what they take.
#include <doctest/doctest.h>
#include <hence/logits/softmax_finish.hpp>
#include <hence/logits/softmax_term.hpp>

#include <cmath>
#include <initializer_list>

namespace {

using namespace hence;
using F = num<float, native_isa>;
using N = num<double, native_isa>;
constexpr float inf = __builtin_inff();

TEST_CASE("a weight is 0 below 2^-60, and 2^-60 there") {
  CHECK(detail::softmax_term(F(-60.0f), F(1.0f), F(0.0f)).w.v == 0x1p-60f);
  CHECK(detail::softmax_term(F(-60.0625f), F(1.0f), F(0.0f)).w.v == 0);
  CHECK(detail::softmax_term(F(-inf), F(1.0f), F(0.0f)).w.v == 0);
  CHECK(std::isnan(detail::softmax_term(F(std::nanf("")), F(1.0f), F(0.0f)).w.v));
  CHECK(detail::power_below(F(-60.0f)).v == 0x1p-60f);
  CHECK(detail::power_below(F(-61.0f)).v == 0);
  CHECK(detail::power_below(F(-inf)).v == 0);
  CHECK(detail::power_below(F(0.0f)).v == 1);
}

TEST_CASE("a soft-cap leaves infinities, and they have no slope") {
  for (const float x : {-inf, inf}) {
    CHECK(detail::capped(F(x), F(30.0f), F(1 / 30.0f)).v == x);
    CHECK(detail::cap_slope(F(x), F(1 / 30.0f)).v == 0);
  }
  CHECK(detail::capped(F(7.0f), F(4.0f), F(0.25f)).v ==
        doctest::Approx(4 * std::tanh(1.75)).epsilon(1e-6));
  CHECK(detail::cap_slope(F(7.0f), F(0.25f)).v ==
        doctest::Approx(1 - std::tanh(1.75) * std::tanh(1.75)).epsilon(1e-5));
}

TEST_CASE("a label that is masked out has log-prob -infinity, and none has NaN") {
  for (const double lost : {-1e-9, 0.0, 1e-9}) {
    const auto out = detail::finished<N>({2, -2, 5, 0, -__builtin_inf()}, 1.25, lost);
    CHECK(out.logp.v == -__builtin_inf());
    CHECK(out.at_label.v == 0);
    CHECK(out.elsewhere.v == 1);
    // weights that sum to 2, of mean exponent -1: H = log 2 + ln(2)
    CHECK(out.entropy.v == doctest::Approx(2 * std::log(2.0)).epsilon(1e-14));
    const auto none = detail::finished<N>({2, -2, 5, 0, __builtin_nan("")}, 1.25, lost);
    CHECK(std::isnan(none.logp.v));
    CHECK(none.entropy.v == out.entropy.v);
  }
}

TEST_CASE("a label of 5/7 of all is near certainty") {
  // weight 1 against others of 0.4: 1 >= 2.5 * 0.4, with equality
  const softmax_state s{0.4, -0.4, 0, 0, 0};
  const auto found = detail::finished<N>(s, 1, 0);
  CHECK(found.logp.v == -detail::wide_log1p(N(0.4)).v);
  CHECK(found.logp.v == doctest::Approx(-std::log(1.4)).epsilon(1e-15));
}

TEST_CASE("an entropy's bound is at most log n") {
  CHECK(detail::largest_entropy<N>(1) == 0);
  for (const std::int64_t n : {2, 3, 50257, 1 << 20}) {
    const float most = detail::largest_entropy<N>(n);
    CHECK(double(most) <= std::log(double(n)));
    CHECK(double(std::nextafterf(most, inf)) > std::log(double(n)));
  }
}

}  // namespace
