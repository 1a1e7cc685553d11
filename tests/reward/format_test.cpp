#include <hence/reward/format.hpp>

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace reward = hence::reward;
namespace format = hence::reward::format;
using reward::format_fault;
using reward::matching;

namespace {

template <class Format> format_fault fault(const Format& f, std::string_view s) {
  const reward::response r = reward::parse(f, s);
  // a malformed response has no parts
  if (!r.ok()) CHECK((r.thought.empty() && r.answer.empty()));
  CHECK(reward::format_reward(f, s) == (r.ok() ? 1.0 : 0.0));
  return r.fault;
}

constexpr format::r1_zero strict{matching::strict}, lenient{matching::lenient};

}  // namespace

TEST_CASE("R1-Zero's template, both ways") {
  for (const auto& f : {strict, lenient}) {
    const auto r = reward::parse(f, " <think> so it is 5 </think>\n<answer> 5 </answer>\n");
    CHECK(r.ok());
    CHECK(r.thought == "so it is 5");
    CHECK(r.answer == "5");
    CHECK(fault(f, "") == format_fault::blank);
    CHECK(fault(f, " \n") == format_fault::blank);
    CHECK(fault(f, "5") == format_fault::no_think_open);
    CHECK(fault(f, "<think>a<answer>b</answer>") == format_fault::no_think_close);
    CHECK(fault(f, "a</think><answer>b</answer>") == format_fault::no_think_open);
    CHECK(fault(f, "<think>a</think>b</answer>") == format_fault::no_answer_open);
    CHECK(fault(f, "<think>a</think><answer>b") == format_fault::no_answer_close);
    CHECK(fault(f, "</think><think>a<answer>b</answer>") == format_fault::wrong_order);
    CHECK(fault(f, "<think><answer>b</answer></think>") == format_fault::wrong_order);
    CHECK(fault(f, "<think>a</think></answer><answer>b") == format_fault::wrong_order);
    CHECK(fault(f, "<answer>b</answer><think>a</think>") == format_fault::wrong_order);
    CHECK(fault(f, "<think> </think><answer>b</answer>") == format_fault::blank_thought);
    CHECK(fault(f, "<think>a</think><answer>\n</answer>") == format_fault::blank_answer);
    CHECK(fault(f, "<THINK>a</THINK><answer>b</answer>") == format_fault::no_think_open);
    CHECK(fault(f, "<think >a</think><answer>b</answer>") == format_fault::no_think_open);
  }
}

TEST_CASE("strict refuses what lenient reads over") {
  const auto differ = [](std::string_view s, format_fault why, std::string_view answer) {
    CHECK(fault(strict, s) == why);
    const auto r = reward::parse(lenient, s);
    CHECK(r.ok());
    CHECK(r.answer == answer);
  };
  differ("Sure: <think>a</think><answer>b</answer>", format_fault::text_before, "b");
  differ("<think>a</think> so <answer>b</answer>", format_fault::text_between, "b");
  differ("<think>a</think><answer>b</answer> ok", format_fault::text_after, "b");
  differ("<think>a<think>c</think><answer>b</answer>", format_fault::repeated_tag, "b");
  differ("<think>a</think><answer>b</answer><answer>c</answer>", format_fault::repeated_tag, "c");
  differ("<think>a</think></think><answer>b</answer>", format_fault::repeated_tag, "b");
  // an answer inside the thought is none
  differ("<think>a<answer>0</answer></think><answer>b</answer>", format_fault::repeated_tag, "b");
}

TEST_CASE("lenient takes the last complete answer after the thought") {
  CHECK(reward::parse(lenient, "<think>a</think><answer>b</answer><answer>c").answer == "b");
  CHECK(reward::parse(lenient, "<think>a</think><answer>b<answer>c</answer>").answer == "c");
}

TEST_CASE("R1's form: a thought and a summary") {
  constexpr format::r1 hard{matching::strict}, soft{matching::lenient};
  CHECK(reward::parse(hard, "<think>a</think>\n\nIt is 5.").answer == "It is 5.");
  CHECK(fault(hard, "x<think>a</think>b") == format_fault::text_before);
  CHECK(fault(soft, "x<think>a</think>b") == format_fault::none);
  CHECK(fault(hard, "<think>a</think><answer>b</answer>") == format_fault::unexpected_tag);
  CHECK(fault(soft, "<think>a</think><answer>b</answer>") == format_fault::none);
  CHECK(fault(hard, "<think>a</think>b</think>c") == format_fault::repeated_tag);
  CHECK(fault(hard, "<think>a</think>") == format_fault::blank_answer);
  CHECK(fault(hard, "</think><think>a") == format_fault::wrong_order);
}

