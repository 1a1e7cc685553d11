/// \file
/// What every composition of the family is held to: value and gradient of the oracle in double and
/// in float, equal bits from packs in every layout, dead positions unread.
#pragma once

#include <doctest/doctest.h>

#include "arrays.hpp"
#include "family_oracle.hpp"

#include <functional>

namespace fixture {

template <class T> using family_call = std::function<outcome<T>(const description&, form)>;

/// Runs a loss with both gradients; the entropies' gradient is appended as rows of its own.
template <class Executor, class Loss>
auto run_family(const Executor& executor, const Loss& loss, const description& d, form f) {
  using T = typename Executor::scalar;
  using part = hence::detail::facts<Loss>;
  arrays<T> a(d, f, part::with_kl, static_cast<std::size_t>(f),
              part::kl_reads_anchor || part::weighted_kl);
  const std::vector<T> before = a.gradient, entropies_before = a.entropy_gradient;
  return a.with_batch([&](const auto& batch) {
    const auto result = hence::loss_and_gradient(
        executor, loss, batch, a.inputs(), hence::over_this_call, a.outputs(), hence::with_metrics);
    auto o = outcome_of<T>(result);
    take_gradient(o, d, a, before);
    if constexpr (part::with_entropy) {
      a.gradient = a.entropy_gradient;
      take_gradient(o, d, a, entropies_before);
    }
    return o;
  });
}

inline double size_of(oracle::quad x) { return static_cast<double>(x < 0 ? -x : x); }

template <class T>
void check_against_oracle(const family::spec& s, const description& d, const outcome<T>& o,
                          double tolerance) {
  const auto gradient = family::gradient_of(s, d);
  CHECK(size_of(family::loss(s, d, d) - o.loss) < tolerance * std::max(1.0, std::fabs(o.loss)));
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    for (std::size_t t = 0; t < gradient[i].size(); ++t) {
      largest = std::max(largest, size_of(gradient[i][t]));
      const double error = size_of(gradient[i][t] - static_cast<double>(o.gradient[i][t]));
      if (!(error <= worst)) worst = error;
    }
  CHECK(worst <= tolerance * largest);
  CHECK(largest > 0);
  CHECK(o.dead_are_zero);
  CHECK(o.conditions == hence::status::ok);
}

/// The entropy over the tokens of the metric mask that have a policy term.
inline double entropy_of(const description& d) {
  oracle::quad sum = 0, tokens = 0;
  for (const auto& row : d.rows)
    for (const position& p : row.at)
      if (family::counts(p) && p.metric) sum += p.entropy, tokens += 1;
  return static_cast<double>(sum / tokens);
}

inline std::vector<description> family_batches(bool per_token) {
  dice random(31);
  std::vector<description> out;
  out.push_back(random_batch(random, {5, 0, 9, 1}));
  out.push_back(
      random_batch(random, {7, 3, 20}, {.live = 0.7, .per_token = per_token, .roles = true}));
  return out;
}

inline void check_family(const family::spec& s, const family_call<double>& wide,
                         const family_call<float>& scalar, const family_call<float>& packs) {
  for (const description& d : family_batches(!s.gated)) {
    check_against_oracle(s, d, wide(d, form::ragged), 1e-12);
    const auto o = scalar(d, form::ragged);
    check_against_oracle(s, d, o, 5e-6);
    if (s.entropy != 0) CHECK(o.entropy_mean == doctest::Approx(entropy_of(d)).epsilon(1e-6));
    if (s.entropy != 0)  // the gradient with respect to the entropies: a constant
      for (std::size_t i = 0; i < d.rows.size(); ++i)
        for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
          const bool live = family::counts(d.rows[i].at[t]);
          const double by = s.sums ? double(d.rows.size()) : double(o.counts.tokens);
          CHECK(double(o.gradient[d.rows.size() + i][t]) ==
                doctest::Approx(live ? -s.entropy / by : 0.0).epsilon(1e-6));
        }
    for (const form f : every_form) {
      CHECK(same_bits(o, scalar(d, f)));
      CHECK(same_bits(o, packs(d, f)));
    }
  }
  dice random(32);  // more live tokens than a block, and a tail of every length
  description d = random_batch(random, {1300, 18, 31, 1}, {.live = 0.9});
  CHECK(same_bits(scalar(d, form::ragged), packs(d, form::ragged)));
  CHECK(same_bits(scalar(d, form::ragged), packs(d, form::compacted)));
}

/// \param make `make.template operator()<S>()` is the loss with numbers of S.
template <class Make> void check_family(const family::spec& s, const Make& make) {
  const auto wide = make.template operator()<double>();
  const auto narrow = make.template operator()<float>();
  check_family(
      s,
      [&](const description& d, form f) {
        return run_family(hence::reference<double>{}, wide, d, f);
      },
      [&](const description& d, form f) {
        return run_family(hence::reference<float>{}, narrow, d, f);
      },
      [&](const description& d, form f) { return run_family(hence::cpu{}, narrow, d, f); });
}

}  // namespace fixture
