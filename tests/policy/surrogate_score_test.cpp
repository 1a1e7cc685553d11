#include "family_checks.hpp"

#include <hence/policy/surrogate_score.hpp>

#include <limits>
#include <stdexcept>

namespace {

using family::rule;
using fixture::check_family;
namespace clip = hence::clip;

template <class Rule> auto token_loss(const Rule& r) {
  return hence::policy_loss{hence::ratio::token{}, r, hence::kl::none{},
                            hence::aggregate::token_mean{}};
}

}  // namespace

TEST_CASE("REINFORCE") {
  check_family({.surrogate = rule::reinforce},
               []<class S>() { return token_loss(clip::reinforce{}); });
}

TEST_CASE("band") {
  check_family({.surrogate = rule::band},
               []<class S>() { return token_loss(clip::band{S(0.75), S(1.25)}); });
}

TEST_CASE("TOPR") {
  check_family({.surrogate = rule::topr, .a = 0, .b = 1},
               []<class S>() { return token_loss(clip::topr{S(0), S(1)}); });
}

TEST_CASE("VESPO, alone and with the corrections that enter its weight") {
  const auto vespo = []<class S>(const auto&... correct) {
    return hence::policy_loss{hence::ratio::token{}, clip::vespo{S(2), S(3), S(3), S(2)},
                              hence::kl::none{}, hence::aggregate::token_mean{}, correct...};
  };
  family::spec s{.surrogate = rule::vespo, .a = 2, .b = 3, .c = 3, .d = 2};
  check_family(s, [&]<class S>() { return vespo.template operator()<S>(); });
  namespace c = hence::correction;
  s.correct = family::correction::token, s.weight_high = 1.03125;
  check_family(s, [&]<class S>() {
    return vespo.template operator()<S>(
        c::rollout{c::token_level{}, c::truncate{S(0), S(1.03125)}, c::policy_only{}});
  });
  s.by = family::mode::mask, s.weight_low = 0.96875;
  check_family(s, [&]<class S>() {  // a weight of 0 counts as 1e-8
    return vespo.template operator()<S>(
        c::rollout{c::token_level{}, c::mask{S(0.96875), S(1.03125)}, c::policy_and_kl{}});
  });
  s.correct = family::correction::geometric, s.by = family::mode::truncate;
  check_family(s, [&]<class S>() {
    return vespo.template operator()<S>(
        c::rollout{c::geometric_level{}, c::truncate{S(0.96875), S(1.03125)}, c::policy_only{}});
  });
}

TEST_CASE("DRO, at every level; A = 0 leaves its square") {
  check_family({.surrogate = rule::dro, .a = 0.5},
               []<class S>() { return token_loss(clip::dro{S(0.5)}); });
  check_family({.at = family::level::sequence, .surrogate = rule::dro, .a = 0.5}, []<class S>() {
    return hence::policy_loss{hence::ratio::sequence{}, clip::dro{S(0.5)}, hence::kl::none{},
                              hence::aggregate::token_mean{}};
  });
}

TEST_CASE(
    "bounds belong to what they bound; a score of 0 is no success, an advantage of 0 is positive") {
  using V = hence::num<double>;
  struct token {
    hence::dual<V, V, hence::zero> ratio;
    hence::dual<V, hence::zero, hence::one> logp;
    V advantage, score, row_sum;
  };
  const auto value = [](const auto& rule, double r, double a, double score = 0,
                        double row_sum = 0) {
    const token t{{V(r), V(r), {}}, {V(-2.0), {}, {}}, V(a), V(score), V(row_sum)};
    return rule(t).value.v;
  };
  const clip::band band{0.5, 2.0};
  CHECK(value(band, 0.5, 3) == 0.5 * 3 * 2);
  CHECK(value(band, 2.0, 3) == 2.0 * 3 * 2);
  CHECK(value(band, 0.4375, 3) == 0);
  CHECK(value(band, 2.0625, 3) == 0);
  const clip::topr topr{0.0, 1.0};
  CHECK(value(topr, 0.25, 3, 0.0) == 0.25 * 3 * 2);
  CHECK(value(topr, 0.25, 3, 0.5) == 3 * 2);
  const clip::vespo vespo{2.0, 3.0, 1e6, 0.0};  // for A < 0 the weight overflows
  CHECK(value(vespo, 1, 0, 0, 1) == 0);
}

