// The peers' decisions, each worked out by hand from the pattern; the second test matches the
// patterns themselves with std::regex over random texts of their pieces.

#include <hence/reward/format.hpp>
#include <hence/reward/format_peers.hpp>

#include <doctest/doctest.h>
#include <random>
#include <regex>
#include <string>

namespace reward = hence::reward;
namespace format = hence::reward::format;

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
  // ECMAScript has no DOTALL; [^] is any character. Its ^ needs no MULTILINE with match_continuous.
  const std::regex trl("<think>(?![^]*<think>)([^]*?)</think>[^]*");
  const std::regex open_r1("<think>\n[^]*?\n</think>\n<answer>\n[^]*?\n</answer>(?=\n|$)");
  const char* pieces[] = {"<think>", "</think>", "<answer>", "</answer>", "\n", "\n", "a"};
  std::mt19937 random(7);
  int held[2] = {};
  for (int i = 0; i < 20000; ++i) {
    std::string s = i % 2 != 0 ? "<think>\n" : "";
    for (auto n = random() % 12; n > 0; --n) s += pieces[random() % 7];
    if (i % 4 == 1)
      s += "\n</think>\n<answer>\n" + std::string(pieces[random() % 7]) + "\n</answer>";
    if (i % 8 == 1) s += pieces[random() % 7];
    std::smatch m;
    const auto at_start = std::regex_constants::match_continuous;
    const bool want_trl = std::regex_search(s, m, trl, at_start);
    const bool want_open = std::regex_search(s, m, open_r1, at_start);
    CHECK(reward::format_reward(format::trl_think{}, s) == (want_trl ? 1.0 : 0.0));
    CHECK_MESSAGE(reward::format_reward(format::open_r1{}, s) == (want_open ? 1.0 : 0.0), s);
    held[0] += want_trl, held[1] += want_open;
  }
  CHECK(held[0] > 1000);
  CHECK(held[1] > 500);
}
