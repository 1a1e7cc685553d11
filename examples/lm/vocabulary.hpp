/// \file
/// What a model's file says of its tokenizer, whatever the file's format.
#pragma once

#include "batch.hpp"
#include "gguf.hpp"

namespace lm {

/// Into which words a text is cut before pairs are merged; none is merged across.
enum class word_pattern : std::uint8_t {
  gpt2,    ///< contractions, letters, numbers, other signs (each with a space before), space
  smollm,  ///< each number by itself first, then GPT-2's
};

/// Tokens in the alphabet of bytes and merges of them, the first learnt first.
struct vocabulary {
  std::vector<std::string> tokens;  ///< a control token as it is read
  std::vector<bool> is_control;     ///< of each
  std::vector<std::string> merges;  ///< "left right"
  word_pattern pattern = word_pattern::gpt2;
};

/// tokenizer.ggml.{model, pre, tokens, token_type, merges}. Throws std::runtime_error that says
/// what is missing or not supported.
vocabulary vocabulary_of(const gguf_file& file);
/// tokenizer.ggml.eos_token_id. Throws std::runtime_error unless it is one of `size` tokens.
token end_of(const gguf_file& file, std::int64_t size);

}  // namespace lm
