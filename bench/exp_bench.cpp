// exp on 4096 floats in the first-level cache: hence beside Eigen, Highway and SLEEF where they are
// found.
#include "probe.hpp"

#include <hence/core/math.hpp>
#include <hence/core/pack.hpp>

#if defined(HENCE_BENCH_EIGEN)
#  include <Eigen/Core>
#endif
#if defined(HENCE_BENCH_HIGHWAY)
#  define HWY_COMPILE_ONLY_STATIC 1
#  include <hwy/highway.h>
// after highway.h
#  include <hwy/contrib/math/math-inl.h>
#endif
#if defined(HENCE_BENCH_SLEEF)
#  include <sleef.h>
#endif

namespace {

constexpr int n = 4096;
alignas(64) float in[n], out[n];

[[gnu::noinline]] void by_hence() {
  using V = hence::pack<float>;
  for (int i = 0; i < n; i += V::lanes) exp(V::load(in + i)).store(out + i);
}
#if defined(HENCE_BENCH_EIGEN)
[[gnu::noinline]] void by_eigen() {
  Eigen::Map<Eigen::Array<float, n, 1>, Eigen::Aligned64>(out).array() =
      Eigen::Map<const Eigen::Array<float, n, 1>, Eigen::Aligned64>(in).exp();
}
#endif
#if defined(HENCE_BENCH_HIGHWAY)
[[gnu::noinline]] void by_highway() {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d))
    hn::Store(hn::Exp(d, hn::Load(d, in + i)), d, out + i);
}
#endif
#if defined(HENCE_BENCH_SLEEF)
[[gnu::noinline]] void by_sleef() {
#  if defined(__AVX512F__)
  for (int i = 0; i < n; i += 16)
    _mm512_store_ps(out + i, Sleef_finz_expf16_u10avx512f(_mm512_load_ps(in + i)));
#  elif defined(__AVX2__)
  for (int i = 0; i < n; i += 8)
    _mm256_store_ps(out + i, Sleef_finz_expf8_u10avx2(_mm256_load_ps(in + i)));
#  else
  for (int i = 0; i < n; i += 4)
    _mm_store_ps(out + i, Sleef_cinz_expf4_u10sse2(_mm_load_ps(in + i)));
#  endif
}
#endif

/// Times all in turn; `share_of_best` is hence's rate over the best peer's.
void exp_rate(benchmark::State& state) {
  for (int i = 0; i < n; ++i)
    in[i] = -30 +
            50 * static_cast<float>((static_cast<unsigned>(i) * 2654435761u) >> 8 & 0xffff) / 65536;
  const auto timed = [](void (*f)()) {
    return probe::seconds([&] {
             for (int k = 0; k < 50; ++k) {
               f();
               benchmark::ClobberMemory();
             }
           }) /
           50;
  };
  const auto rate = [](double s) { return n / s * 1e-9; };
  double own = 1e9, eigen = 1e9, highway = 1e9, sleef = 1e9;
  for (auto _ : state) {
    const double t = timed(by_hence);
    state.SetIterationTime(t);
    own = std::min(own, t);
#if defined(HENCE_BENCH_EIGEN)
    eigen = std::min(eigen, timed(by_eigen));
#endif
#if defined(HENCE_BENCH_HIGHWAY)
    highway = std::min(highway, timed(by_highway));
#endif
#if defined(HENCE_BENCH_SLEEF)
    sleef = std::min(sleef, timed(by_sleef));
#endif
  }
  state.counters["hence_G/s"] = rate(own);
  if (eigen < 1) state.counters["eigen_G/s"] = rate(eigen);
  if (highway < 1) state.counters["highway_G/s"] = rate(highway);
  if (sleef < 1) state.counters["sleef_G/s"] = rate(sleef);
  const double peer = std::min({eigen, highway, sleef});
  if (peer < 1) state.counters["share_of_best"] = peer / own;
}
BENCHMARK(exp_rate)->UseManualTime()->MinTime(0.5);

}  // namespace