TEST_CASE("the distilled models' form: the prompt opened the thought") {
  constexpr format::opened_by_prompt hard{matching::strict}, soft{matching::lenient};
  CHECK(reward::parse(hard, "a</think>b").thought == "a");
  CHECK(reward::parse(hard, "a</think>b").answer == "b");
  CHECK(fault(hard, "<think>a</think>b") == format_fault::unexpected_tag);
  CHECK(reward::parse(soft, "<think>a</think>b").thought == "a");
  CHECK(fault(hard, "a b") == format_fault::no_think_close);
  CHECK(fault(hard, "</think>b") == format_fault::blank_thought);
  CHECK(fault(soft, "a</think>") == format_fault::blank_answer);
  CHECK(fault(hard, "a</think>b</think>c") == format_fault::repeated_tag);
  CHECK(reward::parse(soft, "a</think>b</think>c").answer == "b</think>c");
}

TEST_CASE("R1-Zero's form where the prompt opened the thought") {
  constexpr format::r1_zero_opened_by_prompt hard{matching::strict}, soft{matching::lenient};
  const auto r = reward::parse(hard, " a</think>\n<answer> b </answer>\n");
  CHECK(r.thought == "a");
  CHECK(r.answer == "b");
  CHECK(fault(hard, "<think>a</think><answer>b</answer>") == format_fault::unexpected_tag);
  CHECK(reward::parse(soft, "<think>a</think>so <answer>b</answer>.").thought == "a");
  CHECK(reward::parse(soft, "<answer>0</answer>a</think>so <answer>b</answer>.").answer == "b");
  CHECK(fault(hard, "a</think>so <answer>b</answer>") == format_fault::text_between);
  CHECK(fault(hard, "a</think><answer>b</answer>.") == format_fault::text_after);
  CHECK(fault(hard, "a</think>b") == format_fault::no_answer_open);
  CHECK(fault(soft, "a <answer>b</answer>") == format_fault::no_think_close);
  CHECK(fault(soft, "<answer>b</answer></think>") == format_fault::wrong_order);
}

TEST_CASE("what is built is parsed again") {
  const std::string_view thought = "2 + 3", answer = "\\boxed{5}";
  std::string room(reward::built_size(strict, thought, answer), '\0');
  const std::string_view s = reward::build(strict, thought, answer, room.data());
  CHECK(s.size() == room.size());
  CHECK(s == "<think>2 + 3</think><answer>\\boxed{5}</answer>");
  CHECK(reward::parse(strict, s).thought == thought);
  CHECK(reward::parse(strict, s).answer == answer);
}

TEST_CASE("what is built is parsed again, with every template") {
  const auto round = [](const auto& f, std::string_view whole) {
    std::string room(reward::built_size(f, "2 + 3", "It is 5."), '\0');
    const std::string_view s = reward::build(f, "2 + 3", "It is 5.", room.data());
    CHECK(s.size() == room.size());
    CHECK(s == whole);
    const reward::response r = reward::parse(f, s);
    CHECK(r.ok());
    CHECK(r.thought == "2 + 3");
    CHECK(r.answer == "It is 5.");
  };
  for (const auto how : {matching::strict, matching::lenient}) {
    round(format::r1_zero{how}, "<think>2 + 3</think><answer>It is 5.</answer>");
    round(format::r1{how}, "<think>2 + 3</think>It is 5.");
    round(format::opened_by_prompt{how}, "2 + 3</think>It is 5.");
    round(format::r1_zero_opened_by_prompt{how}, "2 + 3</think><answer>It is 5.</answer>");
  }
}

TEST_CASE("every fault has its name") {
  CHECK(std::string(reward::name_of(format_fault::none)) == "none");
  CHECK(std::string(reward::name_of(format_fault::unexpected_tag)) == "unexpected_tag");
  CHECK(std::string(reward::name_of(format_fault::blank_answer)) == "blank_answer");
}

TEST_CASE("a million tags") {
  std::string s;
  for (int i = 0; i < 1000000; ++i) s += i % 2 != 0 ? "<answer>" : "<think>";
  CHECK(fault(lenient, s) == format_fault::no_think_close);
  s += "</think>";
  CHECK(fault(lenient, s) == format_fault::no_answer_close);
}

TEST_CASE("one byte before the first tag, and no byte behind the text") {
  const auto fault = [](std::string_view s) {
    return reward::parse(reward::format::r1_zero{matching::strict}, s).fault;
  };
  CHECK(fault("<think>t</think><answer>5</answer>") == format_fault::none);
  CHECK(fault("x<think>t</think><answer>5</answer>") == format_fault::text_before);
  CHECK(fault("<think>t</think>x<answer>5</answer>") == format_fault::text_between);
  CHECK(fault("<think>t</think><answer>5</answer>x") == format_fault::text_after);
  CHECK(reward::parse(reward::format::r1{matching::strict}, "x<think>t</think>5").fault ==
        format_fault::text_before);
  // the compiler lets nothing behind an array be read
  static constexpr char open[] = {'<', 't', 'h', 'i', 'n', 'k'};
  static_assert(reward::parse(reward::format::r1_zero{matching::lenient}, {open, 6}).fault ==
                format_fault::no_think_open);
}

