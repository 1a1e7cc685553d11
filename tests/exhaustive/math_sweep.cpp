// Every function of core/math over all 2^32 floats: largest error, the argument that has it, how
// many arguments are off by more than one ulp, and a hash of all results.
//
//   math_sweep [function...]        see scripts/exhaustive_math.sh
//
// double decides, except above half an ulp within 10^-6 of the largest error so far, and of 1:
// quad.
#include <cstdio>
#include <string_view>

#include "../core/math_oracle.hpp"

namespace {

using pack = hence::pack<float>;
using oracle::quad;

constexpr int block = 4096;

struct result {
  double worst = 0;
  float at = 0;
  std::int64_t above_one = 0, wrong_special = 0;
  std::uint64_t hash = 0;
};

template <class F, class Exact> result sweep(F f, Exact exact) {
  result found;
  alignas(64) float in[block], out[block];
  for (std::uint64_t first = 0; first < std::uint64_t{1} << 32; first += block) {
    for (std::uint32_t i = 0; i < block; ++i) {
      in[i] = oracle::float_of(static_cast<std::uint32_t>(first) + i);
    }
    for (int i = 0; i < block; i += pack::lanes) f(pack::load(in + i)).store(out + i);
    for (std::uint32_t i = 0; i < block; ++i) {
      const bool is_nan = out[i] != out[i];
      const std::uint64_t bits = is_nan ? 0x7fc00000u : oracle::bits_of(out[i]);
      found.hash += bits * (2 * (first + i) + 1);
      const float x = oracle::argument(in[i]);
      double error = oracle::ulps(out[i], exact(static_cast<double>(x)));
      if (!(error < 1e6)) {
        ++found.wrong_special;
        continue;
      }
      if ((error > 0.5 && error > found.worst - 1e-6) || std::fabs(error - 1) < 1e-6) {
        error = oracle::ulps(out[i], exact(quad(x)));
      }
      found.above_one += error > 1;
      if (error > found.worst) found.worst = error, found.at = in[i];
    }
  }
  return found;
}

template <class F, class Exact>
int report(std::string_view name, int count, char** names, F f, Exact exact) {
  bool wanted = count < 2;
  for (int i = 1; i < count; ++i) wanted |= name == names[i];
  if (!wanted) return 0;
  const result r = sweep(f, exact);
  std::printf("| %s | %.4f | %a | %lld | %016llx |%s\n", name.data(), r.worst,
              static_cast<double>(r.at), static_cast<long long>(r.above_one),
              static_cast<unsigned long long>(r.hash),
              r.wrong_special != 0 ? " WRONG SPECIAL VALUES" : "");
  std::fflush(stdout);
  return r.wrong_special != 0;
}

}  // namespace

int main(int n, char** names) {
  std::puts(
      "| function | max error (ulp) | worst argument | above 1 ulp | hash |\n| --- | --- | --- | "
      "--- | --- |");
  int wrong = 0;
  wrong +=
      report("exp", n, names, [](auto x) { return exp(x); }, [](auto x) { return oracle::exp(x); });
  wrong += report(
      "expm1", n, names, [](auto x) { return expm1(x); }, [](auto x) { return oracle::expm1(x); });
  wrong +=
      report("k3", n, names, [](auto x) { return k3(x); }, [](auto x) { return oracle::k3(x); });
  wrong +=
      report("log", n, names, [](auto x) { return log(x); }, [](auto x) { return oracle::log(x); });
  wrong += report(
      "log1p", n, names, [](auto x) { return log1p(x); }, [](auto x) { return oracle::log1p(x); });
  wrong += report(
      "sigmoid", n, names, [](auto x) { return sigmoid(x); },
      [](auto x) { return oracle::sigmoid(x); });
  wrong += report(
      "softplus", n, names, [](auto x) { return softplus(x); },
      [](auto x) { return oracle::softplus(x); });
  wrong += report(
      "tanh", n, names, [](auto x) { return tanh(x); }, [](auto x) { return oracle::tanh(x); });
  wrong += report(
      "log1mexp", n, names, [](auto x) { return log1mexp(x); },
      [](auto x) { return oracle::log1mexp(x); });
  wrong += report(
      "normal_cdf", n, names, [](auto x) { return normal_cdf(x); },
      [](auto x) { return oracle::normal_cdf(x); });
  return wrong != 0;
}
