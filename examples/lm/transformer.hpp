/// \file
/// The language model: log-probs of a packed batch, and the gradient of any function of them.
///
/// Forward and backward run tile by tile, each tile through all layers in one task; then the
/// gradient of every parameter is one chain over the batch's tokens in their order, a task for each
/// block of rows. So the bits depend neither on the threads nor on the tiles, and a batch split
/// into micro-batches gives the gradient of the whole.
#pragma once

#include "batch.hpp"
#include "moe_feed_forward.hpp"

#include <hence/logits/linear_logprob.hpp>

#include <functional>

namespace lm {

template <class S> class transformer {
 public:
  using executor = typename engine<S>::executor;
  using gemm = typename engine<S>::gemm;

  explicit transformer(const model_config& c)
      : c_(c), p_(c), turn_(c.place == positions::rotary ? c.head : 0, c.longest, c.rope_base) {}

  const model_config& config() const { return c_; }
  const model_parameters& parameters() const { return p_; }
  const rope<S>& turn() const { return turn_; }
  /// Elements of the arena.
  std::int64_t size() const { return p_.layout.size(); }
  /// Elements of the gradient: a tied head keeps its own share until `fold`, since two chains
  /// cannot share an element.
  std::int64_t gradient_size() const { return size() + (c_.tied ? c_.vocabulary * c_.width : 0); }
  /// Adds the head's share to the embedding's; once per window, before the optimizer.
  void fold(S* gradient) const {
    if (c_.tied) add_to(gradient + p_.embedding, gradient + size(), c_.vocabulary * c_.width);
  }

  /// Fills `a`; with_gradient keeps room for `backward`.
  template <class Pool>
  void forward(Pool& pool, const S* weights, const packed_batch& b, activations<S>& a,
               bool with_gradient) const {
    for (const std::int64_t p : b.positions())
      if (p >= c_.longest)
        throw std::invalid_argument("model: a sequence has more than " +
                                    std::to_string(c_.longest) + " tokens");
    a.reserve(c_, b.size(), b.responses(), with_gradient);
    a.loads.assign(b.tiles().size() * p_.layers.size() * static_cast<std::size_t>(c_.moe.experts),
                   0);
    pool.parallel_for(static_cast<std::int64_t>(b.tiles().size()),
                      [&](std::int64_t i) { forward_tile(weights, b, i, a); });
  }

  /// How many slots of the batch chose each expert of a layer, `[experts]`.
  std::vector<std::int64_t> load(const activations<S>& a, std::size_t layer) const {
    const auto experts = static_cast<std::size_t>(c_.moe.experts);
    std::vector<std::int64_t> sum(experts);
    for (std::size_t i = layer * experts; i < a.loads.size(); i += p_.layers.size() * experts)
      for (std::size_t e = 0; e < experts; ++e) sum[e] += a.loads[i + e];
    return sum;
  }

  /// Log-probs and, where wanted, entropies of the response tokens, `[responses]`.
  template <class Pool>
  void logprobs(Pool& pool, const S* weights, const packed_batch& b, activations<S>& a,
                double temperature, hence::view<S> logp, hence::view<S> entropy = {}) const {
    pool.parallel_for(static_cast<std::int64_t>(b.tiles().size()), [&](std::int64_t i) {
      const tile& t = b.tiles()[static_cast<std::size_t>(i)];
      const auto from = t.first_response, n = t.responses();
      hence::token_results<S> out{.logp = slice(logp, from, n)};
      out.states = hence::view<hence::softmax_state>(a.states.data() + from, n);
      if (entropy.present()) out.entropy = slice(entropy, from, n);
      hence::linear_logprob(executor{}, gemm{}, rule(temperature),
                            hence::view<const S, 2>(a.normed + from * c_.width, n, c_.width),
                            head(weights), labels(b, from, n), out, head_memory(n));
    });
  }

  /// gradient += d(sum cotangent logp) / d weights. After `forward` and `logprobs` of the same
  /// batch.
  /// \param cotangent `[responses]`, d loss / d logp. \param gradient `[gradient_size()]`.
  template <class Pool>
  void backward(Pool& pool, const S* weights, const packed_batch& b, activations<S>& a,
                double temperature, hence::view<const S> cotangent, S* gradient) const {
    backward_activations(pool, weights, b, a, temperature, cotangent);
    const auto tasks = weight_tasks(weights, b, a, temperature, cotangent, gradient);
    pool.parallel_for(static_cast<std::int64_t>(tasks.size()),
                      [&](std::int64_t i) { tasks[static_cast<std::size_t>(i)](); });
  }
  /// The part of it that leaves the gradients of activations in `a`, for parameters that are not
  /// the model's own.
  template <class Pool>
  void backward_activations(Pool& pool, const S* weights, const packed_batch& b, activations<S>& a,
                            double temperature, hence::view<const S> cotangent) const {
    pool.parallel_for(static_cast<std::int64_t>(b.tiles().size()), [&](std::int64_t i) {
      backward_tile(weights, b, b.tiles()[static_cast<std::size_t>(i)], a, temperature, cotangent);
    });
  }

 private:
  static hence::softmax_rule rule(double temperature) {
    return {.temperature = temperature, .negative = hence::negative_labels::out_of_range};
  }
  static hence::view<S> slice(hence::view<S> v, std::int64_t from, std::int64_t n) {
    return {v.data + from, n};
  }
  hence::linear_head<const S, S> head(const S* weights) const {
    return {.weight = hence::view<const S, 2>(weights + p_.head, c_.vocabulary, c_.width)};
  }
  static hence::token_labels labels(const packed_batch& b, std::int64_t from, std::int64_t n) {
    return hence::view<const std::int64_t>(b.labels().data() + from, n);
  }
  hence::view<std::byte> head_memory(std::int64_t tokens) const {
    // a tile of the head need not hold all tokens: logits of a large vocabulary would fill the
    // cache
    const std::int64_t rows = std::max<std::int64_t>(1, std::min<std::int64_t>(tokens, 512));
    const auto bytes = hence::linear_logprob_bytes<gemm, S>(rows, c_.width, c_.vocabulary);
    return {scratch<std::byte, 3>(bytes), bytes};
  }

  void forward_tile(const S* weights, const packed_batch& b, std::int64_t index,
                    activations<S>& a) const {
    const tile& t = b.tiles()[static_cast<std::size_t>(index)];
    const std::int64_t d = c_.width, rows = t.tokens(), at = t.first_token;
    const std::int64_t* positions = b.positions().data() + at;
    for (std::int64_t i = 0; i < rows; ++i)
      embed(weights, b.tokens()[static_cast<std::size_t>(at + i)], positions[i],
            a.stream[0] + (at + i) * d);
    for (std::size_t l = 0; l < p_.layers.size(); ++l) {
      const auto& p = p_.layers[l];
      const auto& x = a.layers[l];
      const std::int64_t ff = c_.dense_ff();
      project_qkv(c_, turn_, p, weights, a.stream[l] + at * d, positions, rows, x.norm1 + at * d,
                  x.inverse1 + at, x.qkv + at * c_.qkv_width());
      attention(c_, t.prefix(), x.qkv + at * c_.qkv_width(), x.attended + at * c_.query_width());
      leave_attention(c_, p, weights, a.stream[l] + at * d, x.attended + at * c_.query_width(),
                      rows, x.middle + at * d);
      normalise(c_, x.middle + at * d, weights + p.norm2, rows, x.norm2 + at * d, x.inverse2 + at);
      S* out = a.stream[l + 1] + at * d;
      std::copy(x.middle + at * d, x.middle + (at + rows) * d, out);
      if (c_.is_moe())
        moe_feed_forward<S>(c_, p, weights)
            .forward(x.norm2 + at * d, rows, chosen(x, at),
                     a.loads.data() +
                         (index * c_.layers + static_cast<std::int64_t>(l)) * c_.moe.experts,
                     x.gate_up + at * 2 * ff, x.hidden + at * ff, out);
      else
        dense_feed_forward(c_, ff, weights + p.gate_up, weights + p.down, x.norm2 + at * d, rows,
                           x.gate_up + at * 2 * ff, x.hidden + at * ff, out);
    }
    const std::int64_t from = t.first_response, n = t.responses();
    hence::gather_predictors(executor{}, t.prefix(), matrix<S>(a.stream.back() + at * d, rows, d),
                             hence::view<S, 2>(a.last + from * d, n, d));
    normalise(c_, a.last + from * d, weights + p_.norm, n, a.normed + from * d, a.inverse + from);
  }

  void backward_tile(const S* weights, const packed_batch& b, const tile& t, activations<S>& a,
                     double temperature, hence::view<const S> cotangent) const {
    const std::int64_t d = c_.width, rows = t.tokens(), at = t.first_token;
    const std::int64_t from = t.first_response, n = t.responses();
    hence::linear_logprob_gradient(
        executor{}, gemm{}, rule(temperature), hence::view<const S, 2>(a.normed + from * d, n, d),
        head(weights), labels(b, from, n),
        hence::view<const hence::softmax_state>(a.states.data() + from, n),
        {.logp = hence::view<const S>(cotangent.data + from, n)},
        {.hidden = hence::view<S, 2>(a.d_normed + from * d, n, d)}, head_memory(n));
    std::fill(a.d_last + from * d, a.d_last + (from + n) * d, S(0));
    normalise_backward(c_, a.last + from * d, weights + p_.norm, a.inverse + from,
                       a.d_normed + from * d, n, a.d_last + from * d);
    hence::scatter_to_predictors(executor{}, t.prefix(), matrix<S>(a.d_last + from * d, n, d),
                                 hence::view<S, 2>(a.d_stream.back() + at * d, rows, d));
    for (std::size_t l = p_.layers.size(); l-- > 0;) {
      const auto& p = p_.layers[l];
      const auto& x = a.layers[l];
      const std::int64_t ff = c_.dense_ff(), w = c_.qkv_width();
      const S* d_out = a.d_stream[l + 1] + at * d;
      S* d_middle = x.d_middle + at * d;
      if (c_.is_moe())
        moe_feed_forward<S>(c_, p, weights)
            .backward(x.norm2 + at * d, x.gate_up + at * 2 * ff, d_out, rows, chosen(x, at),
                      x.d_logits + at * c_.moe.experts, x.d_gate_up + at * 2 * ff,
                      x.d_norm2 + at * d);
      else
        dense_feed_forward_backward(c_, ff, weights + p.gate_up, weights + p.down,
                                    x.gate_up + at * 2 * ff, d_out, rows, x.d_gate_up + at * 2 * ff,
                                    x.d_norm2 + at * d);
      std::copy(d_out, d_out + rows * d, d_middle);
      normalise_backward(c_, x.middle + at * d, weights + p.norm2, x.inverse2 + at,
                         x.d_norm2 + at * d, rows, d_middle);
      S* d_attended = scratch<S, 2>(rows * c_.query_width());
      linear_backward(d_middle, weights + p.out, rows, c_.query_width(), d, d_attended);
      attention_backward(c_, t.prefix(), x.qkv + at * w, d_attended, x.d_qkv + at * w);
      if (c_.place == positions::rotary)
        for (std::int64_t i = 0; i < rows; ++i)
          turn_.apply(x.d_qkv + (at + i) * w, c_.heads + c_.kv_heads,
                      b.positions()[static_cast<std::size_t>(at + i)], -1);
      linear_backward(x.d_qkv + at * w, weights + p.qkv, rows, d, w, x.d_norm1 + at * d);
      S* d_in = a.d_stream[l] + at * d;
      std::copy(d_middle, d_middle + rows * d, d_in);
      normalise_backward(c_, a.stream[l] + at * d, weights + p.norm1, x.inverse1 + at,
                         x.d_norm1 + at * d, rows, d_in);
    }
  }

  /// The router's choices for the tokens from `at` on.
  routing<S> chosen(const layer_activations<S>& x, std::int64_t at) const {
    return {x.logits + at * c_.moe.experts, x.ids + at * c_.moe.k, x.slot_weights + at * c_.moe.k};
  }

  /// One task per parameter or block of its rows; no two write the same element.
  std::vector<std::function<void()>> weight_tasks(const S* weights, const packed_batch& b,
                                                  const activations<S>& a, double temperature,
                                                  hence::view<const S> cotangent,
                                                  S* gradient) const {
    std::vector<std::function<void()>> tasks;
    const std::int64_t d = c_.width, rows = b.size(), n = b.responses();
    const auto of_matrix = [&](const S* dy, const S* x, std::int64_t in, std::int64_t out, S* dw) {
      constexpr std::int64_t block = 96;
      for (std::int64_t begin = 0; begin < out; begin += block)
        tasks.push_back([=] {
          linear_weight_backward(dy, x, rows, in, out, begin, std::min(out, begin + block), dw);
        });
    };
    for (std::size_t l = 0; l < p_.layers.size(); ++l) {
      const auto& p = p_.layers[l];
      const auto& x = a.layers[l];
      const std::int64_t ff = c_.dense_ff();
      if (c_.is_moe()) {
        tasks.push_back([=, this, &p, &x, &a] {
          moe_feed_forward<S>(c_, p, weights)
              .matrices_backward(x.norm2, a.d_stream[l + 1], rows, chosen(x, 0), gradient);
        });
        of_matrix(x.d_logits, x.norm2, d, c_.moe.experts, gradient + p.router);
      }
      if (ff > 0) {
        of_matrix(x.d_gate_up, x.norm2, d, 2 * ff,
                  gradient + (c_.is_moe() ? p.shared_gate_up : p.gate_up));
        of_matrix(a.d_stream[l + 1], x.hidden, ff, d,
                  gradient + (c_.is_moe() ? p.shared_down : p.down));
      }
      of_matrix(x.d_qkv, x.norm1, d, c_.qkv_width(), gradient + p.qkv);
      of_matrix(x.d_middle, x.attended, c_.query_width(), d, gradient + p.out);
      tasks.push_back([=, &p, &x, &a] {
        rmsnorm_gain_backward(a.stream[l], x.inverse1, x.d_norm1, rows, d, gradient + p.norm1);
        rmsnorm_gain_backward(x.middle, x.inverse2, x.d_norm2, rows, d, gradient + p.norm2);
      });
    }
    tasks.push_back([=, this, &a] {
      rmsnorm_gain_backward(a.last, a.inverse, a.d_normed, n, d, gradient + p_.norm);
    });
    tasks.push_back([=, this, &a, &b] {
      S* dw = gradient + (c_.tied ? size() : p_.head);
      hence::linear_logprob_gradient(
          executor{}, gemm{}, rule(temperature), hence::view<const S, 2>(a.normed, n, d),
          head(weights), labels(b, 0, n), hence::view<const hence::softmax_state>(a.states),
          {.logp = cotangent},
          {.weight = hence::view<S, 2>(dw, c_.vocabulary, d), .of_head = hence::update::accumulate},
          head_memory(n));
    });
    tasks.push_back([=, this, &a, &b] {
      for (std::int64_t t = 0; t < rows; ++t) {
        const auto i = static_cast<std::size_t>(t);
        add_to(gradient + p_.embedding + b.tokens()[i] * d, a.d_stream[0] + t * d, d);
        if (p_.place >= 0)
          add_to(gradient + p_.place + b.positions()[i] * d, a.d_stream[0] + t * d, d);
      }
    });
    return tasks;
  }

 public:
  /// x = the embedding of a token at its place.
  void embed(const S* weights, token t, std::int64_t position, S* x) const {
    if (t < 0 || t >= c_.vocabulary)
      throw std::invalid_argument("model: token " + std::to_string(t) + " is not in [0, " +
                                  std::to_string(c_.vocabulary) + ")");
    const S* e = weights + p_.embedding + t * c_.width;
    std::copy(e, e + c_.width, x);
    if (p_.place >= 0) add_to(x, weights + p_.place + position * c_.width, c_.width);
  }

 private:
  model_config c_;
  model_parameters p_;
  rope<S> turn_;
};

}  // namespace lm
