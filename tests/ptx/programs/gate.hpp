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
  bool has_extras = true;  // load and faults of rows
  std::vector<Z> logits{};
  std::vector<float> bias{}, cotangent{};
  std::vector<std::uint8_t> valid{};
  std::vector<std::int32_t> replay{};

  std::int64_t stride() const { return experts + 3; }
  std::int64_t slot_stride() const { return k + 1; }
};

constexpr int ramp = 17, kinds = 21;
/// \param after how many experts after the row's chosen one, around the end. \param step of a ramp.
inline float logit_of(int kind, float noise, std::int64_t after, std::int64_t at, float step,
                      std::mt19937& random) {
  const bool one = after == 0;
  switch (kind) {
    case ramp:  // every expert in a slot of its own, expert 0 in any
      return step * static_cast<float>(after);
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
    case 13:  // subnormal, as f16 too
      return (at % 2 == 0 ? 1e-39f : 3e-6f) * noise;
    case 14:  // at the ends of what exp computes, and a step within
      return (at % 2 == 0 ? 1.0f : -1.0f) *
             std::bit_cast<float>(static_cast<std::int32_t>(0x42aeac4f - at / 2 % 2));
    case 15:  // the largest that are finite, as bf16 too
      return one ? 0x1.fep+127f : noise > 1 ? -0x1.fffffep+127f : noise;
    case 18:  // softmaxes that are ties between two bf16, the even one below
      return one ? 0.0f : after < 4 ? -0x1.88p+1f : -INFINITY;
    case 19:  // above
      return after < 3 ? 0.0f : after < 6 ? -0x1.4p-7f : -INFINITY;
    case 20:  // where exp's remainder is largest
      return one ? 0.0f : -0.3465f - 0.6931472f * static_cast<float>(after % 4);
    case 16:
      return one ? 0x1.fffffep+127f : noise > 1 ? -0x1.fep+127f : noise;
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
  // With slots for all turns of a warp, every other row is a ramp that has expert 0 in another
  // turn.
  const bool is_wide = b.k >= 100;
  constexpr int wide_kinds[] = {0, 20, 13, 5, 11, 18, 3, 1, 19, 14, 2, 12};
  for (std::int64_t t = 0; t < b.tokens; ++t) {
    const int kind = !is_wide     ? static_cast<int>(t % kinds)
                     : t % 2 == 1 ? ramp
                                  : wide_kinds[t / 2 % 12];
    const std::int64_t slot = (t / 2 * 32 + static_cast<std::int64_t>(random() % 32)) % b.k;
    const std::int64_t one = is_wide && kind == ramp
                                 ? b.experts - 1 - slot
                                 : static_cast<std::int64_t>(random()) % b.experts;
    // which slot of a replay repeats an earlier one
    const std::int64_t turn = is_wide ? static_cast<std::int64_t>(random() % 1000)
                                      : t / 11 * 2 + (t % 11 == 10),
                       again = b.k > 1 ? 1 + turn % (b.k - 1) : 0;
    for (std::int64_t e = 0; e < b.stride(); ++e)
      b.logits.push_back(Z(e < b.experts
                               ? logit_of(kind, normal(), (e - one + b.experts) % b.experts, e,
                                          t % 4 == 1 ? -0.125f : -0.5f, random)
                               : NAN));
    b.valid.push_back(t % 9 != 4);
    for (std::int64_t j = 0; j < b.slot_stride(); ++j) {
      b.cotangent.push_back(t % 5 == 3 ? 0.75f : normal());
      // an expert apart from its neighbours, at times an empty slot, one twice, one that is none
      auto e =
          static_cast<std::int32_t>((one + (is_wide && kind == ramp ? 1 + j : 3 * j)) % b.experts);
      if (random() % 9 == 0) e = -1;
      if ((t % 11 == 7 || t % 11 == 10) && j == again && j > 0)
        e = b.replay[b.replay.size() - 1 - random() % static_cast<std::size_t>(j)];
      if ((t % 11 == 8 && j == 0) || (t % 11 > 8 && j == b.k / 2))
        e = t % 2 == 0 ? -2 : static_cast<std::int32_t>(b.experts);
      b.replay.push_back(e);
    }
  }
  for (std::int64_t e = 0; e < b.experts; ++e)
    b.bias.push_back(e % 7 == 5 ? -INFINITY : e % 13 == 12 ? 1e30f : 0.25f * normal());
}

/// DeepSeek-V3's gate, and two others: a kernel each.
inline auto v3(std::int64_t k, std::int64_t count, std::int64_t kept, bool is_root = false,
               bool is_pair = true, double eps = 1e-20) {
  const moe::normalized divided{eps, moe::single_raw{}};
  return moe::gate{either_score{is_root}, k, moe::grouped{count, kept, one_or_two{is_pair}},
                   divided, 2.5};
}
inline auto softmax(std::int64_t k, double eps = 0.0) {
  return moe::gate{moe::score::softmax{},
                   k,
                   moe::all_experts{},
                   moe::normalized{eps, moe::single_normalized{}},
                   1.5,
                   moe::bf16_scores{}};
}
inline auto after(std::int64_t k, std::int64_t count = 4, std::int64_t kept = 2) {
  return moe::gate{moe::score::softmax_after{}, k,
                   moe::grouped{count, kept, moe::top_k_over_m_sum{}}, moe::raw{}, 1.5};
}

/// Calls f(gate, batch) for every case.
template <class F> void for_each_case(F&& f) {
  unsigned seed = 1;
  const auto run = [&](const auto& gate, auto b) {
    b.name += ", case " + std::to_string(seed);
    fill(b, seed++);
    f(gate, b);
  };
  run(v3(8, 8, 4), batch<float>{"sigmoid", 61, 64, 8, true, true, false});
  run(v3(8, 8, 4), batch<float>{"sigmoid, replay", 29, 64, 8, true, false, true});
  run(v3(1, 1, 1), batch<float>{"sigmoid, k = 1", 18, 7, 1, false, false, false, false});
  // rows that end with a warp's fourth step, and within it
  run(v3(8, 8, 4), batch<float>{"sigmoid, 128 experts", 17, 128, 8, false, false, false});
  run(v3(2, 1, 1), batch<float>{"sigmoid, 97 experts", 17, 97, 2, true, false, false});
  run(v3(40, 40, 5),
      batch<float>{"sigmoid, many slots and groups", 17, 320, 40, false, true, false});
  for (const std::int64_t experts : {300, 130, 128, 97, 65, 64, 35, 3})
    run(softmax(experts < 6 ? experts : 6),
        batch<hence::bf16>{"softmax", experts == 130 ? 42 : 21, experts, experts < 6 ? experts : 6,
                           experts == 64 || experts == 97 || experts == 300, experts == 35, false});
  // the last experts beyond the whole fours of a sum, at every place of a warp's turn
  for (const std::int64_t experts : {39, 43, 46, 50, 53, 59, 62})
    run(softmax(6),
        batch<hence::bf16>{"softmax, one more four", 4, experts, 6, false, false, false});
  run(softmax(2, 0.25), batch<hence::bf16>{"softmax, k = 2", 18, 20, 2, true, false, false});
  run(softmax(1),
      batch<hence::bf16>{"softmax, k = 1, replay", 30, 33, 1, false, true, true, false});
  run(softmax(7), batch<hence::bf16>{"softmax, replay", 33, 33, 7, false, false, true});
  run(after(8), batch<hence::f16>{"softmax_after", 31, 40, 8, true, true, false});
  run(after(6), batch<hence::f16>{"softmax_after, replay", 29, 40, 6, false, false, true});
  run(after(8),
      batch<hence::f16>{"softmax_after, few experts", 17, 8, 8, false, false, false, false});
  run(after(4), batch<hence::f16>{"softmax_after, groups of 5", 18, 20, 4, false, false, false});
  run(after(2), batch<hence::f16>{"softmax_after, groups of 9", 18, 36, 2, true, false, false});
  run(after(8), batch<hence::f16>{"softmax_after, 128 experts", 21, 128, 8, true, false, false});
  run(after(8), batch<hence::f16>{"softmax_after, 320 experts", 21, 320, 8, false, true, false});
  run(v3(3, 5, 3, true, false), batch<float>{"sqrt_softplus", 31, 35, 3, true, false, false});
  // groups of 1, 2 and 3, more groups than a warp has threads; more slots than four times those
  run(v3(2, 6, 3), batch<float>{"sigmoid, groups of 1", 17, 6, 2, true, false, false});
  run(v3(2, 4, 2), batch<float>{"sigmoid, groups of 3", 17, 12, 2, true, false, false});
  run(v3(3, 33, 9, true, false), batch<float>{"33 groups", 17, 66, 3, true, true, false});
  run(after(14), batch<hence::f16>{"softmax_after, 7 terms", 17, 28, 14, false, false, false});
  run(after(10), batch<hence::f16>{"softmax_after, 5 terms", 17, 24, 10, false, false, false});
  run(after(5, 34, 5),
      batch<hence::f16>{"softmax_after, 34 groups", 18, 102, 5, true, false, false});
  run(after(15, 34, 5),
      batch<hence::f16>{"softmax_after, 34 groups, 3 terms", 18, 102, 15, false, false, false});
  run(v3(2, 4, 2), batch<float>{"sigmoid, groups of 5", 18, 20, 2, false, false, false});
  run(v3(3, 4, 2, false, false),
      batch<float>{"sigmoid, groups of 6", 18, 24, 3, true, false, false});
  // more slots than two rounds of four of a warp; sums of scores that are all 0, without an eps
  run(v3(8, 12, 4), batch<float>{"sigmoid, 96 experts", 36, 96, 8, true, false, false});
  run(v3(100, 1, 1), batch<float>{"100 slots, replay", 12, 110, 100, false, false, true});
  run(after(100),
      batch<hence::f16>{"softmax_after, 100 slots, replay", 12, 220, 100, false, false, true});
  run(softmax(100),
      batch<hence::bf16>{"softmax, 100 slots, replay", 12, 110, 100, false, false, true});
  run(v3(290, 1, 1, false, true, 0.0), batch<float>{"290 slots", 18, 300, 290, false, true, false});
  run(v3(290, 1, 1), batch<float>{"290 slots, replay", 23, 300, 290, false, true, true});
  run(after(290), batch<hence::f16>{"softmax_after, 290 slots", 18, 400, 290, true, false, false});
  run(after(290),
      batch<hence::f16>{"softmax_after, 290 slots, replay", 23, 400, 290, false, true, true});
  run(softmax(290), batch<hence::bf16>{"softmax, 290 slots", 18, 300, 290, true, true, false});
  run(softmax(290, 0.25),
      batch<hence::bf16>{"softmax, 290 slots, replay", 23, 300, 290, false, true, true});
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
  if (b.has_extras) out.load = {load, b.experts}, out.row_faults = {faults, b.tokens};
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
