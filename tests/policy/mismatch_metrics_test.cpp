#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/mismatch_metrics.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <stdexcept>

namespace {

template <class T> auto metrics_of(const fixture::description& d, fixture::form f) {
  fixture::arrays<T> a(d, f);
  return a.with_batch(
      [&](const auto& batch) { return hence::mismatch(hence::reference<T>{}, batch, a.inputs()); });
}

}  // namespace

TEST_CASE("means and extremes of rho and of |log rho|, in every layout") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {9, 0, 30, 5}, {.live = 0.8, .roles = true});
  double ratio = 0, difference = 0, low = 1e9, high = 0, far = 0;
  std::int64_t n = 0;
  for (const auto& r : d.rows)
    for (const auto& p : r.at)
      if (p.live && p.policy && p.metric) {
        const double e = p.old - p.rollout, rho = std::exp(e);
        ratio += rho, difference += std::fabs(e), ++n;
        low = std::min(low, rho), high = std::max(high, rho), far = std::max(far, std::fabs(e));
      }
  const auto m = metrics_of<double>(d, fixture::form::ragged);
  CHECK(m.tokens == n);
  CHECK(m.importance_sampling_ratio_mean() == doctest::Approx(ratio / double(n)).epsilon(1e-14));
  CHECK(m.importance_sampling_ratio_min() == doctest::Approx(low).epsilon(1e-14));
  CHECK(m.importance_sampling_ratio_max() == doctest::Approx(high).epsilon(1e-14));
  CHECK(m.sampling_logp_difference_mean() ==
        doctest::Approx(difference / double(n)).epsilon(1e-14));
  CHECK(m.sampling_logp_difference_max() == far);
  const auto first = metrics_of<float>(d, fixture::form::ragged);
  CHECK(first.importance_sampling_ratio_mean() == doctest::Approx(ratio / double(n)).epsilon(1e-6));
  for (const auto f : fixture::every_form) {
    const auto other = metrics_of<float>(d, f);
    CHECK(other.importance_sampling_ratio_mean() == first.importance_sampling_ratio_mean());
    CHECK(other.importance_sampling_ratio_min() == first.importance_sampling_ratio_min());
    CHECK(other.sampling_logp_difference_mean() == first.sampling_logp_difference_mean());
  }
}

TEST_CASE("parts merge, NaN wins, nothing is 0") {
  fixture::dice random(2);
  auto d = fixture::random_batch(random, {9, 30});
  const auto whole = metrics_of<float>(d, fixture::form::ragged);
  fixture::description one = d, two = d;
  one.rows.pop_back(), two.rows.erase(two.rows.begin());
  auto sum = metrics_of<float>(two, fixture::form::ragged);
  sum += metrics_of<float>(one, fixture::form::ragged);
  CHECK(sum.tokens == whole.tokens);
  CHECK(sum.importance_sampling_ratio_mean() == whole.importance_sampling_ratio_mean());
  CHECK(sum.importance_sampling_ratio_min() == whole.importance_sampling_ratio_min());
  CHECK(sum.importance_sampling_ratio_max() == whole.importance_sampling_ratio_max());
  CHECK(sum.sampling_logp_difference_max() == whole.sampling_logp_difference_max());
  d.rows[0].at[3].rollout = std::nan("");
  const auto broken = metrics_of<float>(d, fixture::form::ragged);
  CHECK(std::isnan(broken.importance_sampling_ratio_mean()));
  CHECK(std::isnan(broken.importance_sampling_ratio_min()));
  CHECK(std::isnan(broken.importance_sampling_ratio_max()));
  CHECK(std::isnan(broken.sampling_logp_difference_max()));
  const auto none = metrics_of<float>({}, fixture::form::ragged);
  CHECK(none.importance_sampling_ratio_mean() == 0);
  CHECK(none.importance_sampling_ratio_min() == 0);
}

