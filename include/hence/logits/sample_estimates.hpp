/// \file
/// Estimates in fp32 of what tokens weigh, relative to one another, and of sums of them: what the
/// nucleus of a row is found by before any weight is exact. How far they may be off is part of
/// them.
#pragma once

#include <hence/logits/sample_lanes.hpp>

namespace hence::inline v0::detail {

/// 2^(d c) for |d c| <= 120, within 4e-7 of itself.
template <class V> HENCE_FN V rough_exp2(V d, V c) {
  const V magic(0x1.8p+23f + 127.0f), shifted = fma(d, c, magic);
  const V r = fma(d, c, magic - shifted);
  V p = fma(V(0x1.5a8502p-10f), r, V(0x1.3cec16p-7f));
  p = fma(p, r, V(0x1.c6baaap-5f));
  p = fma(p, r, V(0x1.ebf9b6p-3f));
  p = fma(p, r, V(0x1.62e426p-1f));
  p = fma(p, r, V(1.0f));
  return p * from_bits(p, shift_left(to_bits(shifted), 23));
}

/// What a logit weighs, about. \tparam V a register of fp32.
template <class V> struct row_estimates {
  /// Of a sum of estimates from 2^-24 on, in halves of an ulp: 2 x 17 from the exponent's two
  /// factors, 16 of the sum, 7 of the power.
  static constexpr double error = 0x1.dp-19;
  /// Of a smaller estimate: its relative error is below 2^-17.
  static constexpr double error_of_small = 0x1p-41;

  float origin = 0;    ///< weighs 1
  float deepest = 0;   ///< below `origin`: what is below all that counts
  float exponent = 0;  ///< log2(e) / temperature

  template <class U> HENCE_FN U operator()(U v) const {
    return rough_exp2(greater(v - U(origin), U(deepest)), U(exponent));
  }
};

/// -infinity if no lane holds a number.
template <class V> float largest_lane(V v) {
  float lane[static_cast<unsigned>(lane_count<V>)], most = -__builtin_inff();
  store_as(lane, v);
  for (const float f : lane) most = f > most ? f : most;
  return most;
}
/// In order.
template <class V> double sum_of_lanes(V v) {
  float lane[static_cast<unsigned>(lane_count<V>)];
  store_as(lane, v);
  double s = 0;
  for (const float f : lane) s += static_cast<double>(f);
  return s;
}
/// Sums of estimates, each a sum over 8 registers, over 8 of them in fp32.
template <class V> struct estimated_sum {
  V part = V(0.0f);
  double whole = 0;
  int count = 0;
  HENCE_FN void add(V e) {
    part = part + e;
    if (++count < 8) return;
    whole += sum_of_lanes(part), part = V(0.0f), count = 0;
  }
  double value() const { return whole + sum_of_lanes(part); }
};

/// Estimated masses below each bound, of numbers filled up to a register with -infinity: that comes
/// to nothing.
template <int Steps, class V>
void masses_below(const row_estimates<V>& estimate, const float* from, std::int64_t size,
                  const float* bounds, double* mass) {
  constexpr int width = lane_count<V>;
  constexpr auto count = static_cast<unsigned>(Steps);
  V sum[count], bound[count];
  for (int k = 0; k < Steps; ++k) sum[k] = V(0.0f), bound[k] = V(bounds[k]);
  estimated_sum<V> total_of[count];
  for (std::int64_t i = 0; i < size;) {
    for (int r = 0; r < 8 && i < size; ++r, i += width) {
      const V v = V::load(from + i), e = estimate(v);
      for (int k = 0; k < Steps; ++k) sum[k] = sum[k] + select(v < bound[k], e, V(0.0f));
    }
    for (int k = 0; k < Steps; ++k) total_of[k].add(sum[k]), sum[k] = V(0.0f);
  }
  for (int k = 0; k < Steps; ++k) mass[k] = total_of[k].value();
}

/// Sets the origin to the largest of a sample of the row, -infinity if none is finite.
/// \param unit a nat in logits. \return a bound, by nats below the origin, that the kept set likely
/// lies above.
template <class V, class T>
float estimates_of_sample(const T* x, std::int64_t columns, float unit, double top_p,
                          row_estimates<V>* of) {
  constexpr int width = lane_count<V>;
  constexpr int levels = 16;
  const std::int64_t registers = columns / width;
  const std::int64_t step = registers > 96 ? registers / 96 : 1;
  V largest(-__builtin_inff());
  for (std::int64_t r = 0; r < registers; r += step)
    largest = greater(load_as<V>(x + r * width), largest);
  const float origin = of->origin = largest_lane(largest);
  const row_estimates<V> estimate = *of;
  const auto level = [&](int k) { return origin - static_cast<float>(k + 1) * unit; };
  V mass[levels], all(0.0f);
  for (V& m : mass) m = V(0.0f);
  for (std::int64_t r = 0; r < registers; r += step) {
    const V v = load_as<V>(x + r * width), e = estimate(v);
    all = all + e;
    for (int k = 0; k < levels; ++k) mass[k] = mass[k] + select(v >= V(level(k)), e, V(0.0f));
  }
  const double wanted = (0.6 * top_p + 0.4) * sum_of_lanes(all);
  for (int k = 0; k < levels; ++k)
    if (sum_of_lanes(mass[k]) >= wanted) return level(k);
  return level(levels - 1);
}

}  // namespace hence::inline v0::detail
