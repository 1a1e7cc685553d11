#include "composition_checks.hpp"

TEST_CASE("every composition with token ratios: closed form and finite differences") {
  fixture::check_in_double(hence::ratio::token{});
}

TEST_CASE("every composition with limited token ratios: closed form and finite differences") {
  const hence::ratio::log_clamp limit{fixture::log_low, fixture::log_high};
  fixture::check_in_double(hence::ratio::token{limit});
}
