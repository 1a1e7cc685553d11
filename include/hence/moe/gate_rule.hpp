/// \file
/// A gate's choices by type, its numbers as members. Where frameworks differ, there is a name for
/// each way and no default.
///
///     score      score::sigmoid, sqrt_softplus, softmax, softmax_after, or a functor
///     groups     all_experts, grouped{groups, kept, how}
///     how        max_score, top2_sum, top_k_over_m_sum
///     weights    raw, normalized{eps, single_raw or single_normalized}
///     precision  fp32, bf16
#pragma once

#include <hence/moe/score.hpp>

namespace hence::inline v0::moe {

// How many of a group's largest selection values its score sums.

/// The largest. DeepSeek-V2, arXiv:2405.04434, 2.1.2.
struct max_score {
  HENCE_FN static constexpr std::int64_t terms(std::int64_t, std::int64_t) { return 1; }
};
/// The two largest, or the one of a group of one: what DeepSeek's own code does for V3.
struct top2_sum {
  HENCE_FN static constexpr std::int64_t terms(std::int64_t, std::int64_t) { return 2; }
};
/// The k/kept largest, rounded down: the text of DeepSeek-V3, arXiv:2412.19437, 2.1.2. Equal to
/// `top2_sum` only if k = 2 kept or 2 kept + 1, ...: other experts are selected otherwise.
struct top_k_over_m_sum {
  HENCE_FN static constexpr std::int64_t terms(std::int64_t k, std::int64_t kept) {
    return kept > 0 ? k / kept : 0;
  }
};

/// Every expert may be selected.
struct all_experts {};
/// Only experts of the `kept` best of `count` equal consecutive groups may be selected. A tie goes
/// to the lowest group; a group without an eligible expert is never kept. With kept = count, as
/// all_experts.
template <class Score> struct grouped {
  std::int64_t count;
  std::int64_t kept;
  Score score;  ///< of a group: `max_score`, `top2_sum`, `top_k_over_m_sum`
};
template <class Score> grouped(std::int64_t, std::int64_t, Score) -> grouped<Score>;
/// Without a score of a group there is no rule.
struct unsaid_group_score {};
template <class N> grouped(N, std::int64_t) -> grouped<unsaid_group_score>;
template <> struct grouped<unsaid_group_score> {
  std::int64_t count = 1, kept = 1;
  template <class N> HENCE_FN grouped(N, std::int64_t) {
    static_assert(detail::always_false<N>::value,
                  "hence: the groups of a gate need to know how a group is scored: max_score{}, "
                  "top2_sum{} or top_k_over_m_sum{}; other experts are selected otherwise");
  }
};

/// k = 1: the weight is the score. The router learns.
struct single_raw {};
/// k = 1: the weight is s/(s + eps), about 1 whatever the logits are. The router gets no gradient.
struct single_normalized {};

/// w = s.
struct raw {};
/// w = s/(sum over the selected experts of s + eps); 0 with gradient 0 where that sum is 0.
template <class Single> struct normalized {
  double eps;  ///< 0: DeepSeek's code, vLLM; 1e-20: transformers, Megatron, SGLang
  Single single;
};
template <class Single> normalized(double, Single) -> normalized<Single>;
/// Without a policy for k = 1 there is no rule.
struct normalized_without_single {};
template <class Eps> normalized(Eps) -> normalized<normalized_without_single>;
template <> struct normalized<normalized_without_single> {
  double eps = 0;
  template <class Eps> HENCE_FN normalized(Eps) {
    static_assert(
        detail::always_false<Eps>::value,
        "hence: a normalised gate needs to know what k = 1 gets: single_raw{} (the score, "
        "the router learns) or single_normalized{} (about 1, it gets no gradient)");
  }
};

/// Scores and weights in the executor's own precision.
struct fp32 {
  template <class V> HENCE_FN V operator()(V x) const { return x; }
};
/// Scores, their sum, quotients and weights each rounded to bf16, as DeepSeek's own gate computes
/// for bf16 logits: for parity with a rollout engine that does. The bias is added in fp32.
/// Gradients are those of the formula without rounding.
struct bf16_scores {
  template <class V> HENCE_FN V operator()(V x) const {
    static_assert(detail::is_fp32<V>,
                  "hence: bf16_scores rounds fp32 numbers; reference<double> has none");
    const auto bits = detail::to_bits(x);
    return detail::from_bits(x, (bits + 0x7fff + ((bits >> 16) & 1)) & ~0xffff);
  }
};

/// The rule itself: {score, k, groups, weights, scale, precision}.
template <class Score, class Groups, class Weights, class Precision = fp32> struct gate {
  Score score;
  std::int64_t k;  ///< experts per token
  Groups groups;
  Weights weights;
  double scale;  ///< of the weights: DeepSeek-V3 2.5, most others 1
  Precision precision{};
};
template <class S, class G, class W> gate(S, std::int64_t, G, W, double) -> gate<S, G, W>;
template <class S, class G, class W, class P>
gate(S, std::int64_t, G, W, double, P) -> gate<S, G, W, P>;

}  // namespace hence::inline v0::moe
