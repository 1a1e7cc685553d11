// The operation policy_loss: a case's options -> a composition of the library's parts. Each case
// runs in three layouts (padded, ragged with its mask, ragged without dead tokens), float32 cases
// on two executors; all must agree bit for bit.

#include "operation.hpp"

#include <hence/policy/loss.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <variant>

namespace conformance {
namespace {

namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

enum class anchor { old, rollout, self };

/// The parts that the library chooses by type, as alternatives.
template <class S> struct parts {
  using log_clamp = ratio::log_clamp<S>;
  anchor against;
  std::variant<ratio::token<>, ratio::token<log_clamp>, ratio::sequence<>,
               ratio::sequence<log_clamp>>
      level;
  std::variant<clip::two_sided<S>, clip::cispo<S>> surrogate;
  std::variant<kl::none, kl::k1<S>, kl::k1<S, kl::as_k2>, kl::k2<S>, kl::k3<S>,
               kl::k3<S, kl::as_k2>>
      estimator;
  std::variant<aggregate::token_mean, aggregate::sequence_mean_token_mean<aggregate::all_rows>,
               aggregate::sequence_mean_token_mean<aggregate::non_empty_rows>,
               aggregate::sequence_mean_token_mean_over, aggregate::constant>
      aggregation;
};

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class S> void read_ratio(const options& o, parts<S>& p) {
  o.expect({"level", "anchor", "log_clamp"});
  p.against = o.choice<anchor>(
      "anchor", {{"old", anchor::old}, {"rollout", anchor::rollout}, {"self", anchor::self}});
  const bool pooled = o.choice<bool>("level", {{"token", false}, {"sequence", true}});
  const auto [low, high] = o.interval("log_clamp");
  if (low == -infinity && high == infinity) {
    if (pooled)
      p.level = ratio::sequence<>{};
    else
      p.level = ratio::token<>{};
  } else {
    const ratio::log_clamp<S> limits{static_cast<S>(low), static_cast<S>(high)};
    if (pooled)
      p.level = ratio::sequence<ratio::log_clamp<S>>{limits};
    else
      p.level = ratio::token<ratio::log_clamp<S>>{limits};
  }
}

template <class S> void read_surrogate(const options& o, parts<S>& p) {
  const bool is_cispo = o.choice<bool>("type", {{"two_sided", false}, {"cispo", true}});
  o.expect({"type", "low", "high"});
  const S low = static_cast<S>(o.number_or("low", -infinity));
  const S high = static_cast<S>(o.number_or("high", infinity));
  if (is_cispo)
    p.surrogate = clip::cispo<S>{low, high};
  else
    p.surrogate = clip::two_sided<S>{low, high};
}

template <class S> void read_kl(const options& o, parts<S>& p) {
  o.expect(
      {"estimator", "coef", "input_clamp", "output_clamp", "gradient", "weight", "importance_cap"});
  for (const char* key : {"input_clamp", "output_clamp"})
    if (o.interval(key) != std::pair(-infinity, infinity)) o.reject(key);
  o.choice<int>("weight", {{"none", 0}});
  o.expect_null("importance_cap");
  const S coef = static_cast<S>(o.number("coef"));
  const bool as_k2 = o.choice<bool>("gradient", {{"own", false}, {"k2", true}});
  const int k = o.choice<int>("estimator", {{"k1", 1}, {"k2", 2}, {"k3", 3}});
  if (k == 1 && !as_k2) p.estimator = kl::k1<S>{coef};
  if (k == 1 && as_k2) p.estimator = kl::k1<S, kl::as_k2>{coef};
  if (k == 2) p.estimator = kl::k2<S>{coef};  // its own gradient is k2's
  if (k == 3 && !as_k2) p.estimator = kl::k3<S>{coef};
  if (k == 3 && as_k2) p.estimator = kl::k3<S, kl::as_k2>{coef};
}

template <class S> void read_aggregation(const options& o, parts<S>& p) {
  const std::string type = o.text("type");
  if (type == "token_mean") {
    o.expect({"type"});
    p.aggregation = aggregate::token_mean{};
  } else if (type == "constant") {
    o.expect({"type", "value"});
    p.aggregation = aggregate::constant{o.number("value")};
  } else if (type == "sequence_mean_token_mean") {
    o.expect({"type", "rows"});
    if (!o.is_text("rows"))
      p.aggregation = aggregate::sequence_mean_token_mean_over{o.number("rows")};
    else if (o.choice<bool>("rows", {{"all", true}, {"non_empty", false}}))
      p.aggregation = aggregate::sequence_mean_token_mean<aggregate::all_rows>{};
    else
      p.aggregation = aggregate::sequence_mean_token_mean<aggregate::non_empty_rows>{};
  } else {
    o.reject("type");
  }
}

template <class S> parts<S> read_parts(const options& o) {
  o.expect(
      {"ratio", "surrogate", "kl", "rollout_correction", "opsm", "entropy_coef", "aggregation"});
  o.expect_null("rollout_correction");
  o.expect_null("opsm");
  if (o.number("entropy_coef") != 0) o.reject("entropy_coef");
  parts<S> p{};
  read_ratio(o.object("ratio"), p);
  read_surrogate(o.object("surrogate"), p);
  if (!o.is_null("kl")) read_kl(o.object("kl"), p);
  read_aggregation(o.object("aggregation"), p);
  return p;
}

/// The arrays of a case in one layout: [rows, width] or, with boundaries, [tokens].
template <class S> struct arrays {
  std::int64_t rows, width;
  std::vector<std::int64_t> cu_seqlens;  // empty: padded
  std::vector<std::uint8_t> mask;        // empty: every token is live
  std::vector<S> logp, old, ref, advantages;
  bool advantage_per_token;
};

template <class S> arrays<S> read_arrays(const request& r, const parts<S>& p) {
  const std::vector<std::int64_t> shape = r.input("logp").shape;
  if (shape.size() != 2) throw std::invalid_argument("input logp does not have the shape [B, T]");
  arrays<S> a{};
  a.rows = shape[0], a.width = shape[1];
  a.logp = r.floats<S>("logp", shape);
  a.mask = r.mask("mask", shape);
  a.old = p.against == anchor::self      ? a.logp
          : p.against == anchor::rollout ? r.floats<S>("logp_rollout", shape)
                                         : r.floats<S>("logp_old", shape);
  if (!std::holds_alternative<kl::none>(p.estimator)) a.ref = r.floats<S>("logp_ref", shape);
  a.advantage_per_token = r.input("advantages").shape.size() != 1;
  a.advantages = r.floats<S>("advantages", a.advantage_per_token ? shape : std::vector{shape[0]});
  return a;
}

/// Row boundaries of rows of one width; the mask stays.
template <class S> arrays<S> ragged_with_mask(arrays<S> a) {
  for (std::int64_t i = 0; i <= a.rows; ++i) a.cu_seqlens.push_back(i * a.width);
  return a;
}

/// Live tokens only, one row after the other, without a mask.
template <class S> arrays<S> ragged_live(const arrays<S>& a) {
  arrays<S> out{a.rows, a.width, {0}, {}, {}, {}, {}, {}, a.advantage_per_token};
  if (!a.advantage_per_token) out.advantages = a.advantages;
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t t = 0; t < a.width; ++t) {
      const auto at = static_cast<std::size_t>(i * a.width + t);
      if (a.mask[at] == 0) continue;
      out.logp.push_back(a.logp[at]);
      out.old.push_back(a.old[at]);
      if (!a.ref.empty()) out.ref.push_back(a.ref[at]);
      if (a.advantage_per_token) out.advantages.push_back(a.advantages[at]);
    }
    out.cu_seqlens.push_back(static_cast<std::int64_t>(out.logp.size()));
  }
  return out;
}

