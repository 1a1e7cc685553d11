// The batches and compositions of the policy-loss program, for both its halves.
#pragma once

#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/recipe.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <bit>
#include <random>
#include <string>
#include <vector>

namespace policy_case {

/// Rows with masks; NaN wherever nothing may be read.
struct batch {
  bool padded = false, masked = false, roles = false, by_token = false;
  std::vector<std::int64_t> cu{0};  // of ragged rows
  std::int64_t rows = 0, width = 0;
  std::vector<std::uint8_t> masks[4]{};
  std::vector<float> logp{}, old{}, ref{}, rollout{}, token_advantages{}, advantages{};
  std::size_t tokens() const { return logp.size(); }
};

inline batch make(const std::vector<std::int64_t>& lengths, bool padded, int kind, unsigned seed) {
  const float garbage = std::bit_cast<float>(0x7fa00001u);
  batch b;
  b.padded = padded, b.masked = kind > 0, b.roles = kind > 1, b.by_token = kind == 3;
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f; };
  b.rows = static_cast<std::int64_t>(lengths.size());
  b.width = 0;
  for (const std::int64_t n : lengths)
    b.width = std::max(b.width, n), b.cu.push_back(b.cu.back() + n);
  for (std::int64_t i = 0; i < b.rows; ++i) {
    bool any = false;
    const std::int64_t length = lengths[static_cast<std::size_t>(i)];
    for (std::int64_t t = 0; t < (padded ? b.width : length); ++t) {
      const bool live = t < length && (kind == 0 || random() % 4 != 0);
      b.masks[0].push_back(live);
      for (int role = 1; role < 4; ++role) b.masks[role].push_back(kind < 2 || random() % 3 != 0);
      const bool policy = live && b.masks[1].back() != 0, kl = live && b.masks[2].back() != 0;
      const float spread = random() % 8 == 0 ? 30.0f : random() % 8 == 0 ? 1e-6f : 0.5f;
      const float logp = -3.0f * uniform(), old = logp + spread * (uniform() - 0.5f);
      b.logp.push_back(policy || kl ? logp : garbage);
      b.old.push_back(policy || kl ? old : garbage);
      b.rollout.push_back(policy || kl ? old + 0.1f * (uniform() - 0.5f) : garbage);
      b.ref.push_back(kl ? logp + spread * (uniform() - 0.5f) : garbage);
      b.token_advantages.push_back(policy ? 2.0f * uniform() - 1.0f : garbage);
      any = any || policy;
    }
    b.advantages.push_back(any ? 2.0f * uniform() - 1.0f : garbage);
  }
  return b;
}

inline std::vector<batch> batches() {
  std::vector<batch> out;
  unsigned seed = 1;
  for (const bool padded : {false, true})
    for (int kind = padded ? 1 : 0; kind < 4; ++kind) {
      out.push_back(make({0, 5, 1, 131, 64}, padded, kind, seed++));
      out.push_back(make({700, 3}, padded, kind, seed++));
    }
  return out;
}

/// Where the arrays of a batch lie: with the host or with the device.
struct arrays {
  const std::int64_t* cu;
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
  if (b.padded) {
    hence::masks<2> m;
    const auto mask = [&](int k) {
      return hence::view<const std::uint8_t, 2>(a.masks[k], b.rows, b.width);
    };
    if (b.masked) m.response = mask(0);
    if (b.roles) m.policy = mask(1), m.kl = mask(2), m.metric = mask(3);
    call(hence::padded{b.rows, b.width, m},
         [&]<class T>(T* x) { return hence::per_token<T>(hence::view<T, 2>(x, b.rows, b.width)); });
  } else {
    hence::ragged r{hence::offsets(hence::view<const std::int64_t>(a.cu, b.rows + 1)), {}};
    const auto mask = [&](int k) { return hence::view<const std::uint8_t>(a.masks[k], n); };
    if (b.masked) r.mask.response = mask(0);
    if (b.roles) r.mask.policy = mask(1), r.mask.kl = mask(2), r.mask.metric = mask(3);
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
    o.integers.insert(o.integers.end(), {m.tokens, m.clipped_low, m.clipped_high});
    o.metrics = {m.max_ratio, m.ratio_mean(), m.kl_mean()};
  }
  return o;
}

/// The same from the CPU executor; in its own translation unit, which nvcc doesn't see.
std::vector<outcome> on_cpu(const batch& b);

}  // namespace policy_case
