// The rest of the family: surrogates, KL policies, corrections, gate and bonus, so combined that
// each part is compiled for the device once. Judged as policy_loss.cu is; nothing here runs without
// a GPU.
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy/aggregate_prompt.hpp>
#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

namespace {

template <class Choice = hence::without_metrics_t, class Loss>
void use(const Loss& loss, float* p, const std::int64_t* cu_seqlens, void* state) {
  const hence::ragged rows{hence::offsets(hence::view<const std::int64_t>(cu_seqlens, 3)), {}};
  const hence::per_token<float> array(hence::view<float>(p, 8));
  const hence::logprobs<float> logp(array, {1.0});
  const hence::view<const float> of_rows(p, 2);
  const hence::policy_inputs<float> in{
      logp,    logp,  logp,
      of_rows, {},    of_rows,
      logp,    array, hence::view<const std::int64_t>(cu_seqlens, 2)};
  const auto window = [&] {
    if constexpr (hence::detail::prompt_aggregation<decltype(loss.aggregation)>)
      return hence::over_window(loss.aggregation, hence::prompt_counts(2, 2));
    else
      return hence::over_window(loss.aggregation, hence::counts(2, 2, 8, 8, 8, 8));
  }();
  using state_t = hence::cuda::loss_state_for<Loss, std::remove_const_t<decltype(window)>, Choice>;
  hence::cuda::loss_and_gradient(nullptr, loss, rows, in, window, {array, array},
                                 static_cast<state_t*>(state), Choice{});
}

}  // namespace

void instantiate(float* p, const std::int64_t* cu_seqlens, void* state) {
  using namespace hence;
  namespace c = correction;
  const auto with = [&](const auto& loss) { use(loss, p, cu_seqlens, state); };
  const auto with_all_metrics = [&](const auto& loss) {
    use<with_metrics_t>(loss, p, cu_seqlens, state);
  };
  const aggregate::token_mean mean{};
  const aggregate::sequence_mean_token_sum sum{};
  const ratio::unclamped free{};
  const c::rollout tis{c::token_level{}, c::truncate{0.0f, 2.0f}, c::policy_only{}};
  const c::rollout icepop{c::token_level{}, c::mask{0.5f, 5.0f}, c::policy_and_kl{}};
  const c::rollout whole{c::sequence_level{}, c::mask{0.5f, 3.0f}, c::policy_only{},
                         ratio::log_clamp{-20.0f, 20.0f}};
  const c::rollout geometric{c::geometric_level{}, c::reject{0.99f, 1.01f}, c::policy_and_kl{}};
  with(policy_loss{ratio::token{free, ratio::against_self{}}, clip::dual{0.8f, 1.2f, 3.0f},
                   kl::k3{0.1f, kl::ratio_weighted{}}, mean, tis});
  with(policy_loss{ratio::token{free, ratio::against_rollout{}},
                   clip::upper_bound{0.8f, 1.2f, 4.0f}, kl::k1{0.1f, kl::as_k2_importance{10.0f}},
                   sum, icepop});
  with(policy_loss{ratio::sequence_token{}, clip::sapo{1.0f, 1.05f},
                   kl::absolute{0.1f, kl::own{}, kl::saturated{10.0f, 1.0f}}, sum, whole});
  with(policy_loss{ratio::sequence_product{}, clip::none{},
                   kl::k3{0.1f, kl::ratio_weighted{}, kl::clamped{-20.0f, 20.0f, -10.0f, 10.0f}},
                   mean, geometric});
  with(policy_loss{ratio::sequence{}, clip::gmpo{-0.4f, 0.4f}, kl::none{}, mean,
                   c::veto{0.001f, 1000.0f, c::policy_only{}}});
  with(policy_loss{
      ratio::token{}, clip::vespo{2.0f, 3.0f, 3.0f, 2.0f}, kl::none{},
      aggregate::prompt_mean_sequence_mean{aggregate::all_prompts{}, aggregate::non_empty_rows{}},
      tis});
  with_all_metrics(policy_loss{ratio::token{},
                               clip::dppo_kl{0.05f, 0.05f, clip::weight_capped{20.0f}},
                               kl::k3{0.1f, kl::as_k2{}}, mean, c::none{},
                               gate::opsm{0.1f, ratio::against_rollout{}}, entropy::bonus{0.01f}});
  with(policy_loss{ratio::token{}, clip::dppo_kl{0.05f, 0.05f, clip::through_ratio{}}, kl::none{},
                   aggregate::sequence_mean_token_sum_over{4.0}});
  with(policy_loss{ratio::token{}, clip::dppo_tv{0.2f, 0.2f, clip::weight_capped{20.0f}},
                   kl::none{}, aggregate::sequence_mean_token_mean_over{4.0}});
  with(policy_loss{ratio::token{}, clip::dppo_tv{0.2f, 0.2f, clip::through_ratio{}}, kl::none{},
                   mean, c::none{}, gate::opsm{0.1f, ratio::against_old{}}});
  with(policy_loss{ratio::token{}, clip::topr{0.0f, 1.0f}, kl::none{}, mean,
                   c::vetoed{tis, 0.001f, 1000.0f}});
  with(policy_loss{ratio::token{}, clip::dro{0.1f}, kl::none{},
                   aggregate::prompt_mean_token_mean{aggregate::all_prompts{}}});
  with(policy_loss{ratio::sequence_product{}, clip::dro_log_ratio{0.1f}, kl::none{}, mean});
  with(policy_loss{ratio::token{}, clip::band{0.5f, 2.0f}, kl::none{}, aggregate::constant{8.0}});
  with(policy_loss{ratio::token{}, clip::reinforce{}, kl::none{}, mean});
}
