#include "tokenizer.hpp"

#include "unicode_classes.hpp"

#include <hence/reward/text.hpp>

#include <algorithm>
#include <limits>
#include <queue>

namespace lm {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("tokenizer: " + what); }

enum class sign : std::uint8_t { none, letter, number, space, other };

/// A code point of the text; `none` behind its end. A byte that is no UTF-8 is `other` by itself.
struct symbol {
  sign kind = sign::none;
  std::size_t bytes = 0;
};
symbol symbol_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const auto c = hence::reward::decode(text, at);
  return {is_letter(c.value)   ? sign::letter
          : is_number(c.value) ? sign::number
          : is_space(c.value)  ? sign::space
                               : sign::other,
          c.bytes};
}
/// The end of the run of `kind` that begins at `at`.
std::size_t run_end(std::string_view text, std::size_t at, sign kind) {
  for (symbol s = symbol_at(text, at); s.kind == kind; s = symbol_at(text, at)) at += s.bytes;
  return at;
}

/// GPT-2's pattern: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t gpt2_word(std::string_view text) {
  for (const std::string_view end : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
    if (text.starts_with(end)) return end.size();
  const std::size_t space = text.starts_with(' ') ? 1 : 0;
  const sign kind = symbol_at(text, space).kind;
  if (kind != sign::space && kind != sign::none) return run_end(text, space, kind);
  // white space: all of it at the end of the text, else all but its last symbol, which may belong
  // to the next word
  std::size_t end = 0, before = 0;
  for (symbol s = symbol_at(text, 0); s.kind == sign::space; s = symbol_at(text, end))
    before = end, end += s.bytes;
  return end == text.size() || before == 0 ? end : before;
}

/// The byte that GPT-2 writes as a code point: printable ones as themselves, the others from 256
/// on. -1: none.
int byte_of(std::uint32_t code) {
  const auto is_itself = [](std::uint32_t b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  };
  if (code < 256) return is_itself(code) ? static_cast<int>(code) : -1;
  std::uint32_t next = 256;
  for (std::uint32_t b = 0; b < 256; ++b)
    if (!is_itself(b) && next++ == code) return static_cast<int>(b);
  return -1;
}
std::string bytes_of(std::string_view written) {
  std::string bytes;
  for (std::size_t at = 0; at < written.size();) {
    const auto c = hence::reward::decode(written, at);
    const int b = byte_of(c.value);
    if (b < 0) fail(printed(written) + " is not written in the alphabet of bytes");
    bytes += static_cast<char>(b);
    at += c.bytes;
  }
  return bytes;
}

/// Calls f with each word.
template <class F> void each_word(std::string_view text, word_pattern pattern, const F& f) {
  while (!text.empty()) {
    std::size_t end = text.size();
    if (pattern == word_pattern::smollm) {  // up to the next number, or one
      end = 0;
      for (symbol s = symbol_at(text, 0); s.kind != sign::number && s.kind != sign::none;
           s = symbol_at(text, end))
        end += s.bytes;
      if (end == 0) end = symbol_at(text, 0).bytes;
    }
    for (std::string_view part = text.substr(0, end); !part.empty();) {
      const std::size_t n = gpt2_word(part);
      f(part.substr(0, n));
      part.remove_prefix(n);
    }
    text.remove_prefix(end);
  }
}

}  // namespace

std::vector<std::string_view> words(std::string_view text, word_pattern pattern) {
  std::vector<std::string_view> all;
  each_word(text, pattern, [&](std::string_view word) { all.push_back(word); });
  return all;
}

vocabulary vocabulary_of(const gguf_file& file) {
  vocabulary v;
  const std::string& model = file.text("tokenizer.ggml.model");
  if (model != "gpt2") fail("the model is " + printed(model) + ", expected \"gpt2\"");
  const std::string& pattern = file.text("tokenizer.ggml.pre");
  if (pattern == "smollm")
    v.pattern = word_pattern::smollm;
  else if (pattern != "gpt-2")
    fail("the pattern is " + printed(pattern) + ", expected \"smollm\" or \"gpt-2\"");
  if (const auto* const space = file.find("tokenizer.ggml.add_space_prefix"))
    if (!std::holds_alternative<bool>(*space) || std::get<bool>(*space))
      fail("a space before the text is not supported");

  v.tokens = file.texts("tokenizer.ggml.tokens");
  const auto* const array = file.find("tokenizer.ggml.token_type");
  const auto* const list = array == nullptr ? nullptr : std::get_if<gguf_array>(array);
  const auto* const types =
      list == nullptr ? nullptr : std::get_if<std::vector<std::int32_t>>(list);
  if (types == nullptr || types->size() != v.tokens.size())
    fail("tokenizer.ggml.token_type has no int32 for each of the " +
         std::to_string(v.tokens.size()) + " tokens");
  for (std::size_t i = 0; i < types->size(); ++i) {
    constexpr int normal = 1, control = 3, user = 4;
    const int type = (*types)[i];
    if (type != normal && type != control && type != user)
      fail("token " + std::to_string(i) + " is of type " + std::to_string(type) +
           ", expected 1, 3 or 4");
    v.is_control.push_back(type != normal);
  }
  v.merges = file.texts("tokenizer.ggml.merges");
  return v;
}

token end_of(const gguf_file& file, std::int64_t size) {
  const std::int64_t end = file.integer("tokenizer.ggml.eos_token_id");
  if (end < 0 || end >= size)
    fail("eos_token_id is " + std::to_string(end) + ", expected 0 to " + std::to_string(size - 1));
  return static_cast<token>(end);
}

