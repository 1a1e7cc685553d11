#include "language_model.hpp"

#include "lm/lora_file.hpp"

#include <charconv>
#include <sstream>

namespace smollm2 {
std::vector<lm::token> token_ids(const std::string& line) {
  std::istringstream in(line);
  std::vector<lm::token> ids;
  for (std::string word; in >> word;) {
    lm::token id = 0;
    const char* const end = word.data() + word.size();
    if (const auto r = std::from_chars(word.data(), end, id); r.ptr != end || r.ec != std::errc{})
      throw std::invalid_argument("token ids: " + lm::printed(word) +
                                  " in a line, expected numbers apart by spaces");
    ids.push_back(id);
  }
  return ids;
}

language_model::language_model(const std::string& path, std::int64_t longest)
    : language_model(path, lm::model_file(path), longest) {}

language_model::language_model(const std::string& path, const lm::model_file& file,
                               std::int64_t longest)
    : tokenizer_(file.words()),
      network_(file.config(longest)),
      weights_(file.weights(network_.config(), network_.parameters())),
      end_(file.end()) {
  lm::check_gemm();
  if (tokenizer_.size() != network_.config().vocabulary)
    throw std::runtime_error(path + ": has " + std::to_string(tokenizer_.size()) +
                             " tokens and an embedding of " +
                             std::to_string(network_.config().vocabulary));
}

void language_model::load_checkpoint(const std::string& path) {
  hence::serial pool;
  lm::apply_checkpoint(pool, network_, lm::read_tensors(path),
                       {weights_.data(), static_cast<std::size_t>(weights_.size())});
}

std::vector<lm::token> language_model::chat(const std::vector<turn>& turns) const {
  const auto start = tokenizer_.control("<|im_start|>"), stop = tokenizer_.control("<|im_end|>");
  std::vector<lm::token> out;
  const auto say = [&](const std::string& text) {
    const auto part = tokenizer_.encode(text, {lm::control_text::plain, lm::lost_byte::dropped});
    out.insert(out.end(), part.begin(), part.end());
  };
  for (const auto& t : turns) {
    out.push_back(start);
    say(t.role + "\n" + t.text);
    out.push_back(stop);
    say("\n");
  }
  out.push_back(start);
  say("assistant\n");
  return out;
}

std::vector<lm::token> language_model::fitting(std::vector<turn>& turns,
                                               std::int64_t longest) const {
  const auto fits = [&](const std::vector<lm::token>& prompt) {
    return static_cast<std::int64_t>(prompt.size()) + longest <= network_.config().longest;
  };
  if (auto prompt = chat(turns); fits(prompt)) return prompt;
  std::vector<turn> last{turns.front(), turns.back()};
  auto prompt = chat(last);
  if (!fits(prompt)) return {};
  turns = std::move(last);
  return prompt;
}

std::vector<lm::generated> language_model::respond(
    hence::thread_pool& pool, const std::vector<std::vector<lm::token>>& prompts,
    std::int64_t per_prompt, const lm::generation_rule& rule) const {
  return lm::generate(pool, network_, weights(), prompts, per_prompt, rule);
}

std::string language_model::text(const lm::generated& response) const {
  auto tokens = std::span(response.tokens);
  if (response.is_finished) tokens = tokens.first(tokens.size() - 1);
  return tokenizer_.decode(tokens);
}

std::vector<float> language_model::logits(const std::vector<lm::token>& tokens) const {
  if (tokens.empty()) throw std::invalid_argument("logits: there are no tokens");
  const auto n = static_cast<std::int64_t>(tokens.size());
  const auto& c = network_.config();
  lm::packed_batch batch(n + 1);
  batch.begin_group(std::span(tokens).first(1));
  // the prediction behind the last token needs a token behind it, whichever
  auto rest = tokens;
  rest.erase(rest.begin());
  rest.push_back(0);
  batch.add_response(rest);
  batch.close();
  hence::serial pool;
  lm::activations<float> a;
  network_.forward(pool, weights(), batch, a, false);
  std::vector<float> out(static_cast<std::size_t>(n * c.vocabulary));
  lm::linear(a.normed, weights() + network_.parameters().head, n, c.width, c.vocabulary,
             out.data());
  return out;
}

}  // namespace smollm2
