/// \file
/// The sizes of a model, and what they must keep to.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace lm {

/// Where a token learns its place from.
enum class positions : std::uint8_t {
  rotary,   ///< q and k are rotated. Su et al., arXiv:2104.09864; pairs (i, i + head/2) as Llama
  learned,  ///< a vector per position is added to the embedding
};

/// A mixture of experts in place of the dense feed-forward block, DeepSeek-V3's kind: sigmoid
/// scores, grouped selection, shared experts, a selection bias that balances. 0 experts: dense.
struct moe_config {
  std::int64_t experts = 0;  ///< routed
  std::int64_t k = 2;        ///< of them per token
  std::int64_t groups = 1, kept_groups = 1;
  std::int64_t ff = 0;         ///< width of each routed expert
  std::int64_t shared_ff = 0;  ///< width of all shared experts together; 0: none
  double scale = 1;            ///< of the routed experts' weights
};

/// Sizes of a decoder-only transformer in the Llama shape.
struct model_config {
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;  ///< of the residual stream
  std::int64_t layers = 0;
  std::int64_t heads = 0;     ///< of queries
  std::int64_t kv_heads = 0;  ///< divides heads: grouped-query attention, arXiv:2305.13245
  std::int64_t head = 0;      ///< width of a head, even
  std::int64_t ff = 0;        ///< of the dense feed-forward block
  std::int64_t longest = 0;   ///< tokens of a sequence, at most
  positions place = positions::rotary;
  double rope_base = 10000;
  double norm_eps = 1e-5;
  bool tied = false;  ///< the head is the embedding
  moe_config moe{};

  std::int64_t query_width() const { return heads * head; }
  std::int64_t kv_width() const { return kv_heads * head; }
  std::int64_t qkv_width() const { return query_width() + 2 * kv_width(); }
  bool is_moe() const { return moe.experts > 0; }
  /// Of the block that all tokens go through: the dense one, or the shared experts.
  std::int64_t dense_ff() const { return is_moe() ? moe.shared_ff : ff; }

  /// Refuses sizes that make no model. Throws std::invalid_argument.
  void check() const {
    const auto positive = [](const char* name, std::int64_t n) {
      if (n < 1)
        throw std::invalid_argument(std::string("model: ") + name + " is " + std::to_string(n) +
                                    ", expected 1 or more");
    };
    positive("vocabulary", vocabulary), positive("width", width), positive("layers", layers);
    positive("heads", heads), positive("kv_heads", kv_heads), positive("head", head);
    positive("longest", longest);
    if (!is_moe()) positive("ff", ff);
    if (heads % kv_heads != 0)
      throw std::invalid_argument("model: heads is " + std::to_string(heads) +
                                  ", expected a multiple of kv_heads, which is " +
                                  std::to_string(kv_heads));
    if (head % 2 != 0)
      throw std::invalid_argument("model: head is " + std::to_string(head) +
                                  ", expected an even number");
    if (is_moe() && (moe.ff < 1 || moe.k < 1 || moe.k > moe.experts))
      throw std::invalid_argument("model: moe has k " + std::to_string(moe.k) + " of " +
                                  std::to_string(moe.experts) + " experts of width " +
                                  std::to_string(moe.ff));
  }
};

}  // namespace lm
