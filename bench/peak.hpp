// The machine's fused multiply-adds, which a matrix product is held against.
#pragma once

#include <benchmark/benchmark.h>

#include <hence/core/math.hpp>

namespace probe {

/// Independent chains of fused multiply-adds, 24 with AVX-512, 12 else; returns how many it did.
[[gnu::noinline]] inline double multiply_adds() {
  using V = hence::pack<float>;
  constexpr int chains = V::lanes == 16 ? 24 : 12, rounds = 400000;
  V x[chains];
  for (auto& v : x) v = V(1.0f);
  V a(0.999f), b(0.001f);
  benchmark::DoNotOptimize(a.v);
  benchmark::DoNotOptimize(b.v);
  for (int i = 0; i < rounds; ++i)
#pragma GCC unroll 24
    for (int c = 0; c < chains; ++c) x[c] = fma(x[c], a, b);
  for (auto& v : x) benchmark::DoNotOptimize(v.v);
  return 1.0 * chains * rounds * V::lanes;
}

}  // namespace probe
