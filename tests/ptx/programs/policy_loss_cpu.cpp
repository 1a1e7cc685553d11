// The half of the policy-loss program that the CPU executor runs.
#include "policy_loss.hpp"

namespace policy_case {

std::vector<outcome> on_cpu(const batch& b) {
  const std::vector<std::int32_t> narrow(b.cu.begin(), b.cu.end());
  const arrays a{b.cu.data(),
                 narrow.data(),
                 {b.masks[0].data(), b.masks[1].data(), b.masks[2].data(), b.masks[3].data()},
                 b.logp.data(),
                 b.old.data(),
                 b.ref.data(),
                 b.rollout.data(),
                 b.token_advantages.data(),
                 b.advantages.data()};
  std::vector<outcome> out;
  for_each_loss([&](const char*, const auto& loss, auto choice) {
    with_views(b, a, [&](const auto& in_hence, const auto& in, const auto& per_token) {
      std::vector<float> gradient(b.tokens(), -7.0f);
      const auto result =
          hence::loss_and_gradient(hence::cpu<>{}, loss, in_hence, in, hence::over_this_call,
                                   per_token(gradient.data()), choice);
      out.push_back(outcome_of(result, std::move(gradient)));
    });
  });
  return out;
}

}  // namespace policy_case
