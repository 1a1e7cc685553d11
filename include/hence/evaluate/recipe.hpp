/// \file
/// How the papers evaluate, every constant quoted.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // int64_t

namespace hence::inline v0::recipe {

/// How a benchmark's samples are drawn and counted.
struct evaluation {
  double temperature, top_p;       ///< of the sampling
  std::int64_t longest;            ///< tokens
  std::int64_t samples;            ///< per prompt, for `pass@1` = (1/k) sum p_i
  std::int64_t consensus_samples;  ///< for `cons@k`; 0: not reported
};

/// The benchmarks for which R1's paper states a number of samples.
enum class benchmark : std::uint8_t {
  aime_2024,
  gpqa_diamond,
  math_500,
  codeforces,
  livecodebench
};

/// DeepSeek-R1: "we set the maximum generation length to 32,768 tokens", "a sampling temperature of
/// 0.6 and a top-p value of 0.95", k = 64 for AIME and GPQA, 16 for MATH and Codeforces, 8 for
/// LiveCodeBench; `cons@64` on AIME 2024. arXiv:2501.12948v2, D.1.
HENCE_FN constexpr evaluation deepseek_r1_evaluation(benchmark b) {
  const bool often = b == benchmark::aime_2024 || b == benchmark::gpqa_diamond;
  return {0.6, 0.95, 32768,
          often                           ? 64
          : b == benchmark::livecodebench ? 8
                                          : 16,
          b == benchmark::aime_2024 ? 64 : 0};
}

}  // namespace hence::inline v0::recipe
