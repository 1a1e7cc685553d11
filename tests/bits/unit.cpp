// Half of a program whose two halves are compiled with different -m flags (two_units.sh).
#include <hence/logits.hpp>
#include <hence/policy.hpp>
#include <hence/threads.hpp>

#include "unit_moe.hpp"

#include <variant>
#include <vector>

namespace {

/// A pool, rules chosen at run time, a padded batch, float64 and advantages.
double other_ways(const std::vector<float>& logp, const std::vector<float>& old_logp,
                  const std::vector<float>& advantages) {
  using namespace hence;
  const auto rows = static_cast<std::int64_t>(advantages.size());
  const std::int64_t width = static_cast<std::int64_t>(logp.size()) / rows;
  const padded batch{.rows = rows, .width = width};
  const auto of = [&](const std::vector<float>& x) {
    return view<const float, 2>(x.data(), rows, width);
  };
  thread_pool threads(2);
  const policy_loss loss{
      ratio::token{}, std::variant<clip::two_sided<>, clip::cispo<>>{clip::two_sided{0.8f, 1.2f}},
      kl::k3{0.04f}, aggregate::token_mean{}};
  std::vector<float> gradient(logp.size()), normalised(advantages.size());
  double sum = 0;
  const auto run = [&](const auto& executor) {
    const auto result = loss_and_gradient(
        executor, loss, batch,
        {.logp = {of(logp), {.temperature = 1.0}},
         .old = {of(old_logp), {.temperature = 1.0}},
         .ref = {of(old_logp), {.temperature = 1.0}},
         .advantages = advantages},
        over_this_call, view<float, 2>(gradient.data(), rows, width), with_metrics);
    const std::vector<std::int64_t> cu{0, rows};
    hence::advantages(executor, advantage::grpo(1, 1e-6, advantage::singleton_zero{}),
                      groups{.cu_groups = cu}, advantages, normalised);
    sum += result.loss() + result.metrics().kl_mean() + double(normalised[0]);
  };
  run(cpu{}), run(cpu{threads}), run(reference<float>{});
  const std::vector<double> wide(logp.begin(), logp.end()),
      wide_old(old_logp.begin(), old_logp.end()),
      wide_advantages(advantages.begin(), advantages.end());
  std::vector<double> wide_gradient(logp.size());
  const view<const double, 2> logp64(wide.data(), rows, width), old64(wide_old.data(), rows, width);
  sum += loss_and_gradient(reference<double>{}, recipe::dapo<double>(), batch,
                           {.logp = {logp64, {.temperature = 1.0}},
                            .old = {old64, {.temperature = 1.0}},
                            .advantages = wide_advantages},
                           over_this_call, view<double, 2>(wide_gradient.data(), rows, width))
             .loss();
  return sum;
}

}  // namespace

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
         a.metrics().ratio_mean() + other_ways(logp, old_logp, advantages);
}
