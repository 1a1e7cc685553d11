#include <hence/policy.hpp>
#include <hence/version.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  std::vector<std::int64_t> cu_seqlens{0, 2, 4};
  std::vector<float> logp{-1, -1, -1, -1}, advantages{1, -1}, gradient(4);
  auto result = hence::loss_and_gradient(hence::cpu{}, hence::recipe::dapo(),
                                         hence::ragged{.cu_seqlens = cu_seqlens},
                                         {.logp = {logp, {.temperature = 1.0}},
                                          .old = {logp, {.temperature = 1.0}},
                                          .advantages = advantages},
                                         hence::over_this_call, gradient);
  // On policy the loss of advantages that sum to 0 is 0, and its gradient -A / tokens.
  std::printf("hence %d.%d.%d: loss %g, gradient %g %g\n", hence::version_major,
              hence::version_minor, hence::version_patch, result.loss(), double(gradient[0]),
              double(gradient[3]));
  return result.loss() == 0 && gradient[0] == -0.25f && gradient[3] == 0.25f ? 0 : 1;
}
