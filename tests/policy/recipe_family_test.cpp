#include <hence/policy/recipe_family.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>

namespace {

namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;
namespace recipe = hence::recipe;

template <class X, class Y> constexpr bool is = std::is_same_v<std::remove_cvref_t<X>, Y>;

}  // namespace

TEST_CASE("DeepSeek-R1: 0.001, epsilon 10, per token or per output, and its schedule") {
  const auto zero = recipe::deepseek_r1_zero<double>(0.2);
  CHECK(is<decltype(zero.ratio), ratio::token<>>);
  CHECK(zero.kl.coef == 0.001);
  CHECK(zero.surrogate.low == 0.8);
  CHECK(zero.surrogate.high == 1.2);
  const auto zero_whole = recipe::deepseek_r1_zero_per_output<double>(0.2);
  CHECK(zero_whole.surrogate.low == 0.8);
  CHECK(zero_whole.surrogate.high == 1.2);
  const auto whole = recipe::deepseek_r1_stage1_per_output<double>();
  CHECK(is<decltype(whole.ratio), ratio::sequence_product<>>);
  CHECK(whole.surrogate.low == -9);
  CHECK(whole.surrogate.high == 11);
  CHECK(whole.kl.coef == 0.001);
  CHECK(is<decltype(whole.aggregation), aggregate::sequence_mean_token_mean<aggregate::all_rows>>);
  constexpr auto s = recipe::deepseek_r1_zero_schedule;
  CHECK(s.group * s.questions == 512);
  CHECK(s.rollout / s.minibatches == 512);
  CHECK(s.refresh_reference == 400);
  CHECK(s.temperature == 1);
  CHECK(s.steps == 10400);
  CHECK(recipe::deepseek_r1_stage2_schedule.temperature == 0.7);
  CHECK(recipe::deepseek_r1_stage2_schedule.steps == 1700);
  CHECK(recipe::deepseek_r1_stage2_schedule.preference_steps == 400);
}

TEST_CASE("the constants of the other papers") {
  const auto gspo = recipe::gspo<double>();
  CHECK(is<decltype(gspo.ratio), ratio::sequence<>>);
  CHECK(gspo.surrogate.low == 1 - 3e-4);
  CHECK(gspo.surrogate.high == 1 + 4e-4);
  CHECK(is<decltype(recipe::gspo_token().ratio), ratio::sequence_token<>>);
  CHECK(is<decltype(recipe::luspo(0.1f, 0.2f).aggregation),
           aggregate::sequence_mean_token_sum<aggregate::all_rows>>);
  CHECK(recipe::luspo(0.1, 0.2).surrogate.low == 0.9);
  CHECK(recipe::luspo(0.1, 0.2).surrogate.high == 1.2);
  CHECK(recipe::luspo<double>().surrogate.low == 1 - 2e-3);
  CHECK(recipe::luspo<double>().surrogate.high == 1 + 2.5e-3);
  CHECK(recipe::gspo_token<double>().surrogate.low == 1 - 3e-4);
  CHECK(recipe::gspo_token<double>().surrogate.high == 1 + 4e-4);
  CHECK(recipe::gmpo<double>().surrogate.log_low == -0.4);
  CHECK(recipe::gmpo<double>().surrogate.log_high == 0.4);
  CHECK(recipe::sapo<double>().surrogate.tau_pos == 1);
  CHECK(recipe::sapo<double>().surrogate.tau_neg == 1.05);
  for (const auto& i : {recipe::intellect_2(0.2, 4.0, 0.001), recipe::intellect_2<double>()}) {
    CHECK(i.surrogate.low == 0.8);
    CHECK(i.surrogate.high == 1.2);
    CHECK(i.surrogate.delta == 4);
    CHECK(i.kl.coef == 0.001);
  }
  CHECK(is<decltype(recipe::dppo_tv(0.2f, 0.2f).ratio.anchor), ratio::against_rollout>);
  CHECK(recipe::vespo<double>().surrogate.k_pos == 2);
  CHECK(recipe::vespo<double>().surrogate.lambda_pos == 3);
  CHECK(recipe::vespo<double>().surrogate.k_neg == 3);
  CHECK(recipe::vespo<double>().surrogate.lambda_neg == 2);
  CHECK(recipe::kimi_k1_5(0.1).surrogate.beta == 0.1);
  CHECK(recipe::kimi_k1_5_per_token(0.1).surrogate.beta == 0.1);
  CHECK(is<decltype(recipe::intellect_2().surrogate), clip::upper_bound<float>>);
  const auto v3 = recipe::deepseek_v3_2(0.2, 0.001, 0.5);
  CHECK(is<decltype(v3.kl), kl::k3<double, kl::ratio_weighted>>);
  CHECK(v3.gate.threshold == 0.5);
  CHECK(v3.surrogate.low == 0.8);
  CHECK(v3.surrogate.high == 1.2);
  CHECK(v3.kl.coef == 0.001);
  CHECK(is<decltype(recipe::rloo(0.2f).ratio), ratio::sequence_product<>>);
  CHECK(recipe::rloo(0.2).surrogate.low == 0.8);
  CHECK(recipe::rloo(0.2).surrogate.high == 1.2);
  CHECK(recipe::dppo_tv(0.1, 0.2).surrogate.delta_low == 0.1);
  CHECK(recipe::dppo_tv(0.1, 0.2).surrogate.delta_high == 0.2);
}

