/// \file
/// What every composition is held to; instantiated in composition_*_test.cpp, a share in each.
#pragma once

#include <doctest/doctest.h>

#include "compositions.hpp"

#include <functional>

namespace fixture {

/// Whether a log-ratio lies within 2^-9 of a number where a gradient jumps.
inline bool near_a_kink(double x) {
  const double kinks[] = {std::log(low), std::log(high), log_low, log_high};
  return std::any_of(std::begin(kinks), std::end(kinks),
                     [x](double k) { return std::fabs(x - k) < 0x1p-9; });
}
/// A random batch with no ratio, of a token or of a row, where a gradient jumps.
inline description smooth_batch(std::uint32_t seed, const std::vector<std::size_t>& lengths,
                                const shape& s = {}) {
  dice random(seed);
  description d = random_batch(random, lengths, s);
  std::int64_t n = 0;
  for (row& r : d.rows) do {
      for (position& p : r.at) do
          p.old = p.logp - random.between(-s.spread, s.spread);
        while (near_a_kink(p.logp - p.old));
    } while (near_a_kink(static_cast<double>(oracle::mean_log_ratio(r, n))));
  return d;
}

/// |a - b| of the loss and the largest of the gradient, relative to what they are made of.
struct deviation {
  double loss = 0, gradient = 0;
};
template <class T> deviation deviation_of(const outcome<T>& o, const oracle::evaluation& e) {
  const auto size = [](oracle::quad x) { return static_cast<double>(x < 0 ? -x : x); };
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < e.gradient.size(); ++i)
    for (std::size_t t = 0; t < e.gradient[i].size(); ++t) {
      largest = std::max(largest, size(e.gradient[i][t]));
      const double error = size(e.gradient[i][t] - static_cast<double>(o.gradient[i][t]));
      if (!(error <= worst)) worst = error;
    }
  const double all = static_cast<double>(e.size);
  return {all > 0 ? size(e.loss - o.loss) / all : std::fabs(o.loss),
          largest > 0 ? worst / largest : worst};
}

/// Whether the gradient is that of the loss as computed, nothing being under a stopped gradient.
inline bool is_plain(const oracle::spec& s) {
  return s.rule != oracle::surrogate::cispo && !(s.k2_gradient && s.kl != oracle::estimator::k2);
}

/// A composition without its type, so that all checks of it are compiled once.
struct composition {
  oracle::spec spec;
  bool with_ref;
  std::function<outcome<double>(arrays<double>&)> call;  ///< on a ragged batch; no gradient in it
};

/// The largest |gradient - central difference|, relative to the largest gradient.
inline double difference_error(const composition& c, const description& d,
                               const outcome<double>& o) {
  double largest = 0, worst = 0;
  description moved = d;
  arrays<double> a(d, form::ragged, c.with_ref);
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      const position& p = d.rows[i].at[t];
      if (!p.live || !(p.policy || (p.kl && c.with_ref))) continue;
      const double up = p.logp + 0x1p-20, down = p.logp - 0x1p-20;
      double slope;
      if (is_plain(c.spec)) {
        double& x = a.logp[static_cast<std::size_t>(a.where[i][t])];
        x = up;
        const double above = c.call(a).loss;
        x = down;
        slope = (above - c.call(a).loss) / (up - down);
        x = p.logp;
      } else {
        if (t % 3 != 0) continue;  // quadruple precision is slow
        moved.rows[i].at[t].logp = up;
        const oracle::quad above = oracle::frozen_loss(c.spec, moved, d);
        moved.rows[i].at[t].logp = down;
        slope = static_cast<double>((above - oracle::frozen_loss(c.spec, moved, d)) / (up - down));
        moved.rows[i].at[t].logp = p.logp;
      }
      largest = std::max(largest, std::fabs(slope));
      const double error = std::fabs(slope - o.gradient[i][t]);
      if (!(error <= worst)) worst = error;
    }
  return largest > 0 ? worst / largest : worst;
}

