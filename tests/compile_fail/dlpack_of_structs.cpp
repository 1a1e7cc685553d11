// expect: ^hence: DLPack tensors hold bool, integers, float, double, f16 or bf16
#include <hence/interop/dlpack_layout.hpp>

struct pair {
  float a, b;
};
#ifdef FIXED
constexpr auto type = hence::dlpack::type_of<float>();
#else
constexpr auto type = hence::dlpack::type_of<pair>();
#endif
