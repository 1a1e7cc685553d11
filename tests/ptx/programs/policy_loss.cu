// The policy-loss kernel against the CPU executor, to the bit.
#include "check.hpp"
#include "policy_loss.hpp"

#include <hence/cuda/policy_loss.cuh>

namespace {

using policy_case::batch;
using policy_case::outcome;

template <class T> bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

void compare(const outcome& got, const outcome& wanted, const std::string& name) {
  test::check(std::bit_cast<std::uint64_t>(got.loss) == std::bit_cast<std::uint64_t>(wanted.loss),
              name + ": loss");
  test::check(same(got.gradient, wanted.gradient), name + ": gradient");
  test::check(same(got.integers, wanted.integers), name + ": counts");
  test::check(same(got.metrics, wanted.metrics), name + ": metrics");
}

/// One batch in device memory. The gradient begins `shift` entries off its 16-byte boundary.
template <hence::cuda::policy_loss_tuning Tuning>
void run(const batch& b, std::size_t shift, cudaStream_t stream) {
  const test::input cu(b.cu);
  const test::input advantages(b.advantages);
  const test::input m0(b.masks[0]), m1(b.masks[1]), m2(b.masks[2]), m3(b.masks[3]);
  const test::input logp(b.logp), old(b.old), ref(b.ref), rollout(b.rollout),
      token_advantages(b.token_advantages);
  const policy_case::arrays a{cu.get(),
                              {m0.get(), m1.get(), m2.get(), m3.get()},
                              logp.get(),
                              old.get(),
                              ref.get(),
                              rollout.get(),
                              token_advantages.get(),
                              advantages.get()};
  const std::vector<outcome> wanted = policy_case::on_cpu(b);
  std::size_t k = 0;
  policy_case::for_each_loss([&](const char* name, const auto& loss, auto choice) {
    policy_case::with_views(b, a, [&](const auto& in_hence, const auto& in, const auto& per_token) {
      using loss_t = std::remove_cvref_t<decltype(loss)>;
      using state_t =
          hence::cuda::loss_state_for<loss_t, hence::over_this_call_t, decltype(choice)>;
      const test::output<state_t> state(1);
      const test::output<float> gradient(b.tokens() + shift);
      if (shift != 0) test::check(cudaMemset(gradient.get(), 0, shift * sizeof(float)));
      const int kernels = test::captured(stream, [&] {
        hence::cuda::loss_and_gradient<Tuning>(stream, loss, in_hence, in, hence::over_this_call,
                                               per_token(gradient.get() + shift), state.get(),
                                               choice);
      });
      test::check(kernels == 1 || kernels == 2, "kernels of a call");
      std::vector<float> values = gradient.read();
      values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(shift));
      compare(policy_case::outcome_of(state.read()[0].result(), std::move(values)), wanted[k++],
              name);
    });
  });
}

/// No tokens: nothing is launched, and the counts are right all the same.
void run_empty(cudaStream_t stream) {
  const auto loss = hence::recipe::dapo();
  using state_t = hence::cuda::loss_state_for<std::remove_cv_t<decltype(loss)>,
                                              hence::over_this_call_t, hence::without_metrics_t>;
  const test::output<state_t> state(1);
  const test::input<float> advantages({1.0f, 2.0f, 3.0f});
  hence::policy_inputs<float> in;
  in.advantages = hence::view<const float>(advantages.get(), 3);
  const int kernels = test::captured(stream, [&] {
    hence::cuda::loss_and_gradient(stream, loss, hence::padded{3, 0, {}}, in, hence::over_this_call,
                                   {}, state.get());
  });
  test::check(kernels == 0, "an empty batch launches nothing");
  const auto result = state.read()[0].result();
  test::check(result.counts() == hence::counts(3, 0, 0, 0, 0, 0), "counts of an empty batch");
  test::check(result.loss() == 0, "loss of an empty batch");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  std::size_t shift = 0;
  for (const batch& b : policy_case::batches()) {
    run<hence::cuda::policy_loss_tuning{.threads = 64, .max_blocks = 3}>(b, shift, stream);
    run<hence::cuda::policy_loss_tuning{}>(b, 0, stream);
    shift = (shift + 1) % 4;
  }
  run_empty(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
