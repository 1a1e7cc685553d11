/// \file
/// The loss of every composition written a second time, plainly, from the papers and the
/// conformance contract, in quadruple precision. Everything under a stopped gradient is taken from
/// `frozen`, so central differences of it are the gradients that the papers mean, to about 1e-17.
/// Nothing here calls hence.
#pragma once

#include "oracle.hpp"

namespace family {

using oracle::exp;
using oracle::limit;
using oracle::quad;

constexpr double infinity = HUGE_VAL;

/// Newton's iteration on exp.
inline quad log(quad x) {
  if (x <= 0) return static_cast<quad>(-HUGE_VAL);
  quad y = std::log(static_cast<double>(x));
  for (int k = 0; k < 3; ++k) y += 2 * (x - exp(y)) / (x + exp(y));
  return y;
}

enum class level { token, sequence, sequence_token, sequence_product };
enum class anchor { old, rollout, self };
enum class rule {
  two_sided,
  dual,
  upper_bound,
  none,
  reinforce,
  cispo,
  band,
  sapo,
  gmpo,
  dppo_tv,
  dppo_kl,
  topr,
  vespo,
  dro,
  dro_log_ratio
};
enum class estimator { none, k1, k2, k3, absolute };
enum class gradient { own, k2, k2_importance, ratio };
enum class correction { none, token, sequence, geometric, veto };
enum class mode { truncate, mask, reject };

struct spec {
  level at = level::token;
  anchor against = anchor::old;
  double log_low = -infinity, log_high = infinity;
  rule surrogate = rule::two_sided;
  double a = 0.75, b = 1.25, c = 0, d = 0;  ///< its numbers in the order of its members
  bool score_form = false;                  ///< of DPPO, with cap c
  estimator kl = estimator::none;
  double coef = 0;
  gradient kl_gradient = gradient::own;
  double cap = infinity;
  double input_low = -infinity, input_high = infinity, output_low = -infinity,
         output_high = infinity;
  bool saturated = false;  ///< value to output_high, slope to `slope`
  double slope = 0;
  correction correct = correction::none;
  mode by = mode::truncate;
  double weight_low = -infinity, weight_high = infinity, weight_log = infinity;
  double veto_low = -infinity, veto_high = infinity;  ///< beside a correction of another kind
  bool kl_too = false;
  bool gated = false;
  anchor gate_anchor = anchor::old;
  double threshold = 0;
  double entropy = 0;
  bool sums = false;  ///< sequence_mean_token_sum over all rows, else token_mean
};

using fixture::description;
using fixture::position;

inline bool counts(const position& p) { return p.live && p.policy; }

/// log pi_anchor.
inline quad anchored(anchor a, const position& p, const position& frozen) {
  return a == anchor::old ? p.old : a == anchor::rollout ? p.rollout : frozen.logp;
}
inline quad log_ratio(const spec& s, const position& p, const position& frozen) {
  return quad(p.logp) - anchored(s.against, p, frozen);
}
inline quad weight_of(const spec& s, quad e) {
  const quad rho = exp(limit(e, -s.weight_log, s.weight_log));
  const bool inside = s.weight_low <= rho && rho <= s.weight_high;
  if (s.by == mode::truncate) return limit(rho, s.weight_low, s.weight_high);
  return !inside ? quad(0) : s.by == mode::mask ? rho : quad(1);
}

/// What a row settles before its tokens.
struct row_values {
  quad pooled = 0, weight = 1, gate = 0, vespo = 0;
  bool vetoed = false;
};
inline row_values settle(const spec& s, const description& d, const description& frozen,
                         std::size_t i) {
  row_values out;
  const auto& r = d.rows[i].at;
  quad e = 0, outliers = 0;
  std::int64_t n = 0;
  for (std::size_t t = 0; t < r.size(); ++t) {
    if (!counts(r[t])) continue;
    ++n;
    const position& f = frozen.rows[i].at[t];
    quad x = log_ratio(s, r[t], f);
    const double a = d.advantage_at(i, t);
    out.vespo += limit(x, -20, 20);
    if (s.surrogate == rule::gmpo && a > 0 && x > s.b) x = s.b;
    if (s.surrogate == rule::gmpo && a < 0 && x < s.a) x = s.a;
    out.pooled += x;
    const quad mismatch = quad(r[t].old) - r[t].rollout;
    e += mismatch;
    const quad rho = exp(mismatch);
    outliers += rho < s.weight_low || rho > s.weight_high;
    out.vetoed = out.vetoed || rho < s.veto_low || rho > s.veto_high;
    out.gate += anchored(s.gate_anchor, r[t], f) - r[t].logp;
  }
  const quad divisor = n > 1 ? n : 1;
  if (s.at != level::sequence_product) out.pooled /= divisor;
  out.gate /= divisor;
  if (s.correct == correction::sequence) out.weight = weight_of(s, e);
  if (s.correct == correction::geometric) out.weight = weight_of(s, e / divisor);
  if (s.correct == correction::veto) out.weight = outliers > 0 ? 0 : 1;
  if (s.correct != correction::none)
    for (const position& p : r)
      if (counts(p)) {
        const quad w =
            s.correct == correction::token ? weight_of(s, quad(p.old) - p.rollout) : out.weight;
        out.vespo += limit(log(out.vetoed ? quad(0) : w), log(1e-8), 20);
      }
  return out;
}

/// The surrogate. r, l: ratio and its logarithm; `kept`: those under a stopped gradient.
inline quad surrogate_value(const spec& s, quad r, quad l, quad kept, quad logp, quad kept_logp,
                            quad kept_anchor, quad a, quad score, quad vespo) {
  if (s.surrogate == rule::dro_log_ratio) return -(a * l - quad(s.a) * l * l / 2);
  if (s.surrogate == rule::dro) return -(a * logp - quad(s.a) * l * l / 2);
  if (a == 0) return 0;
  const auto smaller = [](quad x, quad y) { return x < y ? x : y; };
  switch (s.surrogate) {
    case rule::two_sided:
      return -smaller(r * a, limit(r, s.a, s.b) * a);
    case rule::dual:
      return a < 0 && r > s.c ? -s.c * a : -smaller(r * a, limit(r, s.a, s.b) * a);
    case rule::upper_bound:
      return -smaller(smaller(r, s.c) * a, limit(r, s.a, s.b) * a);
    case rule::none:
    case rule::gmpo:
      return -r * a;
    case rule::reinforce:
      return -a * logp;
    case rule::cispo:
      return -limit(kept, s.a, s.b) * a * logp;
    case rule::band:
      return s.a <= kept && kept <= s.b ? -kept * a * logp : quad(0);
    case rule::sapo: {
      const quad tau = a > 0 ? s.a : s.b;
      return -(4 / tau) / (1 + exp(-tau * (r - 1))) * a;
    }
    case rule::topr:
      return -(score > 0 ? quad(1) : limit(kept, s.a, s.b)) * a * logp;
    case rule::vespo: {
      const quad w = limit(vespo, log(1e-8), 20), k = a >= 0 ? s.a : s.c,
                 lambda = a >= 0 ? s.b : s.d;
      return -exp(lambda + k * w - lambda * exp(w)) * a * logp;
    }
    default: {
      const quad p = exp(kept_logp), q = exp(kept_anchor);
      bool keep;
      if (s.surrogate == rule::dppo_tv) {
        keep = a > 0 ? p - q <= s.b : p - q >= -s.a;
      } else {
        const quad tiny = 1e-8, divergence = q * (kept_anchor - kept_logp) +
                                             (1 - q) * log((1 - q + tiny) / (1 - p + tiny));
        keep = a > 0 ? divergence <= s.b || p <= q : divergence <= s.a || p >= q;
      }
      if (!keep) return 0;
      return s.score_form ? -smaller(kept, s.c) * a * logp : -a * r;
    }
  }
}

inline quad raw_kl(estimator e, quad u) {
  switch (e) {
    case estimator::k1:
      return -u;
    case estimator::k2:
      return u * u / 2;
    case estimator::k3:
      return exp(u) - 1 - u;
    default:
      return u < 0 ? -u : u;
  }
}
inline quad kl_value(const spec& s, quad u) {
  return limit(raw_kl(s.kl, limit(u, s.input_low, s.input_high)), s.output_low, s.output_high);
}

inline quad loss(const spec& s, const description& d, const description& frozen) {
  quad total = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    const row_values now = settle(s, d, frozen, i), then = settle(s, frozen, frozen, i);
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      const position &p = d.rows[i].at[t], &f = frozen.rows[i].at[t];
      if (!p.live) continue;
      ++tokens;
      quad l = 0, kept = 0;
      switch (s.at) {
        case level::token:
          l = log_ratio(s, p, f), kept = log_ratio(s, f, f);
          break;
        case level::sequence_token:
          l = then.pooled + p.logp - f.logp, kept = then.pooled;
          break;
        default:
          l = now.pooled, kept = then.pooled;
      }
      l = limit(l, s.log_low, s.log_high), kept = limit(kept, s.log_low, s.log_high);
      const quad weight = then.vetoed                      ? quad(0)
                          : s.correct == correction::token ? weight_of(s, quad(p.old) - p.rollout)
                                                           : then.weight;
      const bool weighs = s.correct != correction::none && s.surrogate != rule::vespo;
      quad x = 0;
      if (p.policy) {
        const double a = d.advantage_at(i, t);
        x = surrogate_value(s, exp(l), l, exp(kept), p.logp, f.logp, anchored(s.against, f, f), a,
                            d.rows[i].score, then.vespo);
        if (s.gated && a < 0 && then.gate > s.threshold) x = 0;
        if (weighs) x *= weight;
        x -= s.entropy * quad(p.entropy);
      }
      if (s.kl != estimator::none && p.kl) {
        const quad u = quad(p.ref) - p.logp, v = quad(f.ref) - f.logp;
        const quad change = (u * u - v * v) / 2;
        quad k = 0;
        switch (s.kl_gradient) {
          case gradient::own:
            k = kl_value(s, u);
            break;
          case gradient::k2:
            k = kl_value(s, v) + change;
            break;
          case gradient::k2_importance: {
            const quad g = exp(quad(f.logp) - anchored(s.against, f, f));
            k = kl_value(s, v) + (g < s.cap ? g : quad(s.cap)) * change;
            break;
          }
          case gradient::ratio:
            k = kl_value(s, u) * exp(l);
        }
        if (s.saturated)  // k3 alone
          k = limit(raw_kl(s.kl, v), -s.output_high, s.output_high) +
              limit(1 - exp(v), -s.slope, s.slope) * (quad(p.logp) - f.logp);
        x += s.coef * k * (weighs && s.kl_too ? weight : quad(1));
      }
      total += x;
    }
  }
  const std::int64_t by = s.sums ? static_cast<std::int64_t>(d.rows.size()) : tokens;
  return total / (by > 1 ? by : 1);
}

/// d loss / d logp by central differences in quadruple precision.
inline std::vector<std::vector<quad>> gradient_of(const spec& s, const description& d) {
  std::vector<std::vector<quad>> out;
  description moved = d;
  // 2^-26 is exact beside log-probs that are multiples of 2^-20; the error of the difference is
  // about 2^-52 of the third derivative
  const double step = 0x1p-26;
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    out.emplace_back(d.rows[i].at.size(), quad(0));
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      const position& p = d.rows[i].at[t];
      if (!p.live) continue;
      double& x = moved.rows[i].at[t].logp;
      x = p.logp + step;
      const quad above = loss(s, moved, d);
      x = p.logp - step;
      out[i][t] = (above - loss(s, moved, d)) / (2 * quad(step));
      x = p.logp;
    }
  }
  return out;
}

}  // namespace family
