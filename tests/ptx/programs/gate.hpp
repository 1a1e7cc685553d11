// The gates and batches of the routing program, for both its halves.
#pragma once

#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

namespace gate_case {

namespace moe = hence::moe;

/// Scores and group scores chosen at run time, so that the kernels are compiled once for both.
struct either_score {
  bool is_root;
  HENCE_FN auto operator()(const auto& z) const {
    return is_root ? moe::score::sqrt_softplus{}(z) : moe::score::sigmoid{}(z);
  }
};
struct one_or_two {
  bool is_pair;
  HENCE_FN std::int64_t terms(std::int64_t k, std::int64_t kept) const {
    return is_pair ? moe::top2_sum::terms(k, kept) : moe::max_score::terms(k, kept);
  }
};

/// Logits in rows of `stride`, slots in rows of k + 1; what lies between is never read or written.
template <class Z> struct batch {
  std::string name;
  std::int64_t tokens, experts, k;
  bool has_bias, has_valid, has_replay;
  std::vector<Z> logits{};
  std::vector<float> bias{}, cotangent{};
  std::vector<std::uint8_t> valid{};
  std::vector<std::int32_t> replay{};

  std::int64_t stride() const { return experts + 3; }
  std::int64_t slot_stride() const { return k + 1; }
};

constexpr int kinds = 15;
inline float logit_of(int kind, float noise, bool one, std::int64_t at, std::mt19937& random) {
  switch (kind) {
    case 1:
      return std::floor(noise);  // ties
    case 2:
      return 0.5f;
    case 3:
      return one ? NAN : noise;
    case 4:
      return one ? INFINITY : noise;
    case 5:
      return random() % 4 != 0 ? -INFINITY : noise;
    case 6:
      return -INFINITY;
    case 7:
      return NAN;
    case 8:
      return 60 * noise;
    case 9:
      return at % 2 == 0 ? 0.0f : -0.0f;
    case 10:
      return 1e37f * noise;
    case 11:
      return -200 + noise;
    case 12:
      return one ? noise : -INFINITY;
    case 13:
      return 1e-39f * noise;
    case 14:  // at the ends of what exp computes, and a step within
      return (at % 2 == 0 ? 1.0f : -1.0f) *
             std::bit_cast<float>(static_cast<std::int32_t>(0x42aeac4f - at / 2 % 2));
    default:
      return noise;
  }
}

template <class Z> void fill(batch<Z>& b, unsigned seed) {
  std::mt19937 random(seed);
  const auto normal = [&] {
    float x = 0;
    for (int i = 0; i < 4; ++i) x += static_cast<float>(random()) / 2147483648.0f - 1;
    return x;
  };
  for (std::int64_t t = 0; t < b.tokens; ++t) {
    const auto one = static_cast<std::int64_t>(random()) % b.experts;
    for (std::int64_t e = 0; e < b.stride(); ++e)
      b.logits.push_back(
          Z(e < b.experts ? logit_of(static_cast<int>(t % kinds), normal(), e == one, e, random)
                          : NAN));
    b.valid.push_back(t % 9 != 4);
    for (std::int64_t j = 0; j < b.slot_stride(); ++j) {
      b.cotangent.push_back(t % 5 == 3 ? 0.75f : normal());
      // an expert apart from its neighbours, at times an empty slot, one twice, one that is none
      auto e = static_cast<std::int32_t>((one + 3 * j) % b.experts);
      if (random() % 9 == 0) e = -1;
      if (t % 11 == 7 && j > 0 && j == b.k - 1)
        e = b.replay[b.replay.size() - static_cast<std::size_t>(j)];
      if (t % 11 == 8 && j == 0) e = t % 2 == 0 ? -2 : static_cast<std::int32_t>(b.experts);
      b.replay.push_back(e);
    }
  }
  for (std::int64_t e = 0; e < b.experts; ++e)
    b.bias.push_back(e % 7 == 5 ? -INFINITY : e % 13 == 12 ? 1e30f : 0.25f * normal());
}

/// Calls f(gate, batch) for every case.
template <class F> void for_each_case(F&& f) {
  unsigned seed = 1;
  const auto run = [&](const auto& gate, auto b) {
    b.name += ", case " + std::to_string(seed);
    fill(b, seed++);
    f(gate, b);
  };
  using moe::gate, moe::grouped, moe::normalized;
  const normalized divided{1e-20, moe::single_raw{}};
  const auto v3 = [&](std::int64_t k, std::int64_t count, std::int64_t kept, bool is_root = false,
                      bool is_pair = true) {
    return gate{either_score{is_root}, k, grouped{count, kept, one_or_two{is_pair}}, divided, 2.5};
  };
  run(v3(8, 8, 4), batch<float>{"sigmoid", 61, 64, 8, true, true, false});
  run(v3(8, 8, 4), batch<float>{"sigmoid, replay", 29, 64, 8, true, false, true});
  run(v3(1, 1, 1), batch<float>{"sigmoid, k = 1", 16, 7, 1, false, false, false});
  // rows that end with a warp's fourth step, and within it
  run(v3(8, 8, 4), batch<float>{"sigmoid, 128 experts", 15, 128, 8, false, false, false});
  run(v3(2, 1, 1), batch<float>{"sigmoid, 97 experts", 15, 97, 2, true, false, false});
  run(v3(40, 40, 5),
      batch<float>{"sigmoid, many slots and groups", 15, 320, 40, false, true, false});
  const auto softmax = [](std::int64_t k) {
    return gate{moe::score::softmax{},
                k,
                moe::all_experts{},
                normalized{0.0, moe::single_normalized{}},
                1.0,
                moe::bf16_scores{}};
  };
  for (const std::int64_t experts : {300, 130, 128, 97, 64, 35, 3})
    run(softmax(experts < 6 ? experts : 6),
        batch<hence::bf16>{"softmax", experts == 130 ? 40 : 15, experts, experts < 6 ? experts : 6,
                           experts == 64 || experts == 97, experts == 35, false});
  run(softmax(1), batch<hence::bf16>{"softmax, k = 1, replay", 30, 33, 1, false, true, true});
  const auto after = [](std::int64_t k) {
    return gate{moe::score::softmax_after{}, k, grouped{4, 2, moe::top_k_over_m_sum{}}, moe::raw{},
                1.5};
  };
  run(after(8), batch<hence::f16>{"softmax_after", 31, 40, 8, true, true, false});
  run(after(6), batch<hence::f16>{"softmax_after, replay", 29, 40, 6, false, false, true});
  run(after(8), batch<hence::f16>{"softmax_after, few experts", 15, 8, 8, false, false, false});
  run(after(8), batch<hence::f16>{"softmax_after, 128 experts", 15, 128, 8, true, false, false});
  run(after(8), batch<hence::f16>{"softmax_after, 320 experts", 15, 320, 8, false, true, false});
  run(v3(3, 5, 3, true, false), batch<float>{"sqrt_softplus", 31, 35, 3, true, false, false});
  run(v3(4, 1, 1, true),
      batch<float>{"sqrt_softplus, all experts", 33, 100, 4, false, true, false});
}

struct outcome {
  std::vector<std::int32_t> ids;
  std::vector<float> weights, gradient;
  std::vector<std::int64_t> load;
  std::vector<std::uint8_t> faults;
  moe::route_counts counts, backward;
};

/// All cases on the CPU; in its own translation unit, which nvcc doesn't see. Where nothing is
/// written, -7.
std::vector<outcome> on_cpu();

/// The ids that the gradient is taken at: those of the replay, faults included, or the routing's.
template <class Z>
const std::vector<std::int32_t>& ids_of(const batch<Z>& b, const outcome& forward) {
  return b.has_replay ? b.replay : forward.ids;
}

/// The views of a batch, over any memory that holds it.
template <class Z>
moe::gate_inputs<float, Z> inputs_of(const batch<Z>& b, const Z* logits, const float* bias,
                                     const std::uint8_t* valid, const std::int32_t* replay) {
  moe::gate_inputs<float, Z> in;
  in.logits = {logits, b.tokens, b.experts};
  in.logits.stride[0] = b.stride();
  if (b.has_bias) in.bias = {bias, b.experts};
  if (b.has_valid) in.valid = {valid, b.tokens};
  if (b.has_replay) {
    in.replay = {replay, b.tokens, b.k};
    in.replay.stride[0] = b.slot_stride();
  }
  return in;
}
template <class Z>
moe::gate_outputs<float> outputs_of(const batch<Z>& b, std::int32_t* ids, float* weights,
                                    std::int64_t* load, std::uint8_t* faults) {
  moe::gate_outputs<float> out;
  out.ids = {ids, b.tokens, b.k}, out.weights = {weights, b.tokens, b.k};
  out.ids.stride[0] = out.weights.stride[0] = b.slot_stride();
  out.load = {load, b.experts}, out.row_faults = {faults, b.tokens};
  return out;
}
template <class Z>
moe::gate_backward_inputs<float, Z> backward_of(const batch<Z>& b, const Z* logits,
                                                const std::int32_t* ids, const float* cotangent,
                                                const std::uint8_t* valid) {
  moe::gate_backward_inputs<float, Z> in;
  in.logits = {logits, b.tokens, b.experts};
  in.logits.stride[0] = b.stride();
  in.ids = {ids, b.tokens, b.k}, in.grad_weights = {cotangent, b.tokens, b.k};
  in.ids.stride[0] = in.grad_weights.stride[0] = b.slot_stride();
  if (b.has_valid) in.valid = {valid, b.tokens};
  return in;
}
template <class Z> hence::view<float, 2> gradient_of(const batch<Z>& b, float* gradient) {
  hence::view<float, 2> g(gradient, b.tokens, b.experts);
  g.stride[0] = b.stride();
  return g;
}

}  // namespace gate_case
