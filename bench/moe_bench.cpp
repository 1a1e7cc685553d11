// Routing against one pass of its own score over the logits (with a running maximum, without any
// selection), the permutation against a plain counting sort of the same ids, and the experts
// against one dense product of the same flops by the same backend. One thread; bounds are probed in
// turn with the kernel. `x_bound` is least time over least time.
#include "probe.hpp"

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/moe/permute.hpp>

#include <random>

#if defined(HENCE_BENCH_EIGEN)
#  include <hence/core/gemm/eigen.hpp>
#endif

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

/// T = 1024, d = 512, ff = 256, E = 32, k = 4: SwiGLU, weights after down, activations saved.
/// The bound has 3 ff columns, and backward three times that.
template <class Gemm> void experts(benchmark::State& state, const Gemm& gemm) {
  probe::of_thread = true;
  constexpr std::int64_t count = 1024, width = 512, inner = 256, all = 32, k = 4, rows = count * k;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const auto fill = [&](std::int64_t n, float size) {
    return probe::array(static_cast<std::size_t>(n),
                        [&](std::size_t) { return size * normal(random); });
  };
  probe::array x = fill(count * width, 1), cotangent = fill(count * width, 1), w = fill(rows, 1);
  probe::array gate = fill(all * inner * width, 0.05f), up = fill(all * inner * width, 0.05f);
  probe::array down = fill(all * inner * width, 0.05f);
  probe::array y = fill(count * width, 0), dx = y, dw = w, d_gate = gate, d_up = up, d_down = down;
  probe::array kept_gate = fill(rows * inner, 0), kept_up = kept_gate;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < ids.size(); ++i)  // k different experts a token
    ids[i] = i % k == 0 ? static_cast<std::int32_t>(random() % all)
                        : (ids[i - 1] + 1 + static_cast<std::int32_t>(random() % 9)) % all;
  std::vector<std::int64_t> offsets(all + 1), order(ids.size()), position(ids.size()), load(all);
  moe::permute(view<const std::int32_t, 2>(ids.data(), count, k), all, 1,
               {offsets, order, view<std::int64_t, 2>(position.data(), count, k)});
  for (std::size_t e = 0; e < all; ++e) load[e] = offsets[e + 1] - offsets[e];
  moe::layer_inputs<float> in;
  in.x = view<const float, 2>(x.data(), count, width);
  in.weights = view<const float, 2>(w.data(), count, k);
  in.position = moe::slot_positions(position.data(), count, k);
  in.segments = {offsets, load};
  in.gate = view<const float, 3>(gate.data(), all, inner, width);
  in.up = view<const float, 3>(up.data(), all, inner, width);
  in.down = view<const float, 3>(down.data(), all, width, inner);
  moe::layer_gradients<float> to;
  to.x = view<float, 2>(dx.data(), count, width);
  to.weights = view<float, 2>(dw.data(), count, k);
  to.gate = view<float, 3>(d_gate.data(), all, inner, width);
  to.up = view<float, 3>(d_up.data(), all, inner, width);
  to.down = view<float, 3>(d_down.data(), all, width, inner);
  const moe::saved_activations<float> kept{view<float, 2>(kept_gate.data(), rows, inner),
                                           view<float, 2>(kept_up.data(), rows, inner)};
  const moe::expert_mlp mlp{gemm, moe::swiglu{}, moe::after_down{}};
  const std::int64_t bytes =
      moe::experts_workspace_bytes<float>(hence::cpu{}, mlp, rows, width, inner);
  probe::array memory = fill(bytes / 4 + 16, 0), scratch = fill(Gemm::scratch_floats + 16, 0);
  const view<std::byte> workspace(reinterpret_cast<std::byte*>(memory.data()), bytes);
  probe::array dense_x = fill(rows * width, 1), dense_w = fill(3 * inner * width, 1),
               dense_y = fill(rows * 3 * inner, 0);
  const bool backward = state.range(0) != 0;
  probe::run(
      state, static_cast<std::size_t>(rows * width),
      [&] {
        moe::experts(hence::cpu{}, mlp, in, kept, view<float, 2>(y.data(), count, width),
                     workspace);
        if (backward)
          moe::experts_backward(hence::cpu{}, mlp, in, kept,
                                view<const float, 2>(cotangent.data(), count, width), to,
                                workspace);
      },
      [&] {
        for (int i = 0; i < (backward ? 3 : 1); ++i)
          gemm(view<const float, 2>(dense_x.data(), rows, width),
               hence::transposed(view<const float, 2>(dense_w.data(), 3 * inner, width)),
               view<float, 2>(dense_y.data(), rows, 3 * inner), hence::update::overwrite,
               scratch.data());
      });
}
void experts_ordered(benchmark::State& state) { experts(state, hence::gemm::ordered{}); }
BENCHMARK(experts_ordered)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
#if defined(HENCE_BENCH_EIGEN)
void experts_eigen(benchmark::State& state) { experts(state, hence::gemm::eigen{}); }
BENCHMARK(experts_eigen)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
#endif

BENCHMARK(sigmoid_256_groups_k8)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(softmax_64_k6)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(softmax_8_k2)->ArgName("backward")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(permute_32768)->ArgName("position")->Arg(0)->Arg(1)->UseManualTime();

}  // namespace
