/// \file
/// The operation policy_loss: a case's options -> a composition of the library's parts. Each case
/// runs in three layouts (padded, ragged with its mask, ragged without dead tokens), float32 cases
/// on two executors; all must agree bit for bit. Each executor has its own .cpp: its compositions
/// are most of the time that the tests take to compile.
#pragma once

#include "operation.hpp"
#include "policy_parts.hpp"

#include <hence/policy/shrink_mask.hpp>

#include <bit>
#include <cmath>
#include <stdexcept>

namespace conformance {

namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace correction = hence::correction;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

/// The parts that the library chooses by type, as alternatives.
template <class S> struct parts {
  level_alternatives<S> level{
      ratio::token<log_clamp<S>, any_anchor>{{}, any_anchor(any_anchor::old)}};
  std::variant<any_surrogate<S>, clip::vespo<S>> surrogate;
  kl_alternatives<S> estimator;
  std::variant<correction::none, any_correction<S, false, correction::policy_only>,
               any_correction<S, true, correction::policy_only>,
               any_correction<S, false, correction::policy_and_kl>,
               any_correction<S, true, correction::policy_and_kl>>
      corrected;
  bool shrinks = false;
  hence::gate::opsm<S, any_anchor> gate{std::numeric_limits<S>::infinity(),
                                        any_anchor(any_anchor::self)};
  hence::entropy::bonus<S> entropy{S(0)};
  std::variant<aggregate::token_mean, aggregate::sequence_mean_token_mean<aggregate::all_rows>,
               aggregate::sequence_mean_token_mean<aggregate::non_empty_rows>,
               aggregate::sequence_mean_token_mean_over,
               aggregate::sequence_mean_token_sum<aggregate::all_rows>,
               aggregate::sequence_mean_token_sum<aggregate::non_empty_rows>,
               aggregate::sequence_mean_token_sum_over, aggregate::constant>
      aggregation;
  bool reads_old = false, reads_rollout = false, reads_ref = false;
  bool needs_sequence = false, is_sequence = false;  // gmpo's demand, and whether it is met
};

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class S> log_clamp<S> read_log_clamp(const options& o) {
  const auto [low, high] = o.interval("log_clamp");
  return {static_cast<S>(low), static_cast<S>(high)};
}

template <class S> any_anchor read_anchor(const options& o, parts<S>& p) {
  const any_anchor a(o.choice<any_anchor::choice>(
      "anchor",
      {{"old", any_anchor::old}, {"rollout", any_anchor::rollout}, {"self", any_anchor::self}}));
  p.reads_old |= a.reads_old, p.reads_rollout |= a.reads_rollout;
  return a;
}

template <class S> void read_ratio(const options& o, parts<S>& p) {
  o.expect({"level", "anchor", "log_clamp"});
  const any_anchor anchor = read_anchor(o, p);
  const log_clamp<S> clamp = read_log_clamp<S>(o);
  const std::string level = o.text("level");
  p.is_sequence = level == "sequence";
  if (level == "token")
    p.level = ratio::token<log_clamp<S>, any_anchor>{clamp, anchor};
  else if (level == "sequence_token")
    p.level = ratio::sequence_token<log_clamp<S>, any_anchor>{clamp, anchor};
  else if (level == "sequence")
    p.level = pooled_level<S>{clamp, anchor, ratio::sequence<>::averages};
  else if (level == "sequence_product")
    p.level = pooled_level<S>{clamp, anchor, ratio::sequence_product<>::averages};
  else
    o.reject("level");
}

/// The rule that DPPO's forms end in.
template <template <class, class> class Rule, class S>
void read_dppo(const options& o, any_surrogate<S>& any) {
  o.expect({"type", "delta_low", "delta_high", "form", "cap"});
  const S low = static_cast<S>(o.number("delta_low")),
          high = static_cast<S>(o.number("delta_high"));
  if (o.choice<bool>("form", {{"score", true}, {"ratio", false}})) {
    const S cap = static_cast<S>(o.number_or("cap", infinity));
    any.rule = Rule<S, clip::weight_capped<S>>{low, high, {cap}};
  } else {
    o.expect_null("cap");
    any.rule = Rule<S, clip::through_ratio>{low, high, {}};
  }
}

template <class S> void read_surrogate(const options& o, parts<S>& p) {
  const std::string type = o.text("type");
  const auto number = [&](const char* key) { return static_cast<S>(o.number(key)); };
  const auto bound = [&](const char* key, double absent) {
    return static_cast<S>(o.number_or(key, absent));
  };
  any_surrogate<S> any;
  const auto counted = [&] {
    any.low = bound("low", -infinity), any.high = bound("high", infinity);
  };
  if (type == "two_sided") {
    o.expect({"type", "low", "high"}), counted();
    any.rule = clip::two_sided<S>{any.low, any.high};
  } else if (type == "cispo") {
    o.expect({"type", "low", "high"}), counted();
    any.rule = clip::cispo<S>{any.low, any.high};
  } else if (type == "dual") {
    o.expect({"type", "low", "high", "c"}), counted();
    any.rule = clip::dual<S>{any.low, any.high, number("c")};
  } else if (type == "upper_bound") {
    o.expect({"type", "low", "high", "delta"}), counted();
    any.rule = clip::upper_bound<S>{any.low, any.high, bound("delta", infinity)};
  } else if (type == "none") {
    o.expect({"type"});
    any.rule = clip::none{};
  } else if (type == "reinforce") {
    o.expect({"type"});
    any.rule = clip::reinforce{};
  } else if (type == "band") {
    o.expect({"type", "low", "high"});
    any.rule = clip::band<S>{bound("low", -infinity), bound("high", infinity)};
  } else if (type == "sapo") {
    o.expect({"type", "tau_pos", "tau_neg"});
    any.rule = clip::sapo<S>{number("tau_pos"), number("tau_neg")};
  } else if (type == "gmpo") {
    o.expect({"type", "log_low", "log_high"});
    any.rule = clip::gmpo<S>{bound("log_low", -infinity), bound("log_high", infinity)};
    p.needs_sequence = true;
  } else if (type == "dppo_tv") {
    read_dppo<clip::dppo_tv>(o, any);
  } else if (type == "dppo_kl") {
    read_dppo<clip::dppo_kl>(o, any);
  } else if (type == "topr") {
    o.expect({"type", "low", "high"});
    any.rule = clip::topr<S>{bound("low", -infinity), bound("high", infinity)};
  } else if (type == "dro") {
    o.expect({"type", "beta"});
    any.rule = clip::dro<S>{number("beta")};
  } else if (type == "vespo") {
    o.expect({"type", "k_pos", "lambda_pos", "k_neg", "lambda_neg"});
    p.surrogate = clip::vespo<S>{number("k_pos"), number("lambda_pos"), number("k_neg"),
                                 number("lambda_neg")};
    return;
  } else {
    o.reject("type");
  }
  p.surrogate = any;
}

template <class S> void read_kl(const options& o, parts<S>& p) {
  o.expect(
      {"estimator", "coef", "input_clamp", "output_clamp", "gradient", "weight", "importance_cap"});
  const auto [input_low, input_high] = o.interval("input_clamp");
  const auto [output_low, output_high] = o.interval("output_clamp");
  const kl::clamped<S> clamps{static_cast<S>(input_low), static_cast<S>(input_high),
                              static_cast<S>(output_low), static_cast<S>(output_high)};
  const bool weighted = o.choice<bool>("weight", {{"none", false}, {"ratio", true}});
  const S coef = static_cast<S>(o.number("coef"));
  const auto which = o.choice<estimator>("estimator", {{"k1", estimator::k1},
                                                       {"k2", estimator::k2},
                                                       {"k3", estimator::k3},
                                                       {"abs", estimator::absolute}});
  enum gradient { own, k2, k2_importance };
  const auto g =
      o.choice<gradient>("gradient", {{"own", own}, {"k2", k2}, {"k2_importance", k2_importance}});
  if (weighted && g != own) o.reject("weight");
  p.reads_ref = true;
  if (g != k2_importance) o.expect_null("importance_cap");
  if (g == k2_importance) {
    const S cap = static_cast<S>(o.number_or("importance_cap", infinity));
    p.estimator = any_kl_of<S, kl::as_k2_importance<S>>{coef, which, clamps, {cap}};
    return;
  }
  if (weighted)
    p.estimator = any_kl_of<S, kl::ratio_weighted>{coef, which, clamps, {}};
  else
    p.estimator = any_kl<S>{coef, which, g == k2, clamps};
}

template <class S> void read_aggregation(const options& o, parts<S>& p) {
  const std::string type = o.text("type");
  if (type == "token_mean") {
    o.expect({"type"});
    p.aggregation = aggregate::token_mean{};
  } else if (type == "constant") {
    o.expect({"type", "value"});
    p.aggregation = aggregate::constant{o.number("value")};
  } else if (type == "sequence_mean_token_mean" || type == "sequence_mean_token_sum") {
    o.expect({"type", "rows"});
    const bool sums = type == "sequence_mean_token_sum";
    if (!o.is_text("rows")) {
      const double rows = o.number("rows");
      if (sums)
        p.aggregation = aggregate::sequence_mean_token_sum_over{rows};
      else
        p.aggregation = aggregate::sequence_mean_token_mean_over{rows};
    } else if (o.choice<bool>("rows", {{"all", true}, {"non_empty", false}})) {
      if (sums)
        p.aggregation = aggregate::sequence_mean_token_sum<aggregate::all_rows>{};
      else
        p.aggregation = aggregate::sequence_mean_token_mean<aggregate::all_rows>{};
    } else {
      if (sums)
        p.aggregation = aggregate::sequence_mean_token_sum<aggregate::non_empty_rows>{};
      else
        p.aggregation = aggregate::sequence_mean_token_mean<aggregate::non_empty_rows>{};
    }
  } else {
    o.reject("type");
  }
}

template <class S> void read_correction(const options& o, parts<S>& p) {
  o.expect({"level", "mode", "low", "high", "log_clamp", "scope", "denominator"});
  const std::string level = o.text("level");
  if (level != "token" && level != "sequence" && level != "geometric") o.reject("level");
  any_mode<S> mode;
  const S low = static_cast<S>(o.number_or("low", -infinity));
  const S high = static_cast<S>(o.number_or("high", infinity));
  const std::string name = o.text("mode");
  if (name == "truncate")
    mode.mode = correction::truncate<S>{low, high};
  else if (name == "mask")
    mode.mode = correction::mask<S>{low, high};
  else if (name == "reject")
    mode.mode = correction::reject<S>{low, high};
  else
    o.reject("mode");
  p.shrinks = o.choice<bool>("denominator", {{"keep", false}, {"shrink", true}});
  p.reads_old = p.reads_rollout = true;
  const bool of_kl = o.choice<bool>("scope", {{"policy_only", false}, {"policy_and_kl", true}});
  const bool averages = level == "geometric";
  const log_clamp<S> clamp = read_log_clamp<S>(o);
  const auto set = [&](auto pooled, auto scope) {
    p.corrected =
        any_correction<S, decltype(pooled)::value, decltype(scope)>{averages, mode, clamp, scope};
  };
  const auto with_scope = [&](auto scope) {
    if (level == "token")
      set(std::false_type{}, scope);
    else
      set(std::true_type{}, scope);
  };
  if (of_kl)
    with_scope(correction::policy_and_kl{});
  else
    with_scope(correction::policy_only{});
}

template <class S> parts<S> read_parts(const options& o) {
  o.expect(
      {"ratio", "surrogate", "kl", "rollout_correction", "opsm", "entropy_coef", "aggregation"});
  parts<S> p{};
  read_ratio(o.object("ratio"), p);
  read_surrogate(o.object("surrogate"), p);
  if (p.needs_sequence && !p.is_sequence)
    throw std::invalid_argument("gmpo needs the ratio level sequence");
  if (!o.is_null("kl")) read_kl(o.object("kl"), p);
  if (!o.is_null("rollout_correction")) read_correction(o.object("rollout_correction"), p);
  if (!o.is_null("opsm")) {
    const options gate = o.object("opsm");
    gate.expect({"threshold", "anchor"});
    if (gate.text("anchor") == "self") gate.reject("anchor");
    p.gate = {static_cast<S>(gate.number("threshold")), read_anchor(gate, p)};
  }
  p.entropy.coef = static_cast<S>(o.number("entropy_coef"));
  read_aggregation(o.object("aggregation"), p);
  return p;
}

/// The arrays of a case in one layout: [rows, width] or, with boundaries, [tokens].
template <class S> struct arrays {
  std::int64_t rows, width;
  std::vector<std::int64_t> cu_seqlens;  // empty: padded
  std::vector<std::uint8_t> mask;        // empty: every token is live
  std::vector<S> logp, old, ref, rollout, entropy, advantages, scores;
  bool advantage_per_token;

  /// Calls f with the arrays of every token, by pairs of this and another.
  template <class F> void each(arrays& other, F&& f) {
    f(logp, other.logp), f(old, other.old), f(ref, other.ref), f(rollout, other.rollout);
    f(entropy, other.entropy);
    if (advantage_per_token) f(advantages, other.advantages);
  }
};

template <class S> arrays<S> read_arrays(const request& r, const parts<S>& p) {
  const std::vector<std::int64_t> shape = r.input("logp").shape;
  if (shape.size() != 2) throw std::invalid_argument("input logp does not have the shape [B, T]");
  arrays<S> a{};
  a.rows = shape[0], a.width = shape[1];
  a.logp = r.floats<S>("logp", shape);
  a.mask = r.mask("mask", shape);
  if (p.reads_old) a.old = r.floats<S>("logp_old", shape);
  if (p.reads_rollout) a.rollout = r.floats<S>("logp_rollout", shape);
  if (p.reads_ref) a.ref = r.floats<S>("logp_ref", shape);
  // what the case does not use is there all the same, since the composition has the part
  a.entropy =
      p.entropy.coef != S(0) ? r.floats<S>("entropy", shape) : std::vector<S>(a.logp.size(), S(0));
  a.advantage_per_token = r.input("advantages").shape.size() != 1;
  a.advantages = r.floats<S>("advantages", a.advantage_per_token ? shape : std::vector{shape[0]});
  const auto* any = std::get_if<any_surrogate<S>>(&p.surrogate);
  a.scores = any != nullptr && std::holds_alternative<clip::topr<S>>(any->rule)
                 ? r.floats<S>("scores", {shape[0]})
                 : std::vector<S>(static_cast<std::size_t>(a.rows), S(0));
  return a;
}

/// Row boundaries of rows of one width; the mask stays.
template <class S> arrays<S> ragged_with_mask(arrays<S> a) {
  for (std::int64_t i = 0; i <= a.rows; ++i) a.cu_seqlens.push_back(i * a.width);
  return a;
}

/// Live tokens only, one row after the other, without a mask.
template <class S> arrays<S> ragged_live(arrays<S>& a) {
  arrays<S> out{a.rows, a.width, {0}, {}, {}, {}, {}, {}, {}, {}, {}, a.advantage_per_token};
  if (!a.advantage_per_token) out.advantages = a.advantages;
  out.scores = a.scores;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t t = 0; t < a.width; ++t) {
      const auto at = static_cast<std::size_t>(i * a.width + t);
      if (a.mask[at] == 0) continue;
      ++tokens;
      a.each(out, [&](std::vector<S>& from, std::vector<S>& to) {
        if (!from.empty()) to.push_back(from[at]);
      });
    }
    out.cu_seqlens.push_back(tokens);
  }
  return out;
}

