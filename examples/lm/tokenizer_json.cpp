// Hugging Face's tokenizer.json as a vocabulary.
#include "file_bytes.hpp"
#include "hugging_face.hpp"

#include <set>

namespace lm {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("tokenizer.json: " + what);
}
std::string shown(const json& j) {
  const std::string text = j.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}
const json& at(const json& j, const char* name) {
  static const json null;
  if (!j.is_object()) return null;
  const auto it = j.find(name);
  return it == j.end() ? null : *it;
}
/// Throws unless the value is absent, null or one of these.
void demand(const json& j, const std::string& where, const char* name,
            std::initializer_list<json> plain) {
  const json& value = at(j, name);
  if (!value.is_null() && std::find(plain.begin(), plain.end(), value) == plain.end())
    fail(where + name + " is " + shown(value) + ", which is not supported");
}

bool is_byte_level(const json& step) {
  if (at(step, "type") != "ByteLevel") return false;
  const json& space = at(step, "add_prefix_space");  // absent: true
  if (space != false) fail("a space before the text (add_prefix_space) is not supported");
  demand(step, "pre_tokenizer.", "use_regex", {true});
  return true;
}

word_pattern pattern_of(const json& steps) {
  if (is_byte_level(steps)) return word_pattern::gpt2;
  const json& list = at(steps, "pretokenizers");
  if (at(steps, "type") == "Sequence" && list.is_array() && list.size() == 2 &&
      at(list[0], "type") == "Digits" && at(list[0], "individual_digits") == true &&
      is_byte_level(list[1]))
    return word_pattern::smollm;
  fail("pre_tokenizer is " + shown(steps) +
       ", expected ByteLevel, or a Sequence of Digits (individual_digits) and ByteLevel");
}

/// Puts a token at its place; throws if there is another.
void place(vocabulary& v, const std::string& text, const json& id, std::size_t most,
           bool is_control) {
  if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= most)
    fail("the token " + printed(text) + " has the id " + shown(id) + ", expected 0 to " +
         std::to_string(most - 1));
  const auto i = id.get<std::size_t>();
  if (v.tokens.size() <= i) v.tokens.resize(i + 1), v.is_control.resize(i + 1);
  if (!v.tokens[i].empty() && !(is_control && v.tokens[i] == text))
    fail("the id " + std::to_string(i) + " is that of " + printed(v.tokens[i]) + " and of " +
         printed(text));
  if (text.empty()) fail("the token " + std::to_string(i) + " is empty");
  v.tokens[i] = text;
  v.is_control[i] = is_control;
}

}  // namespace

vocabulary vocabulary_of(const hugging_face_model& model) {
  const json& j = model.tokenizer;
  for (const char* name : {"normalizer", "truncation", "padding"}) demand(j, "", name, {});
  for (const char* name : {"post_processor", "decoder"})
    if (const json& value = at(j, name); !value.is_null() && at(value, "type") != "ByteLevel")
      fail(std::string(name) + " is " + shown(value) + ", which is not supported");
  const json& bpe = at(j, "model");
  if (const json& type = at(bpe, "type"); type != "BPE")
    fail("model.type is " + shown(type) + ", expected \"BPE\"");
  demand(bpe, "model.", "dropout", {0});
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
    demand(bpe, "model.", name, {""});
  for (const char* name : {"byte_fallback", "ignore_merges"}) demand(bpe, "model.", name, {false});

  vocabulary v;
  v.pattern = pattern_of(at(j, "pre_tokenizer"));
  const json &words = at(bpe, "vocab"), &merges = at(bpe, "merges"), &added = at(j, "added_tokens");
  if (!words.is_object() || !merges.is_array() || !(added.is_null() || added.is_array()))
    fail("model.vocab, model.merges and added_tokens are not an object and two arrays");
  const std::size_t most = words.size() + added.size();
  for (const auto& [text, id] : words.items()) place(v, text, id, most, false);
  std::set<std::string> had;
  for (const json& entry : added) {
    const auto* const text = at(entry, "content").get_ptr<const std::string*>();
    if (text == nullptr) fail("added_tokens has " + shown(entry) + ", which has no content");
    for (const char* name : {"single_word", "lstrip", "rstrip"})
      demand(entry, printed(*text) + ".", name, {false});
    if (!had.insert(*text).second) fail("added_tokens has " + printed(*text) + " twice");
    place(v, *text, at(entry, "id"), most, true);
  }
  for (std::size_t i = 0; i < v.tokens.size(); ++i)
    if (v.tokens[i].empty()) fail("there is no token of the id " + std::to_string(i));
  for (const json& pair : merges) {
    if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string())
      v.merges.push_back(pair[0].get<std::string>() + " " + pair[1].get<std::string>());
    else if (pair.is_string())
      v.merges.push_back(pair.get<std::string>());
    else
      fail("model.merges has " + shown(pair) + ", expected a pair of tokens");
  }
  return v;
}

}  // namespace lm
