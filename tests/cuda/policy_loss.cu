// Compositions that cover every branch of the kernel. Compiled to PTX and cubin for each
// architecture, judged by gate.cmake; nothing here runs without a GPU.
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy/recipe.hpp>

namespace {

/// A user's own rule: a struct with HENCE_FN, reading the whole token.
struct own_rule {
  float center;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return -t.ratio * t.advantage * exp(-(t.log_ratio - center) * (t.log_ratio - center)) +
           log1p(t.ratio) * t.score;
  }
};

template <class Choice = hence::without_metrics_t, class Loss, class Batch, class D>
void use(const Loss& loss, const Batch& batch, const D& d, float* p, void* state) {
  const hence::cuda::stream s = nullptr;
  const auto array = [&] {
    if constexpr (std::same_as<Batch, hence::ragged>)
      return hence::per_token<float>(hence::view<float>(p, 8));
    else
      return hence::per_token<float>(hence::view<float, 2>(p, 2, 4));
  }();
  const hence::logprobs<float> logp(array, {1.0});
  const hence::policy_inputs<float> in{logp, logp, logp, hence::view<const float>(p, 2), {}, {}};
  hence::cuda::loss_and_gradient(s, loss, batch, in, d, array,
                                 static_cast<hence::cuda::loss_state_for<Loss, D, Choice>*>(state),
                                 Choice{});
}

}  // namespace

void instantiate(float* p, const std::int64_t* cu_seqlens, void* state) {
  using namespace hence;
  const ragged rows{offsets(view<const std::int64_t>(cu_seqlens, 3)), {}};
  const padded block{2, 4, {}};
  const counts n(2, 2, 8, 8, 8, 8);
  // token level: KL and metrics; no KL, counted by the device; a detached ratio; a constant
  const auto grpo = recipe::grpo(0.2f);
  use<with_metrics_t>(grpo, rows, over_window(grpo.aggregation, n), p, state);
  use(recipe::dapo(), block, over_this_call, p, state);
  use(recipe::cispo(2.0f), rows, over_window(aggregate::token_mean{}, n), p, state);
  use(recipe::dr_grpo(0.2f, 2.0, 4.0), block, over_this_call, p, state);
  // sequence level: through the pooled ratio; with KL and metrics
  const policy_loss gspo{ratio::sequence{}, clip::two_sided{0.9997f, 1.0004f}, kl::none{},
                         aggregate::sequence_mean_token_mean{}};
  use(gspo, rows, over_all_ranks(gspo.aggregation, n), p, state);
  const policy_loss clamped{ratio::sequence{ratio::log_clamp{-20.0f, 20.0f}},
                            clip::two_sided{0.8f, 1.2f}, kl::k3{0.1f},
                            aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}};
  use<with_metrics_t>(clamped, block, over_this_call, p, state);
  // a user's rule
  const policy_loss own{ratio::token{}, own_rule{0.1f}, kl::k2{0.1f}, aggregate::token_mean{}};
  use(own, rows, over_window(own.aggregation, n), p, state);
}
