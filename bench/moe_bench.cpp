// Routing against one pass of its own score over the logits (with a running maximum, without any
// selection), and the permutation against a plain counting sort of the same ids. One thread; bounds
// are probed in turn with the kernel. `x_bound` is least time over least time.
#include "probe.hpp"

#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/moe/permute.hpp>

#include <random>

namespace {

namespace moe = hence::moe;
using hence::view;
using V = hence::pack<float>;

constexpr std::int64_t tokens = 4096;

struct data {
  std::int64_t experts, k;
  std::vector<float> logits, bias, weights, gradient, scores;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> load;
  std::vector<std::byte> memory;
  data(std::int64_t e, std::int64_t slots)
      : experts(e),
        k(slots),
        logits(static_cast<std::size_t>(tokens * e)),
        bias(static_cast<std::size_t>(e)),
        weights(static_cast<std::size_t>(tokens * slots)),
        gradient(logits.size()),
        scores(logits.size()),
        ids(weights.size()),
        load(bias.size()) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& x : logits) x = normal(random);
    for (float& x : bias) x = 0.01f * normal(random);
  }
};

/// One pass of f over the logits and a running maximum.
template <class F> [[gnu::noinline]] void score_pass(const data& d, float* out, F f) {
  V top(0.0f);
  const auto n = static_cast<std::int64_t>(d.logits.size());
  for (std::int64_t i = 0; i < n; i += V::lanes) {
    const V s = f(V::load(d.logits.data() + i));
    top = max(top, s);
    s.store(out + i);
  }
  benchmark::DoNotOptimize(top);
}

template <class Gate, class F>
void route(benchmark::State& state, const Gate& gate, std::int64_t experts, F score,
           bool backward) {
  data d(experts, gate.k);
  const auto bytes = moe::route_workspace_bytes(hence::cpu{}, gate, tokens, experts);
  std::vector<std::byte> memory(static_cast<std::size_t>(bytes) + 64);
  const auto past = reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  const view<std::byte> workspace(memory.data() + (64 - past) % 64, bytes);
  moe::gate_inputs<float> in;
  in.logits = view<const float, 2>(d.logits.data(), tokens, experts);
  in.bias = d.bias;
  moe::gate_outputs<float> out;
  out.ids = view<std::int32_t, 2>(d.ids.data(), tokens, gate.k);
  out.weights = view<float, 2>(d.weights.data(), tokens, gate.k);
  out.load = d.load;
  moe::gate_backward_inputs<float> back;
  back.logits = in.logits;
  back.ids = out.ids;
  back.grad_weights = out.weights;
  probe::run(
      state, static_cast<std::size_t>(tokens),
      [&] {
        moe::route(hence::cpu{}, gate, in, out, workspace);
        if (backward)
          moe::route_backward(hence::cpu{}, gate, back,
                              view<float, 2>(d.gradient.data(), tokens, experts), workspace);
      },
      [&] { score_pass(d, d.scores.data(), score); });
}

const moe::normalized weights{1e-20, moe::single_raw{}};
constexpr auto sigmoid_of = [](V x) __attribute__((always_inline)) { return sigmoid(x); };
constexpr auto exp_of = [](V x) __attribute__((always_inline)) { return exp(x); };

void sigmoid_256_groups_k8(benchmark::State& state) {
  route(state,
        moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}}, weights, 2.5}, 256,
        sigmoid_of, state.range(0) != 0);
}
void softmax_64_k6(benchmark::State& state) {
  route(state, moe::gate{moe::score::softmax{}, 6, moe::all_experts{}, moe::raw{}, 1.0}, 64, exp_of,
        state.range(0) != 0);
}
void softmax_8_k2(benchmark::State& state) {
  route(state, moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0}, 8, exp_of,
        state.range(0) != 0);
}

/// 32768 ids of 256 experts.
void permute_32768(benchmark::State& state) {
  constexpr std::int64_t experts = 256, k = 8;
  std::mt19937 random(2);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * k));
  for (auto& e : ids) e = static_cast<std::int32_t>(random() % experts);
  std::vector<std::int64_t> offsets(experts + 1), order(ids.size()), position(ids.size());
  std::vector<std::int32_t> sorted(ids.size()), next(experts + 1);
  moe::permutation p;
  p.offsets = offsets;
  p.order = order;
  if (state.range(0) != 0) p.position = view<std::int64_t, 2>(position.data(), tokens, k);
  probe::run(
      state, ids.size(),
      [&] { moe::permute(view<const std::int32_t, 2>(ids.data(), tokens, k), experts, 1, p); },
      [&] {
        for (auto& n : next) n = 0;
        for (const auto e : ids) ++next[static_cast<std::size_t>(e) + 1];
        for (std::size_t e = 1; e < next.size(); ++e) next[e] += next[e - 1];
        for (std::size_t i = 0; i < ids.size(); ++i)
          sorted[static_cast<std::size_t>(next[static_cast<std::size_t>(ids[i])]++)] =
              static_cast<std::int32_t>(i);
      });
}

BENCHMARK(sigmoid_256_groups_k8)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(softmax_64_k6)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(softmax_8_k2)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(permute_32768)->ArgName("position")->Arg(0)->Arg(1)->UseManualTime();

}  // namespace
