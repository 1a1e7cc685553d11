/// \file
/// Sixteen numbers side by side, whatever the register's width: sums over a row always run in
/// sixteen chains that are added as a tree, so that their bits do not depend on the machine.
#pragma once

#include "engine.hpp"

#include <cstring>

namespace lm {

template <class S> struct lanes {
  using vector = typename engine<S>::vector;
  static constexpr int width = 16;
  static constexpr int parts = width / engine<S>::vector_lanes;
  vector part[static_cast<unsigned>(parts)];

  lanes() = default;
  HENCE_FN lanes(S x) {
    for (int i = 0; i < parts; ++i) part[i] = vector(x);
  }
  static HENCE_FN lanes load(const S* p) {
    lanes r;
    for (int i = 0; i < parts; ++i) {
      if constexpr (engine<S>::vector_lanes == 1)
        r.part[i] = vector(p[i]);
      else
        r.part[i] = vector::load(p + i * engine<S>::vector_lanes);
    }
    return r;
  }
  HENCE_FN void store(S* p) const {
    for (int i = 0; i < parts; ++i) {
      if constexpr (engine<S>::vector_lanes == 1)
        p[i] = part[i].v;
      else
        part[i].store(p + i * engine<S>::vector_lanes);
    }
  }
  /// The first n numbers, 0 in the others.
  static HENCE_FN lanes load(const S* p, std::int64_t n) {
    if (n >= width) return load(p);
    alignas(64) S t[width] = {};
    std::memcpy(t, p, static_cast<std::size_t>(n) * sizeof(S));
    return load(t);
  }
  HENCE_FN void store(S* p, std::int64_t n) const {
    if (n >= width) return store(p);
    alignas(64) S t[width];
    store(t);
    std::memcpy(p, t, static_cast<std::size_t>(n) * sizeof(S));
  }

  template <class F> static HENCE_FN lanes each(const F& f) {
    lanes r;
    for (int i = 0; i < parts; ++i) r.part[i] = f(i);
    return r;
  }
  friend HENCE_FN lanes operator+(const lanes& a, const lanes& b) {
    return each([&](int i) { return a.part[i] + b.part[i]; });
  }
  friend HENCE_FN lanes operator-(const lanes& a, const lanes& b) {
    return each([&](int i) { return a.part[i] - b.part[i]; });
  }
  friend HENCE_FN lanes operator*(const lanes& a, const lanes& b) {
    return each([&](int i) { return a.part[i] * b.part[i]; });
  }
  friend HENCE_FN lanes operator/(const lanes& a, const lanes& b) {
    return each([&](int i) { return a.part[i] / b.part[i]; });
  }
  friend HENCE_FN lanes fma(const lanes& a, const lanes& b, const lanes& c) {
    return each([&](int i) { return fma(a.part[i], b.part[i], c.part[i]); });
  }
  friend HENCE_FN lanes greater(const lanes& a, const lanes& b) {
    return each([&](int i) { return greater(a.part[i], b.part[i]); });
  }
  friend HENCE_FN lanes exp(const lanes& a) {
    return each([&](int i) { return exp(a.part[i]); });
  }
  friend HENCE_FN lanes sqrt(const lanes& a) {
    return each([&](int i) { return sqrt(a.part[i]); });
  }

  /// The sum of the sixteen: lane i with lane i + 8, then 4, 2, 1.
  S sum() const {
    alignas(64) S t[width];
    store(t);
    for (int half = width / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) t[i] = (hence::num<S>(t[i]) + hence::num<S>(t[i + half])).v;
    return t[0];
  }
  S largest() const {
    alignas(64) S t[width];
    store(t);
    S top = t[0];
    for (int i = 1; i < width; ++i) top = t[i] > top ? t[i] : top;
    return top;
  }
};

/// Calls f(first, count) for the blocks of sixteen of [0, n); the last may be shorter.
template <class F> HENCE_FN void for_lanes(std::int64_t n, const F& f) {
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(i, std::int64_t{16});
  if (i < n) f(i, n - i);
}

/// sum a_i b_i, in sixteen chains.
template <class S> HENCE_FN S dot(const S* a, const S* b, std::int64_t n) {
  lanes<S> sum(S(0));
  for_lanes(n, [&](std::int64_t i, std::int64_t count) {
    sum = fma(lanes<S>::load(a + i, count), lanes<S>::load(b + i, count), sum);
  });
  return sum.sum();
}

/// a += b.
template <class S> HENCE_FN void add_to(S* a, const S* b, std::int64_t n) {
  for_lanes(n, [&](std::int64_t i, std::int64_t count) {
    (lanes<S>::load(a + i, count) + lanes<S>::load(b + i, count)).store(a + i, count);
  });
}

}  // namespace lm
