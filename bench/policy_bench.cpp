// A policy loss, value and gradient, against the time to move its bytes: three arrays read, one
// written.
#include "probe.hpp"

#include <hence/policy.hpp>

#include <random>

namespace {

template <class Loss, class Choice>
void policy(benchmark::State& state, const Loss& loss, Choice choice) {
  const std::int64_t rows = state.range(0), width = state.range(1);
  const auto n = static_cast<std::size_t>(rows * width);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  probe::array logp(n, [&](std::size_t) { return -1 + 0.9f * uniform(random); });
  probe::array old_logp(n, [&](std::size_t i) { return logp.data()[i] + 0.2f * uniform(random); });
  probe::array ref_logp(n, [&](std::size_t i) { return logp.data()[i] + 0.3f * uniform(random); });
  probe::array gradient(n, [](std::size_t) { return 0.0f; });
  std::vector<float> advantages(static_cast<std::size_t>(rows));
  for (float& a : advantages) a = uniform(random);

  const auto on = [&](probe::array& a) {
    return hence::view<const float, 2>(a.data(), rows, width);
  };
  const hence::padded batch{.rows = rows, .width = width};
  const hence::policy_inputs<float> in{.logp = {on(logp), {.temperature = 1.0}},
                                       .old = {on(old_logp), {.temperature = 1.0}},
                                       .ref = {on(ref_logp), {.temperature = 1.0}},
                                       .advantages = advantages};
  const float* streams[] = {logp.data(), old_logp.data(), ref_logp.data()};
  probe::run(
      state, n,
      [&] {
        benchmark::DoNotOptimize(
            hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call,
                                     hence::view<float, 2>(gradient.data(), rows, width), choice));
      },
      [&] { probe::sum_streams<3, false>(streams, gradient.data(), n); },
      [&] { probe::sum_streams<3, true>(streams, gradient.data(), n); });
}

constexpr hence::without_metrics_t without_metrics{};
const auto k3_two_sided =
    hence::policy_loss{hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.2f},
                       hence::kl::k3{0.04f}, hence::aggregate::token_mean{}};
const auto k3_sequence =
    hence::policy_loss{hence::ratio::sequence{}, hence::clip::two_sided{0.8f, 1.2f},
                       hence::kl::k3{0.04f}, hence::aggregate::sequence_mean_token_mean{}};

void two_sided_k3(benchmark::State& s) { policy(s, k3_two_sided, without_metrics); }
void two_sided_k3_metrics(benchmark::State& s) { policy(s, k3_two_sided, hence::with_metrics); }
void sequence_two_sided_k3(benchmark::State& s) { policy(s, k3_sequence, without_metrics); }

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({512, 4096})->Args({64, 1024})->UseManualTime()->MinTime(1.0);
}
BENCHMARK(two_sided_k3)->Apply(shapes);
BENCHMARK(two_sided_k3_metrics)->Apply(shapes);
BENCHMARK(sequence_two_sided_k3)->Apply(shapes);

}  // namespace
