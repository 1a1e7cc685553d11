// The policy-loss kernel against the CPU executor, to the bit.
#include "check.hpp"
#include "policy_loss.hpp"

#include <hence/cuda/policy_loss.cuh>

namespace {

using policy_case::batch;
using policy_case::outcome;

/// To the bit; a NaN is a NaN.
template <class T> bool same(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0 && !(a[i] != a[i] && b[i] != b[i])) return false;
  return true;
}

void compare(const outcome& got, const outcome& wanted, const std::string& name) {
  test::check(same(std::vector{got.loss}, std::vector{wanted.loss}), name + ": loss");
  test::check(same(got.gradient, wanted.gradient), name + ": gradient");
  test::check(same(got.integers, wanted.integers), name + ": counts");
  test::check(same(got.metrics, wanted.metrics), name + ": metrics");
}

/// An array that begins some entries off its 16-byte boundary.
template <class T> struct shifted {
  std::size_t by;
  test::input<T> all;

  shifted(std::vector<T> values, std::size_t entries)
      : by(entries), all((values.insert(values.begin(), by, T(1)), values)) {}
  const T* get() const { return all.get() + by; }
};

/// Where the other arrays begin: where the gradient does, two entries further, or each elsewhere.
enum class places { alike, opposite, apart };

/// One batch in device memory. The gradient begins `shift` entries off its 16-byte boundary.
template <hence::cuda::policy_loss_tuning Tuning>
void run(const batch& b, std::size_t shift, places where, cudaStream_t stream) {
  const auto off = [&](std::size_t k) {
    const std::size_t apart = k + static_cast<std::size_t>(b.rows);
    const std::size_t by = where == places::alike ? 0 : where == places::opposite ? 2 : apart;
    return (shift + by) % 4;
  };
  const test::input cu(b.cu);
  const test::input narrow_cu(std::vector<std::int32_t>(b.cu.begin(), b.cu.end()));
  const test::input advantages(b.advantages);
  const shifted m0(b.masks[0], off(1)), m1(b.masks[1], off(2)), m2(b.masks[2], off(3)),
      m3(b.masks[3], off(1));
  const shifted logp(b.logp, off(2)), old(b.old, off(3)), ref(b.ref, off(1)),
      rollout(b.rollout, off(2)), token_advantages(b.token_advantages, off(3));
  const policy_case::arrays a{cu.get(),
                              narrow_cu.get(),
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

/// Row boundaries that only the kernels see to be wrong: those rows are left out, and it is said.
template <hence::cuda::policy_loss_tuning Tuning> void run_malformed(cudaStream_t stream) {
  struct boundaries {
    std::vector<std::int64_t> cu;
    std::int64_t tokens;  // of the rows that are sound
  };
  const test::input values(std::vector<float>(12, 1.0f));
  for (const boundaries& given :
       {boundaries{{1, 3, 7, 12}, 9}, {{0, 3, 7, 11}, 7}, {{0, 3, -2, 12}, 3}, {{0, 3, 13, 12}, 3}})
    policy_case::for_each_loss([&](const char* name, const auto& loss, auto choice) {
      using loss_t = std::remove_cvref_t<decltype(loss)>;
      const test::output<
          hence::cuda::loss_state_for<loss_t, hence::over_this_call_t, decltype(choice)>>
          state(1);
      const test::input offsets(given.cu);
      const test::output<float> gradient(12);
      const hence::per_token<const float> x{hence::view<const float>(values.get(), 12)};
      hence::policy_inputs<float> in;
      in.logp = {x, {1.0}}, in.old = {x, {1.0}}, in.ref = {x, {1.0}}, in.rollout = {x, {1.0}};
      in.advantages = hence::view<const float>(values.get(), 3);
      const hence::ragged batch{hence::view<const std::int64_t>(offsets.get(), 4), {}};
      hence::cuda::loss_and_gradient<Tuning>(
          stream, loss, batch, in, hence::over_this_call,
          hence::per_token<float>(hence::view<float>(gradient.get(), 12)), state.get(), choice);
      test::check(cudaStreamSynchronize(stream));
      const auto result = state.read()[0].result();
      test::check(
          (static_cast<int>(result.conditions()) & static_cast<int>(hence::status::malformed)) != 0,
          std::string(name) + ": wrong boundaries are reported");
      test::check(result.counts().tokens == given.tokens,
                  std::string(name) + ": tokens of the sound rows");
    });
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  std::size_t k = 0;
  for (const batch& b : policy_case::batches()) {
    run<hence::cuda::policy_loss_tuning{.threads = 64, .max_blocks = 3}>(
        b, k % 4, static_cast<places>(k % 3), stream);
    run<hence::cuda::policy_loss_tuning{}>(b, (k + 1) % 4, static_cast<places>((k + 1) % 3),
                                           stream);
    ++k;
  }
  run_malformed<hence::cuda::policy_loss_tuning{.threads = 64, .max_blocks = 3}>(stream);
  run_malformed<hence::cuda::policy_loss_tuning{}>(stream);
  run_empty(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