namespace {

/// What TRL logs: min, mean and max of the weights, of tokens or of rows.
struct weights_logged {
  std::int64_t n = 0;
  double sum = 0, low = 1e9, high = 0;
  void note(double w) { ++n, sum += w, low = std::min(low, w), high = std::max(high, w); }
};
template <class T, class Correction>
auto weights_of(const Correction& correct, const fixture::description& d, fixture::form f) {
  fixture::arrays<T> a(d, f);
  return a.with_batch([&](const auto& batch) {
    return hence::mismatch(hence::reference<T>{}, correct, batch, a.inputs());
  });
}
/// \param weigh(e of the token, E of its row, its policy tokens, worst |e| of the row).
template <class Make, class Weigh>
void check_weights(const fixture::description& d, bool of_rows, const Make& make,
                   const Weigh& weigh) {
  weights_logged wanted;
  std::int64_t tokens = 0;
  for (const auto& r : d.rows) {
    double sum = 0, far = 0;
    int n = 0;
    bool any = false;
    for (const auto& p : r.at)
      if (p.live && p.policy)
        sum += p.old - p.rollout, far = std::max(far, std::fabs(p.old - p.rollout)), ++n;
    for (const auto& p : r.at)
      if (p.live && p.policy && p.metric) {
        any = true, ++tokens;
        if (!of_rows) wanted.note(weigh(p.old - p.rollout, sum, n, far));
      }
    if (of_rows && any) wanted.note(weigh(0, sum, n, far));
  }
  const auto m = weights_of<double>(make(double{}), d, fixture::form::ragged);
  CHECK(m.tokens == tokens);
  CHECK(m.weights == wanted.n);
  CHECK(m.importance_sampling_ratio_mean() ==
        doctest::Approx(wanted.sum / double(wanted.n)).epsilon(1e-13));
  CHECK(m.importance_sampling_ratio_min() == doctest::Approx(wanted.low).epsilon(1e-13));
  CHECK(m.importance_sampling_ratio_max() == doctest::Approx(wanted.high).epsilon(1e-13));
  CHECK(wanted.low < wanted.high);
  const auto first = weights_of<float>(make(float{}), d, fixture::form::ragged);
  CHECK(first.importance_sampling_ratio_mean() ==
        doctest::Approx(wanted.sum / double(wanted.n)).epsilon(1e-5));
  for (const auto f : fixture::every_form) {
    const auto other = weights_of<float>(make(float{}), d, f);
    CHECK(other.importance_sampling_ratio_mean() == first.importance_sampling_ratio_mean());
    CHECK(other.importance_sampling_ratio_max() == first.importance_sampling_ratio_max());
    CHECK(other.sampling_logp_difference_mean() == first.sampling_logp_difference_mean());
  }
}

}  // namespace

TEST_CASE("the weights that a correction makes of rho, one a token or one a row") {
  namespace c = hence::correction;
  fixture::dice random(5);
  const auto d =
      fixture::random_batch(random, {9, 0, 30, 5, 12, 3, 1}, {.live = 0.8, .roles = true});
  using scope = c::policy_only;
  check_weights(
      d, false,
      [](auto s) {
        using S = decltype(s);
        return c::rollout{c::token_level{}, c::truncate{S(0), S(1.03125)}, scope{}};
      },
      [](double e, double, int, double) { return std::min(std::exp(e), 1.03125); });
  check_weights(
      d, true,
      [](auto s) {
        using S = decltype(s);
        return c::rollout{c::sequence_level{}, c::mask{S(0), S(1.0625)}, scope{}};
      },
      [](double, double sum, int, double) { return std::exp(sum) <= 1.0625 ? std::exp(sum) : 0; });
  check_weights(
      d, true,
      [](auto s) {
        using S = decltype(s);
        return c::rollout{c::geometric_level{}, c::truncate{S(0), S(8)}, scope{}};
      },
      [](double, double sum, int n, double) { return std::exp(sum / n); });
  check_weights(
      d, false,
      [](auto s) {
        using S = decltype(s);
        return c::vetoed{c::rollout{c::token_level{}, c::truncate{S(0), S(8)}, scope{}},
                         S(0.921875), S(1.09375)};
      },
      [&](double e, double, int, double far) {
        return far > -std::log(0.921875) ? 0.0 : std::exp(e);  // no e lies between the two bounds
      });
}

TEST_CASE("a correction's bad numbers are refused here too") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4});
  namespace c = hence::correction;
  CHECK_THROWS_WITH_AS(
      weights_of<float>(c::rollout{c::token_level{}, c::truncate{2.0f, 1.0f}, c::policy_only{}}, d,
                        fixture::form::ragged),
      "hence: truncate has bounds [2, 1], expected low <= high and high above 0",
      std::invalid_argument);
}
