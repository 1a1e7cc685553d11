#include "family_checks.hpp"

#include <hence/policy/surrogate_dppo.hpp>

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

/// What the rules read of a token.
template <class V> struct token {
  hence::dual<V, V, hence::zero> ratio;
  hence::dual<V, hence::zero, hence::one> logp;
  V anchor, advantage;
};

}  // namespace

TEST_CASE("DPPO with total variation") {
  check_family(
      {.surrogate = rule::dppo_tv, .a = 0.03125, .b = 0.0625, .c = 1.25, .score_form = true},
      []<class S>() {
        return token_loss(clip::dppo_tv{S(0.03125), S(0.0625), clip::weight_capped{S(1.25)}});
      });
  check_family({.surrogate = rule::dppo_tv, .a = 0.03125, .b = 0.0625}, []<class S>() {
    return token_loss(clip::dppo_tv{S(0.03125), S(0.0625), clip::through_ratio{}});
  });
}

TEST_CASE("DPPO with the binary KL") {
  check_family(
      {.surrogate = rule::dppo_kl, .a = 0.03125, .b = 0.0078125, .c = 1.25, .score_form = true},
      []<class S>() {
        return token_loss(clip::dppo_kl{S(0.03125), S(0.0078125), clip::weight_capped{S(1.25)}});
      });
  check_family({.surrogate = rule::dppo_kl, .a = 0.03125, .b = 0.0078125}, []<class S>() {
    return token_loss(clip::dppo_kl{S(0.03125), S(0.0078125), clip::through_ratio{}});
  });
}

TEST_CASE("the trust region binds on one side only, and a certain token is inside it") {
  using V = hence::num<float>;
  const auto value = [](const auto& rule, float p, float q, float a) {
    const V r = exp(V(p) - V(q));
    return rule(token<V>{{r, r, {}}, {V(p), {}, {}}, V(q), V(a)}).value.v;
  };
  const clip::dppo_tv tv{0.1f, 0.2f, clip::through_ratio{}};
  const clip::dppo_kl kl{0.05f, 0.05f, clip::through_ratio{}};
  const float half = std::log(0.5f), more = std::log(0.9f), less = std::log(0.1f);
  CHECK(value(tv, more, half, 1) == 0);
  CHECK(value(tv, more, half, -1) != 0);
  CHECK(value(tv, less, half, -1) == 0);
  CHECK(value(tv, less, half, 1) != 0);
  CHECK(value(kl, more, half, 1) == 0);
  CHECK(value(kl, more, half, -1) != 0);
  CHECK(value(kl, less, half, -1) == 0);
  CHECK(value(kl, less, half, 1) != 0);
  CHECK(value(kl, 0.0f, 0.0f, 1) == -1);  // P = Q = 1
  CHECK(value(kl, 0.0f, -1e-9f, 1) != 0);
  CHECK(value(kl, -80.0f, -80.0f, -1) == 1);
}

TEST_CASE("a token on the edge of the trust region is inside it") {
  using V = hence::num<double>;
  const auto is_kept = [](const auto& rule, double p, double q, double a) {
    return rule(token<V>{{V(1.0), V(1.0), {}}, {V(p), {}, {}}, V(q), V(a)}).value.v != 0;
  };
  const clip::through_ratio form{};
  for (const double q : {-0.5, -3.0})
    for (const double p : {q - 0.25, q + 0.25}) {
      const double a = p > q ? 1.0 : -1.0;  // the side on which the region binds
      const V x = p, y = q, tiny = 1e-8;    // num: not contracted by the compiler
      const double moved = abs(exp(x) - exp(y)).v;
      const double kl =
          (exp(y) * (y - x) - expm1(y) * (log(tiny - expm1(y)) - log(tiny - expm1(x)))).v;
      for (const double inside : {1.0, 1 - 1e-9}) {
        CHECK(is_kept(clip::dppo_tv{moved * inside, moved * inside, form}, p, q, a) ==
              (inside == 1));
        CHECK(is_kept(clip::dppo_kl{kl * inside, kl * inside, form}, p, q, a) == (inside == 1));
      }
      CHECK(is_kept(clip::dppo_kl{0.0, 0.0, form}, p, q, -a));
    }
  for (const double a : {1.0, -1.0})  // rounded above 0, where the divergence is no number
    CHECK(is_kept(clip::dppo_kl{0.0, 0.0, form}, 1e-6, 1e-6, a));
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
  CHECK(refusal(clip::dppo_tv{-0.1, 0.2, clip::through_ratio{}}) ==
        "hence: dppo_tv has deltas -0.1 and 0.2, expected 0 or more");
  CHECK(refusal(clip::dppo_kl{0.1, std::nan(""), clip::through_ratio{}}) ==
        "hence: dppo_kl has deltas 0.1 and nan, expected 0 or more");
  CHECK(refusal(clip::dppo_tv{0.1, 0.2, clip::weight_capped{0.0}}) ==
        "hence: weight_capped has cap 0, expected it above 0");
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
  const clip::through_ratio ratio{};
  CHECK(accepts(clip::dppo_tv{0.0, 0.0, ratio}));
  CHECK(accepts(clip::dppo_kl{0.0, 0.0, ratio}));
  for (const double x : {-1e-9, std::nan("")}) {
    CHECK(!accepts(clip::dppo_tv{x, 0.5, ratio}));
    CHECK(!accepts(clip::dppo_tv{0.5, x, ratio}));
    CHECK(!accepts(clip::dppo_kl{x, 0.5, ratio}));
    CHECK(!accepts(clip::dppo_kl{0.5, x, ratio}));
  }
  CHECK(accepts(clip::weight_capped{0x1p-1000}));
  CHECK(!accepts(clip::weight_capped{0.0}));
  CHECK(!accepts(clip::dppo_tv{0.5, 0.5, clip::weight_capped{0.0}}));
  CHECK(!accepts(clip::dppo_kl{0.5, 0.5, clip::weight_capped{0.0}}));
}
