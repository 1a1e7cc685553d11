#include <hence/policy/mismatch_metrics.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>

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
