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
  CHECK(s.epochs == 1);
  CHECK(s.learning_rate == 3e-6);
  CHECK(s.max_tokens == 32768);
  CHECK(s.longer_from == 8200);
  CHECK(s.longer_max == 65536);
  for (const auto& later :
       {recipe::deepseek_r1_stage1_schedule, recipe::deepseek_r1_stage2_schedule}) {
    CHECK(later.learning_rate == 3e-6);
    CHECK(later.epochs == 1);
    CHECK(later.max_tokens == 32768);
    CHECK(later.longer_from == 0);
    CHECK(later.longer_max == 0);
  }
  CHECK(recipe::deepseek_r1_stage1_schedule.temperature == 1);
  CHECK(recipe::deepseek_r1_stage1_schedule.preference_steps == 0);
  const auto second = recipe::deepseek_r1_stage2<double>();
  CHECK(is<decltype(second), decltype(recipe::deepseek_r1_stage1<double>())>);
  CHECK(second.surrogate.high == 11);
  CHECK(second.kl.coef == 0.001);
  const auto second_whole = recipe::deepseek_r1_stage2_per_output<double>();
  CHECK(is<decltype(second_whole.ratio), ratio::sequence_product<>>);
  CHECK(second_whole.surrogate.high == 11);
  CHECK(second_whole.kl.coef == 0.001);
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
  CHECK(recipe::intellect_2().surrogate.delta == 4.0f);
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

TEST_CASE("PPO and what is made of it") {
  const auto is_ppo = [](const auto& l) {
    CHECK(is<decltype(l.ratio), ratio::token<>>);
    CHECK(is<decltype(l.surrogate), clip::two_sided<double>>);
    CHECK(l.surrogate.low == 0.8);
    CHECK(l.surrogate.high == 1.2);
  };
  is_ppo(recipe::ppo(0.2));
  is_ppo(recipe::reinforce_plus_plus(0.2));
  is_ppo(recipe::clip_cov_loss(0.2));
  const auto plus = recipe::reinforce_plus_plus_baseline(0.2, 0.01);
  is_ppo(plus);
  CHECK(is<decltype(plus.kl), kl::k2<double, kl::own>>);
  CHECK(plus.kl.coef == 0.01);
  CHECK(is<decltype(plus.aggregation), aggregate::token_mean>);
  CHECK(is<decltype(recipe::ppo(0.2).kl), kl::none>);
  CHECK(is<decltype(recipe::ppo(0.2).aggregation), aggregate::token_mean>);
  const auto dual = recipe::dual_clip(0.2, 3.0);
  CHECK(dual.surrogate.low == 0.8);
  CHECK(dual.surrogate.high == 1.2);
  CHECK(dual.surrogate.c == 3);
  CHECK(is<decltype(dual.kl), kl::none>);
  CHECK(is<decltype(dual.aggregation), aggregate::token_mean>);
  const auto ice = recipe::icepop(0.2, 0.01, 0.5, 5.0);
  is_ppo(ice);
  CHECK(is<decltype(ice.kl), kl::k3<double, kl::own>>);
  CHECK(ice.kl.coef == 0.01);
  CHECK(is<decltype(ice.aggregation), aggregate::sequence_mean_token_mean<aggregate::all_rows>>);
  CHECK(is<decltype(ice.correction.level), hence::correction::token_level>);
  CHECK(is<decltype(ice.correction.mode), hence::correction::mask<double>>);
  CHECK(is<decltype(ice.correction.scope), hence::correction::policy_only>);
  CHECK(ice.correction.mode.low == 0.5);
  CHECK(ice.correction.mode.high == 5);
}

TEST_CASE("losses with masks or prompts of their own") {
  const auto cov = recipe::kl_cov_loss(0.1);
  CHECK(is<decltype(cov.ratio), ratio::token<>>);
  CHECK(is<decltype(cov.surrogate), clip::none>);
  CHECK(is<decltype(cov.kl), kl::absolute<double, kl::own>>);
  CHECK(cov.kl.coef == 0.1);
  CHECK(is<decltype(cov.aggregation), aggregate::token_mean>);
  CHECK(is<decltype(recipe::top_entropy_loss()), decltype(recipe::dapo())>);
  CHECK(recipe::top_entropy_loss<double>().surrogate.high == 1.28);
  const auto scale = recipe::scale_rl(5.0);
  CHECK(is<decltype(scale.ratio), ratio::token<>>);
  CHECK(is<decltype(scale.surrogate), clip::cispo<double>>);
  CHECK(scale.surrogate.low < -1e308);
  CHECK(scale.surrogate.high == 5);
  CHECK(is<decltype(scale.aggregation),
           aggregate::prompt_mean_token_mean<aggregate::non_empty_prompts>>);
  const auto topr = recipe::topr<double>();
  CHECK(is<decltype(topr.ratio), ratio::sequence_product<>>);
  CHECK(topr.surrogate.least == 0);
  CHECK(topr.surrogate.greatest == 1);
  CHECK(is<decltype(topr.aggregation), aggregate::sequence_mean_token_sum<aggregate::all_rows>>);
  const auto dppo = recipe::dppo_kl(0.1, 0.2);
  CHECK(is<decltype(dppo.ratio.anchor), ratio::against_rollout>);
  CHECK(is<decltype(dppo.surrogate), clip::dppo_kl<double, clip::through_ratio>>);
  CHECK(dppo.surrogate.delta_low == 0.1);
  CHECK(dppo.surrogate.delta_high == 0.2);
  CHECK(is<decltype(recipe::dppo_tv(0.1, 0.2).surrogate),
           clip::dppo_tv<double, clip::through_ratio>>);
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
  check(recipe::dual_clip(0.2f, 3.0f));
  check(recipe::reinforce_plus_plus_baseline(0.2f, 0.01f));
  check(recipe::topr());
  check(recipe::icepop(0.2f, 0.01f, 0.5f, 5.0f));
  check(recipe::kl_cov_loss(0.1f));
  check(recipe::dppo_kl(0.1f, 0.1f));
}

TEST_CASE("ScaleRL's loss is the mean of its prompts' token means") {
  fixture::dice random(10);
  const auto d = fixture::random_batch(random, {5, 9, 3, 7}, {.live = 0.8});
  fixture::arrays<double> a(d, fixture::form::ragged);
  const auto loss = recipe::scale_rl(1.0625);
  const std::vector<std::int64_t> cu{0, 1, 4};
  std::vector<std::int64_t> sizes(4);
  const auto window = hence::over_window(
      loss.aggregation,
      hence::count_prompts(loss.aggregation, a.ragged(), hence::groups{.cu_groups = cu}, sizes));
  auto in = a.inputs();
  in.prompt_sizes = sizes;
  const auto result = hence::loss_and_gradient(hence::reference<double>{}, loss, a.ragged(), in,
                                               window, a.output());
  double wanted = 0;
  for (std::size_t g = 0; g < 2; ++g) {
    double sum = 0, n = 0;
    for (auto i = std::size_t(cu[g]); i < std::size_t(cu[g + 1]); ++i)
      for (const auto& p : d.rows[i].at)
        if (p.live)
          sum -= std::min(std::exp(p.logp - p.old), 1.0625) * d.rows[i].advantage * p.logp, n += 1;
    wanted += sum / n / 2;
  }
  CHECK(result.loss() == doctest::Approx(wanted).epsilon(1e-12));
}
