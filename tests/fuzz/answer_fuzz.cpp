// Extraction and comparison. The input is an answer, a line feed, a reference.

#include "demand.hpp"

#include <hence/reward/answer.hpp>

namespace reward = hence::reward;
namespace answer = hence::reward::answer;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  const std::size_t cut = s.find('\n');
  const std::string_view a = s.substr(0, cut), b = cut == s.npos ? a : s.substr(cut + 1);

  const auto loose = reward::compare_answers(a, b, answer::math);
  const auto hard = reward::compare_answers(a, b, answer::strict);
  demand(!reward::is_match(hard) || reward::is_match(loose), "strict equality is equality");
  if (size % 4 == 0)  // three more comparisons, which would make a slow fuzzer of all inputs
    demand(loose == reward::compare_answers(a, b, answer::math), "the same outcome again");
  if (size % 4 == 1)
    demand(!reward::is_match(reward::compare_answers(a, "", answer::math)),
           "nothing equals nothing");
  if (size % 4 == 2)
    demand(!reward::is_match(reward::compare_answers("", b, answer::math)),
           "nothing equals something");

  const auto last = reward::find_answer(reward::extract::last_boxed{}, s);
  const auto only = reward::find_answer(reward::extract::only_boxed{}, s);
  const auto any = reward::find_answer(reward::extract::boxed_or_whole{}, s);
  for (const auto& e : {last, only, any}) {
    demand(inside(e.answer, s), "an answer lies in the text");
    demand(e.ok() == !e.answer.empty(), "an answer is not empty");
  }
  demand(!last.ok() || any.answer == last.answer, "the box comes first");
  demand((last.fault == reward::extract_fault::missing) ==
             (only.fault == reward::extract_fault::missing),
         "both see a box");

  const auto q = reward::parse_quantity(a), r = reward::parse_quantity(b);
  const bool named = s.find('=') != s.npos || s.find("in") != s.npos || s.find("\u2208") != s.npos;
  const bool plain = !q.percent && q.unit == 0 && !r.percent && r.unit == 0 && !named;
  if (q.ok() && q.value == r.value && plain)
    demand(reward::is_match(loose), "equal numbers are equal answers");
  if (q.ok() && r.ok() && !(q.value == r.value) && plain)
    demand(!reward::is_match(loose), "different numbers are different answers");
  return 0;
}
