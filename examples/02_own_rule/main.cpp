// A clip rule of your own: write the value, the gradient follows.
#include <hence/policy.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

// For the CPU a lambda will do. Here: "soft clip", -A tanh(r - 1), which fades out instead of
// cutting.
constexpr auto soft_clip = [](auto ratio, auto advantage) { return -advantage * tanh(ratio - 1); };

// A rule that must also run on CUDA is a struct whose operator() is HENCE_FN; its numbers are
// members.
template <class S> struct softer_clip {
  S width;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    return -advantage * tanh((ratio - 1) / width) * width;
  }
};
template <class S> softer_clip(S) -> softer_clip<S>;

int main() {
  const std::vector<std::int64_t> cu_seqlens{0, 3, 5};
  const std::vector<float> logp{-1.0f, -0.5f, -2.0f, -0.1f, -0.7f};
  const std::vector<float> old_logp{-1.2f, -0.5f, -1.5f, -0.3f, -0.6f};
  const std::vector<float> advantages{1.0f, -0.5f};
  std::vector<float> gradient(5);

  const auto run = [&](const char* name, const auto& rule) {
    const auto loss = hence::policy_loss{hence::ratio::token{}, rule, hence::kl::none{},
                                         hence::aggregate::token_mean{}};
    const hence::policy_inputs<float> inputs{.logp = {logp, {.temperature = 1.0}},
                                             .old = {old_logp, {.temperature = 1.0}},
                                             .advantages = advantages};
    const auto result =
        hence::loss_and_gradient(hence::cpu{}, loss, hence::ragged{.cu_seqlens = cu_seqlens},
                                 inputs, hence::over_this_call, gradient);
    std::printf("%-12s loss %+.6f  gradient", name, result.loss());
    for (const float g : gradient) std::printf(" %+.6f", static_cast<double>(g));
    std::printf("\n");
    return result.loss();
  };
  run("two_sided", hence::clip::two_sided{0.8f, 1.2f});
  const double by_lambda = run("soft_clip", soft_clip);
  run("softer_clip", softer_clip{0.5f});

  // The lambda's loss, written out.
  double expected = 0;
  const int row[] = {0, 0, 0, 1, 1};
  for (std::size_t t = 0; t < 5; ++t) {
    const double ratio = std::exp(static_cast<double>(logp[t]) - static_cast<double>(old_logp[t]));
    expected -= static_cast<double>(advantages[static_cast<std::size_t>(row[t])]) *
                std::tanh(ratio - 1) / 5;
  }
  std::printf("written out  %+.6f\n", expected);
  return std::fabs(by_lambda - expected) < 1e-6 ? 0 : 1;
}