/// What one run gives; the gradient in the run's layout, then padded.
template <class S> struct outputs {
  double loss;
  std::vector<S> gradient;
  std::int64_t tokens;
  double ratio_mean, ratio_max, clip_fraction_low, clip_fraction_high, kl_mean;
};

/// A view of n elements; present even if there is none.
template <class T, class U> hence::view<T> view_of(U* data, std::size_t n) {
  static T nothing{};
  return {n == 0 ? &nothing : data, static_cast<std::int64_t>(n)};
}

template <class Executor, class S>
outputs<S> run(const Executor& executor, const parts<S>& p, arrays<S>& a) {
  const bool padded = a.cu_seqlens.empty();
  const auto per_token = [&](std::vector<S>& v) {
    const hence::view<S> flat = view_of<S>(v.data(), v.size());
    return padded ? hence::per_token<S>(hence::view<S, 2>(flat.data, a.rows, a.width))
                  : hence::per_token<S>(flat);
  };
  outputs<S> out{};
  // NaN shows an entry that is not written.
  out.gradient.assign(a.logp.size(), std::numeric_limits<S>::quiet_NaN());
  const hence::sampled how{1.0};
  hence::policy_inputs<S> in;
  in.logp = {per_token(a.logp), how};
  in.old = {per_token(a.old), how};
  if (!std::holds_alternative<kl::none>(p.estimator)) in.ref = {per_token(a.ref), how};
  if (a.advantage_per_token)
    in.token_advantages = per_token(a.advantages);
  else
    in.advantages = view_of<S>(a.advantages.data(), a.advantages.size());

  const auto mask = a.mask.data();
  std::visit(
      [&](const auto& aggregation) {
        const auto compute = [&](const auto& batch) {
          const auto result = hence::loss_and_gradient(
              executor, hence::policy_loss{p.level, p.surrogate, p.estimator, aggregation}, batch,
              in, hence::over_this_call, per_token(out.gradient), hence::with_metrics);
          const auto& m = result.metrics();
          out.loss = result.loss();
          out.tokens = m.tokens;
          out.ratio_mean = m.ratio_mean();
          out.ratio_max = static_cast<double>(m.max_ratio);
          out.clip_fraction_low = m.clip_low_mean();
          out.clip_fraction_high = m.clip_high_mean();
          out.kl_mean = m.kl_mean();
        };
        if (padded) {
          hence::padded batch{a.rows, a.width, {}};
          if (!a.mask.empty()) batch.mask.response = {mask, a.rows, a.width};
          compute(batch);
        } else {
          hence::ragged batch{hence::view<const std::int64_t>(a.cu_seqlens), {}};
          if (!a.mask.empty())
            batch.mask.response = {mask, static_cast<std::int64_t>(a.mask.size())};
          compute(batch);
        }
      },
      p.aggregation);
  return out;
}

