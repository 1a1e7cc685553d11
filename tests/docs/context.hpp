// What the code blocks of README and docs/ that are no whole programs may use: arrays of a small
// batch, declared and never defined, for these blocks are compiled and not run.
#pragma once

#include <hence/hence.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_view_literals;

extern const std::int64_t B, T, V, H, E;  // rows, width, vocabulary, hidden width, experts
extern float *logp, *old_logp, *ref_logp, *rollout_logp, *gradient;  // [B, T]
extern std::uint8_t* mask;                                           // [B, T]
extern std::vector<float> rewards, advantages, uniforms;
extern std::vector<std::int64_t> cu_seqlens, cu_groups, labels, token;
extern float *hidden, *head, *d_hidden, *d_head, *logits, *router_logits, *weights, *bias;
extern std::int32_t* ids;
extern std::vector<std::byte> memory;
extern const hence::padded batch, next_batch;
extern const std::string_view response, reference_answer;
extern const hence::policy_inputs<float> inputs, next_inputs;
extern hence::dlpack::managed_tensor_versioned* capsule;

// A mixture-of-experts layer: tokens, the router, the experts' and the shared expert's matrices.
extern const hence::view<const float, 2> x, dy, router;
extern const hence::view<float, 2> y, dx, slot_weights, d_slot_weights, d_router;
extern const hence::view<const float> router_bias;
extern const hence::view<std::int32_t, 2> expert_ids;
extern const hence::view<std::int64_t> load, first_slot, order;
extern const hence::view<std::int64_t, 2> slot_position;
extern const hence::view<const float, 3> w_gate, w_up, w_down, s_gate, s_up, s_down;
extern const hence::view<float, 3> d_gate, d_up, d_down, d_s_gate, d_s_up, d_s_down;
