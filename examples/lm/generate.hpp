/// \file
/// Batched generation: every prompt is computed once, its responses continue from a cache of keys
/// and values, and `hence::sample` draws. A draw depends on the seed, the step, the row's identity
/// and the token's index, so neither threads nor the batch change what is written; and a token's
/// log-prob has the bits that training computes for it.
#pragma once

#include "transformer.hpp"

#include <hence/logits/sample.hpp>

namespace lm {

/// How responses are drawn.
struct generation_rule {
  hence::sample_rule sample{.temperature = 1.0};
  token end = 0;             ///< closes a response and belongs to it
  std::int64_t longest = 0;  ///< tokens of a response, at most
  std::uint64_t seed = 0;
  std::uint32_t step = 0;  ///< separates rollouts of one seed
};

/// One response.
struct generated {
  std::vector<token> tokens;
  std::vector<float> logp;   ///< of each token, at the rule's temperature without its filters
  bool is_finished = false;  ///< whether it ends with the end token
};

namespace detail {

/// The rows of some prompts, generated together in one thread.
class generator {
 public:
  generator(const transformer<float>& model, const float* weights, const generation_rule& rule)
      : model_(model), c_(model.config()), w_(weights), rule_(rule) {}

  /// \param prompts the task's own. \param first_row identity of the first response.
  /// \param out `[prompts per_prompt]`.
  void run(std::span<const std::vector<token>> prompts, std::int64_t per_prompt,
           std::uint64_t first_row, std::span<generated> out) {
    const auto rows = static_cast<std::int64_t>(out.size());
    std::int64_t tokens = 0;
    longest_prompt_ = 0;
    for (const auto& p : prompts) {
      if (p.empty()) throw std::invalid_argument("generate: a prompt has one token or more");
      tokens += static_cast<std::int64_t>(p.size());
      longest_prompt_ = std::max(longest_prompt_, static_cast<std::int64_t>(p.size()));
    }
    if (longest_prompt_ + rule_.longest > c_.longest)
      throw std::invalid_argument("generate: prompt and response have up to " +
                                  std::to_string(longest_prompt_ + rule_.longest) +
                                  " tokens, the model takes " + std::to_string(c_.longest));
    reserve(std::max(tokens, rows), rows);
    prefill(prompts, per_prompt, rows);

    std::vector<std::int64_t> alive;  // rows that still write
    for (std::int64_t i = 0; i < rows; ++i) alive.push_back(i);
    for (std::int64_t t = 0; t < rule_.longest && !alive.empty(); ++t) {
      if (t > 0) advance(prompts, per_prompt, alive, out);
      draw(alive, t, first_row, out);
      std::erase_if(alive,
                    [&](std::int64_t i) { return out[static_cast<std::size_t>(i)].is_finished; });
    }
  }

 private:
  void reserve(std::int64_t tokens, std::int64_t rows) {
    const std::int64_t d = c_.width, ff = c_.dense_ff(), experts = c_.moe.experts;
    cache_size_ = key_values<float>::size(longest_prompt_ + rule_.longest, c_.head, false);
    cache_ = aligned_array<float>(rows * c_.layers * c_.kv_heads * cache_size_);
    const std::int64_t k = c_.is_moe() ? c_.moe.k : 0;
    std::int64_t used = 0;
    const auto floats =
        tokens * (4 * d + c_.qkv_width() + c_.query_width() + 3 * ff + 1 + experts + k) +
        rows * c_.vocabulary + 16 * 16;
    memory_ = aligned_array<float>(floats);
    const auto take = [&](std::int64_t n) {
      float* const p = memory_.data() + used;
      used += (n + 15) / 16 * 16;
      return p;
    };
    x_ = take(tokens * d), norm_ = take(tokens * d), middle_ = take(tokens * d);
    last_ = take(tokens * d), inverse_ = take(tokens);
    qkv_ = take(tokens * c_.qkv_width()), attended_ = take(tokens * c_.query_width());
    gate_up_ = take(tokens * 2 * ff), hidden_ = take(tokens * ff);
    logits_ = take(rows * c_.vocabulary);
    chosen_.logits = take(tokens * experts), chosen_.weights = take(tokens * k);
    ids_.resize(static_cast<std::size_t>(tokens * k)),
        load_.resize(static_cast<std::size_t>(experts));
    chosen_.ids = ids_.data();
    positions_.resize(static_cast<std::size_t>(tokens));
  }
  key_values<float> cache(std::int64_t row, std::size_t layer, std::int64_t head) const {
    key_values<float> kv;
    const auto at = (row * c_.layers + static_cast<std::int64_t>(layer)) * c_.kv_heads + head;
    kv.attach(cache_.data() + at * cache_size_, longest_prompt_ + rule_.longest, c_.head, false);
    return kv;
  }
  const float* key(std::int64_t t, std::int64_t h) const {
    return qkv_ + t * c_.qkv_width() + c_.query_width() + h * c_.head;
  }
  const float* value(std::int64_t t, std::int64_t h) const { return key(t, h) + c_.kv_width(); }

