// What the examples in headers' comments may use, by topic: arrays that are declared and never
// defined, for these examples are compiled and not run.
#pragma once

#include <hence/hence.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>
#if __has_include(<mdspan>)
#  include <mdspan>
#endif

using namespace hence;

namespace of_interop {

extern dlpack::managed_tensor_versioned *managed, *managed_old;
extern std::vector<float> advantages;
extern std::vector<std::int64_t> cu_seqlens;
extern const std::size_t n;
extern const hence::view<float, 2> view;

}  // namespace of_interop

namespace of_logits {

extern const std::int64_t rows, vocabulary, first_column, rank, step, t;
extern const std::uint64_t seed;
extern const hence::softmax_rule rule;
extern std::vector<float> uniforms, values, sums, d_sums, cot, logp, entropy;
extern std::vector<float> teacher_logp, advantages;
extern std::vector<std::int64_t> labels, token, ids;
extern std::vector<hence::softmax_state> whole, mine, states;
extern const hence::view<hence::softmax_state, 2> all;
extern std::vector<std::uint8_t> mask;
extern std::vector<float> per_token_weight, d_chosen, d_rejected, d_logp;
extern const hence::view<const float, 2> hidden, weight, student, teacher, shard, logits;
extern const hence::view<float, 2> d_hidden, d_head, d_student, gradient;
extern const hence::view<std::uint8_t, 2> kept;
extern std::vector<std::byte> memory;
extern const hence::ragged batch;
extern const hence::preference_pairs<float> pairs;
extern const hence::token_cotangents<float> cotangents;
void all_gather(hence::view<const hence::softmax_state>, hence::view<hence::softmax_state, 2>);

}  // namespace of_logits

namespace of_moe {

extern const std::int64_t slots, capacity;
extern const hence::view<const float, 2> z, dw, logits;
extern const hence::view<const float> bias;
extern const hence::view<float, 2> w, dz;
extern const hence::view<std::int32_t, 2> ids, out;

}  // namespace of_moe

namespace of_policy {

extern hence::padded batch;
extern std::vector<std::int64_t> cu, sizes;
extern std::vector<float> rewards, out, advantages;
extern const hence::per_token<const float> values;
extern const hence::per_token<float> gradient, token_advantage, returns;
extern const hence::view<std::uint8_t, 2> kept;
extern const hence::policy_inputs<float> inputs, in;
extern const hence::cpu<> executor;
inline auto loss = hence::policy_loss{
    hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.2f}, hence::kl::k3{0.001f},
    hence::aggregate::prompt_mean_token_mean{hence::aggregate::all_prompts{}},
    hence::correction::rollout{hence::correction::token_level{},
                               hence::correction::mask{0.5f, 2.0f},
                               hence::correction::policy_only{}}};
using over_the_window = decltype(hence::over_window(loss.aggregation, hence::prompt_counts{}));
extern decltype(hence::loss_and_gradient(executor, loss, batch, in, std::declval<over_the_window>(),
                                         gradient, hence::with_metrics)) result;

}  // namespace of_policy
