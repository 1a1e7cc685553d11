/// \file
/// The losses written a second time, plainly, from the papers and in quadruple precision: values
/// and closed-form gradients. Nothing here calls hence.
#pragma once

#include "description.hpp"

namespace oracle {

__extension__ typedef __float128 quad;

inline quad ln2() {
  static const quad value = [] {
    quad sum = 0, power = quad(1) / 3;  // 2 artanh(1/3)
    for (int k = 1; k < 80; k += 2) {
      sum += power / k;
      power /= 9;
    }
    return 2 * sum;
  }();
  return value;
}

inline quad exp(quad x) {
  if (x != x) return x;
  if (x > 11000) return static_cast<quad>(HUGE_VAL);
  if (x < -11000) return 0;
  const int n = static_cast<int>(static_cast<double>(x / ln2()) + (x < 0 ? -0.5 : 0.5));
  const quad r = x - n * ln2();
  quad term = 1, sum = 1;
  for (int k = 1; k < 30; ++k) {
    term *= r / k;
    sum += term;
  }
  for (int i = 0; i < (n < 0 ? -n : n); ++i) sum = n > 0 ? sum * 2 : sum / 2;
  return sum;
}

enum class surrogate { two_sided, cispo, pair, token };
enum class estimator { none, k1, k2, k3 };
enum class divisor { token_mean, all_rows, non_empty_rows, rows_given, constant };

/// A loss by its options, as in the conformance contract.
struct spec {
  bool pooled = false;   // ratio level: sequence
  bool limited = false;  // log_clamp
  double log_low = 0, log_high = 0;
  surrogate rule = surrogate::two_sided;
  double low = 0, high = 0;
  estimator kl = estimator::none;
  bool k2_gradient = false;
  double coef = 0;
  divisor by = divisor::token_mean;
  double number = 0;
};

struct evaluation {
  quad loss = 0;
  quad size = 0;  ///< the loss with every token's term made positive: what errors are measured by
  std::vector<std::vector<quad>> gradient;
  quad ratio_sum = 0, ratio_max = 0, kl_sum = 0;
  std::int64_t tokens = 0, kl_tokens = 0, low = 0, high = 0;
};

inline quad limit(quad x, quad low, quad high) { return x < low ? low : x > high ? high : x; }

/// p of one token. The ratio inside sg() is `frozen_ratio`.
inline quad policy_value(const spec& s, quad r, quad frozen_ratio, quad log_ratio, quad logp,
                         quad anchor, quad a, quad score) {
  switch (s.rule) {
    case surrogate::two_sided: {
      if (a == 0) return 0;
      const quad plain = r * a, clipped = limit(r, s.low, s.high) * a;
      return plain < clipped ? -plain : -clipped;
    }
    case surrogate::cispo:
      return a == 0 ? 0 : -limit(frozen_ratio, s.low, s.high) * a * logp;
    case surrogate::pair:
      return (r - 1) * (r - 1) / 2 - r * a;
    case surrogate::token:
      return score * log_ratio * log_ratio - a * log_ratio + (logp - anchor) * logp / 8;
  }
  return 0;
}

inline quad kl_value(estimator e, quad u) {
  switch (e) {
    case estimator::none:
      return 0;
    case estimator::k1:
      return -u;
    case estimator::k2:
      return u * u / 2;
    case estimator::k3:
      return exp(u) - 1 - u;
  }
  return 0;
}

/// dv/dlogp: u falls as logp grows.
inline quad kl_slope(const spec& s, quad u) {
  if (s.k2_gradient) return -u;
  switch (s.kl) {
    case estimator::none:
      return 0;
    case estimator::k1:
      return 1;
    case estimator::k2:
      return -u;
    case estimator::k3:
      return 1 - exp(u);
  }
  return 0;
}

/// What the row's sum and the whole sum are divided by.
inline quad row_divisor(const spec& s, std::int64_t live) {
  return s.by == divisor::token_mean || s.by == divisor::constant || live == 0 ? 1 : live;
}
inline std::int64_t live_tokens(const fixture::row& r) {
  std::int64_t n = 0;
  for (const auto& p : r.at) n += p.live;
  return n;
}
inline quad total_divisor(const spec& s, const fixture::description& d) {
  std::int64_t tokens = 0, filled = 0;
  for (const auto& r : d.rows) {
    tokens += live_tokens(r);
    filled += live_tokens(r) > 0;
  }
  const auto positive = [](std::int64_t n) { return static_cast<quad>(n > 1 ? n : 1); };
  switch (s.by) {
    case divisor::token_mean:
      return positive(tokens);
    case divisor::all_rows:
      return positive(static_cast<std::int64_t>(d.rows.size()));
    case divisor::non_empty_rows:
      return positive(filled);
    default:
      return s.number;
  }
}

/// The row's mean of logp - old over its policy tokens.
inline quad mean_log_ratio(const fixture::row& r, std::int64_t& n) {
  quad sum = 0;
  n = 0;
  for (const auto& p : r.at)
    if (p.live && p.policy) {
      sum += quad(p.logp) - p.old;
      ++n;
    }
  return sum / (n > 1 ? n : 1);
}

/// Loss, closed-form gradient and metrics.
inline evaluation evaluate(const spec& s, const fixture::description& d) {
  evaluation e;
  const quad whole = total_divisor(s, d);
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    const fixture::row& r = d.rows[i];
    e.gradient.emplace_back(r.at.size(), quad(0));
    const quad scale = 1 / (whole * row_divisor(s, live_tokens(r)));
    std::int64_t n = 0;
    const quad mean = mean_log_ratio(r, n);
    quad through_mean = 0;
    for (std::size_t t = 0; t < r.at.size(); ++t) {
      const fixture::position& p = r.at[t];
      if (!p.live) continue;
      quad x = 0, own = 0, through_ratio = 0, kl = 0, a = 0;
      quad raw = s.pooled ? mean : p.policy ? quad(p.logp) - p.old : quad(0);
      const bool inside = !s.limited || (s.log_low <= raw && raw <= s.log_high);
      const quad log_ratio = s.limited ? limit(raw, s.log_low, s.log_high) : raw;
      const quad ratio = exp(log_ratio);
      if (p.policy) {
        a = d.advantage_at(i, t);
        x = policy_value(s, ratio, ratio, log_ratio, p.logp, p.old, a, r.score);
        quad slope = 0;  // with respect to log r
        switch (s.rule) {
          case surrogate::two_sided:
            slope =
                (a > 0 && ratio > s.high) || (a < 0 && ratio < s.low) || a == 0 ? 0 : -a * ratio;
            break;
          case surrogate::cispo:
            own = a == 0 ? 0 : -limit(ratio, s.low, s.high) * a;
            break;
          case surrogate::pair:
            slope = (ratio - 1 - a) * ratio;
            break;
          case surrogate::token:
            slope = 2 * quad(r.score) * log_ratio - a;
            own = (2 * quad(p.logp) - p.old) / 8;
            break;
        }
        through_ratio = inside ? slope : 0;
      }
      if (s.kl != estimator::none && p.kl) {
        const quad u = quad(p.ref) - p.logp;
        kl = kl_value(s.kl, u);
        x += s.coef * kl;
        own += s.coef * kl_slope(s, u);
      }
      e.loss += x * scale;
      e.size += (x < 0 ? -x : x) * scale;
      e.gradient[i][t] = (own + (s.pooled ? quad(0) : through_ratio)) * scale;
      through_mean += through_ratio;
      if (p.metric && p.kl) {
        ++e.kl_tokens;
        e.kl_sum += kl;
      }
      if (!p.metric || !p.policy) continue;
      ++e.tokens;
      e.ratio_sum += ratio;
      if (ratio > e.ratio_max) e.ratio_max = ratio;
      if (s.rule == surrogate::two_sided || s.rule == surrogate::cispo) {
        e.low += ratio < s.low && a < 0;
        e.high += ratio > s.high && a > 0;
      }
    }
    if (!s.pooled || n == 0) continue;
    for (std::size_t t = 0; t < r.at.size(); ++t)
      if (r.at[t].live && r.at[t].policy) e.gradient[i][t] += through_mean / n * scale;
  }
  return e;
}

