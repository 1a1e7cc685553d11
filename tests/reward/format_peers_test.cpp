// The peers' decisions, each worked out by hand from the pattern; the last test matches the
// patterns themselves over random texts of their pieces, with a backtracking matcher of four
// constructs (std::regex makes g++ warn of its own members under the sanitizers).

#include <hence/reward/format.hpp>
#include <hence/reward/format_peers.hpp>

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

namespace reward = hence::reward;
namespace format = hence::reward::format;

namespace {

/// A piece of a pattern: `.*?` under DOTALL, `(?!.*literal)`, `$` under MULTILINE, or a literal.
struct piece {
  enum kind { any, never, line_end, literal } of;
  std::string text = {};
};

/// Whether the pieces from k on match s from `at`, as a backtracking engine tries them.
bool matches(const std::vector<piece>& pattern, std::size_t k, const std::string& s,
             std::size_t at) {
  if (k == pattern.size()) return true;
  const piece& p = pattern[k];
  switch (p.of) {
    case piece::any:
      for (; at <= s.size(); ++at)
        if (matches(pattern, k + 1, s, at)) return true;
      return false;
    case piece::never:
      return s.find(p.text, at) == s.npos && matches(pattern, k + 1, s, at);
    case piece::line_end:
      return (at == s.size() || s[at] == '\n') && matches(pattern, k + 1, s, at);
    case piece::literal:
      return s.compare(at, p.text.size(), p.text) == 0 &&
             matches(pattern, k + 1, s, at + p.text.size());
  }
  return false;
}

}  // namespace

TEST_CASE("TRL: one <think> at the very start, a </think> somewhere") {
  const auto trl = [](std::string_view s) {
    return reward::format_reward(format::trl_think{}, s) == 1.0;
  };
  CHECK(trl("<think>\nThis is my reasoning.\n</think>\nThis is my answer."));
  CHECK_FALSE(trl("<think>\nThis is my reasoning.\nThis is my answer."));
  CHECK(trl("<think></think>"));
  CHECK_FALSE(trl(" <think>a</think>"));
  CHECK_FALSE(trl("<think>a<think></think>"));
  CHECK_FALSE(trl("<think>a</think><think>"));
  CHECK(trl("<think>a</think></think>"));
  CHECK_FALSE(trl("</think><think>"));
}

TEST_CASE("open-r1: every tag on its own line") {
  const auto open_r1 = [](std::string_view s) {
    const double r = reward::format_reward(format::open_r1{}, s);
    CHECK((r == 0.0 || r == 1.0));
    return r == 1.0;
  };
  CHECK(open_r1("<think>\na\n</think>\n<answer>\nb\n</answer>"));
  CHECK(open_r1("<think>\na\n</think>\n<answer>\nb\n</answer>\nmore"));  // $ before a line feed
  CHECK_FALSE(open_r1("<think>\na\n</think>\n<answer>\nb\n</answer> more"));
  CHECK_FALSE(open_r1("<think>a</think><answer>b</answer>"));
  CHECK_FALSE(open_r1("\n<think>\na\n</think>\n<answer>\nb\n</answer>"));
  CHECK_FALSE(open_r1("<think>\n</think>\n<answer>\n</answer>"));
  CHECK(open_r1("<think>\n\n</think>\n<answer>\n\n</answer>"));
  CHECK(open_r1("<think>\na\n</think>\n<answer>\nb\n</answer>x\n</answer>"));
}

TEST_CASE("open-r1's tag counts") {
  const auto sum = [](std::string_view s) {
    return reward::format_reward(format::open_r1_tag_count{}, s);
  };
  CHECK(sum("<think>\na\n</think>\n<answer>\nb\n</answer>") == 1.0);
  CHECK(sum("<think>\na") == 0.25);
  CHECK(sum("") == 0.0);
  CHECK(sum("<think>\n<think>\n\n</think>\n") == 0.25);
}

TEST_CASE("the patterns themselves, on random texts") {
  // TRL: ^<think>(?!.*<think>)(.*?)</think>.*$ with DOTALL and MULTILINE, by re.match
  const std::vector<piece> trl = {{piece::literal, "<think>"},
                                  {piece::never, "<think>"},
                                  {piece::any},
                                  {piece::literal, "</think>"},
                                  {piece::any},
                                  {piece::line_end}};
  // open-r1: ^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$ likewise
  const std::vector<piece> open_r1 = {{piece::literal, "<think>\n"},
                                      {piece::any},
                                      {piece::literal, "\n</think>\n<answer>\n"},
                                      {piece::any},
                                      {piece::literal, "\n</answer>"},
                                      {piece::line_end}};
  const char* pieces[] = {"<think>", "</think>", "<answer>", "</answer>", "\n", "\n", "a"};
  std::mt19937 random(7);
  int held[2] = {};
  for (int i = 0; i < 20000; ++i) {
    std::string s = i % 2 != 0 ? "<think>\n" : "";
    for (auto n = random() % 12; n > 0; --n) s += pieces[random() % 7];
    if (i % 4 == 1)
      s += "\n</think>\n<answer>\n" + std::string(pieces[random() % 7]) + "\n</answer>";
    if (i % 8 == 1) s += pieces[random() % 7];
    const bool want_trl = matches(trl, 0, s, 0), want_open = matches(open_r1, 0, s, 0);
    CHECK(reward::format_reward(format::trl_think{}, s) == (want_trl ? 1.0 : 0.0));
    CHECK_MESSAGE(reward::format_reward(format::open_r1{}, s) == (want_open ? 1.0 : 0.0), s);
    held[0] += want_trl, held[1] += want_open;
  }
  CHECK(held[0] > 1000);
  CHECK(held[1] > 500);
}