/// Puts the gradient of live tokens in their padded places, 0 elsewhere.
template <class S> void spread(outputs<S>& o, const std::vector<std::uint8_t>& mask) {
  std::vector<S> wide(mask.size(), S(0));
  std::size_t next = 0;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 0) wide[i] = o.gradient[next++];
  o.gradient = std::move(wide);
}

/// The same bits, or both NaN.
bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

template <class S>
void demand_same(const outputs<S>& a, const outputs<S>& b, const std::string& which) {
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
}

/// All layouts on one executor.
template <class Executor, class S>
outputs<S> run_layouts(const Executor& executor, const char* name, const parts<S>& p,
                       arrays<S>& padded) {
  const std::string prefix = std::string(name) + ": padded and ragged";
  const outputs<S> first = run(executor, p, padded);
  arrays<S> with_mask = ragged_with_mask(padded);
  demand_same(first, run(executor, p, with_mask), prefix + " with a mask");
  arrays<S> live = ragged_live(padded);
  outputs<S> compact = run(executor, p, live);
  spread(compact, padded.mask);
  demand_same(first, compact, prefix + " without dead tokens");
  return first;
}

template <class S> answer policy_loss(const request& r) {
  const parts<S> p = read_parts<S>(r.options_of_case());
  arrays<S> a = read_arrays<S>(r, p);
  outputs<S> o;
  if constexpr (std::is_same_v<S, float>) {
    o = run_layouts(hence::cpu{}, "cpu", p, a);
    demand_same(o, run_layouts(hence::reference<float>{}, "reference", p, a), "cpu and reference");
  } else {
    o = run_layouts(hence::reference<double>{}, "reference", p, a);
  }
  return {{"loss", scalar(o.loss)},
          {"grad_logp", make_tensor({a.rows, a.width}, o.gradient)},
          {"tokens", scalar(o.tokens)},
          {"ratio_mean", scalar(o.ratio_mean)},
          {"ratio_max", scalar(o.ratio_max)},
          {"clip_fraction_low", scalar(o.clip_fraction_low)},
          {"clip_fraction_high", scalar(o.clip_fraction_high)},
          {"kl_mean", scalar(o.kl_mean)}};
}

const operation registered("policy_loss", [](const request& r) {
  return r.is_double() ? policy_loss<double>(r) : policy_loss<float>(r);
});

}  // namespace
}  // namespace conformance
