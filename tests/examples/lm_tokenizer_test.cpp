// Byte-pair encoding: words and merges as the papers have them, and every byte comes back.
#include "lm/tokenizer.hpp"

#include "gguf_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace {

using strings = std::vector<std::string>;

/// UTF-8 of a code point below 0x800.
std::string utf8(int c) {
  if (c < 0x80) return {static_cast<char>(c)};
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
}
/// GPT-2's alphabet, from its definition: the printable ranges, then 256 + n for the rest.
std::string written(const std::string& bytes) {
  std::string s;
  for (const char c : bytes) {
    const int b = static_cast<unsigned char>(c);
    int code = b;
    if (b <= 32) code = 256 + b;                          // 0..32 are the first 33
    if (b >= 127 && b <= 160) code = 256 + 33 + b - 127;  // then 34 more
    if (b == 173) code = 256 + 67;
    s += utf8(code);
  }
  return s;
}

/// Pairs of what is merged, in their order.
const std::vector<std::pair<std::string, std::string>> merges{
    {" ", "t"}, {"h", "e"}, {" t", "he"}, {"a", "a"},   {"aa", "aa"},    {"\n", "\n"},
    {"1", "2"}, {"e", "r"}, {"he", "r"},  {"l", "l"},   {"'", "ll"},     {"\xc3", "\xa9"},
    {"r", "e"}, {" ", " "}, {"b", "a"},   {"ba", "aa"}, {"\xff", "\xff"}};

gguf_writer::entries metadata() {
  strings tokens{"<|end|>", "<|end|>>", "<x>"}, pairs;
  std::vector<std::int32_t> types{3, 3, 4};
  const auto add = [&](const std::string& bytes) {
    if (std::find(tokens.begin(), tokens.end(), written(bytes)) != tokens.end()) return;
    tokens.push_back(written(bytes));
    types.push_back(1);
  };
  for (int b = 0; b < 256; ++b) add({static_cast<char>(b)});
  for (const auto& [a, b] : merges) {
    add(a + b);
    pairs.push_back(written(a) + " " + written(b));
  }
  return {{"tokenizer.ggml.model", std::string("gpt2")},
          {"tokenizer.ggml.pre", std::string("smollm")},
          {"tokenizer.ggml.add_space_prefix", false},
          {"tokenizer.ggml.tokens", lm::gguf_array(tokens)},
          {"tokenizer.ggml.token_type", lm::gguf_array(types)},
          {"tokenizer.ggml.merges", lm::gguf_array(pairs)}};
}
lm::tokenizer of(const gguf_writer::entries& entries) {
  const auto file = gguf_writer::file_of(entries, {});
  return lm::tokenizer(lm::parse_gguf(file));
}
lm::gguf_value& at(gguf_writer::entries& entries, const std::string& key) {
  for (auto& [name, value] : entries)
    if (name == "tokenizer.ggml." + key) return value;
  throw std::logic_error(key);
}
strings& texts(gguf_writer::entries& entries, const std::string& key) {
  return std::get<strings>(std::get<lm::gguf_array>(at(entries, key)));
}

/// The papers' loop: merge the pair that was learnt first wherever it stands, until none is left.
strings merged(const std::string& word) {
  strings parts;
  for (const char c : word) parts.push_back({c});
  for (;;) {
    auto best = merges.end();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
      best = std::min(best,
                      std::find(merges.begin(), merges.end(), std::pair{parts[i], parts[i + 1]}));
    if (best == merges.end()) return parts;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      if (parts[i] != best->first || parts[i + 1] != best->second) continue;
      parts[i] += parts[i + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }
}

constexpr lm::encode_rule plain{lm::control_text::plain, lm::lost_byte::refused};
constexpr lm::encode_rule in_template{lm::control_text::recognised, lm::lost_byte::refused};

/// The tokens' bytes.
strings pieces(const lm::tokenizer& t, const std::string& text, const lm::encode_rule& rule) {
  strings all;
  for (const lm::token id : t.encode(text, rule)) all.push_back(t.decode(std::vector{id}));
  return all;
}

}  // namespace

