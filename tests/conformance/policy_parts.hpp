/// \file
/// The library's parts behind options read at run time. Each wrapper holds every part of its kind
/// and calls the one that the case names: to the library it is a rule of a user's. Without them
/// every combination of parts would be instantiated.
#pragma once

#include <hence/policy/kl_limit.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <limits>
#include <variant>

namespace conformance {

template <class S> using log_clamp = hence::ratio::log_clamp<S>;

/// What a ratio or a gate compares with.
struct any_anchor {
  enum choice { old, rollout, self } which;
  bool reads_old, reads_rollout;

  explicit any_anchor(choice c = old)
      : which(c), reads_old(c == old), reads_rollout(c == rollout) {}
  auto of(const auto& row) const {
    return which == old ? row.old : which == rollout ? row.rollout : row.logp;
  }
};

/// The levels whose gradient runs through the row: `sequence` and `sequence_product`.
template <class S> struct pooled_level {
  log_clamp<S> clamp;
  any_anchor anchor;
  bool averages;
  static constexpr bool pooled = true, shares_gradient = true;
  void check() const { clamp.check(); }
};
template <class S>
using level_alternatives =
    std::variant<hence::ratio::token<log_clamp<S>, any_anchor>,
                 hence::ratio::sequence_token<log_clamp<S>, any_anchor>, pooled_level<S>>;

/// The alternative of a variant of rules that the case names.
template <class S>
using surrogate_alternatives =
    std::variant<hence::clip::two_sided<S>, hence::clip::cispo<S>, hence::clip::dual<S>,
                 hence::clip::upper_bound<S>, hence::clip::none, hence::clip::reinforce,
                 hence::clip::band<S>, hence::clip::sapo<S>, hence::clip::gmpo<S>,
                 hence::clip::dppo_tv<S, hence::clip::weight_capped<S>>,
                 hence::clip::dppo_tv<S, hence::clip::through_ratio>,
                 hence::clip::dppo_kl<S, hence::clip::weight_capped<S>>,
                 hence::clip::dppo_kl<S, hence::clip::through_ratio>, hence::clip::topr<S>,
                 hence::clip::dro<S>>;

/// Any surrogate but VESPO, whose prepass is a fact of the type.
template <class S> struct any_surrogate {
  surrogate_alternatives<S> rule;
  S low = -std::numeric_limits<S>::infinity(), high = std::numeric_limits<S>::infinity();
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true,
                        reads_scores = true;

  /// The rule's log-ratio limit; no other rule has one.
  template <class V>
  HENCE_FN constexpr auto before_pooling(const hence::dual<V, hence::one, hence::zero>& d,
                                         V advantage) const {
    const auto* gmpo = std::get_if<hence::clip::gmpo<S>>(&rule);
    return gmpo != nullptr ? gmpo->before_pooling(d, advantage)
                           : hence::dual<V, V, hence::zero>{d.value, V(1), {}};
  }
  template <class T> auto operator()(const T& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    return std::visit(
        [&](const auto& r) {
          const auto p = hence::detail::apply_rule(r, t);
          return hence::dual<V, V, V>{p.value, hence::detail::as_number<V>(p.pooled),
                                      hence::detail::as_number<V>(p.own)};
        },
        rule);
  }
  void check() const {
    std::visit([](const auto& r) { hence::detail::check_part(r); }, rule);
  }
};

/// The value of any estimator of KL, before its limit.
enum class estimator { k1, k2, k3, absolute };
template <class S, class Gradient, class Limit>
HENCE_FN auto estimate(estimator which, const Gradient& g, const Limit& limit, const auto& u) {
  using hence::kl::estimate;
  using V = hence::detail::plain_t<std::remove_cvref_t<decltype(u)>>;
  switch (which) {
    case estimator::k1:
      return estimate(hence::kl::k1{S(0), g, limit}, u, V(0));
    case estimator::k2:
      return estimate(hence::kl::k2{S(0), g, limit}, u, V(0));
    case estimator::k3:
      return estimate(hence::kl::k3{S(0), g, limit}, u, V(0));
    default:
      return estimate(hence::kl::absolute{S(0), g, limit}, u, V(0));
  }
}

/// Gradient `own` or `as_k2`, limit and all: a function of u.
template <class S> struct any_kl {
  S coef;
  estimator which;
  bool as_k2;
  hence::kl::clamped<S> clamps;
  hence::kl::own gradient{};
  HENCE_FN auto operator()(const auto& u) const {
    return as_k2 ? estimate<S>(which, hence::kl::as_k2{}, clamps, u)
                 : estimate<S>(which, hence::kl::own{}, clamps, u);
  }
  void check() const { clamps.check(); }
};
/// The gradients that need more of the token than u.
template <class S, class Gradient> struct any_kl_of {
  S coef;
  estimator which;
  hence::kl::clamped<S> limit;
  Gradient gradient;
  HENCE_FN auto operator()(const auto& u) const {
    return estimate<S>(which, hence::kl::own{}, hence::kl::unlimited{}, u);
  }
  void check() const { hence::kl::check_estimator("kl", *this); }
};
template <class S>
using kl_alternatives =
    std::variant<hence::kl::none, any_kl<S>, any_kl_of<S, hence::kl::as_k2_importance<S>>,
                 any_kl_of<S, hence::kl::ratio_weighted>>;

/// Truncate, mask or reject.
template <class S> struct any_mode {
  using scalar = S;
  std::variant<hence::correction::truncate<S>, hence::correction::mask<S>,
               hence::correction::reject<S>>
      mode;
  template <class V> HENCE_FN V operator()(V rho) const {
    return std::visit([&](const auto& m) { return m(rho); }, mode);
  }
  template <class V> HENCE_FN auto rejects(V rho) const {
    return std::visit([&](const auto& m) { return m.rejects(rho); }, mode);
  }
  void check() const {
    std::visit([](const auto& m) { m.check(); }, mode);
  }
};

/// A correction of tokens, or of rows: their sum or mean.
template <class S, bool Pooled, class Scope> struct any_correction {
  bool averages;
  any_mode<S> mode;
  log_clamp<S> clamp;
  Scope scope{};
  static constexpr bool pooled = Pooled;

  template <class V> HENCE_FN V summand(V e) const { return e; }
  template <class V> HENCE_FN V weight(V e) const { return concrete().weight(e); }
  template <class V> HENCE_FN auto rejects(V e) const { return concrete().rejects(e); }
  void check() const { concrete().check(); }

 private:
  HENCE_FN auto concrete() const {
    return hence::correction::rollout{hence::correction::token_level{}, mode, scope, clamp};
  }
};

}  // namespace conformance
