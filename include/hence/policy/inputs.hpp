/// \file
/// What a policy loss reads, and the checks made once per call before anything is written.
#pragma once

#include <hence/core/logprob.hpp>
#include <hence/core/place.hpp>
#include <hence/policy/result.hpp>
#include <hence/policy/term.hpp>

namespace hence::inline v0 {

/// The arrays of one batch. \tparam T the executor's scalar: `float`, or `double` for
/// `reference<double>`.
template <class T = float> struct policy_inputs {
  logprobs<T> logp{};          ///< log pi of the sampled tokens; the gradient is with respect to it
  logprobs<T> old{};           ///< log pi_old: what the ratio is taken against
  logprobs<T> ref{};           ///< log pi_ref; only with a KL term
  view<const T> advantages{};  ///< `[rows]`, one per sequence; or
  per_token<const T> token_advantages{};  ///< `[tokens]` or `[rows, width]`; exactly one of the two
  view<const T> scores{};        ///< `[rows]`, raw rewards for rules that read `token::score`
  logprobs<T> rollout{};         ///< log pi of the sampling engine; for a correction, or as anchor
  per_token<const T> entropy{};  ///< of the tokens' distributions; only with an entropy bonus
  view<const std::int64_t> prompt_sizes{};  ///< `[rows]`, from `count_prompts`; for a prompt mean

  /// Refused in one sentence: arrays are never converted.
  template <class U> operator policy_inputs<U>() const {
    static_assert(std::is_same_v<U, T>,
                  "hence: the inputs are of another scalar than the executor's; float64 arrays go "
                  "with reference<double>");
    return {};
  }
};

/// Where the gradients go. An array converts to it, as the gradient with respect to logp.
template <class T> struct policy_gradients {
  per_token<T> logp{};     ///< `[tokens]` or `[rows, width]`; every entry is written
  per_token<T> entropy{};  ///< the same, with respect to the entropies; only with a bonus

  HENCE_FN constexpr policy_gradients() {}
  HENCE_FN constexpr policy_gradients(per_token<T> l, per_token<T> e) : logp(l), entropy(e) {}
  template <class C>
    requires std::constructible_from<per_token<T>, C>
  [[gnu::always_inline]] constexpr policy_gradients(C&& c) : logp(c) {}
};

namespace detail {

/// One row's slices of the arrays; absent arrays are null.
template <class T> struct row_data {
  const T *logp, *old, *ref, *token_advantages;
  T advantage, score;
  T* gradient;
  row_masks mask;
  std::int64_t length;
  const T *rollout, *anchor, *entropy;  // anchor: one of old, rollout and logp
  T* entropy_gradient;
};

template <class T>
HENCE_FN row_data<T> row_of(const policy_inputs<T>& in, const layout& b,
                            const std::type_identity_t<policy_gradients<T>>& gradient,
                            std::int64_t i) {
  return {b.row(in.logp.values, i), b.row(in.old.values, i), b.row(in.ref.values, i),
          b.row(in.token_advantages, i),
          // an absent advantage stays unread until the row proves to have a live token
          T(0), T(0), b.row(gradient.logp, i), b.masks_of(i), b.length(i),
          b.row(in.rollout.values, i), b.row(in.old.values, i), b.row(in.entropy, i),
          b.row(gradient.entropy, i)};
}

/// Refuses an output over any array of the inputs.
template <class T>
void check_apart_from_arrays(const char* written, const array_place& a, const policy_inputs<T>& in,
                             const layout& b) {
  const auto check = [&](const char* name, const auto& array) {
    check_apart(written, a, name, place_of(array, b));
  };
  check("logp", in.logp.values), check("old", in.old.values), check("ref", in.ref.values);
  check("token_advantages", in.token_advantages), check("advantages", in.advantages);
  check("scores", in.scores), check("rollout", in.rollout.values), check("entropy", in.entropy);
  check("prompt_sizes", in.prompt_sizes);
}
/// Refuses an output over any array that a call reads.
template <class T>
void check_apart_from_inputs(const char* written, const array_place& a, const policy_inputs<T>& in,
                             const layout& b) {
  check_apart_from_arrays(written, a, in, b);
  check_apart(written, a, "mask.response", place_of(b.response, b));
  check_apart(written, a, "mask.policy", place_of(b.policy, b));
  check_apart(written, a, "mask.kl", place_of(b.kl, b));
  check_apart(written, a, "mask.metric", place_of(b.metric, b));
  check_apart(written, a, "cu_seqlens", {b.boundaries(), 0, 0});
}
template <class Isa = native_isa>
void check_like(const char* name, const sampled& a, const sampled& b) {
  for (const double t : {a.temperature, b.temperature})
    if (!(t > 0) || t > 1e30)
      refuse(message() << "hence: the temperature of logp or " << name << " is " << t
                       << ", expected a positive number");
  if (static_cast<float>(a.temperature) != static_cast<float>(b.temperature))
    refuse(message() << "hence: logp was computed at temperature " << a.temperature << ", " << name
                     << " at " << b.temperature << "; their ratio means nothing");
  if (a.sampling_mask != b.sampling_mask)
    refuse(message() << "hence: logp and " << name
                     << " were computed with different sampling masks ("
                     << static_cast<std::int64_t>(a.sampling_mask) << " and "
                     << static_cast<std::int64_t>(b.sampling_mask) << ")");
}

// Isa makes the lambdas of these functions another type in a unit that is compiled differently.

/// Refuses a part whose numbers make no sense, if it has a `check()`; a variant checks its
/// alternative.
template <class Part, class Isa = native_isa>
[[gnu::always_inline]] inline void check_part(const Part& part) {
  if constexpr (variant_like<Part>)
    visit([](const auto& p) { check_part(p); }, part);
  else if constexpr (requires { part.check(); })
    part.check();
}
/// Whether the rule reads `token::score`; it says so with `reads_scores`.
template <class Rule, class Isa = native_isa>
[[gnu::always_inline]] inline bool asks_for_scores(const Rule& rule) {
  if constexpr (variant_like<Rule>)
    return visit([](const auto& r) { return asks_for_scores(r); }, rule);
  else
    return requires { requires Rule::reads_scores; };
}
/// Whether the KL term asks for the reference's log-probs; a variant answers for its alternative.
template <class K, class Isa = native_isa>
[[gnu::always_inline]] inline bool reads_reference(const K& kl) {
  if constexpr (variant_like<K>)
    return visit([](const auto& k) { return reads_reference(k); }, kl);
  else
    return has_kl<K>;
}
/// Which log-probs a part asks for as an anchor; a variant answers for its alternative.
struct anchors_read {
  bool old, rollout;
};
template <class Part, class Isa = native_isa>
[[gnu::always_inline]] inline anchors_read anchors_of(const Part& part) {
  if constexpr (variant_like<Part>) {
    return visit([](const auto& p) { return anchors_of(p); }, part);
  } else if constexpr (requires { part.anchor; }) {
    return {part.anchor.reads_old, part.anchor.reads_rollout};
  } else {
    constexpr bool corrects = requires { part.scope; };
    return {corrects, corrects};
  }
}
/// Whether the gate may close a row; a variant answers for its alternative.
template <class Gate, class Isa = native_isa>
[[gnu::always_inline]] inline bool can_close(const Gate& gate) {
  if constexpr (variant_like<Gate>)
    return visit([](const auto& g) { return can_close(g); }, gate);
  else if constexpr (has_gate<Gate>)
    return gate.can_close();
  else
    return false;
}
/// Whether there is an entropy term; a variant answers for its alternative.
template <class Entropy, class Isa = native_isa>
[[gnu::always_inline]] inline bool reads_entropy(const Entropy& entropy) {
  if constexpr (variant_like<Entropy>)
    return visit([](const auto& e) { return reads_entropy(e); }, entropy);
  else
    return has_entropy<Entropy>;
}

template <class T>
[[gnu::always_inline]] inline void check_logprobs(const char* name, const logprobs<T>& x,
                                                  const logprobs<T>& logp, const layout& b) {
  check_shape(name, x.values, b);
  check_like(name, logp.how, x.how);
}

template <class Loss, class T>
void check_inputs(const Loss& loss, const layout& b, const policy_inputs<T>& in,
                  const std::type_identity_t<policy_gradients<T>>& gradients) {
  check_layout(b);
  check_part(loss.ratio), check_part(loss.surrogate), check_part(loss.kl);
  check_part(loss.correction), check_part(loss.gate), check_part(loss.entropy);
  check_shape("logp", in.logp.values, b);
  const anchors_read r = anchors_of(loss.ratio), c = anchors_of(loss.correction),
                     g = anchors_of(loss.gate);
  if (r.old || c.old || g.old) check_logprobs("old", in.old, in.logp, b);
  if (r.rollout || c.rollout || g.rollout) check_logprobs("rollout", in.rollout, in.logp, b);
  if (reads_reference(loss.kl)) {
    if (!in.ref.values.present() && b.tokens() > 0)
      refuse(message() << "hence: ref is null, expected " << b.tokens()
                       << " tokens: the loss has a KL term");
    check_logprobs("ref", in.ref, in.logp, b);
  }
  if (in.advantages.present() && in.token_advantages.present())
    refuse(message()
           << "hence: advantages [rows] and token_advantages are both given, expected one of them");
  if (in.token_advantages.present()) {
    check_shape("token_advantages", in.token_advantages, b);
    if (can_close(loss.gate))
      refuse(message() << "hence: token_advantages is given, and the gate judges rows; expected "
                          "advantages [rows]");
  } else if (in.advantages.present() || b.tokens() > 0) {
    if (!in.advantages.present())
      refuse(message() << "hence: advantages is null, expected " << b.rows
                       << " rows (or token_advantages)");
    if (in.advantages.extent[0] != b.rows)
      refuse(message() << "hence: advantages has " << in.advantages.extent[0]
                       << " entries, the batch has " << b.rows << " rows");
  }
  if (!in.scores.present() && asks_for_scores(loss.surrogate) && b.tokens() > 0)
    refuse(message() << "hence: scores is null, and the surrogate reads them; expected " << b.rows
                     << " rows");
  if (in.scores.present() && in.scores.extent[0] != b.rows)
    refuse(message() << "hence: scores has " << in.scores.extent[0] << " entries, the batch has "
                     << b.rows << " rows");
  if constexpr (prompt_aggregation<std::remove_cvref_t<decltype(loss.aggregation)>>) {
    if (!in.prompt_sizes.present() && b.rows > 0)
      refuse(message() << "hence: prompt_sizes is null, and the loss is a mean over prompts; "
                          "expected "
                       << b.rows << " rows, as count_prompts writes them");
    if (in.prompt_sizes.extent[0] != b.rows)
      refuse(message() << "hence: prompt_sizes has " << in.prompt_sizes.extent[0]
                       << " entries, the batch has " << b.rows << " rows");
  }
  check_shape("gradient", gradients.logp, b);
  check_apart_from_inputs("gradient", place_of(gradients.logp, b), in, b);
  if constexpr (facts<Loss>::with_entropy) {  // or a variant
    if (!reads_entropy(loss.entropy)) return;
    check_shape("entropy", in.entropy, b);
    check_shape("gradient.entropy", gradients.entropy, b);
    check_apart("gradient.entropy", gradients.entropy, "gradient", gradients.logp, b);
    check_apart_from_inputs("gradient.entropy", place_of(gradients.entropy, b), in, b);
  }
}

}  // namespace detail

}  // namespace hence::inline v0