/// What one run gives; the gradients in the run's layout, then padded.
template <class S> struct loss_outputs {
  double loss;
  std::vector<S> gradient, entropy_gradient;
  std::int64_t tokens;
  double ratio_mean, ratio_max, clip_fraction_low, clip_fraction_high, kl_mean;
};

/// A view of n elements; present even if there is none.
template <class T, class U> hence::view<T> view_of(U* data, std::size_t n) {
  static T nothing{};
  return {n == 0 ? &nothing : data, static_cast<std::int64_t>(n)};
}

template <class Executor, class S>
loss_outputs<S> run(const Executor& executor, const parts<S>& p, arrays<S>& a) {
  const bool padded = a.cu_seqlens.empty();
  const auto per_token = [&](auto& v) {
    using T = typename std::remove_cvref_t<decltype(v)>::value_type;
    const hence::view<T> flat = view_of<T>(v.data(), v.size());
    return padded ? hence::per_token<T>(hence::view<T, 2>(flat.data, a.rows, a.width))
                  : hence::per_token<T>(flat);
  };
  loss_outputs<S> out{};
  // NaN shows an entry that is not written.
  out.gradient.assign(a.logp.size(), std::numeric_limits<S>::quiet_NaN());
  out.entropy_gradient = out.gradient;
  const hence::sampled how{1.0};
  hence::policy_inputs<S> in;
  in.logp = {per_token(a.logp), how};
  if (p.reads_old) in.old = {per_token(a.old), how};
  if (p.reads_rollout) in.rollout = {per_token(a.rollout), how};
  if (p.reads_ref) in.ref = {per_token(a.ref), how};
  in.entropy = per_token(a.entropy);
  in.scores = view_of<S>(a.scores.data(), a.scores.size());
  if (a.advantage_per_token)
    in.token_advantages = per_token(a.advantages);
  else
    in.advantages = view_of<S>(a.advantages.data(), a.advantages.size());

  const auto compute = [&](auto batch, auto mask_of) {
    if (!a.mask.empty()) batch.mask.response = mask_of(a.mask);
    std::vector<std::uint8_t> kept(a.logp.size());
    if (p.shrinks) {
      std::visit(
          [&](const auto& c) {
            if constexpr (hence::detail::has_correction<std::remove_cvref_t<decltype(c)>>)
              hence::shrink_mask(executor, c, batch, in, per_token(kept));
          },
          p.corrected);
      batch.mask.response = mask_of(kept);
    }
    std::visit(
        [&](const auto& aggregation) {
          const auto result = hence::loss_and_gradient(
              executor,
              hence::policy_loss{p.level, p.surrogate, p.estimator, aggregation, p.corrected,
                                 p.gate, p.entropy},
              batch, in, hence::over_this_call,
              {per_token(out.gradient), per_token(out.entropy_gradient)}, hence::with_metrics);
          const auto& m = result.metrics();
          out.loss = result.loss();
          out.tokens = m.tokens;
          out.ratio_mean = m.ratio_mean();
          out.ratio_max = static_cast<double>(m.max_ratio);
          out.clip_fraction_low = m.clip_low_mean();
          out.clip_fraction_high = m.clip_high_mean();
          out.kl_mean = m.kl_mean();
        },
        p.aggregation);
  };
  if (padded)
    compute(hence::padded{a.rows, a.width, {}}, [&](const std::vector<std::uint8_t>& m) {
      return hence::view<const std::uint8_t, 2>(m.data(), a.rows, a.width);
    });
  else
    compute(
        hence::ragged{hence::view<const std::int64_t>(a.cu_seqlens), {}},
        [](const std::vector<std::uint8_t>& m) {
          return hence::view<const std::uint8_t>(view_of<const std::uint8_t>(m.data(), m.size()));
        });
  return out;
}