TEST_CASE("a score that is missing or NaN is refused or reported") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {4, 3});
  const auto loss = token_loss(clip::topr{0.0f, 1.0f});
  fixture::arrays<float> a(d, fixture::form::ragged);
  auto in = a.inputs();
  in.scores = {};
  CHECK_THROWS_WITH_AS(hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), in,
                                                hence::over_this_call, a.output()),
                       "hence: scores is null, and the surrogate reads them; expected 2 rows",
                       std::invalid_argument);
  d.rows[1].score = std::nan("");
  const auto o = fixture::run(hence::cpu{}, loss, d);
  CHECK(o.loss != o.loss);
  CHECK(has(o.conditions, hence::status::non_finite));
}

TEST_CASE("numbers that make no sense are refused") {
  const auto refusal = [](const auto& rule) -> std::string {
    fixture::dice random(1);
    const auto d = fixture::random_batch(random, {4, 3});
    try {
      fixture::run(hence::reference<double>{}, token_loss(rule), d);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(refusal(clip::band{1.5, 2.0}).starts_with("hence: band has bounds [1.5, 2]"));
  CHECK(refusal(clip::topr{0.0, 0.5}).starts_with("hence: topr has bounds [0, 0.5]"));
  CHECK(refusal(clip::vespo{2.0, 3.0, -3.0, 2.0}).starts_with("hence: vespo has a number -3"));
  CHECK(refusal(clip::vespo{inf, 3.0, 3.0, 2.0}).starts_with("hence: vespo has a number inf"));
  CHECK(refusal(clip::dro{-0.5}).starts_with("hence: dro has beta = -0.5"));
  CHECK(refusal(clip::dro{inf}).starts_with("hence: dro has beta = inf"));
  CHECK(refusal(clip::dro{0.0}) == "accepted");
}

TEST_CASE("what is just accepted, and what is just refused") {
  const auto accepts = [](const auto& part) {
    try {
      part.check();
    } catch (const std::invalid_argument&) {
      return false;
    }
    return true;
  };
  CHECK(accepts(clip::band{1.0, 2.0}));
  CHECK(accepts(clip::topr{0.0, 1.0}));
  CHECK(!accepts(clip::band{1.5, 2.0}));
  CHECK(!accepts(clip::topr{0.0, 0.5}));
  for (const double x : {0.0, 1e6}) {
    CHECK(accepts(clip::vespo{x, 1.0, 1.0, 1.0}));
    CHECK(accepts(clip::vespo{1.0, 1.0, 1.0, x}));
    CHECK(accepts(clip::dro{x}));
  }
  for (const double x : {-1e-9, std::nextafter(1e6, 2e6), std::nan("")}) {
    CHECK(!accepts(clip::vespo{x, 1.0, 1.0, 1.0}));
    CHECK(!accepts(clip::vespo{1.0, 1.0, 1.0, x}));
    CHECK(!accepts(clip::dro{x}));
  }
}

TEST_CASE("DRO through the log-ratio, at every level") {
  check_family({.surrogate = rule::dro_log_ratio, .a = 0.5},
               []<class S>() { return token_loss(clip::dro_log_ratio{S(0.5)}); });
  check_family({.at = family::level::sequence, .surrogate = rule::dro_log_ratio, .a = 0.5},
               []<class S>() {
                 return hence::policy_loss{hence::ratio::sequence{}, clip::dro_log_ratio{S(0.5)},
                                           hence::kl::none{}, hence::aggregate::token_mean{}};
               });
  CHECK_THROWS_AS((clip::dro_log_ratio<float>{-1.0f}.check()), std::invalid_argument);
}
