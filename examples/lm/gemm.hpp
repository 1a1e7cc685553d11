/// \file
/// The matrix product of the float model, chosen where hence_lm is configured:
/// -DHENCE_LM_GEMM=ordered, onednn or onednn_bf16. With `gemm::ordered` a run's bits depend on its
/// data alone. oneDNN's depend on the processor and the shapes too: those of a token's log-prob in
/// decoding and in training differ in their last bits.
///
/// onednn_bf16 rounds the operands of every product to bf16 and adds in fp32; weights, activations,
/// gradients and moments stay fp32, as under PyTorch's autocast.
#pragma once

#include <hence/core/gemm/ordered.hpp>
#if defined(HENCE_LM_ONEDNN) || defined(HENCE_LM_ONEDNN_BF16)
#  include <hence/core/gemm/onednn.hpp>
#endif

#include <array>
#include <concepts>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace lm {

#if defined(HENCE_LM_ONEDNN_BF16)
using chosen_gemm = hence::gemm::onednn_bf16;
inline constexpr const char* gemm_name = "gemm::onednn_bf16";
#elif defined(HENCE_LM_ONEDNN)
using chosen_gemm = hence::gemm::onednn;
inline constexpr const char* gemm_name = "gemm::onednn";
#else
using chosen_gemm = hence::gemm::ordered;
inline constexpr const char* gemm_name = "gemm::ordered";
#endif
/// A run's bits depend on its data alone.
inline constexpr bool has_same_bits = std::same_as<chosen_gemm, hence::gemm::ordered>;

/// Throws if the library has no such product for this processor.
inline void check_gemm() {
  if constexpr (!has_same_bits) {
    constexpr std::int64_t n = 16;
    std::vector<float> x(3 * n * n, 0.5f), scratch(chosen_gemm::scratch_floats + 1);
    const hence::view<const float, 2> a(x.data(), n, n);
    try {
      chosen_gemm{}(a, a, hence::view<float, 2>(x.data() + 2 * n * n, n, n),
                    hence::update::overwrite, scratch.data());
    } catch (const std::exception& e) {
      throw std::runtime_error(std::string(gemm_name) + " does not run on this processor (" +
                               e.what() +
                               "); oneDNN 2 needs AVX-512 for bf16. Configure with "
                               "-DHENCE_LM_GEMM=ordered or onednn");
    }
  }
}

}  // namespace lm
