// Half of a program whose two halves are compiled with different -m flags (two_units.sh).
#include <hence/logits.hpp>
#include <hence/policy.hpp>

#include "unit_moe.hpp"

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
  const softmax_rule rule{.temperature = 0.7, .negative = negative_labels::ignored};
  const view<const float, 2> logits(logp.data(), 1, static_cast<std::int64_t>(logp.size()));
  const std::vector<std::int64_t> label{3};
  std::vector<float> of_label(2);
  token_logprob(cpu{}, rule, logits, label, {.logp = view<float>(of_label.data(), 1)});
  token_logprob(reference<float>{}, rule, logits, label, {.logp = view<float>(&of_label[1], 1)});
  const double routed = route_and_back(cpu{}, logp) + route_and_back(reference<float>{}, logp);
  return routed + double(of_label[0]) + double(of_label[1]) + a.loss() + a.metrics().kl_mean() +
         a.metrics().ratio_mean();
}