/// Puts the gradients of live tokens in their padded places, 0 elsewhere.
template <class S> void spread(loss_outputs<S>& o, const std::vector<std::uint8_t>& mask) {
  for (std::vector<S>* gradient : {&o.gradient, &o.entropy_gradient}) {
    std::vector<S> wide(mask.size(), S(0));
    std::size_t next = 0;
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (mask[i] != 0) wide[i] = (*gradient)[next++];
    *gradient = std::move(wide);
  }
}

/// The same bits, or both NaN.
inline bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

template <class S>
void demand_same(const loss_outputs<S>& a, const loss_outputs<S>& b, const std::string& which) {
  const auto demand = [&](bool agrees, const std::string& output) {
    if (!agrees) throw std::runtime_error(which + " differ in " + output);
  };
  demand(same(a.loss, b.loss), "loss");
  demand(a.tokens == b.tokens, "tokens");
  demand(same(a.ratio_mean, b.ratio_mean), "ratio_mean");
  demand(same(a.ratio_max, b.ratio_max), "ratio_max");
  demand(same(a.clip_fraction_low, b.clip_fraction_low), "clip_fraction_low");
  demand(same(a.clip_fraction_high, b.clip_fraction_high), "clip_fraction_high");
  demand(same(a.kl_mean, b.kl_mean), "kl_mean");
  for (std::size_t i = 0; i < a.gradient.size(); ++i)
    demand(same(static_cast<double>(a.gradient[i]), static_cast<double>(b.gradient[i])),
           "grad_logp[" + std::to_string(i) + "]");
  for (std::size_t i = 0; i < a.entropy_gradient.size(); ++i)
    demand(same(static_cast<double>(a.entropy_gradient[i]),
                static_cast<double>(b.entropy_gradient[i])),
           "grad_entropy[" + std::to_string(i) + "]");
}

/// All layouts on one executor.
template <class Executor, class S>
loss_outputs<S> run_layouts(const Executor& executor, const char* name, const parts<S>& p,
                            arrays<S>& padded) {
  const std::string prefix = std::string(name) + ": padded and ragged";
  const loss_outputs<S> first = run(executor, p, padded);
  arrays<S> with_mask = ragged_with_mask(padded);
  demand_same(first, run(executor, p, with_mask), prefix + " with a mask");
  arrays<S> live = ragged_live(padded);
  loss_outputs<S> compact = run(executor, p, live);
  spread(compact, padded.mask);
  demand_same(first, compact, prefix + " without dead tokens");
  return first;
}

// One executor each.
loss_outputs<float> run_on_cpu(const parts<float>& p, arrays<float>& a);
loss_outputs<float> run_on_reference(const parts<float>& p, arrays<float>& a);
loss_outputs<double> run_on_reference(const parts<double>& p, arrays<double>& a);

}  // namespace conformance
