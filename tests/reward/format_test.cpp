#include <hence/reward/format.hpp>

#include <doctest/doctest.h>
#include <string>

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

TEST_CASE("what is built is parsed again") {
  const std::string_view thought = "2 + 3", answer = "\\boxed{5}";
  std::string room(reward::built_size(strict, thought, answer), '\0');
  const std::string_view s = reward::build(strict, thought, answer, room.data());
  CHECK(s.size() == room.size());
  CHECK(s == "<think>2 + 3</think><answer>\\boxed{5}</answer>");
  CHECK(reward::parse(strict, s).thought == thought);
  CHECK(reward::parse(strict, s).answer == answer);
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
