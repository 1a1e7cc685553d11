/// \file
/// Advantages per token, by a recursion from a row's last token to its first. Each rule is the one
/// step from the next token's state to this one's, in float64; past the row's end the state is 0.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/num.hpp>

namespace hence::inline v0::advantage {

/// What a token hands to the one before it. \tparam V `num<double>`.
template <class V> struct token_state {
  V advantage, value;  ///< of the next token
};

/// A dead position between live tokens does not exist: "next" is the next live token (verl, NeMo-RL
/// and AReaL, in conversations of several turns).
struct hole_skip {
  template <class Rule, class V>
  HENCE_FN token_state<V> operator()(const Rule&, token_state<V> next) const {
    return next;
  }
};
/// Returns start anew before a hole (SkyRL's REINFORCE++).
struct hole_reset {
  template <class Rule, class V>
  HENCE_FN token_state<V> operator()(const Rule&, token_state<V>) const {
    return {V(0.0), V(0.0)};
  }
};
/// A dead position is a token with reward and value 0, so that it discounts (OpenRLHF, slime).
struct hole_discount {
  template <class Rule, class V>
  HENCE_FN token_state<V> operator()(const Rule& rule, token_state<V> next) const {
    return rule.step(V(0.0), V(0.0), next);
  }
};

/// GAE: delta_t = r_t + gamma V_next - V_t, A_t = delta_t + gamma lambda A_next, returns A + V.
/// arXiv:1506.02438, eq. 16. \tparam Hole `hole_skip` or `hole_discount`.
template <class Hole> struct gae {
  double gamma, lambda;
  Hole hole;
  static constexpr bool reads_values = true, pays_every_token = false;
  template <class V> HENCE_FN token_state<V> step(V r, V value, token_state<V> next) const {
    const V delta = r + V(gamma) * next.value - value;
    return {delta + V(gamma) * V(lambda) * next.advantage, value};
  }
  template <class V> HENCE_FN V returns(token_state<V> s) const { return s.advantage + s.value; }
};
template <class H> gae(double, double, H) -> gae<H>;

/// REINFORCE++: R_t = r_t + gamma R_next, which is both advantage and return. arXiv:2501.03262.
template <class Hole> struct reinforce_plus_plus {
  double gamma;
  Hole hole;
  static constexpr bool reads_values = false, pays_every_token = false;
  template <class V> HENCE_FN token_state<V> step(V r, V, token_state<V> next) const {
    return {r + V(gamma) * next.advantage, V(0.0)};
  }
  template <class V> HENCE_FN V returns(token_state<V> s) const { return s.advantage; }
};
template <class H> reinforce_plus_plus(double, H) -> reinforce_plus_plus<H>;

/// A_t is the number given for the token, or for its row: to whiten what was computed before.
/// REINFORCE++ with a baseline is `advantage::dr_grpo`, then this, whitened.
struct as_given {
  hole_skip hole;
  static constexpr bool reads_values = false, pays_every_token = true;
  template <class V> HENCE_FN token_state<V> step(V r, V, token_state<V>) const {
    return {r, V(0.0)};
  }
  template <class V> HENCE_FN V returns(token_state<V> s) const { return s.advantage; }
};

}  // namespace hence::inline v0::advantage
