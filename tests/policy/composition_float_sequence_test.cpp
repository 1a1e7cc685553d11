#include "composition_checks.hpp"

TEST_CASE("float32 with sequence ratios: near the closed form, and the same bits from packs") {
  fixture::check_in_float(hence::ratio::sequence{}, hence::aggregate::sequence_mean_token_mean{});
}

TEST_CASE("float32 with limited sequence ratios: near the closed form, same bits from packs") {
  const hence::ratio::log_clamp limit{float(fixture::log_low), float(fixture::log_high)};
  fixture::check_in_float(hence::ratio::sequence{limit}, hence::aggregate::sequence_mean_token_mean{
                                                             hence::aggregate::non_empty_rows{}});
}
