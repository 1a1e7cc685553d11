#include "composition_checks.hpp"

TEST_CASE("every composition over the mean of all rows: closed form and finite differences") {
  fixture::check_in_double(hence::aggregate::sequence_mean_token_mean{});
}