TEST_CASE("Kimi k1.5 squares the log-ratio of the whole output") {
  // gradient of -A L + tau/2 L^2, L the sum of the row's d: -A + tau L for each token, over the
  // rows
  const std::vector<double> advantages{-1, 2}, old{-1, -2, -3, -4}, logp{-0.5, -2.5, -2.75, -3.875};
  const std::vector<std::int64_t> cu{0, 3, 4};
  const double tau = 0.5;
  std::vector<double> gradient(4);
  const hence::policy_inputs<double> in{.logp = {logp, {.temperature = 1.0}},
                                        .old = {old, {.temperature = 1.0}},
                                        .advantages = advantages};
  const auto result = hence::loss_and_gradient(hence::reference<double>{}, recipe::kimi_k1_5(tau),
                                               hence::ragged{.cu_seqlens = cu}, in,
                                               hence::over_this_call, gradient);
  const std::vector<double> whole{0.25, 0.125};
  double loss = 0;
  for (std::size_t i = 0; i < 2; ++i)
    loss += (-advantages[i] * whole[i] + tau / 2 * whole[i] * whole[i]) / 2;
  CHECK(result.loss() == doctest::Approx(loss).epsilon(1e-14));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t row = i / 3;
    CHECK(gradient[i] == doctest::Approx((-advantages[row] + tau * whole[row]) / 2).epsilon(1e-14));
  }
}

TEST_CASE("DeepSeek-V3.2 masks rows by what the rollout engine returned") {
  const std::vector<float> logp{-1, -1}, near{-1, -1}, far{-0.2f, -0.2f}, advantages{-1};
  const std::vector<std::int64_t> cu{0, 2};
  const auto gradient_with = [&](const std::vector<float>& old, const std::vector<float>& rollout) {
    std::vector<float> gradient(2);
    const hence::sampled how{.temperature = 1.0};
    const hence::policy_inputs<float> in{.logp = {logp, how},
                                         .old = {old, how},
                                         .ref = {logp, how},
                                         .advantages = advantages,
                                         .rollout = {rollout, how}};
    hence::loss_and_gradient(hence::cpu{}, recipe::deepseek_v3_2(0.2f, 0.001f, 0.1f),
                             hence::ragged{.cu_seqlens = cu}, in, hence::over_this_call, gradient);
    return gradient[0];
  };
  CHECK(gradient_with(near, far) == 0);
  CHECK(gradient_with(near, near) != 0);
}

TEST_CASE("each of them runs, with equal bits from packs") {
  fixture::dice random(9);
  const auto d = fixture::random_batch(random, {30, 0, 7, 18}, {.live = 0.8});
  const auto check = [&](const auto& loss) {
    const auto o = fixture::run(hence::reference<float>{}, loss, d);
    CHECK(o.conditions == hence::status::ok);
    CHECK(fixture::same_bits(o, fixture::run(hence::cpu{}, loss, d, fixture::form::holes)));
  };
  check(recipe::deepseek_r1_zero(0.2f));
  check(recipe::deepseek_r1_stage1_per_output());
  check(recipe::gspo());
  check(recipe::gspo_token());
  check(recipe::luspo(0.01f, 0.02f));
  check(recipe::gmpo());
  check(recipe::sapo());
  check(recipe::intellect_2(0.2f, 4.0f, 0.001f));
  check(recipe::dppo_tv(0.1f, 0.1f));
  check(recipe::vespo());
  check(recipe::kimi_k1_5(0.1f));
  check(recipe::kimi_k1_5_per_token(0.1f));
  check(recipe::deepseek_v3_2(0.2f, 0.001f, 0.1f));
  check(recipe::rloo(0.2f));
}