tokenizer::tokenizer(const vocabulary& v) : pattern_(v.pattern) {
  const auto& written = v.tokens;
  if (written.empty() || written.size() > std::numeric_limits<token>::max())
    fail("has " + std::to_string(written.size()) + " tokens");
  of_byte_.fill(-1);
  std::unordered_map<std::string, token> by_text;  // as it is written, for the merges
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto id = static_cast<token>(i);
    if (written[i].empty()) fail("token " + std::to_string(i) + " is empty");
    if (!by_text.emplace(written[i], id).second) fail(printed(written[i]) + " is there twice");
    bytes_.push_back(v.is_control[i] ? written[i] : bytes_of(written[i]));
    const auto first = static_cast<unsigned char>(bytes_[i][0]);
    if (v.is_control[i]) {
      controls_.push_back(id);
      begins_control_[first] = true;
    } else {
      if (bytes_[i].size() == 1) of_byte_[first] = id;
    }
  }
  std::stable_sort(controls_.begin(), controls_.end(), [&](token a, token b) {
    return bytes_[static_cast<std::size_t>(a)].size() > bytes_[static_cast<std::size_t>(b)].size();
  });

  const auto& merges = v.merges;
  if (merges.size() > std::numeric_limits<std::int32_t>::max()) fail("has too many merges");
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& pair = merges[rank];
    const std::size_t space = pair.find(' ');
    if (space == pair.npos || pair.find(' ', space + 1) != pair.npos)
      fail("the merge " + printed(pair) + " is no pair");
    const auto find = [&](const std::string& text) {
      const auto it = by_text.find(text);
      if (it == by_text.end() || v.is_control[static_cast<std::size_t>(it->second)])
        fail("the merge " + printed(pair) + " needs " + printed(text) + ", which is no token");
      return it->second;
    };
    const token left = find(pair.substr(0, space)), right = find(pair.substr(space + 1));
    const token result = find(pair.substr(0, space) + pair.substr(space + 1));
    const auto key = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
    if (!merges_.emplace(key, merged{static_cast<std::int32_t>(rank), result}).second)
      fail("the merge " + printed(pair) + " is there twice");
  }
}

const tokenizer::merged* tokenizer::merge_of(token left, token right) const {
  const auto it =
      merges_.find(static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right));
  return it == merges_.end() ? nullptr : &it->second;
}

void tokenizer::encode_word(std::string_view word, lost_byte lost, std::vector<token>& out) const {
  struct part {
    token id;
    std::size_t before, after;
  };
  struct pair {
    std::int32_t rank;
    std::size_t at;
    token left, right, result;
    bool operator<(const pair& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
  };
  constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  std::vector<part> parts;
  parts.reserve(word.size());
  for (const char c : word) {
    const token id = of_byte_[static_cast<unsigned char>(c)];
    if (id >= 0)
      parts.push_back({id, parts.size() - 1, parts.size() + 1});
    else if (lost == lost_byte::refused)
      throw std::invalid_argument("tokenizer: there is no token for byte " +
                                  std::to_string(static_cast<unsigned char>(c)));
  }
  if (parts.empty()) return;
  parts.back().after = none;

  // The best pair is always on top of the heap; a part that was merged away leaves entries behind
  // whose tokens no longer stand there.
  std::priority_queue<pair> pairs;
  const auto offer = [&](std::size_t left) {
    if (left == none || parts[left].after == none) return;
    const token a = parts[left].id, b = parts[parts[left].after].id;
    if (const merged* const m = merge_of(a, b)) pairs.push({m->rank, left, a, b, m->result});
  };
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) offer(i);
  while (!pairs.empty()) {
    const pair best = pairs.top();
    pairs.pop();
    part& left = parts[best.at];
    if (left.id != best.left || left.after == none || parts[left.after].id != best.right) continue;
    part& right = parts[left.after];
    right.id = -1;
    left.id = best.result;
    left.after = right.after;
    if (left.after != none) parts[left.after].before = best.at;
    offer(left.before);
    offer(best.at);
  }
  for (std::size_t i = 0; i != none; i = parts[i].after) out.push_back(parts[i].id);
}

void tokenizer::encode_plain(std::string_view text, lost_byte lost, std::vector<token>& out) const {
  each_word(text, pattern_, [&](std::string_view word) { encode_word(word, lost, out); });
}

std::vector<token> tokenizer::encode(std::string_view text, const encode_rule& rule) const {
  std::vector<token> out;
  std::size_t from = 0, at = 0;
  const auto control_at = [&](std::size_t i) -> token {
    if (!begins_control_[static_cast<unsigned char>(text[i])]) return -1;
    for (const token id : controls_)
      if (text.substr(i).starts_with(bytes_[static_cast<std::size_t>(id)])) return id;
    return -1;
  };
  while (rule.control == control_text::recognised && at < text.size()) {
    const token id = control_at(at);
    if (id < 0) {
      ++at;
      continue;
    }
    encode_plain(text.substr(from, at - from), rule.lost, out);
    out.push_back(id);
    from = at += bytes_[static_cast<std::size_t>(id)].size();
  }
  encode_plain(text.substr(from), rule.lost, out);
  return out;
}

std::string tokenizer::decode(std::span<const token> tokens) const {
  std::string text;
  for (const token t : tokens) {
    if (t < 0 || t >= size())
      throw std::invalid_argument("tokenizer: token " + std::to_string(t) + " is not in [0, " +
                                  std::to_string(size()) + ")");
    text += bytes_[static_cast<std::size_t>(t)];
  }
  return text;
}

token tokenizer::control(std::string_view text) const {
  for (const token id : controls_)
    if (bytes_[static_cast<std::size_t>(id)] == text) return id;
  throw std::invalid_argument("tokenizer: there is no control token " + printed(text));
}

}  // namespace lm