  /// All prompts, their keys into the cache of each of their rows, and the logits behind them.
  void prefill(std::span<const std::vector<token>> prompts, std::int64_t per_prompt,
               std::int64_t rows) {
    const std::int64_t d = c_.width;
    packed_batch b(std::numeric_limits<std::int64_t>::max());
    for (const auto& p : prompts) b.begin_group(p);
    b.close();
    const std::int64_t tokens = b.size();
    for (std::int64_t t = 0; t < tokens; ++t)
      model_.embed(w_, b.tokens()[static_cast<std::size_t>(t)],
                   b.positions()[static_cast<std::size_t>(t)], x_ + t * d);
    const auto prefix = b.tiles()[0].prefix();
    each_layer(b.positions().data(), tokens, [&](std::size_t l) {
      attention(c_, prefix, qkv_, attended_);
      for (std::int64_t g = 0; g < prefix.groups(); ++g)
        for (std::int64_t i = g * per_prompt; i < (g + 1) * per_prompt; ++i)
          for (std::int64_t h = 0; h < c_.kv_heads; ++h) {
            auto kv = cache(i, l, h);
            for (std::int64_t t = 0; t < prefix.prompt_length(g); ++t)
              kv.put(t, key(prefix.prompt_begin(g) + t, h), value(prefix.prompt_begin(g) + t, h));
          }
    });
    for (std::int64_t g = 0; g < prefix.groups(); ++g) {
      const float* from = x_ + (prefix.prompt_begin(g) + prefix.prompt_length(g) - 1) * d;
      std::copy(from, from + d, last_ + g * d);
    }
    head(last_, prefix.groups());
    for (std::int64_t i = rows; i-- > 0;) {
      const float* from = logits_ + i / per_prompt * c_.vocabulary;
      std::copy_backward(from, from + c_.vocabulary, logits_ + (i + 1) * c_.vocabulary);
    }
  }

  /// One token more for each row that is alive.
  void advance(std::span<const std::vector<token>> prompts, std::int64_t per_prompt,
               const std::vector<std::int64_t>& alive, std::span<const generated> out) {
    const std::int64_t d = c_.width, shared = c_.heads / c_.kv_heads;
    const float scale =
        (hence::num<float>(1.0f) / sqrt(hence::num<float>(static_cast<float>(c_.head)))).v;
    const auto n = static_cast<std::int64_t>(alive.size());
    for (std::int64_t r = 0; r < n; ++r) {
      const auto i = static_cast<std::size_t>(alive[static_cast<std::size_t>(r)]);
      const auto& prompt = prompts[i / static_cast<std::size_t>(per_prompt)];
      positions_[static_cast<std::size_t>(r)] =
          static_cast<std::int64_t>(prompt.size() + out[i].tokens.size()) - 1;
      model_.embed(w_, out[i].tokens.back(), positions_[static_cast<std::size_t>(r)], x_ + r * d);
    }
    each_layer(positions_.data(), n, [&](std::size_t l) {
      for (std::int64_t r = 0; r < n; ++r) {
        const std::int64_t position = positions_[static_cast<std::size_t>(r)];
        float* p = scratch<float, 1>(position + 17);
        for (std::int64_t h = 0; h < c_.kv_heads; ++h) {
          auto kv = cache(alive[static_cast<std::size_t>(r)], l, h);
          kv.put(position, key(r, h), value(r, h));
          for (std::int64_t q = h * shared; q < (h + 1) * shared; ++q)
            attend(kv, qkv_ + r * c_.qkv_width() + q * c_.head, scale, position + 1, p,
                   attended_ + r * c_.query_width() + q * c_.head);
        }
      }
    });
    head(x_, n);
  }