TEST_CASE("text is cut into words as the pattern says") {
  struct trial {
    std::string text;
    strings gpt2, smollm;
  };
  for (const auto& t : std::vector<trial>{
           {"", {}, {}},
           {"Hello world", {"Hello", " world"}, {"Hello", " world"}},
           {"it's we'll 'S x'",
            {"it", "'s", " we", "'ll", " '", "S", " x", "'"},
            {"it", "'s", " we", "'ll", " '", "S", " x", "'"}},
           {"a 12+3", {"a", " 12", "+", "3"}, {"a", " ", "1", "2", "+", "3"}},
           {"a  b", {"a", " ", " b"}, {"a", " ", " b"}},
           {"a  7", {"a", " ", " 7"}, {"a", "  ", "7"}},
           {"a\n\n b\t\t", {"a", "\n\n", " b", "\t\t"}, {"a", "\n\n", " b", "\t\t"}},
           {"a\nb", {"a", "\n", "b"}, {"a", "\n", "b"}},
           {"...!? -_", {"...!?", " -_"}, {"...!?", " -_"}},
           {"\xc3\xa9t\xc3\xa9 \xd9\xa3\xc2\xb2",
            {"\xc3\xa9t\xc3\xa9", " \xd9\xa3\xc2\xb2"},
            {"\xc3\xa9t\xc3\xa9", " ", "\xd9\xa3", "\xc2\xb2"}},
           {"x\xe3\x80\x80y", {"x", "\xe3\x80\x80", "y"}, {"x", "\xe3\x80\x80", "y"}},
           {"a\xff\xfe!b", {"a", "\xff\xfe!", "b"}, {"a", "\xff\xfe!", "b"}},
           {"  ", {"  "}, {"  "}},
       }) {
    CAPTURE(t.text);
    for (const auto pattern : {lm::word_pattern::gpt2, lm::word_pattern::smollm}) {
      const auto found = lm::words(t.text, pattern);
      CHECK(strings(found.begin(), found.end()) ==
            (pattern == lm::word_pattern::gpt2 ? t.gpt2 : t.smollm));
    }
  }
}

TEST_CASE("words are merged as by the papers' loop, and every byte comes back") {
  const auto t = of(metadata());
  CHECK(pieces(t, "the the", plain) == strings{"t", "he", " the"});
  CHECK(pieces(t, "12", plain) == strings{"1", "2"});  // a merge across words is not made
  CHECK(pieces(t, "her", plain) == strings{"her"});
  CHECK(pieces(t, "aaaaaaa", plain) == strings{"aaaa", "aa", "a"});
  CHECK(pieces(t, "baaa", plain) == strings{"b", "aa", "a"});  // a a was learnt first
  std::mt19937 random(1);
  const std::string signs = "aaaabbher lt '\n12\xc3\xa9\xff";
  for (int n = 0; n < 3000; ++n) {
    std::string text(random() % 30, ' ');
    for (char& c : text)
      c = static_cast<char>(
          n % 2 == 0 ? random() % 256 : static_cast<unsigned char>(signs[random() % signs.size()]));
    strings expected;
    for (const auto word : lm::words(text, lm::word_pattern::smollm))
      for (auto& piece : merged(std::string(word))) expected.push_back(piece);
    CHECK(pieces(t, text, plain) == expected);
    CHECK(t.decode(t.encode(text, plain)) == text);
    CHECK(t.decode(t.encode(text, in_template)) == text);
  }
  std::string every;
  for (int i = 0; i < 65536; ++i) every += {static_cast<char>(i), static_cast<char>(i >> 8)};
  CHECK(t.decode(t.encode(every, plain)) == every);
}

TEST_CASE("a long word takes no square of its length") {
  const auto t = of(metadata());
  const std::string word(1 << 18, 'a');
  const auto tokens = t.encode(word, plain);
  CHECK(tokens.size() == word.size() / 4);
  CHECK(t.decode(tokens) == word);
}

