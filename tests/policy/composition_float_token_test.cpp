#include "composition_checks.hpp"

TEST_CASE("float32 with token ratios: near the closed form, and the same bits from packs") {
  fixture::check_in_float(hence::ratio::token{}, hence::aggregate::token_mean{});
}

TEST_CASE("float32 with limited token ratios: near the closed form, and the same bits from packs") {
  const hence::ratio::log_clamp limit{float(fixture::log_low), float(fixture::log_high)};
  fixture::check_in_float(hence::ratio::token{limit},
                          hence::aggregate::constant{fixture::constant});
}
