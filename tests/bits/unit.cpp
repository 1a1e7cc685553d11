// Half of a program whose two halves are compiled with different -m flags (two_units.sh).
#include <hence/policy.hpp>

#include <vector>

double UNIT(const std::vector<float>& logp, const std::vector<float>& old_logp,
            const std::vector<float>& advantages, const std::vector<std::int64_t>& cu_seqlens,
            std::vector<float>& gradient) {
  using namespace hence;
  const auto loss = recipe::grpo(0.2f);
  const ragged batch{.cu_seqlens = cu_seqlens};
  const policy_inputs<float> in{.logp = {logp, {.temperature = 1.0}},
                                .old = {old_logp, {.temperature = 1.0}},
                                .ref = {old_logp, {.temperature = 1.0}},
                                .advantages = advantages};
  const auto window = over_window(loss.aggregation, count(batch) + count(batch));
  auto a = loss_and_gradient(cpu{}, loss, batch, in, window, gradient, with_metrics);
  a += loss_and_gradient(reference<float>{}, loss, batch, in, window, gradient, with_metrics);
  return a.loss() + a.metrics().kl_mean() + a.metrics().ratio_mean();
}
