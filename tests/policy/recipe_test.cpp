#include "compositions.hpp"

#include <hence/policy/recipe.hpp>

#include <doctest/doctest.h>
#include <limits>

namespace {

using fixture::spec_of;
namespace aggregate = hence::aggregate;
namespace kl = hence::kl;
namespace recipe = hence::recipe;
using hence::ratio::token;

template <class Loss> constexpr bool token_level = std::is_same_v<decltype(Loss::ratio), token<>>;

}  // namespace

TEST_CASE("grpo: DeepSeekMath's equation 3 with its coefficient 0.04") {
  const auto l = recipe::grpo<double>(0.25);
  CHECK(token_level<decltype(l)>);
  CHECK(l.surrogate.low == 0.75);
  CHECK(l.surrogate.high == 1.25);
  CHECK(std::is_same_v<std::remove_cvref_t<decltype(l.kl)>, kl::k3<double, kl::own>>);
  CHECK(l.kl.coef == 0.04);
  CHECK(std::is_same_v<decltype(l.aggregation),
                       aggregate::sequence_mean_token_mean<aggregate::all_rows>>);
  CHECK(recipe::grpo(0.2f, 0.5f).kl.coef == 0.5f);
  CHECK(recipe::grpo(0.2f).kl.coef == 0.04f);
}

TEST_CASE("dapo: 0.2 below, 0.28 above, the token mean and no KL") {
  const auto l = recipe::dapo();
  CHECK(token_level<decltype(l)>);
  CHECK(l.surrogate.low == 0.8f);
  CHECK(l.surrogate.high == 1.28f);
  CHECK(recipe::dapo<double>().surrogate.high == 1.28);
  CHECK(std::is_same_v<std::remove_cvref_t<decltype(l.kl)>, kl::none>);
  CHECK(std::is_same_v<decltype(l.aggregation), aggregate::token_mean>);
}

TEST_CASE("cispo: no lower bound, the upper one is the caller's") {
  const auto l = recipe::cispo(5.0f);
  CHECK(token_level<decltype(l)>);
  CHECK(l.surrogate.low == -std::numeric_limits<float>::infinity());
  CHECK(l.surrogate.high == 5.0f);
  CHECK(std::is_same_v<decltype(l.surrogate), hence::clip::cispo<float>>);
  CHECK(std::is_same_v<decltype(l.aggregation), aggregate::token_mean>);
}

TEST_CASE("dr_grpo: divides by rows times the longest completion") {
  const auto l = recipe::dr_grpo(0.2f, 128, 3000);
  CHECK(recipe::dr_grpo(0.25, 128, 3000).surrogate.low == 0.75);
  CHECK(recipe::dr_grpo(0.25, 128, 3000).surrogate.high == 1.25);
  CHECK(l.aggregation.value == 384000);
  CHECK(std::is_same_v<decltype(l.kl), kl::none>);
  CHECK(std::is_same_v<decltype(l.surrogate), hence::clip::two_sided<float>>);
}

TEST_CASE("deepseek_r1_stage1: epsilon 10, coefficient 0.001; the lower bound never binds") {
  const auto l = recipe::deepseek_r1_stage1<double>();
  CHECK(token_level<decltype(l)>);
  CHECK(l.surrogate.low == -9);
  CHECK(l.surrogate.high == 11);
  CHECK(l.kl.coef == 0.001);
}

TEST_CASE("every recipe runs, in both arithmetics, as the oracle says") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {30, 0, 7});
  const auto check = [&](const auto& wide, const auto& narrow) {
    const auto e = oracle::evaluate(spec_of(wide), d);
    CHECK(run(hence::reference<double>{}, wide, d).loss ==
          doctest::Approx(static_cast<double>(e.loss)).epsilon(1e-13));
    CHECK(std::fabs(run(hence::cpu{}, narrow, d).loss - static_cast<double>(e.loss)) <
          5e-6 * static_cast<double>(e.size));
  };
  check(recipe::grpo(0.25), recipe::grpo(0.25f));
  check(recipe::dapo<double>(), recipe::dapo());
  check(recipe::cispo(3.0), recipe::cispo(3.0f));
  check(recipe::dr_grpo(0.25, 4, 50), recipe::dr_grpo(0.25f, 4, 50));
  check(recipe::deepseek_r1_stage1<double>(), recipe::deepseek_r1_stage1());
}
