#include <hence/policy/correction_row.hpp>
#include <hence/policy/correction_vetoed.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>

TEST_CASE("E, vetoes and tokens of a row, over its live tokens with a policy term") {
  namespace c = hence::correction;
  constexpr c::policy_only scope{};
  const c::truncate any{0.0, 9.0};
  std::vector<double> old{-1, -2, -3, -4, -5}, rollout{-1.5, -2, -2, -9, std::nan("")};
  std::vector<std::uint8_t> response{1, 1, 1, 1, 0}, policy{1, 1, 1, 0, 1};
  hence::detail::row_data<double> row{};
  row.old = old.data(), row.rollout = rollout.data(), row.length = 5;
  row.mask.response = response.data(), row.mask.policy = policy.data();
  const auto of = [&](const auto& correct) {
    return hence::detail::correction_of_row(correct, row);
  };
  const auto tokens = of(c::rollout{c::token_level{}, any, scope});
  CHECK(tokens.e.v == 0);
  CHECK(tokens.vetoes.v == 0);
  CHECK(tokens.tokens == 3);
  CHECK(of(c::rollout{c::sequence_level{}, any, scope}).e.v == -0.5);
  CHECK(of(c::rollout{c::geometric_level{}, any, scope}).e.v == doctest::Approx(-0.5 / 3));
  CHECK(of(c::veto{0.5, 2.0, scope}).e.v == 1);
  const auto both = of(c::vetoed{c::rollout{c::sequence_level{}, any, scope}, 0.5, 1.5});
  CHECK(both.e.v == -0.5);
  CHECK(both.vetoes.v == 2);
  response.assign(5, 0);
  CHECK(of(c::rollout{c::geometric_level{}, any, scope}).tokens == 0);
  CHECK(of(c::rollout{c::geometric_level{}, any, scope}).e.v == 0);
}