namespace {

/// The fault by the words of `format_fault`, with the searches of std::string.
format_fault plain_fault(bool strict_too, bool prompt_opens, bool answer_tag,
                         const std::string& s) {
  using enum format_fault;
  const std::string tags[] = {"<think>", "</think>", "<answer>", "</answer>"};
  std::vector<std::vector<std::size_t>> at(4);
  for (std::size_t t = 0; t < 4; ++t)
    for (std::size_t i = s.find(tags[t]); i != s.npos; i = s.find(tags[t], i + 1))
      at[t].push_back(i);
  const auto empty = [](const std::string& x) {
    return x.find_first_not_of(" \t\n\v\f\r") == x.npos;
  };
  if (empty(s)) return blank;
  if (!prompt_opens && at[0].empty()) return no_think_open;
  if (at[1].empty()) return no_think_close;
  if (answer_tag && at[2].empty()) return no_answer_open;
  if (answer_tag && at[3].empty()) return no_answer_close;
  if (strict_too) {
    if (prompt_opens && !at[0].empty()) return unexpected_tag;
    if (!answer_tag && !(at[2].empty() && at[3].empty())) return unexpected_tag;
    for (const auto& places : at)
      if (places.size() > 1) return repeated_tag;
  }
  const std::size_t open = prompt_opens ? 0 : at[0][0];
  const std::size_t begin =
      prompt_opens ? (s.rfind("<think>", s.find_first_not_of(" \n")) == s.find_first_not_of(" \n")
                          ? s.find_first_not_of(" \n") + 7
                          : 0)
                   : open + 7;
  const std::size_t close = s.find("</think>", open);
  if (close == s.npos) return wrong_order;
  std::string answer = s.substr(close + 8);
  if (answer_tag) {
    // the last </answer> that some <answer> opens after the thought
    std::size_t end = s.npos, from = s.npos;
    for (const std::size_t e : at[3])
      for (const std::size_t b : at[2])
        if (b > close && b < e && s.substr(b, e - b).find("</answer>") == s.npos) end = e, from = b;
    if (end == s.npos) return wrong_order;
    answer = s.substr(from + 8, end - from - 8);
    if (strict_too && !empty(s.substr(0, open))) return text_before;
    if (strict_too && !empty(s.substr(close + 8, from - close - 8))) return text_between;
    if (strict_too && !empty(s.substr(end + 9))) return text_after;
  } else if (strict_too && !prompt_opens && !empty(s.substr(0, open))) {
    return text_before;
  }
  if (begin > close || empty(s.substr(begin, close - begin))) return blank_thought;
  return empty(answer) ? blank_answer : none;
}

}  // namespace

TEST_CASE("the fault is the first of the list that is true, in every sequence of tags and text") {
  const char* const pieces[] = {"<think>", "</think>", "<answer>", "</answer>", "a", " \n"};
  int seen[14] = {};
  for (int code = 0; code < 6 * 6 * 6 * 6 * 6 * 6; ++code) {
    std::string s;
    for (int rest = code, i = 0; i < 6; ++i, rest /= 6) s += pieces[rest % 6];
    if (code % 11 == 0) s = "<think>a</think>" + s;  // templates that nearly hold
    for (const auto how : {matching::strict, matching::lenient}) {
      const bool hard = how == matching::strict;
      const format_fault zero = reward::parse(format::r1_zero{how}, s).fault,
                         whole = reward::parse(format::r1{how}, s).fault,
                         opened = reward::parse(format::opened_by_prompt{how}, s).fault,
                         tagged = reward::parse(format::r1_zero_opened_by_prompt{how}, s).fault;
      REQUIRE_MESSAGE(zero == plain_fault(hard, false, true, s), s);
      REQUIRE_MESSAGE(whole == plain_fault(hard, false, false, s), s);
      REQUIRE_MESSAGE(opened == plain_fault(hard, true, false, s), s);
      REQUIRE_MESSAGE(tagged == plain_fault(hard, true, true, s), s);
      for (const format_fault f : {zero, whole, opened}) ++seen[static_cast<unsigned>(f)];
    }
  }
  for (int f = 0; f < 14; ++f)
    CHECK_MESSAGE(seen[f] > 0, std::string(reward::name_of(static_cast<format_fault>(f))));
}
