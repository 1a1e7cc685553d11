#include "composition_checks.hpp"

TEST_CASE("every composition over a constant: closed form and finite differences") {
  fixture::check_in_double(hence::aggregate::constant{fixture::constant});
}