/// The loss as a function of `d`, everything under a stopped gradient taken from `frozen`; its
/// finite differences are the gradients that the papers mean.
inline quad frozen_loss(const spec& s, const fixture::description& d,
                        const fixture::description& frozen) {
  const auto ratio_of = [&](const fixture::description& from, std::size_t i, std::size_t t) {
    const fixture::row& r = from.rows[i];
    std::int64_t n = 0;
    quad log_ratio = s.pooled ? mean_log_ratio(r, n) : quad(r.at[t].logp) - r.at[t].old;
    return s.limited ? limit(log_ratio, s.log_low, s.log_high) : log_ratio;
  };
  quad loss = 0;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      const fixture::position &p = d.rows[i].at[t], &q = frozen.rows[i].at[t];
      if (!p.live) continue;
      quad x = 0;
      if (p.policy) {
        const quad log_ratio = ratio_of(d, i, t);
        x = policy_value(s, exp(log_ratio), exp(ratio_of(frozen, i, t)), log_ratio, p.logp, p.old,
                         d.advantage_at(i, t), d.rows[i].score);
      }
      if (s.kl != estimator::none && p.kl) {
        const quad u = quad(p.ref) - p.logp, v = quad(q.ref) - q.logp;
        x += s.coef * (s.k2_gradient ? kl_value(s.kl, v) + (u * u - v * v) / 2 : kl_value(s.kl, u));
      }
      loss += x / row_divisor(s, live_tokens(d.rows[i]));
    }
  return loss / total_divisor(s, d);
}

}  // namespace oracle
