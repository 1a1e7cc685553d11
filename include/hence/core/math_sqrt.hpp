/// \file
/// `sqrt` of `num` and `pack`, correctly rounded on every executor (IEEE 754 asks for it). The
/// square root of a negative number is NaN, and sqrt(-0) is -0.
#pragma once

#include <hence/core/pack.hpp>

namespace hence::inline v0 {

template <class Isa> HENCE_FN num<float, Isa> sqrt(num<float, Isa> x) {
#if defined(__CUDA_ARCH__)
  return {__fsqrt_rn(x.v)};
#else
  return {__builtin_sqrtf(x.v)};
#endif
}
template <class Isa> HENCE_FN num<double, Isa> sqrt(num<double, Isa> x) {
#if defined(__CUDA_ARCH__)
  return {__dsqrt_rn(x.v)};
#else
  return {__builtin_sqrt(x.v)};
#endif
}

/// The instruction by its name, since the language has no spelling for it.
template <class T, class Isa> HENCE_FN pack<T, Isa> sqrt(pack<T, Isa> x) {
#if defined(__AVX__)
  if constexpr (sizeof(T) == 8)
    __asm__("vsqrtpd %1, %0" : "=v"(x.v) : "v"(x.v));
  else
    __asm__("vsqrtps %1, %0" : "=v"(x.v) : "v"(x.v));
#elif defined(__x86_64__)
  if constexpr (sizeof(T) == 8)
    __asm__("sqrtpd %1, %0" : "=x"(x.v) : "x"(x.v));
  else
    __asm__("sqrtps %1, %0" : "=x"(x.v) : "x"(x.v));
#else
  for (int i = 0; i < pack<T, Isa>::lanes; ++i) x.v[i] = sqrt(num<T, Isa>(x.v[i])).v;
#endif
  return x;
}

}  // namespace hence::inline v0
