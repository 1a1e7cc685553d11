// Exact arithmetic: lowest terms, and what the grammar of arithmetic takes the grammar of answers
// takes with the same value. Countdown on top.

#include "demand.hpp"

#include <hence/reward/countdown.hpp>

#include <numeric>

namespace reward = hence::reward;

namespace {

void check(const reward::exact& x) {
  if (!x.ok()) return;
  demand(x.den > 0 && x.root >= 1, "a positive denominator and root");
  demand(x.num != 0 || (x.den == 1 && x.root == 1 && x.pi == 0), "one zero");
  const reward::wide limit = reward::wide{1} << 62;
  if (x.num < limit && x.num > -limit && x.den < limit)
    demand(std::gcd(static_cast<std::int64_t>(x.num), static_cast<std::int64_t>(x.den)) == 1,
           "lowest terms");
  for (std::uint64_t p = 2; p < 50; ++p) demand(x.root % (p * p) != 0, "a root without squares");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  const auto plain = reward::evaluate_exactly(s, reward::grammar::arithmetic);
  const auto rich = reward::evaluate_exactly(s, reward::grammar::answer);
  check(plain);
  check(rich);
  reward::detail::expression_reader<hence::native_isa, reward::exact_sum> reader(
      s, reward::grammar::answer);
  const reward::exact_sum sum = reader.read();
  demand(sum.terms >= 0 && sum.terms <= reward::most_terms, "at most eight terms");
  for (int i = 0; sum.ok() && i < sum.terms; ++i) {
    const reward::exact& x = sum.term[i];
    check(x);
    demand(x.ok() && x.num != 0, "terms are not zero");
    demand(i == 0 || x.pi > sum.term[i - 1].pi ||
               (x.pi == sum.term[i - 1].pi && x.root > sum.term[i - 1].root),
           "terms ascend");
  }
  reward::detail::expression_reader<hence::native_isa> one(s, reward::grammar::answer);
  const reward::exact single = one.read();
  demand(!single.ok() || (sum.ok() && sum.single() == single && reader.end() == one.end()),
         "one term is one term");
  demand(!plain.ok() || plain.rational(), "arithmetic is rational");
  demand(!plain.ok() || plain == rich, "the grammars agree");

  const std::int64_t given[] = {1, 2, 3, 4, 5, 6, 10, 25};
  const hence::view<const std::int64_t> numbers(given, 8);
  const auto once = reward::check_countdown(s, numbers, 24, reward::usage::at_most_once);
  const auto all = reward::check_countdown(s, numbers, 24, reward::usage::all_once);
  demand(all != reward::countdown_fault::none || once == reward::countdown_fault::none,
         "all once is once");
  demand(once != reward::countdown_fault::none || (plain.integer() && plain.num == 24),
         "a solution has the value");
  return 0;
}