inline void check_in_double(const composition& c, const description& d) {
  arrays<double> a(d, form::ragged, c.with_ref);
  const std::vector<double> before = a.gradient;
  auto o = c.call(a);
  take_gradient(o, d, a, before);
  const deviation error = deviation_of(o, oracle::evaluate(c.spec, d));
  CHECK(error.loss < 1e-13);
  CHECK(error.gradient < 1e-13);
  CHECK(o.dead_are_zero);
  CHECK(o.conditions == hence::status::ok);
  CHECK(difference_error(c, d, o) < 1e-7);
}

/// reference<double>: the closed form to 1e-13, finite differences to 1e-7.
template <class Ratio> void check_in_double(Ratio ratio) {
  const description batches[] = {
      smooth_batch(11, {5, 0, 8, 1}),
      smooth_batch(12, {6, 3, 7}, {.live = 0.7, .per_token = true, .roles = true}),
  };
  int compositions = 0;
  each_surrogate<double>([&](const auto& surrogate) {
    each_kl<double>([&](const auto& kl) {
      each_aggregation([&](const auto& aggregation) {
        CAPTURE(compositions);
        ++compositions;
        const hence::policy_loss loss{ratio, surrogate, kl, aggregation};
        const composition c{spec_of(loss), reads_ref<decltype(loss)>, [&](arrays<double>& a) {
                              return outcome_of<double>(hence::loss_and_gradient(
                                  hence::reference<double>{}, loss, a.ragged(), a.inputs(),
                                  hence::over_this_call, a.output()));
                            }};
        for (const description& d : batches) check_in_double(c, d);
      });
    });
  });
  int surrogates = 0, kls = 0, aggregations = 0;
  each_surrogate<double>([&](const auto&) { ++surrogates; });
  each_kl<double>([&](const auto&) { ++kls; });
  each_aggregation([&](const auto&) { ++aggregations; });
  CHECK(surrogates >= 4);
  CHECK(kls >= 7);
  CHECK(aggregations >= 5);
  CHECK(compositions == surrogates * kls * aggregations);
}

/// The same without its type for an executor of float.
using float_call = std::function<outcome<float>(arrays<float>&)>;

inline void check_in_float(const oracle::spec& spec, bool with_ref, const float_call& reference,
                           const float_call& packs, const description& d) {
  const auto result = [&](const float_call& call, form f, std::size_t seed) {
    arrays<float> a(d, f, with_ref, seed);
    const std::vector<float> before = a.gradient;
    auto o = call(a);
    take_gradient(o, d, a, before);
    return o;
  };
  const auto o = result(reference, form::ragged, 0);
  const deviation error = deviation_of(o, oracle::evaluate(spec, d));
  CHECK(error.loss < 5e-6);
  CHECK(error.gradient < 5e-6);
  CHECK(same_bits(o, result(packs, form::ragged, 3)));
  CHECK(same_bits(o, result(packs, form::compacted, 5)));
  CHECK(same_bits(o, result(reference, form::compacted, 1)));
}

/// reference<float> within 5e-6 of the closed form, and cpu equal to it to the bit.
template <class Ratio, class Aggregation>
void check_in_float(Ratio ratio, Aggregation aggregation) {
  const description batches[] = {
      smooth_batch(21, {17, 0, 33, 1, 40}),
      smooth_batch(22, {23, 3, 37}, {.live = 0.7, .per_token = true, .roles = true}),
  };
  int compositions = 0;
  each_surrogate<float>([&](const auto& surrogate) {
    each_kl<float>([&](const auto& kl) {
      CAPTURE(compositions);
      ++compositions;
      const hence::policy_loss loss{ratio, surrogate, kl, aggregation};
      const auto on = [&](const auto& executor) -> float_call {
        return [&loss, executor](arrays<float>& a) {
          return outcome_of<float>(hence::loss_and_gradient(executor, loss, a.ragged(), a.inputs(),
                                                            hence::over_this_call, a.output(),
                                                            hence::with_metrics));
        };
      };
      for (const description& d : batches)
        check_in_float(spec_of(loss), reads_ref<decltype(loss)>, on(hence::reference<float>{}),
                       on(hence::cpu{}), d);
    });
  });
  CHECK(compositions >= 4 * 7);
}

}  // namespace fixture
