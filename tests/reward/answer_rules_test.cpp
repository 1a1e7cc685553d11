#include <hence/reward/answer_rules.hpp>

#include <doctest/doctest.h>
#include <initializer_list>

namespace reward = hence::reward;
using reward::match;

TEST_CASE("the two sets of rules that have a name") {
  using namespace hence::reward;
  CHECK(answer::strict.percent == percents::hundredths);
  CHECK(answer::strict.unit == units::must_agree);
  CHECK(answer::strict.sums == unevaluated::refused);
  CHECK(answer::strict.order == lists::in_order);
  CHECK(answer::math.percent == percents::either);
  CHECK(answer::math.unit == units::may_be_missing);
  CHECK(answer::math.sums == unevaluated::accepted);
  CHECK(answer::math.order == lists::sets);
}

TEST_CASE("which outcomes are equal answers") {
  for (const match m : {match::different, match::no_answer, match::no_reference})
    CHECK_FALSE(reward::is_match(m));
  for (const match m : {match::same_choice, match::same_value, match::same_parts, match::same_form})
    CHECK(reward::is_match(m));
}
