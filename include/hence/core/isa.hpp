/// \file
/// The instruction set as a type. It is a template argument of every number, pack and executor, so
/// that two translation units compiled with different -m flags never share an inline function.
#pragma once

#include <hence/core/config.hpp>

namespace hence::inline v0 {

/// One bit per instruction-set extension that changes the code a compiler emits for hence.
template <unsigned Features> struct isa {
  static constexpr unsigned features = Features;  ///< the bits that `native_isa` is made of
};

namespace detail {

constexpr unsigned isa_features = 0u
#if defined(__AVX__)
                                  | 1u
#endif
#if defined(__FMA__)
                                  | 2u
#endif
#if defined(__AVX2__)
                                  | 4u
#endif
#if defined(__AVX512F__)
                                  | 8u
#endif
#if defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
                                  | 16u
#endif
#if defined(__AVX512BF16__)
                                  | 32u
#endif
#if defined(__AVX512FP16__)
                                  | 64u
#endif
#if defined(__BMI2__)
                                  | 128u
#endif
#if defined(__CUDACC__)
                                  | 256u
#endif
    ;

/// Bytes of the widest vector register: 64 (AVX-512), 32 (AVX), else 16.
template <class Isa>
constexpr int register_bytes = (Isa::features & 8u)   ? 64
                               : (Isa::features & 1u) ? 32
                                                      : 16;

}  // namespace detail

/// What this translation unit is compiled for.
using native_isa = isa<detail::isa_features>;

}  // namespace hence::inline v0
