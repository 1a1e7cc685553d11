// A verifier for the command line: JSONL in, rewards out.
//
//   verify [--strict] [--template r1_zero|r1_zero_opened|r1|opened|none] FILE    ("-": standard
//   input)
//
// A line is {"response": "...", "reference": "..."}. For each one, also one that cannot be read or
// is empty, one line of JSON is written: the
// format's reward and fault, the accuracy and how the answers are equal, the share of Latin words
// in the thought, and the sum of the first two, R1-Zero's reward. Without arguments it judges four
// lines of its own.
#include "json_line.hpp"

#include <hence/reward.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace reward = hence::reward;

namespace {

struct settings {
  std::string form = "r1_zero";
  reward::answer_rules rules = reward::answer::math;
};

const char* const matches[] = {"different",  "no_answer",  "no_reference", "same_choice",
                               "same_value", "same_parts", "same_form"};

reward::response take_apart(const settings& how, std::string_view s) {
  constexpr auto lenient = reward::matching::lenient;
  if (how.form == "r1") return reward::parse(reward::format::r1{lenient}, s);
  if (how.form == "r1_zero_opened")
    return reward::parse(reward::format::r1_zero_opened_by_prompt{lenient}, s);
  if (how.form == "opened") return reward::parse(reward::format::opened_by_prompt{lenient}, s);
  if (how.form == "none") return {{}, s, reward::format_fault::none};
  return reward::parse(reward::format::r1_zero{lenient}, s);
}

/// \return the reward, -1 for a line that can't be read.
double judge(const settings& how, const std::string& line, std::size_t number) {
  const auto object = json_line::read(line);
  const std::string* response = object ? object->find("response") : nullptr;
  const std::string* reference = object ? object->find("reference") : nullptr;
  if (response == nullptr || reference == nullptr) {
    std::fprintf(stderr,
                 "verify: line %zu is no object with the strings \"response\" and \"reference\"\n",
                 number);
    std::printf("{\"error\": \"no object with the strings response and reference\"}\n");
    return -1;
  }
  const reward::response r = take_apart(how, *response);
  auto match = reward::match::no_answer;
  if (r.ok())
    if (const auto found = reward::find_answer(reward::extract::boxed_or_whole{}, r.answer);
        found.ok())
      match = reward::compare_answers(found.answer, *reference, how.rules);
  const double format = r.ok() ? 1 : 0, accuracy = is_match(match) ? 1 : 0;
  const double language =
      reward::language_reward(r.thought, reward::language::scripts{reward::script::latin}, 0.0);
  const double sum = hence::recipe::deepseek_r1_zero_reward(accuracy, format);
  std::printf(
      "{\"format\": %g, \"fault\": \"%s\", \"accuracy\": %g, \"match\": \"%s\", "
      "\"language\": %g, \"reward\": %g}\n",
      format, reward::name_of(r.fault), accuracy, matches[static_cast<unsigned>(match)], language,
      sum);
  return sum;
}

int judge_all(const settings& how, std::istream& in) {
  std::size_t number = 0, bad = 0;
  for (std::string line; std::getline(in, line);) bad += judge(how, line, ++number) < 0 ? 1 : 0;
  if (in.bad()) std::fprintf(stderr, "verify: can't read beyond line %zu\n", number);
  return bad == 0 && !in.bad() ? 0 : 1;
}

int demonstrate() {
  std::istringstream lines(
      R"({"response": "<think>half of one</think><answer>\\boxed{0.5}</answer>", "reference": "\\frac{1}{2}"}
{"response": "<think>I \u4E0D know</think><answer>7</answer>", "reference": "8"}
{"response": "The answer is 5", "reference": "5"}
{"response": "<think>both</think><answer>\\{3, \\sqrt{12}\\}</answer>", "reference": "2\\sqrt{3}, 3"}
)");
  const double expected[] = {2, 1, 0, 2};
  std::size_t number = 0;
  bool right = true;
  for (std::string line; std::getline(lines, line); ++number)
    right &= judge({}, line, number + 1) == expected[number];
  return right && number == 4 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) return demonstrate();
  settings how;
  std::string file;
  bool known = true;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--strict")
      how.rules = reward::answer::strict;
    else if (argument == "--template" && i + 1 < argc)
      how.form = argv[++i];
    else if (file.empty() && (argument == "-" || argument[0] != '-'))
      file = argument;
    else
      known = false;
  }
  known &= how.form == "r1_zero" || how.form == "r1_zero_opened" || how.form == "r1" ||
           how.form == "opened" || how.form == "none";
  if (file.empty() || !known) {
    std::fprintf(
        stderr,
        "usage: verify [--strict] [--template r1_zero|r1_zero_opened|r1|opened|none] FILE\n");
    return 2;
  }
  if (file == "-") return judge_all(how, std::cin);
  std::ifstream in(file);
  in.peek();  // a folder opens, but has nothing to read
  if (in.fail()) {
    std::fprintf(stderr, "verify: can't read %s\n", file.c_str());
    return 2;
  }
  return judge_all(how, in);
}