TEST_CASE("control tokens are what the caller says they are") {
  const auto t = of(metadata());
  const auto end = t.control("<|end|>"), longer = t.control("<|end|>>"), user = t.control("<x>");
  CHECK(end == 0);
  CHECK(t.encode("<|end|>", in_template) == std::vector{end});
  CHECK(t.encode("<|end|>>", in_template) == std::vector{longer});  // the longest
  CHECK(t.encode("<x><x>", in_template) == std::vector{user, user});
  CHECK(pieces(t, "the<|end|>the", in_template) == strings{"t", "he", "<|end|>", "t", "he"});
  CHECK(pieces(t, "<|end|", in_template) == pieces(t, "<|end|", plain));
  for (const lm::token id : t.encode("<|end|><x>", plain)) CHECK(id > user);
  CHECK(t.decode(t.encode("<|end|><x>", plain)) == "<|end|><x>");
  CHECK_THROWS_WITH(t.control("<y>"), "tokenizer: there is no control token \"<y>\"");
  CHECK_THROWS_WITH(
      t.decode(std::vector<lm::token>{-1}),
      ("tokenizer: token -1 is not in [0, " + std::to_string(t.size()) + ")").c_str());
  CHECK_THROWS_AS(t.decode(std::vector{static_cast<lm::token>(t.size())}), std::invalid_argument);
}

TEST_CASE("a byte without a token is refused or dropped") {
  auto entries = metadata();
  auto& tokens = texts(entries, "tokens");
  *std::find(tokens.begin(), tokens.end(), "q") = "qqq";
  const auto t = of(entries);
  CHECK_THROWS_WITH(t.encode("haqa", plain), "tokenizer: there is no token for byte 113");
  CHECK(t.encode("haqa", {lm::control_text::plain, lm::lost_byte::dropped}) ==
        t.encode("haa", plain));
}

TEST_CASE("a vocabulary that contradicts itself is refused") {
  const auto refusal = [](auto change) -> std::string {
    auto entries = metadata();
    change(entries);
    try {
      of(entries);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  };
  CHECK(refusal([](auto&) {}) == "");
  CHECK(refusal([](auto& e) { at(e, "pre") = std::string("gpt-2"); }) == "");
  CHECK(refusal([](auto& e) { at(e, "model") = std::string("llama"); }) ==
        "tokenizer: the model is \"llama\", expected \"gpt2\"");
  CHECK(refusal([](auto& e) { at(e, "pre") = std::string("qwen2"); }) ==
        "tokenizer: the pattern is \"qwen2\", expected \"smollm\" or \"gpt-2\"");
  CHECK(refusal([](auto& e) { at(e, "add_space_prefix") = true; }) ==
        "tokenizer: a space before the text is not supported");
  CHECK(refusal([](auto& e) { e.erase(e.begin()); }) ==
        "the GGUF file has no tokenizer.ggml.model");
  CHECK(refusal([](auto& e) { at(e, "tokens") = 1.0f; }) ==
        "the GGUF file's tokenizer.ggml.tokens is not an array of texts");
  CHECK(refusal([](auto& e) {
          texts(e, "tokens").push_back("x");
        }).starts_with("tokenizer: tokenizer.ggml.token_type has no int32 for each of the"));
  CHECK(refusal([](auto& e) {
          texts(e, "tokens")[7] = texts(e, "tokens")[8];
        }).ends_with("is there twice"));
  CHECK(refusal([](auto& e) { texts(e, "tokens")[7] = ""; }) == "tokenizer: token 7 is empty");
  CHECK(refusal([](auto& e) { texts(e, "tokens")[7] = "a b"; }) ==
        "tokenizer: \"a b\" is not written in the alphabet of bytes");
  CHECK(refusal([](auto& e) {
          std::get<std::vector<std::int32_t>>(std::get<lm::gguf_array>(at(e, "token_type")))[5] = 6;
        }) == "tokenizer: token 5 is of type 6, expected 1, 3 or 4");
  CHECK(refusal([](auto& e) { texts(e, "merges").push_back("ab"); }) ==
        "tokenizer: the merge \"ab\" is no pair");
  CHECK(refusal([](auto& e) { texts(e, "merges").push_back("a b c"); }) ==
        "tokenizer: the merge \"a b c\" is no pair");
  CHECK(refusal([](auto& e) { texts(e, "merges").push_back("x y"); }) ==
        "tokenizer: the merge \"x y\" needs \"xy\", which is no token");
  CHECK(refusal([](auto& e) { texts(e, "merges").push_back("a a"); }) ==
        "tokenizer: the merge \"a a\" is there twice");
}
