#include <hence/reward/script.hpp>

#include <doctest/doctest.h>

namespace reward = hence::reward;
using reward::script;
using reward::script_of;

TEST_CASE("letters of each script, from the code charts") {
  const auto all = [](script s, std::initializer_list<char32_t> codes) {
    for (const char32_t c : codes) CHECK_MESSAGE(script_of(c) == s, static_cast<unsigned>(c));
  };
  all(script::latin, {U'a', U'Z', U'é', U'ß', U'Ő', U'ạ', U'Ａ', U'ﬁ'});
  all(script::greek, {U'α', U'Ω', U'ἀ'});
  all(script::cyrillic, {U'а', U'Я', U'ё', U'Ґ'});
  all(script::hebrew, {U'א', U'ת'});
  all(script::arabic, {U'ا', U'ي', U'پ'});
  all(script::devanagari, {U'अ', U'ह'});
  all(script::thai, {U'ก', U'ฮ'});
  all(script::han, {U'中', U'文', U'々', U'〇', U'㐀', U'豈', U'𠀀'});
  all(script::kana, {U'あ', U'ン', U'ー', U'ｱ'});
  all(script::hangul, {U'한', U'ㄱ', U'ᄀ'});
  all(script::other, {U'ა', U'Ա', U'ক', U'த'});
  all(script::common, {U'0', U' ', U'.', U'×', U'÷', U'。', U'、', U'！', U'０', U'∑', U'→', U'😀',
                       U'𝑥', U'٣', U'฿', U'·'});
  all(script::mark, {0x301, 0x200D, 0x202E, 0xFEFF, 0x5B0, 0x64B, 0x93E, 0xE31, 0xFE0F});
}

TEST_CASE("the blocks ascend and every code point has one script") {
  const auto* before = &reward::detail::blocks[0];
  for (const auto& b : reward::detail::blocks) {
    CHECK(b.first <= b.last);
    if (&b != before) CHECK(before->last < b.first);
    before = &b;
  }
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    const auto bits = static_cast<std::uint32_t>(script_of(c));
    if (bits == 0 || (bits & (bits - 1)) != 0) FAIL("code point " << c);
  }
}

TEST_CASE("sets of scripts") {
  script set = script::han;
  set = set | script::kana;
  CHECK(reward::has(set, script::han));
  CHECK(reward::has(set, script::kana));
  CHECK_FALSE(reward::has(set, script::latin));
}
