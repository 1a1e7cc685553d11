#include "composition_checks.hpp"

namespace {

using fixture::run;
using fixture::spec_of;
namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

const hence::policy_loss token_loss{ratio::token{}, clip::two_sided{0.75, 1.25}, kl::k3{0.0625},
                                    aggregate::token_mean{}};
const hence::policy_loss sequence_loss{ratio::sequence{}, clip::two_sided{0.75, 1.25},
                                       kl::k1{0.0625}, aggregate::sequence_mean_token_mean{}};

}  // namespace

TEST_CASE("long rows: the closed form to 1e-13 in double") {
  const auto check = [](const auto& loss) {
    const auto d = fixture::smooth_batch(1, {400, 3, 1100, 0, 60}, {.live = 0.9});
    const auto o = run(hence::reference<double>{}, loss, d);
    const auto error = deviation_of(o, oracle::evaluate(spec_of(loss), d));
    CHECK(error.loss < 1e-13);
    CHECK(error.gradient < 1e-13);
  };
  check(token_loss);
  check(sequence_loss);
}

TEST_CASE("long rows: 5e-6 of the largest element in float, and cancelling log-ratios") {
  const auto check = [](const auto& loss) {
    // log-probs near -30 whose difference keeps few digits, and ratios near and far
    for (const double spread : {1e-3, 0.3, 3.0}) {
      auto d = fixture::smooth_batch(2, {300, 90}, {.spread = spread});
      for (auto& r : d.rows)
        for (auto& p : r.at) p.logp -= 28, p.old -= 28, p.ref -= 28;
      for (auto& r : d.rows)
        for (auto& p : r.at)
          p.logp = static_cast<float>(p.logp), p.old = static_cast<float>(p.old),
          p.ref = static_cast<float>(p.ref);
      const auto error =
          deviation_of(run(hence::reference<float>{}, loss, d), oracle::evaluate(spec_of(loss), d));
      CHECK(error.loss < 5e-6);
      CHECK(error.gradient < 5e-6);
    }
  };
  check(hence::policy_loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::k3{0.0625f},
                           aggregate::token_mean{}});
  check(hence::policy_loss{ratio::sequence{}, clip::two_sided{0.75f, 1.25f}, kl::k2{0.0625f},
                           aggregate::sequence_mean_token_mean{}});
  check(hence::policy_loss{ratio::token{}, clip::cispo{0.75f, 1.25f}, kl::k3{0.0625f, kl::as_k2{}},
                           aggregate::constant{64}});
}

TEST_CASE("exactly at the bounds: r, the log-ratio and A") {
  // exp(0) = 1 is a bound of both rules, and 0.25 and -0.25 of the log clamp
  fixture::description d;
  for (const double a : {-1.5, 0.0, 2.0})
    d.rows.push_back(
        {{{-1, -1, -1, 0}, {-1, -1.25, -1.5, 0}, {-1, -0.75, -0.5, 0}, {-2, -2, 0, 0}}, a, 0});
  const auto check = [&](double low, double high) {
    const auto at_level = [&](auto level) {
      const hence::policy_loss ppo{level, clip::two_sided{low, high}, kl::k3{0.5},
                                   aggregate::token_mean{}};
      const hence::policy_loss cispo{level, clip::cispo{low, high}, kl::none{},
                                     aggregate::token_mean{}};
      const auto ppo_error =
          deviation_of(run(hence::reference<double>{}, ppo, d), oracle::evaluate(spec_of(ppo), d));
      CHECK(ppo_error.loss < 1e-15);
      CHECK(ppo_error.gradient < 1e-15);
      const auto cispo_error = deviation_of(run(hence::reference<double>{}, cispo, d),
                                            oracle::evaluate(spec_of(cispo), d));
      CHECK(cispo_error.loss < 1e-15);
      CHECK(cispo_error.gradient < 1e-15);
    };
    at_level(ratio::token{ratio::log_clamp{-0.25, 0.25}});
    at_level(ratio::sequence{ratio::log_clamp{-0.25, 0.0}});
    at_level(ratio::sequence{ratio::log_clamp{0.0, 0.25}});
    at_level(ratio::token{});
  };
  check(1, 1.25);
  check(0.75, 1);
  check(1, 1);
}

TEST_CASE("empty rows count for the mean of all rows and for nothing else") {
  const auto d = fixture::smooth_batch(4, {6, 0, 9, 0, 0});
  for (const auto rows : {5.0, 2.0}) {
    const auto check = [&](auto aggregation) {
      const hence::policy_loss loss{ratio::token{}, clip::two_sided{0.75, 1.25}, kl::none{},
                                    aggregation};
      const hence::policy_loss one{ratio::token{}, clip::two_sided{0.75, 1.25}, kl::none{},
                                   aggregate::sequence_mean_token_mean_over{1}};
      CHECK(run(hence::reference<double>{}, loss, d).loss ==
            doctest::Approx(run(hence::reference<double>{}, one, d).loss / rows).epsilon(1e-15));
    };
    if (rows == 5)
      check(aggregate::sequence_mean_token_mean{});
    else
      check(aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}});
  }
}

TEST_CASE("a policy mask without any policy token in a row leaves the row's KL term") {
  auto d = fixture::smooth_batch(5, {6, 7}, {.roles = true});
  for (auto& p : d.rows[0].at) p.policy = false, p.kl = true;
  for (auto& p : d.rows[1].at) p.policy = true, p.kl = false;
  const auto check = [&](const auto& loss) {
    const auto o = run(hence::reference<double>{}, loss, d);
    const auto error = deviation_of(o, oracle::evaluate(spec_of(loss), d));
    CHECK(error.loss < 1e-14);
    CHECK(error.gradient < 1e-14);
    CHECK(o.counts.policy_tokens == 7);
    CHECK(o.counts.kl_tokens == 6);
  };
  check(token_loss);
  check(sequence_loss);
}

TEST_CASE("the divisor of a mean is at least 1, and wide") {
  CHECK(hence::detail::mean_divisor<float>(0) == 1);
  CHECK(hence::detail::mean_divisor<float>(1) == 1);
  CHECK(hence::detail::mean_divisor<float>((std::int64_t{1} << 31) + 1) == 2147483649.0);
}
