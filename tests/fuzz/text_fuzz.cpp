// Words, scripts, hashes, repetition, and the lines of JSON of the verifier.

#include "../../examples/07_verify/json_line.hpp"
#include "demand.hpp"

#include <hence/reward/language.hpp>
#include <hence/reward/normal_text.hpp>
#include <hence/reward/repetition.hpp>

#include <string>
#include <vector>

namespace reward = hence::reward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  std::size_t at = 0;
  while (at < s.size()) {
    const auto c = reward::decode(s, at);
    demand(c.bytes >= 1 && c.bytes <= 4 && at + c.bytes <= s.size(), "code points end in the text");
    demand(c.value <= 0x10FFFF && static_cast<unsigned>(reward::script_of(c.value)) != 0,
           "a script for each");
    at += c.bytes;
  }

  std::int64_t seen = 0;
  const auto words = reward::count_words(s, [&](std::string_view word, reward::script) {
    demand(inside(word, s) && !word.empty(), "words lie in the text");
    return seen++ % 2 == 0;
  });
  demand(words.words == seen && words.target <= words.words, "each word is judged once");
  const double share = words.share(0.5);
  demand(share >= 0 && share <= 1, "a share");

  if (reward::same_text(s, s)) demand(reward::hash_text(s) == reward::hash_text(s), "a hash");
  const std::size_t half = s.size() / 2;
  if (reward::same_text(s.substr(0, half), s.substr(half)))
    demand(reward::hash_text(s.substr(0, half)) == reward::hash_text(s.substr(half)),
           "equal texts, equal hashes");

  std::vector<std::int64_t> ids(size + 1);
  const auto n = reward::word_ids(s, ids);
  demand(n <= static_cast<std::int64_t>(size), "no more words than bytes");
  const hence::view<const std::int64_t> tokens(ids.data(), n);
  std::vector<std::int64_t> table(static_cast<std::size_t>(reward::repetition::workspace_size(n)));
  const auto grams = reward::count_ngrams(tokens, 2, table);
  demand(grams.distinct <= grams.total && (grams.total == 0 || grams.distinct > 0),
         "distinct of all");
  const hence::view<const std::uint8_t> bytes(data, static_cast<std::int64_t>(size));
  const auto loop = reward::find_loop(bytes, 3, ids);
  demand(loop.tokens >= 3 * loop.period && loop.tokens <= static_cast<std::int64_t>(size),
         "loops fit");
  for (std::int64_t i = 0; i + loop.period < loop.tokens; ++i)
    demand(data[size - 1 - static_cast<std::size_t>(i)] ==
               data[size - 1 - static_cast<std::size_t>(i + loop.period)],
           "loops repeat");

  (void)json_line::read(s);
  std::string line = "{\"n\": [1, {\"}\": 2}], \"t\": \"";
  for (const char c : s) {
    if (c == '"' || c == '\\') line += '\\';
    line += c;
  }
  const auto object = json_line::read(line + "\"}");
  demand(object.has_value(), "an object of strings is read");
  demand(object->find("t") != nullptr && *object->find("t") == s, "what is quoted is read back");
  demand(object->find("n") == nullptr, "other values are skipped");
  return 0;
}
