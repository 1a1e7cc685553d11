/// \file
/// A pretrained model with its tokenizer: text in, text out.
#pragma once

#include "lm/generate.hpp"
#include "lm/model_file.hpp"
#include "lm/tokenizer.hpp"

#include <hence/threads/pool.hpp>

namespace smollm2 {

/// What somebody said in a chat: "system", "user" or "assistant".
struct turn {
  std::string role, text;
};

/// The numbers of a line. Throws std::invalid_argument if it has anything else.
std::vector<lm::token> token_ids(const std::string& line);

/// The weights of a file, widened to fp32, and what is computed with them.
class language_model {
 public:
  /// \param path of a model of the Llama architecture, as `lm::model_file` takes it.
  /// \param longest of a sequence, in tokens.
  /// Throws std::runtime_error or std::invalid_argument that says what is wrong with the file.
  language_model(const std::string& path, std::int64_t longest);

  const lm::tokenizer& tokens() const { return tokenizer_; }
  const lm::transformer<float>& network() const { return network_; }
  /// The token that closes an answer.
  lm::token end() const { return end_; }
  const float* weights() const { return weights_.data(); }
  /// Replaces the weights by a checkpoint's. Throws std::runtime_error that says what is wrong.
  void load_checkpoint(const std::string& path);

  /// The tokens that precede an answer, in ChatML. What was said never becomes a control token.
  std::vector<lm::token> chat(const std::vector<turn>& turns) const;
  /// The same with room for an answer of `longest` tokens. Where all is too long, what was said
  /// between the first turn, the system's, and the last is taken out of `turns`; where even these
  /// two are, `turns` stays as it is and the result is empty.
  std::vector<lm::token> fitting(std::vector<turn>& turns, std::int64_t longest) const;
  /// As `lm::generate`.
  std::vector<lm::generated> respond(hence::thread_pool& pool,
                                     const std::vector<std::vector<lm::token>>& prompts,
                                     std::int64_t per_prompt,
                                     const lm::generation_rule& rule) const;
  /// The text of a response, without the token that closed it.
  std::string text(const lm::generated& response) const;
  /// Logits behind each of the tokens, `[tokens, vocabulary]`: for comparisons with other programs.
  /// Throws std::invalid_argument if there are none.
  std::vector<float> logits(const std::vector<lm::token>& tokens) const;

 private:
  language_model(const std::string& path, const lm::model_file& file, std::int64_t longest);

  lm::tokenizer tokenizer_;
  lm::transformer<float> network_;
  lm::aligned_array<float> weights_;
  lm::token end_ = 0;
};

}  // namespace smollm2
