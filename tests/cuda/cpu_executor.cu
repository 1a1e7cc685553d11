// expect: hence: nvcc knows no vector registers, so hence::cpu is absent in a .cu file
#include <hence/policy.hpp>

#if defined(FIXED)
using executor = hence::reference<float>;
#else
using executor = hence::cpu<>;
#endif

double loss(hence::view<const float> logp, hence::view<const float> advantages, hence::offsets rows,
            hence::view<float> gradient) {
  const hence::policy_inputs<float> in{{logp, {1.0}}, {logp, {1.0}}, {}, advantages, {}, {}};
  return hence::loss_and_gradient(executor{}, hence::recipe::dapo(), hence::ragged{rows, {}}, in,
                                  hence::over_this_call, gradient)
      .loss();
}
