#include "composition_checks.hpp"

#include <limits>

namespace {

using fixture::run;
using fixture::spec_of;
namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;
constexpr double inf = std::numeric_limits<double>::infinity();

template <class T, class Loss>
void check_metrics(const Loss& loss, const fixture::description& d, const fixture::outcome<T>& o,
                   double tolerance) {
  const auto e = oracle::evaluate(spec_of(loss), d);
  const auto mean = [](oracle::quad sum, std::int64_t n) {
    return static_cast<double>(sum) / static_cast<double>(n > 0 ? n : 1);
  };
  CHECK(o.tokens == e.tokens);
  CHECK(o.kl_tokens == e.kl_tokens);
  CHECK(o.low == e.low);
  CHECK(o.high == e.high);
  CHECK(o.ratio_mean == doctest::Approx(mean(e.ratio_sum, e.tokens)).epsilon(tolerance));
  CHECK(o.ratio_max == doctest::Approx(static_cast<double>(e.ratio_max)).epsilon(tolerance));
  CHECK(o.kl_mean == doctest::Approx(mean(e.kl_sum, e.kl_tokens)).epsilon(tolerance));
}

}  // namespace

TEST_CASE("every metric against the oracle, with roles, at both levels, in every arithmetic") {
  for (const bool roles : {false, true}) {
    const auto d = fixture::smooth_batch(1, {90, 0, 33, 1030},
                                         {.live = 0.8, .per_token = true, .roles = roles});
    const auto check = [&](auto level) {
      const hence::policy_loss wide{level, clip::two_sided{0.75, 1.25}, kl::k3{0.5},
                                    aggregate::token_mean{}};
      const hence::policy_loss narrow{level, clip::two_sided{0.75f, 1.25f}, kl::k3{0.5f},
                                      aggregate::token_mean{}};
      const hence::policy_loss cispo{level, clip::cispo{0.75f, 1.25f}, kl::none{},
                                     aggregate::token_mean{}};
      check_metrics(wide, d, run(hence::reference<double>{}, wide, d), 1e-13);
      check_metrics(narrow, d, run(hence::reference<float>{}, narrow, d), 1e-6);
      check_metrics(narrow, d, run(hence::cpu{}, narrow, d), 1e-6);
      check_metrics(cispo, d, run(hence::cpu{}, cispo, d), 1e-6);
    };
    check(ratio::token{});
    check(ratio::sequence{});
  }
}

TEST_CASE("clip fractions: strictly beyond the bound, and only on the side that binds") {
  fixture::description d;
  d.per_token = true;
  d.rows.push_back({{{-1, -1, 0, 1},
                     {-1, -1, 0, -1},  // at the bound r = 1
                     {-1, -1.5, 0, 1},
                     {-1, -1.5, 0, -1},  // above
                     {-1, -0.5, 0, 1},
                     {-1, -0.5, 0, -1},  // below
                     {-1, -1.5, 0, 0},
                     {-1, -0.5, 0, 0}},
                    0,
                    0});
  const hence::policy_loss loss{ratio::token{}, clip::two_sided{1.0f, 1.0f}, kl::none{},
                                aggregate::token_mean{}};
  const auto check = [&](const auto& executor) {
    fixture::arrays<float> a(d, fixture::form::ragged, false);
    const auto r = hence::loss_and_gradient(executor, loss, a.ragged(), a.inputs(),
                                            hence::over_this_call, a.output(), hence::with_metrics);
    CHECK(r.metrics().clipped_high == 1);
    CHECK(r.metrics().clipped_low == 1);
    CHECK(r.metrics().clip_high_mean() == 0.125);
    CHECK(r.metrics().clip_low_mean() == 0.125);
    CHECK(r.metrics().clip_region_mean() == 0.25);
  };
  check(hence::cpu{});
  check(hence::reference<float>{});
}

TEST_CASE("absent bounds and rules without bounds have clip fraction 0") {
  const auto d = fixture::smooth_batch(3, {64}, {.per_token = true});
  const auto none = [&](auto rule) {
    const hence::policy_loss loss{ratio::token{}, rule, kl::none{}, aggregate::token_mean{}};
    const auto o = run(hence::cpu{}, loss, d);
    return o.low == 0 && o.high == 0 && o.tokens == 64 && o.kl_mean == 0;
  };
  CHECK(none(clip::two_sided{float(-inf), float(inf)}));
  CHECK(none(clip::cispo{float(-inf), float(inf)}));
  CHECK(none(fixture::pair_rule));
  CHECK(none(fixture::token_rule));
}

TEST_CASE("metrics of parts merge to those of the whole; the largest ratio takes a NaN") {
  using metrics = hence::policy_metrics<float>;
  metrics a, b, c;
  a.max_ratio = 2, b.max_ratio = 3, c.max_ratio = std::numeric_limits<float>::quiet_NaN();
  a.tokens = 3, b.tokens = 5;
  a.ratios.add(1.5f), b.ratios.add(2.5f);
  a.clipped_low = 1, b.clipped_high = 2;
  metrics total = a;
  total += b;
  CHECK(total.max_ratio == 3);
  CHECK(total.tokens == 8);
  CHECK(total.ratio_mean() == 0.5);
  CHECK(total.clip_region_mean() == 0.375);
  metrics ab = a;
  ab += c;
  CHECK(ab.max_ratio != ab.max_ratio);
  metrics ca = c;
  ca += a;
  CHECK(ca.max_ratio != ca.max_ratio);
  CHECK(metrics{}.ratio_mean() == 0);
  CHECK(metrics{}.clip_low_mean() == 0);
}

TEST_CASE("an overflowing ratio shows in the metrics") {
  fixture::description d;
  d.rows.push_back({{{-1, -101, 0, 0}, {-1, -1, 0, 0}}, 1, 0});
  const hence::policy_loss loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::none{},
                                aggregate::token_mean{}};
  const auto o = run(hence::cpu{}, loss, d);
  CHECK(o.ratio_max == inf);
  CHECK(o.ratio_mean == inf);
  CHECK(o.loss == doctest::Approx(-1.125));
  CHECK(o.conditions == hence::status::ok);
  CHECK(same_bits(o, run(hence::reference<float>{}, loss, d)));
}

TEST_CASE("without a KL term the KL is 0") {
  fixture::dice random(2);
  const auto d = fixture::random_batch(random, {5, 20});
  const hence::policy_loss loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::none{},
                                aggregate::token_mean{}};
  for (const auto& o : {run(hence::cpu{}, loss, d), run(hence::reference<float>{}, loss, d)}) {
    CHECK(o.kl_mean == 0);
    CHECK(o.tokens == 25);
  }
}
