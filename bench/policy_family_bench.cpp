// Every part of the family in place of the slice's, value and gradient, 512 x 4096 tokens, each
// against the time to move its own bytes: three to five arrays read, one or two written.
// policy_bench.cpp has the slice itself and its small batch.
#include "probe.hpp"

#include <hence/policy.hpp>
#include <hence/policy/recipe_family.hpp>

#include <random>

namespace {

using hence::policy_loss;
namespace ratio = hence::ratio;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace correction = hence::correction;
namespace gate = hence::gate;
namespace entropy = hence::entropy;
namespace aggregate = hence::aggregate;

constexpr std::int64_t rows = 512, width = 4096;

/// The arrays of one batch, made once.
struct arrays {
  std::size_t n = static_cast<std::size_t>(rows * width);
  std::mt19937 random{1};
  std::uniform_real_distribution<float> uniform{-1, 1};
  probe::array logp{n, [&](std::size_t) { return -1 + 0.9f * uniform(random); }};
  probe::array old{n, [&](std::size_t i) { return logp.data()[i] + 0.2f * uniform(random); }};
  probe::array ref{n, [&](std::size_t i) { return logp.data()[i] + 0.3f * uniform(random); }};
  probe::array rollout{n, [&](std::size_t i) { return old.data()[i] + 0.05f * uniform(random); }};
  probe::array entropies{n, [&](std::size_t) { return 1 + uniform(random); }};
  probe::array gradient{n, [](std::size_t) { return 0.0f; }};
  probe::array entropy_gradient{n, [](std::size_t) { return 0.0f; }};
  std::vector<float> advantages, scores;

