#include <hence/policy/call_checks.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace aggregate = hence::aggregate;
using hence::detail::layout;

template <class F> std::string refusal_of(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}
template <class A> struct of_aggregation {
  A aggregation;
};
const std::vector<std::int64_t> boundaries{0, 2, 2, 5};

}  // namespace

TEST_CASE("a window counts at least its rows, of what the aggregation counts") {
  const layout b = hence::ragged{boundaries, {}};
  const auto with = [&](auto aggregation, const hence::counts& c, std::int64_t end) {
    const auto d = hence::over_window(aggregation, c);
    return refusal_of([&] { hence::detail::check_window(d, b, 0, end); });
  };
  const hence::counts few{2, 1, 4, 4, 4, 4};
  CHECK(with(aggregate::token_mean{}, few, 3) ==
        "hence: these rows alone count 5, their denominator 4; over_window takes the counts of the "
        "whole window");
  CHECK(with(aggregate::token_mean{}, few, 2) == "accepted");
  CHECK(with(aggregate::sequence_mean_token_mean{}, few, 3) ==
        "hence: these rows alone count 3, their denominator 2; over_window takes the counts of the "
        "whole window");
  CHECK(with(aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}, few, 3) ==
        "hence: these rows alone count 2, their denominator 1; over_window takes the counts of the "
        "whole window");
  CHECK(with(aggregate::constant{1}, few, 3) == "accepted");
}

TEST_CASE("a loss's own number is its denominator") {
  const of_aggregation<aggregate::constant> loss{{96}};
  const auto with = [&](double value) {
    const hence::denominator<aggregate::constant, hence::scope::window> d{value};
    return refusal_of([&] { hence::detail::check_denominator(loss, d); });
  };
  CHECK(with(96) == "accepted");
  CHECK(with(48) == "hence: the loss divides by the constant 96, the denominator is 48");
  CHECK(with(0) == "hence: denominator is 0, expected a positive number");
}
