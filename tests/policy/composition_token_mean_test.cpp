#include "composition_checks.hpp"

TEST_CASE("every composition over the token mean: closed form and finite differences") {
  fixture::check_in_double(hence::aggregate::token_mean{});
}
