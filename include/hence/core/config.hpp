/// \file
/// What every header needs to know of the compiler: the function attributes and the refusal of
/// unsafe maths.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#  error "hence needs C++20: compile with -std=c++20 (nvcc too)"
// A file that is missing ends the compilation, which would go on to a thousand errors of syntax.
#  include <no-hence-without-C++20>
#endif

/// \def HENCE_FN
/// Functions that formulas are made of: always inlined (packs must stay in registers), callable
/// from host and device. A user's own rule that must also run on CUDA marks its operator() with it.
#if defined(__CUDACC__)
#  define HENCE_FN __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#  define HENCE_FN __attribute__((always_inline)) inline
#else
#  define HENCE_FN inline
#endif

/// \def HENCE_HOST_DEVICE
/// For larger functions that need not be inlined: callable from host and device.
#if defined(__CUDACC__)
#  define HENCE_HOST_DEVICE __host__ __device__
#else
#  define HENCE_HOST_DEVICE
#endif

// Value-changing optimisations break the promise of equal bits and hide NaN. nvcc's --use_fast_math
// is harmless: device arithmetic names its rounding (see num.hpp).
#if !defined(HENCE_ALLOW_FAST_MATH) && !defined(__CUDACC__)
#  if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
      defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#    error \
        "hence: -ffast-math changes results and hides NaN; compile without it or define HENCE_ALLOW_FAST_MATH"
#  endif
#endif
