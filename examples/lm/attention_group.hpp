/// \file
/// Causal attention over a packed batch: the responses to one prompt see the prompt, which is
/// stored once, and themselves. Grouped-query: heads / kv_heads queries share a key.
#pragma once

#include "attention.hpp"
#include "config.hpp"

#include <hence/core/shared_prefix.hpp>

#include <algorithm>

namespace lm {

/// Walks one group of a packed batch: fills the keys of one kv head as it goes and calls
/// query(token, n) for every token in stored order, which sees the first n positions of kv, and
/// leave(token, position) for each token once nobody needs its position any more.
/// \param token_key, token_value return a stored token's key and value.
template <class S, class Key, class Value, class Query, class Leave>
void walk_group(const hence::shared_prefix& batch, std::int64_t g, key_values<S>& kv,
                const Key& token_key, const Value& token_value, const Query& query,
                const Leave& leave) {
  const std::int64_t prompt = batch.prompt_begin(g), length = batch.prompt_length(g);
  for (std::int64_t t = 0; t < length; ++t)
    kv.put(t, token_key(prompt + t), token_value(prompt + t));
  for (std::int64_t t = 0; t < length; ++t) query(prompt + t, t + 1);
  for (std::int64_t i = batch.cu_groups[g]; i < batch.cu_groups[g + 1]; ++i) {
    const std::int64_t row = batch.response_begin(g, i), tokens = batch.response_length(i);
    for (std::int64_t t = 0; t < tokens; ++t)
      kv.put(length + t, token_key(row + t), token_value(row + t));
    for (std::int64_t t = 0; t < tokens; ++t) query(row + t, length + t + 1);
    for (std::int64_t t = 0; t < tokens; ++t) leave(row + t, length + t);
  }
  for (std::int64_t t = 0; t < length; ++t) leave(prompt + t, t);
}

/// The longest sequence of a group.
inline std::int64_t longest_of(const hence::shared_prefix& batch, std::int64_t g) {
  std::int64_t longest = 0;
  for (std::int64_t i = batch.cu_groups[g]; i < batch.cu_groups[g + 1]; ++i)
    longest = std::max(longest, batch.response_length(i));
  return batch.prompt_length(g) + longest;
}

/// \param qkv `[stored, qkv_width]`, turned. \param out `[stored, heads head]`.
template <class S>
void attention(const model_config& c, const hence::shared_prefix& batch, const S* qkv, S* out) {
  const std::int64_t width = c.qkv_width(), shared = c.heads / c.kv_heads;
  const S scale = (hence::num<S>(S(1)) / sqrt(hence::num<S>(static_cast<S>(c.head)))).v;
  for (std::int64_t g = 0; g < batch.groups(); ++g) {
    const std::int64_t longest = longest_of(batch, g);
    const std::int64_t size = key_values<S>::size(longest, c.head, false);
    S* memory = scratch<S, 1>(size + longest + 16);
    key_values<S> kv;
    kv.attach(memory, longest, c.head, false);
    S* p = memory + size;
    for (std::int64_t h = 0; h < c.kv_heads; ++h)
      walk_group(
          batch, g, kv,
          [&](std::int64_t t) { return qkv + t * width + c.query_width() + h * c.head; },
          [&](std::int64_t t) {
            return qkv + t * width + c.query_width() + c.kv_width() + h * c.head;
          },
          [&](std::int64_t t, std::int64_t n) {
            for (std::int64_t i = h * shared; i < (h + 1) * shared; ++i)
              attend(kv, qkv + t * width + i * c.head, scale, n, p,
                     out + t * c.query_width() + i * c.head);
          },
          [](std::int64_t, std::int64_t) {});
  }
}

/// \param d_out `[stored, heads head]`. \param d_qkv `[stored, qkv_width]`, written.
template <class S>
void attention_backward(const model_config& c, const hence::shared_prefix& batch, const S* qkv,
                        const S* d_out, S* d_qkv) {
  const std::int64_t width = c.qkv_width(), shared = c.heads / c.kv_heads;
  const std::int64_t key = c.query_width(), value = key + c.kv_width();
  const S scale = (hence::num<S>(S(1)) / sqrt(hence::num<S>(static_cast<S>(c.head)))).v;
  for (std::int64_t g = 0; g < batch.groups(); ++g) {
    const std::int64_t longest = longest_of(batch, g);
    const std::int64_t size = key_values<S>::size(longest, c.head, true);
    const std::int64_t room = key_values<S>::rounded(longest);
    const std::int64_t sums = room * key_values<S>::rounded(c.head);
    S* memory = scratch<S, 1>(size + 2 * sums + 2 * room);
    key_values<S> kv;
    kv.attach(memory, longest, c.head, true);
    S *d_keys = memory + size, *d_values = d_keys + sums, *p = d_values + sums, *dp = p + room;
    for (std::int64_t h = 0; h < c.kv_heads; ++h) {
      std::fill(d_keys, d_keys + 2 * sums, S(0));
      walk_group(
          batch, g, kv, [&](std::int64_t t) { return qkv + t * width + key + h * c.head; },
          [&](std::int64_t t) { return qkv + t * width + value + h * c.head; },
          [&](std::int64_t t, std::int64_t n) {
            for (std::int64_t i = h * shared; i < (h + 1) * shared; ++i)
              attend_backward(kv, qkv + t * width + i * c.head,
                              d_out + t * c.query_width() + i * c.head, scale, n, p, dp,
                              d_qkv + t * width + i * c.head, d_keys, d_values);
          },
          [&](std::int64_t t, std::int64_t position) {
            S* from_keys = d_keys + position * kv.columns;
            S* from_values = d_values + position * kv.columns;
            std::copy(from_keys, from_keys + c.head, d_qkv + t * width + key + h * c.head);
            std::copy(from_values, from_values + c.head, d_qkv + t * width + value + h * c.head);
            std::fill(from_keys, from_keys + kv.columns, S(0));
            std::fill(from_values, from_values + kv.columns, S(0));
          });
    }
  }
}

}  // namespace lm
