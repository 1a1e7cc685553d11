/// \file
/// Byte-level byte-pair encoding, as GPT-2 has it: text is cut into words by a pattern, and in each
/// word the pair of neighbours whose merge was learnt first becomes one token, again and again.
/// Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.2; Sennrich et
/// al., arXiv:1508.07909.
///
/// Any bytes are taken, sound UTF-8 or not: `decode` gives back the bytes that `encode` was given
/// as long as the vocabulary has a token for each of them.
#pragma once

#include "vocabulary.hpp"

#include <array>
#include <string_view>
#include <unordered_map>

namespace lm {

/// What the text of a control token (`<|im_end|>`) means within a text.
enum class control_text : std::uint8_t {
  recognised,  ///< that token: for templates
  plain,       ///< the characters that it is written with: for what a stranger wrote
};
/// What becomes of a byte for which the vocabulary has no token.
enum class lost_byte : std::uint8_t {
  refused,  ///< std::invalid_argument
  dropped,  ///< as Hugging Face's tokenizers do
};
struct encode_rule {
  control_text control;
  lost_byte lost;
};

/// The words, which are the whole text one after the other.
std::vector<std::string_view> words(std::string_view text, word_pattern pattern);

class tokenizer {
 public:
  /// Throws std::runtime_error that says what contradicts itself.
  explicit tokenizer(const vocabulary& v);
  explicit tokenizer(const gguf_file& file) : tokenizer(vocabulary_of(file)) {}

  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size()); }
  std::vector<token> encode(std::string_view text, const encode_rule& rule) const;
  /// The bytes of the tokens, a control token's text too. Throws std::invalid_argument that names a
  /// token outside [0, size()).
  std::string decode(std::span<const token> tokens) const;
  /// A control token by its text. Throws std::invalid_argument if there is none.
  token control(std::string_view text) const;

 private:
  struct merged {
    std::int32_t rank;
    token result;
  };
  void encode_plain(std::string_view text, lost_byte lost, std::vector<token>& out) const;
  void encode_word(std::string_view word, lost_byte lost, std::vector<token>& out) const;
  const merged* merge_of(token left, token right) const;

  std::vector<std::string> bytes_;  // of each token
  std::vector<token> controls_;     // the longer ones first
  std::array<bool, 256> begins_control_{};
  std::array<token, 256> of_byte_{};  // -1: none
  std::unordered_map<std::uint64_t, merged> merges_;
  word_pattern pattern_ = word_pattern::gpt2;
};

}  // namespace lm
