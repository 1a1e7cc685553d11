// expect: hence: a float64 number meets float32 arithmetic
#include <hence/core/num.hpp>

hence::num<float> twice_and_a_half(hence::num<float> x) {
#if defined(FIXED)
  return x * 2.5f;
#else
  return x * 2.5;
#endif
}
