#include "composition_checks.hpp"

TEST_CASE("every composition over the mean of non-empty rows: closed form and finite differences") {
  fixture::check_in_double(
      hence::aggregate::sequence_mean_token_mean{hence::aggregate::non_empty_rows{}});
}
