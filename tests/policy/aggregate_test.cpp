#include "compositions.hpp"

#include <doctest/doctest.h>
#include <stdexcept>

namespace {

using fixture::run;
using fixture::same_bits;
namespace aggregate = hence::aggregate;

template <class A> auto loss_with(A a) {
  return hence::policy_loss{hence::ratio::token{}, hence::clip::two_sided{0.75f, 1.25f},
                            hence::kl::k3{0.0625f}, a};
}

}  // namespace

TEST_CASE("the denominator of each aggregation, never below 1") {
  hence::counts c;
  c.rows = 7, c.non_empty_rows = 5, c.tokens = 40, c.policy_tokens = 30;
  const hence::counts none{};
  CHECK(hence::over_window(aggregate::token_mean{}, c).value == 40);
  CHECK(hence::over_window(aggregate::sequence_mean_token_mean{}, c).value == 7);
  CHECK(hence::over_window(aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}, c)
            .value == 5);
  CHECK(hence::over_window(aggregate::sequence_mean_token_mean_over{64}, c).value == 64);
  CHECK(hence::over_all_ranks(aggregate::constant{0.5}, c).value == 0.5);
  CHECK(hence::over_window(aggregate::token_mean{}, none).value == 1);
  CHECK(hence::over_window(aggregate::sequence_mean_token_mean{}, none).value == 1);
  CHECK(
      hence::over_all_ranks(aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}, none)
          .value == 1);
  hence::counts many;
  many.tokens = (std::int64_t{1} << 40) + 1;
  CHECK(hence::over_window(aggregate::token_mean{}, many).value == 0x1p40 + 1);
}

TEST_CASE("what a row is divided by") {
  CHECK(aggregate::token_mean::row_divisor(9) == 1);
  CHECK(aggregate::constant::row_divisor(9) == 1);
  CHECK(aggregate::sequence_mean_token_mean<>::row_divisor(9) == 9);
  CHECK(aggregate::sequence_mean_token_mean<>::row_divisor(0) == 1);
  CHECK(aggregate::sequence_mean_token_mean_over::row_divisor(4) == 4);
  CHECK(!aggregate::token_mean::divides_rows);
  CHECK(!aggregate::constant::divides_rows);
  CHECK(aggregate::sequence_mean_token_mean<aggregate::non_empty_rows>::divides_rows);
  CHECK(aggregate::sequence_mean_token_mean_over::divides_rows);
}

TEST_CASE("the scope is part of the denominator's type") {
  const hence::counts c{};
  const aggregate::token_mean mean;
  CHECK(std::is_same_v<decltype(hence::over_window(mean, c)),
                       hence::denominator<aggregate::token_mean, hence::scope::window>>);
  CHECK(std::is_same_v<decltype(hence::over_all_ranks(mean, c)),
                       hence::denominator<aggregate::token_mean, hence::scope::ranks>>);
}

TEST_CASE("of one sequence, the token mean is the mean of the sequence, to the bit") {
  fixture::dice random(3);
  for (int k = 0; k < 50; ++k) {
    const auto d = fixture::random_batch(random, {1 + random.below(90)}, {.live = 0.9});
    const auto tokens = run(hence::cpu{}, loss_with(aggregate::token_mean{}), d);
    CHECK(
        same_bits(tokens, run(hence::cpu{}, loss_with(aggregate::sequence_mean_token_mean{}), d)));
    CHECK(same_bits(tokens,
                    run(hence::cpu{},
                        loss_with(aggregate::sequence_mean_token_mean{aggregate::all_rows{}}), d)));
  }
}

TEST_CASE("a number of rows that is the number of rows, and a constant that is N") {
  fixture::dice random(4);
  const auto d = fixture::random_batch(random, {5, 0, 9, 3});
  CHECK(same_bits(run(hence::cpu{}, loss_with(aggregate::sequence_mean_token_mean{}), d),
                  run(hence::cpu{}, loss_with(aggregate::sequence_mean_token_mean_over{4}), d)));
  CHECK(
      same_bits(run(hence::cpu{},
                    loss_with(aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}), d),
                run(hence::cpu{}, loss_with(aggregate::sequence_mean_token_mean_over{3}), d)));
  CHECK(same_bits(run(hence::cpu{}, loss_with(aggregate::token_mean{}), d),
                  run(hence::cpu{}, loss_with(aggregate::constant{17}), d)));
}

TEST_CASE("a window's denominator is used as it is, whatever this call holds") {
  fixture::dice random(5);
  const auto d = fixture::random_batch(random, {5, 9});
  const auto loss = loss_with(aggregate::token_mean{});
  hence::counts c;
  c.tokens = 56;
  const auto one = run(hence::cpu{}, loss, d);
  const auto window =
      run(hence::cpu{}, loss, d, fixture::form::ragged, hence::over_window(loss.aggregation, c));
  CHECK(window.loss == one.loss / 4);
  const auto ranks =
      run(hence::cpu{}, loss, d, fixture::form::ragged, hence::over_all_ranks(loss.aggregation, c));
  CHECK(same_bits(window, ranks));
}

TEST_CASE("given numbers are positive and finite") {
  const auto accepts = [](double x) {
    try {
      const double a = hence::over_window(aggregate::constant{x}, hence::counts{}).value;
      CHECK(a == x);
      const double b =
          hence::over_window(aggregate::sequence_mean_token_sum_over{x}, hence::counts{}).value;
      CHECK(b == x);
    } catch (const std::invalid_argument&) {
      return false;
    }
    return true;
  };
  CHECK(accepts(0x1p-1000));
  CHECK(accepts(1.7e308));
  CHECK(!accepts(0));
  CHECK(!accepts(-1));
  CHECK(!accepts(std::nextafter(1.7e308, HUGE_VAL)));
  CHECK(!accepts(HUGE_VAL));
  CHECK(!accepts(std::nan("")));
  using mean = aggregate::sequence_mean_token_mean_over;
  CHECK(mean::row_divisor(0) == 1);
  CHECK(mean::row_divisor(1) == 1);
  CHECK(aggregate::sequence_mean_token_sum_over::row_divisor(9) == 1);
  CHECK(aggregate::sequence_mean_token_sum<>::row_divisor(9) == 1);
  CHECK(!aggregate::sequence_mean_token_sum_over::divides_rows);
  CHECK(!aggregate::sequence_mean_token_sum<>::divides_rows);
  hence::counts c;
  c.rows = 7, c.non_empty_rows = 5;
  CHECK(hence::over_window(aggregate::sequence_mean_token_sum{}, c).value == 7);
  CHECK(hence::over_window(aggregate::sequence_mean_token_sum{aggregate::non_empty_rows{}}, c)
            .value == 5);
}

TEST_CASE("results over a number of rows that the caller knows add up, whatever the rows") {
  fixture::dice random(5);
  const auto d = fixture::random_batch(random, {3, 4, 2});
  const auto check = [&](const auto& a) {
    fixture::arrays<float> x(d, fixture::form::ragged);
    const auto window = hence::over_window(a, hence::counts{});
    auto once = hence::loss_and_gradient(hence::cpu{}, loss_with(a), x.ragged(), x.inputs(), window,
                                         x.output());
    const double alone = once.loss();
    once += hence::loss_and_gradient(hence::cpu{}, loss_with(a), x.ragged(), x.inputs(), window,
                                     x.output());
    CHECK(once.loss() == 2 * alone);
    CHECK(alone != 0);
  };
  check(aggregate::sequence_mean_token_mean_over{4});  // 6 rows in all
  check(aggregate::sequence_mean_token_sum_over{4});
  check(aggregate::constant{4});
}