  arrays() {
    for (std::int64_t i = 0; i < rows; ++i) {
      advantages.push_back(uniform(random));
      scores.push_back(advantages.back() > 0 ? 1.0f : 0.0f);
    }
  }
};
arrays& data() {
  static arrays all;
  return all;
}

/// \tparam Inputs how many arrays of tokens the loss reads. \tparam Outputs how many it writes.
template <int Inputs, int Outputs = 1, class Loss> void family(const char* name, const Loss& loss) {
  const auto body = [loss](benchmark::State& state) {
    arrays& d = data();
    const auto on = [](probe::array& a) {
      return hence::view<const float, 2>(a.data(), rows, width);
    };
    const hence::padded batch{.rows = rows, .width = width};
    hence::policy_inputs<float> in{.logp = {on(d.logp), {.temperature = 1.0}},
                                   .old = {on(d.old), {.temperature = 1.0}},
                                   .ref = {on(d.ref), {.temperature = 1.0}},
                                   .advantages = d.advantages,
                                   .scores = d.scores,
                                   .rollout = {on(d.rollout), {.temperature = 1.0}}};
    const hence::view<float, 2> gradient(d.gradient.data(), rows, width);
    hence::policy_gradients<float> out{gradient};
    if constexpr (Outputs == 2) {
      in.entropy = on(d.entropies);
      out.entropy = hence::view<float, 2>(d.entropy_gradient.data(), rows, width);
    }
    const float* streams[] = {d.logp.data(), d.old.data(), d.ref.data(), d.rollout.data(),
                              d.entropies.data()};
    const auto bound = [&]<bool Streaming>() {
      probe::sum_streams<Inputs, Streaming>(streams, d.gradient.data(), d.n);
      if constexpr (Outputs == 2)
        probe::sum_streams<0, Streaming>(streams, d.entropy_gradient.data(), d.n);
    };
    probe::run(
        state, d.n,
        [&] {
          benchmark::DoNotOptimize(hence::loss_and_gradient(hence::cpu{}, loss, batch, in,
                                                            hence::over_this_call, out,
                                                            hence::without_metrics_t{}));
        },
        [&] { bound.template operator()<false>(); }, [&] { bound.template operator()<true>(); });
  };
  benchmark::RegisterBenchmark(name, body)->UseManualTime()->MinTime(0.3);
}

/// The slice with another surrogate, against the old policy unless `anchor` says otherwise.
template <int Inputs = 3, class Surrogate, class Ratio = ratio::token<>>
void surrogate(const char* name, const Surrogate& s, const Ratio& r = {}) {
  family<Inputs>(name, policy_loss{r, s, kl::k3{0.04f}, aggregate::token_mean{}});
}
template <class Kl> void estimator(const char* name, const Kl& k) {
  family<3>(name,
            policy_loss{ratio::token{}, clip::two_sided{0.8f, 1.2f}, k, aggregate::token_mean{}});
}
template <class Correction> void corrected(const char* name, const Correction& c) {
  family<4>(name, policy_loss{ratio::token{}, clip::two_sided{0.8f, 1.2f}, kl::k3{0.04f},
                              aggregate::token_mean{}, c});
}
template <class Aggregation> void aggregated(const char* name, const Aggregation& a) {
  family<3>(name, policy_loss{ratio::token{}, clip::two_sided{0.8f, 1.2f}, kl::k3{0.04f}, a});
}

void register_all() {
  constexpr clip::two_sided two_sided{0.8f, 1.2f};
  constexpr kl::k3 k3{0.04f};
  constexpr aggregate::token_mean mean{};
  estimator("token/the slice", k3);
  surrogate("token/surrogate dual", clip::dual{0.8f, 1.2f, 3.0f});
  surrogate("token/surrogate upper_bound", clip::upper_bound{0.8f, 1.2f, 4.0f});
  surrogate("token/surrogate none", clip::none{});
  surrogate<2>("token/surrogate reinforce", clip::reinforce{});
  surrogate("token/surrogate cispo", clip::cispo{0.0f, 5.0f});
  surrogate("token/surrogate band", clip::band{0.5f, 2.0f});
  surrogate("token/surrogate sapo", clip::sapo{1.0f, 1.05f});
  surrogate("token/surrogate topr", clip::topr{0.0f, 1.0f});
  surrogate("token/surrogate dro", clip::dro{0.1f});
  surrogate("token/surrogate dppo_tv", clip::dppo_tv{0.2f, 0.2f, clip::through_ratio{}});
  surrogate("token/surrogate dppo_kl", clip::dppo_kl{0.05f, 0.05f, clip::through_ratio{}});
  surrogate("token/ratio log_clamp", two_sided, ratio::token{ratio::log_clamp{-20.0f, 20.0f}});
  surrogate<2>("token/ratio against_self", two_sided,
               ratio::token{ratio::unclamped{}, ratio::against_self{}});
  estimator("token/kl k1", kl::k1{0.04f});
  estimator("token/kl k2", kl::k2{0.04f});
  estimator("token/kl absolute", kl::absolute{0.04f});
  estimator("token/kl k3 as_k2", kl::k3{0.04f, kl::as_k2{}});
  estimator("token/kl k3 as_k2_importance", kl::k3{0.04f, kl::as_k2_importance{2.0f}});
  estimator("token/kl k3 ratio_weighted", kl::k3{0.04f, kl::ratio_weighted{}});
  estimator("token/kl k3 clamped",
            kl::k3{0.04f, kl::own{}, kl::clamped{-20.0f, 20.0f, -10.0f, 10.0f}});
  estimator("token/kl k3 saturated", kl::k3{0.04f, kl::own{}, kl::saturated{10.0f, 1.0f}});
  family<2>("token/kl none", policy_loss{ratio::token{}, two_sided, kl::none{}, mean});
  corrected("token/correction truncate",
            correction::rollout{correction::token_level{}, correction::truncate{0.0f, 2.0f},
                                correction::policy_only{}});
  corrected("token/correction mask, policy and kl",
            correction::rollout{correction::token_level{}, correction::mask{0.5f, 2.0f},
                                correction::policy_and_kl{}});
  family<4, 2>("token/entropy bonus",
               policy_loss{ratio::token{}, two_sided, k3, mean, correction::none{}, gate::none{},
                           entropy::bonus{0.01f}});
  aggregated("token/aggregate sequence_mean_token_mean", aggregate::sequence_mean_token_mean{});
  aggregated("token/aggregate sequence_mean_token_sum", aggregate::sequence_mean_token_sum{});
  aggregated("token/aggregate constant", aggregate::constant{4096.0 * 512});

  const auto sequence = [&](const char* name, const auto& r, const auto& s) {
    family<3>(name, policy_loss{r, s, k3, aggregate::sequence_mean_token_mean{}});
  };
  sequence("sequence/ratio sequence", ratio::sequence{}, two_sided);
  sequence("sequence/ratio sequence_token", ratio::sequence_token{}, two_sided);
  sequence("sequence/ratio sequence_product", ratio::sequence_product{}, two_sided);
  sequence("sequence/surrogate gmpo", ratio::sequence{}, clip::gmpo{-0.4f, 0.4f});
  sequence("sequence/surrogate vespo", ratio::token{}, clip::vespo{2.0f, 3.0f, 3.0f, 2.0f});
  corrected("sequence/correction sequence truncate",
            correction::rollout{correction::sequence_level{}, correction::truncate{0.0f, 2.0f},
                                correction::policy_only{}});
  corrected("sequence/correction geometric mask",
            correction::rollout{correction::geometric_level{}, correction::mask{0.9f, 1.1f},
                                correction::policy_only{}});
  corrected("sequence/correction veto", correction::veto{1e-4f, 1e4f, correction::policy_only{}});
  family<3>("sequence/gate opsm",
            policy_loss{ratio::token{}, two_sided, k3, mean, correction::none{},
                        gate::opsm{0.1f, ratio::against_old{}}});
}
const bool registered = (register_all(), true);

}  // namespace
