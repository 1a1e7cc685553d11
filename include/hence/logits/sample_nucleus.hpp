/// \file
/// Top-p of a row without weighing all of it: fp32 estimates choose the candidates and bracket the
/// boundary, exact sums of integer weights decide it. What the estimates leave open is said by
/// bounds on their error; where those do not separate the two sides, the whole row is weighed.
///
/// So the kept set is that of the full search, always; the estimates only decide how much work it
/// takes: one pass over the row that gathers some percent of it, the rest on those.
#pragma once

#include <hence/logits/sample_estimates.hpp>

namespace hence::inline v0::detail {

/// \tparam V a register of fp32.
template <class V, class T> struct nucleus {
  using Isa = typename isa_of<V>::type;
  using N = num<float, Isa>;
  using D = num<double, Isa>;
  static constexpr int width = lane_count<V>;
  static constexpr int steps = 4;  ///< of a search for the boundary

  const T* x;
  std::int64_t columns;
  candidate* memory;  ///< `candidates_of_row(columns)`
  double temperature, top_p, scale = 0;

  nucleus(const T* row, std::int64_t size, candidate* room, double t, double p)
      : x(row), columns(size), memory(room), temperature(t), top_p(p) {
    scale = (D(log2e) / D(t)).v;
    unit = static_cast<float>(t);
    estimate.exponent = static_cast<float>(scale);
    estimate.deepest = -116.0f / estimate.exponent;
  }

  // what `keep` leaves: candidates in the order of their indices, of weight 0 if not kept
  float top = 0;
  std::int64_t n = 0;
  float* values = nullptr;
  std::int32_t* index = nullptr;
  std::uint64_t* weights = nullptr;
  wide_integer total = 0;

  /// \return whether this way was for this row; a row that is to be refused is not.
  bool keep() {
    if (columns < 1024 || !(temperature > 1e-3 && temperature < 1e3)) return false;
    values = reinterpret_cast<float*>(memory) + 2 * columns;
    index = reinterpret_cast<std::int32_t*>(values + columns + 16);
    float low = estimates_of_sample(x, columns, unit, top_p, &estimate);
    if (!(estimate.origin > -__builtin_inff()) || !gather(low)) return false;
    if (!((top - estimate.origin) * estimate.exponent < 100.0f)) return false;
    if (!enough()) {
      // so many tokens that weigh less each cannot reach 1 - top_p together
      const double least = (1 - top_p) * (above + below) / static_cast<double>(2 * columns);
      low = static_cast<float>(static_cast<double>(estimate.origin) +
                               wide_log(D(least)).v * temperature);
      gather(low);
    }
    if (n > columns / 2 - 64 || !enough()) return false;
    const float high = bracket(&low);
    drop_below(low);
    return settle(low, high);
  }

  /// The candidate at which the sum of weights in index order first exceeds `target`.
  candidate first_beyond(wide_integer target) const {
    const std::int64_t j = place_beyond<Isa>(weights, n, target);
    return {key_of(values[j]), index[j], weights[j]};
  }
  /// Writes the kept ones to the front of the memory. \return how many.
  std::int64_t list() const {
    std::int64_t m = 0;
    for (std::int64_t j = 0; j < n; ++j) {  // reads stay ahead of writes
      memory[m] = {key_of(values[j]), index[j], weights[j]};
      m += memory[m].weight != 0;
    }
    return m;
  }

 private:
  using estimates = row_estimates<V>;
  estimates estimate;
  float unit = 0;               ///< what a nat is in logits
  double above = 0, below = 0;  ///< estimated masses of the candidates and of the others

  bool enough() const { return above >= top_p * (above + below) * (1 + 0x1p-15); }

  /// \return whether the row has a largest logit.
  bool gather(float bound) {
    const auto estimated = estimate;  // a copy: what is written may lie anywhere
    V all(0.0f), rest(0.0f), largest(-__builtin_inff());
    auto sound = V(0.0f) == V(0.0f);
    N all_last(0.0f), rest_last(0.0f);
    estimated_sum<V> all_sum, rest_sum;
    int count = 0;
    n = gather_from<V>(x, columns, bound, values, index,
                       [&]<class U>(U v, auto taken) __attribute__((always_inline)) {
                         const U e = estimated(v), other = select(taken, U(0.0f), e);
                         if constexpr (lane_count<U> == 1) {
                           sound = sound & (V(v) < V(__builtin_inff()));
                           largest = greater(V(v), largest);
                           all_last = all_last + e, rest_last = rest_last + other;
                         } else {
                           sound = sound & (v < V(__builtin_inff()));
                           largest = greater(v, largest);
                           all = all + e, rest = rest + other;
                           if (++count < 8) return;
                           all_sum.add(all), rest_sum.add(rest);
                           all = rest = V(0.0f), count = 0;
                         }
                       });
    below = rest_sum.value() + sum_of_lanes(rest) + static_cast<double>(rest_last.v);
    above = all_sum.value() + sum_of_lanes(all) + static_cast<double>(all_last.v) - below;
    top = largest_lane(largest);
    return !any_lane(!sound) && top > -__builtin_inff();
  }
  static void pad(float* v, std::int64_t size) {
    for (int j = 0; j < width; ++j) v[size + j] = -__builtin_inff();
  }

  /// Raises low, and returns a bound above it, so that the boundary lies between the two. What lies
  /// below low is added to the mass below.
  float bracket(float* low) {
    float* const inner = reinterpret_cast<float*>(memory);  // where nothing else lies yet
    const float* from = values;
    const double wanted = top_p * (above + below);
    float high = __builtin_inff();
    std::int64_t size = n;
    pad(values, n);
    for (int round = 0; round < 6 && size > 32; ++round) {
      float bounds[steps];
      const float end = high < __builtin_inff() ? high : top;
      for (int k = 0; k < steps; ++k)
        bounds[k] = round == 0 ? *low + 0.45f * static_cast<float>(k + 1) * unit
                               : *low + (end - *low) / steps * static_cast<float>(k + 1);
      if (round != 0) bounds[steps - 1] = end;
      double mass[steps], dropped = 0;
      masses_below<steps>(estimate, from, size, bounds, mass);
      const float before = *low, most = high;
      for (int k = 0; k < steps; ++k) {
        if (above - mass[k] >= wanted * (1 + 0x1p-13) && bounds[k] > *low)
          *low = bounds[k], dropped = mass[k];
        else if (above - mass[k] < wanted * (1 - 0x1p-13) && bounds[k] < high && bounds[k] > *low)
          high = bounds[k];
      }
      above -= dropped, below += dropped;
      if (*low == before && high == most) break;
      std::int64_t m = 0;
      for (std::int64_t i = 0; i < size; i += width) {
        const V v = V::load(from + i);
        const unsigned bits = bits_at_least(v, V(*low)) & ~bits_at_least(v, V(high));
        if (bits == 0) continue;
        compress(v, bits, inner + m);
        m += __builtin_popcount(bits);
      }
      from = inner, size = m;
      pad(inner, m);
    }
    return high;
  }
  /// Keeps candidates at or above low.
  void drop_below(float low) {
    std::int64_t m = 0;
    for (std::int64_t i = 0; i < n; i += width) {
      const V v = V::load(values + i);
      typename V::ints at;
      __builtin_memcpy(&at, index + i, sizeof(at));
      const unsigned bits = bits_at_least(v, V(low));
      if (bits == 0) continue;
      compress(v, bits, values + m);
      compress_indices(at, bits, index + m);
      m += __builtin_popcount(bits);
    }
    n = m;
  }

  /// The exact part: candidates from low on, of which those from high on are kept for sure.
  bool settle(float low, float high) {
    using weigh_t = weigher<Isa>;
    using words = typename weigh_t::words;
    const weigh_t weigh{top, scale};
    if (3 * n + 2 * weigh_t::width > columns) return false;
    // they end where the values begin, so that `list` can write candidates from the front
    weights = reinterpret_cast<std::uint64_t*>(memory) + (columns - n - 8);
    candidate* const open = memory + n;  // those between the bounds
    const std::int64_t room = (columns - n - 8) / 2 - n - 1;
    pad(values, n);
    wide_integer near_mass = 0, open_mass = 0;
    for (std::int64_t i = 0; i < n;) {
      words part{};
      for (int r = 0; r < 64 && i < n; ++r, i += weigh_t::width) {
        const words w = weigh(values + i);
        __builtin_memcpy(weights + i, &w, sizeof(w));
        part += w;
      }
      for (int j = 0; j < weigh_t::width; ++j) near_mass += part[j];
    }
    std::int64_t inside = 0;
    for (std::int64_t i = 0; i < n; i += width) {
      const V v = V::load(values + i);
      for (unsigned bits = bits_at_least(v, V(low)) & ~bits_at_least(v, V(high)); bits != 0;
           bits &= bits - 1) {
        if (inside >= room) return false;  // below 0 where the candidates are a third of the row
        // by their place among the candidates, whose order is that of the indices
        const std::int64_t j = i + __builtin_ctz(bits);
        open[inside++] = {key_of(values[j]), static_cast<std::int32_t>(j), weights[j]};
        open_mass += weights[j];
      }
    }
    const wide_integer sure = near_mass - open_mass;
    const D unit_of_estimates = wide_exp2(
        (D(static_cast<double>(estimate.origin)) - D(static_cast<double>(top))) * D(scale));
    const D mass = D(below) * unit_of_estimates * D(0x1p+56);
    const auto slack = static_cast<wide_integer>(2 * columns);
    const D small = D(estimates::error_of_small * static_cast<double>(columns)) *
                    unit_of_estimates * D(0x1p+56);
    const D low_mass = mass * D(1 - estimates::error) - small,
            high_mass = mass * D(1 + estimates::error) + small;
    const auto fewer = static_cast<wide_integer>(low_mass > D(0.0) ? low_mass.v : 0.0);
    const auto more = static_cast<wide_integer>(high_mass.v);
    const wide_integer least = share(near_mass + (fewer > slack ? fewer - slack : 0));
    const wide_integer most = share(near_mass + more + slack);
    if (sure >= least || near_mass < most) return false;
    std::int64_t m = select_prefix<Isa>(open, inside, inside, least - sure);
    wide_integer kept = sum_of(open, m);
    if (sure + kept < most) {  // the boundary hangs on the last bits of the whole
      m = select_prefix<Isa>(open, inside, inside, share(near_mass + exactly_below(low)) - sure);
      kept = sum_of(open, m);
    }
    total = sure + kept;
    for (std::int64_t j = m; j < inside; ++j) weights[open[j].index] = 0;
    return true;
  }

  wide_integer share(wide_integer of) const {
    const wide_integer s = share_of(top_p, of);
    return s > 0 ? s : 1;
  }
  static wide_integer sum_of(const candidate* c, std::int64_t size) {
    wide_integer s = 0;
    for (std::int64_t j = 0; j < size; ++j) s += c[j].weight;
    return s;
  }
  wide_integer exactly_below(float low) const {
    return weigh_row<V>(weigher<Isa>{top, scale}, x, columns, nullptr, [&]<class U>(U v) {
      return U(select(v < U(low), v, U(-__builtin_inff())));
    });
  }
};

}  // namespace hence::inline v0::detail