  /// x through all layers; attend(layer) turns qkv into attended.
  template <class Attend>
  void each_layer(const std::int64_t* positions, std::int64_t rows, const Attend& attend_layer) {
    const auto& all = model_.parameters().layers;
    for (std::size_t l = 0; l < all.size(); ++l) {
      const auto& p = all[l];
      project_qkv(c_, model_.turn(), p, w_, x_, positions, rows, norm_, inverse_, qkv_);
      attend_layer(l);
      leave_attention(c_, p, w_, x_, attended_, rows, middle_);
      normalise(c_, middle_, w_ + p.norm2, rows, norm_, inverse_);
      std::copy(middle_, middle_ + rows * c_.width, x_);
      if (c_.is_moe())
        moe_feed_forward<float>(c_, p, w_).forward(norm_, rows, chosen_, load_.data(), gate_up_,
                                                   hidden_, x_);
      else
        dense_feed_forward(c_, c_.ff, w_ + p.gate_up, w_ + p.down, norm_, rows, gate_up_, hidden_,
                           x_);
    }
  }
  void head(const float* x, std::int64_t rows) {
    normalise(c_, x, w_ + model_.parameters().norm, rows, norm_, inverse_);
    linear(norm_, w_ + model_.parameters().head, rows, c_.width, c_.vocabulary, logits_);
  }

  /// The t-th token of each row that is alive.
  void draw(const std::vector<std::int64_t>& alive, std::int64_t t, std::uint64_t first_row,
            std::span<generated> out) {
    const std::size_t n = alive.size();
    uniforms_.resize(n), drawn_.resize(n), logp_.resize(n);
    for (std::size_t r = 0; r < n; ++r)
      uniforms_[r] = hence::uniform_of(
          rule_.seed, {.token = static_cast<std::uint32_t>(t),
                       .step = rule_.step,
                       .sequence = first_row + static_cast<std::uint64_t>(alive[r])});
    const std::int64_t bytes = hence::sample_bytes(c_.vocabulary);
    const auto found = hence::sample(
        hence::cpu{}, rule_.sample,
        hence::view<const float, 2>(logits_, static_cast<std::int64_t>(n), c_.vocabulary),
        uniforms_, {.token = drawn_, .logp_full = logp_}, {scratch<std::byte, 4>(bytes), bytes});
    if (found != hence::status::ok)
      throw std::runtime_error("generate: the model's logits are not finite");
    for (std::size_t r = 0; r < n; ++r) {
      generated& row = out[static_cast<std::size_t>(alive[r])];
      row.tokens.push_back(static_cast<token>(drawn_[r]));
      row.logp.push_back(logp_[r]);
      row.is_finished = row.tokens.back() == rule_.end;
    }
  }

  const transformer<float>& model_;
  const model_config& c_;
  const float* w_;
  const generation_rule& rule_;
  std::int64_t longest_prompt_ = 0, cache_size_ = 0;
  aligned_array<float> cache_, memory_;
  float *x_, *norm_, *middle_, *last_, *inverse_, *qkv_, *attended_, *gate_up_, *hidden_, *logits_;
  routing<float> chosen_{};
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> load_, positions_, drawn_;
  std::vector<float> uniforms_, logp_;
};

}  // namespace detail

/// `per_prompt` responses to each prompt, prompt after prompt. Row i's draws are those of sequence
/// i.
template <class Pool>
std::vector<generated> generate(Pool& pool, const transformer<float>& model, const float* weights,
                                std::span<const std::vector<token>> prompts,
                                std::int64_t per_prompt, const generation_rule& rule) {
  std::vector<generated> out(prompts.size() * static_cast<std::size_t>(per_prompt));
  constexpr std::int64_t task_rows = 64;  // enough for the matrix products to be fast
  const auto each = static_cast<std::size_t>(std::max<std::int64_t>(1, task_rows / per_prompt));
  const auto tasks = static_cast<std::int64_t>((prompts.size() + each - 1) / each);
  pool.parallel_for(tasks, [&](std::int64_t i) {
    const std::size_t begin = static_cast<std::size_t>(i) * each;
    const std::size_t n = std::min(each, prompts.size() - begin);
    const std::size_t row = begin * static_cast<std::size_t>(per_prompt);
    detail::generator(model, weights, rule)
        .run(prompts.subspan(begin, n), per_prompt, row,
             std::span(out).subspan(row, n * static_cast<std::size_t>(per_prompt)));
  });
  return out;
}

}  // namespace lm
