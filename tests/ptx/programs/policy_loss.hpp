// The batches and compositions of the policy-loss program, for both its halves.
#pragma once

#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/recipe.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <string>
#include <vector>

#include "policy_loss_ends.hpp"

namespace policy_case {

inline std::vector<batch> batches() {
  std::vector<batch> out;
  unsigned seed = 1;
  for (const bool padded : {false, true})
    for (int kind = padded ? 1 : 0; kind < 4; ++kind) {
      out.push_back(make({0, 5, 1, 131, 64}, padded, kind, seed++));
      // kinds 0 and 2 of ragged rows reach every warp and a second step
      out.push_back(make({!padded && kind % 2 == 0 ? 1030 : 300, 3}, padded, kind, seed++));
    }
  for (const bool padded : {false, true}) {
    out.push_back(make({3, 1, 9, 2, 0, 4, 1, 1, 5}, padded, 2, seed++, reach::all));
    out.push_back(make({0, 5, 60, 1}, padded, 3, seed++, reach::all));
  }
  bool padded = false;
  for (const reach values : {reach::high, reach::low, reach::both, reach::nan})
    out.push_back(make({37, 0, 5}, padded = !padded, 3, seed++, values));
  for (int kind = 4; kind < 7; ++kind) {  // one mask alone, of a role
    out.push_back(make({9, 0, 40}, false, kind, seed++));
    out.push_back(make({40, 5}, true, kind, seed++));
  }
  add_ends(out, seed);
  return out;
}

/// Where the arrays of a batch lie: with the host or with the device.
struct arrays {
  const std::int64_t* cu;
  const std::int32_t* narrow_cu;
  const std::uint8_t* masks[4];
  const float *logp, *old, *ref, *rollout, *token_advantages, *advantages;
};

/// Calls f(batch, inputs, array -> per_token) with the batch as hence takes it.
template <class F> void with_views(const batch& b, const arrays& a, F&& f) {
  const auto call = [&](const auto& in_hence, const auto& per_token) {
    hence::policy_inputs<float> in;
    in.logp = {per_token(a.logp), {1.0}}, in.old = {per_token(a.old), {1.0}};
    in.ref = {per_token(a.ref), {1.0}}, in.rollout = {per_token(a.rollout), {1.0}};
    if (b.by_token)
      in.token_advantages = per_token(a.token_advantages);
    else
      in.advantages = hence::view<const float>(a.advantages, b.rows);
    f(in_hence, in, per_token);
  };
  const auto n = static_cast<std::int64_t>(b.tokens());
  const auto give = [&](auto& masks, auto&& mask) {
    if (b.given[0]) masks.response = mask(0);
    if (b.given[1]) masks.policy = mask(1);
    if (b.given[2]) masks.kl = mask(2);
    if (b.given[3]) masks.metric = mask(3);
  };
  if (b.padded) {
    hence::masks<2> m;
    const auto mask = [&](int k) {
      return hence::view<const std::uint8_t, 2>(a.masks[k], b.rows, b.width);
    };
    give(m, mask);
    call(hence::padded{b.rows, b.width, m},
         [&]<class T>(T* x) { return hence::per_token<T>(hence::view<T, 2>(x, b.rows, b.width)); });
  } else {
    hence::ragged r{hence::view<const std::int64_t>(a.cu, b.rows + 1), {}};
    if (b.narrow) r.cu_seqlens = hence::view<const std::int32_t>(a.narrow_cu, b.rows + 1);
    const auto mask = [&](int k) { return hence::view<const std::uint8_t>(a.masks[k], n); };
    give(r.mask, mask);
    call(r, [&]<class T>(T* x) { return hence::per_token<T>(hence::view<T>(x, n)); });
  }
}

/// What a call gives, as bytes that are compared one by one.
struct outcome {
  double loss;
  std::vector<std::int64_t> integers;
  std::vector<float> gradient;
  std::vector<double> metrics;
};

/// Calls f(name, loss, choice) for every composition.
template <class F> void for_each_loss(F&& f) {
  using namespace hence;
  namespace c = correction;
  const aggregate::token_mean mean{};
  f("grpo", recipe::grpo(0.2f), with_metrics);
  f("dapo", recipe::dapo(), without_metrics_t{});
  f("cispo", recipe::cispo(2.0f), with_metrics);
  f("gspo",
    policy_loss{ratio::sequence{}, clip::two_sided{0.9f, 1.1f}, kl::k3{0.1f},
                aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}},
    without_metrics_t{});
  f("corrected",
    policy_loss{ratio::token{}, clip::dual{0.8f, 1.2f, 3.0f}, kl::k3{0.1f, kl::ratio_weighted{}},
                mean, c::rollout{c::geometric_level{}, c::reject{0.9f, 1.1f}, c::policy_and_kl{}}},
    with_metrics);
  f("sapo",
    policy_loss{ratio::sequence_token{}, clip::sapo{1.0f, 1.05f},
                kl::absolute{0.1f, kl::own{}, kl::saturated{10.0f, 1.0f}},
                aggregate::sequence_mean_token_sum{}},
    without_metrics_t{});
}

template <class Result> outcome outcome_of(const Result& r, std::vector<float> gradient) {
  outcome o{r.loss(), {}, std::move(gradient), {}};
  const auto& n = r.counts();
  o.integers = {n.rows,
                n.non_empty_rows,
                n.tokens,
                n.policy_tokens,
                n.kl_tokens,
                n.metric_tokens,
                static_cast<std::int64_t>(r.conditions())};
  if constexpr (requires { r.metrics().kls; }) {
    const auto& m = r.metrics();
    o.integers.insert(o.integers.end(), {m.tokens, m.kl_tokens, m.clipped_low, m.clipped_high});
    o.metrics = {m.max_ratio, m.ratio_mean(), m.kl_mean()};
  }
  return o;
}

/// The same from the CPU executor; in its own translation unit, which nvcc doesn't see.
std::vector<outcome> on_cpu(const batch& b);

}  // namespace policy_case
