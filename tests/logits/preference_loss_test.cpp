// Preference losses against the papers' formulas in __float128; gradients against differences of
// those; equal bits; metrics; refusals.
#include <doctest/doctest.h>
#include <hence/logits/per_response.hpp>
#include <hence/logits/preference_loss.hpp>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using real = long double;

real log_sigmoid(real x) { return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); }
real sigmoid_of(real x) { return std::exp(log_sigmoid(x)); }

struct pairs {
  std::vector<double> w, l, rw, rl, c;
};
pairs some_pairs(unsigned seed, std::size_t n, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  pairs p;
  for (std::size_t i = 0; i < n; ++i) {
    // representable in float, so that both scalars see the same numbers
    const auto f = [](double x) { return static_cast<double>(static_cast<float>(x)); };
    p.w.push_back(f(-20 + spread * normal(random)));
    p.l.push_back(f(-21 + spread * normal(random)));
    p.rw.push_back(f(-20 + spread * normal(random)));
    p.rl.push_back(f(-21 + spread * normal(random)));
    p.c.push_back(f(1 + normal(random)));
  }
  return p;
}
template <class S> std::vector<S> as(const std::vector<double>& x) { return {x.begin(), x.end()}; }

template <class S> struct answer {
  std::vector<S> value, chosen, rejected;
  preference_metrics<S> metrics;
};
template <class Executor, class Rule>
auto run(const Executor& executor, const Rule& rule, const pairs& p, bool with_reference = true) {
  using S = typename Executor::scalar;
  const auto w = as<S>(p.w), l = as<S>(p.l), rw = as<S>(p.rw), rl = as<S>(p.rl), c = as<S>(p.c);
  const S unwritten = std::numeric_limits<S>::quiet_NaN();
  answer<S> a;
  a.value.assign(w.size(), unwritten);
  a.chosen = a.rejected = a.value;
  preference_pairs<S> in{.chosen = w, .rejected = l};
  if (with_reference) in.ref_chosen = rw, in.ref_rejected = rl;
  in.cotangent = c;
  a.metrics = preference_loss(executor, rule, in,
                              {.per_pair = a.value, .chosen = a.chosen, .rejected = a.rejected});
  return a;
}

/// \param formula of the four log-probs, from the paper.
template <class Rule32, class Rule64>
void check_rule(const Rule32& of_float, const Rule64& of_double, bool with_reference,
                const std::function<real(real, real, real, real)>& formula) {
  for (const double spread : {0.1, 3.0, 60.0}) {
    const pairs p = some_pairs(7, 200, spread);
    const auto wide = run(reference<double>{}, of_double, p, with_reference);
    const auto narrow = run(reference<float>{}, of_float, p, with_reference);
    const auto packed = run(cpu{}, of_float, p, with_reference);
    for (std::size_t i = 0; i < p.w.size(); ++i) {
      const auto at = [&](real dw, real dl) {
        return formula(real(p.w[i]) + dw, real(p.l[i]) + dl, real(p.rw[i]), real(p.rl[i]));
      };
      const real value = at(0, 0), h = 1e-5L;
      const real by_w = real(p.c[i]) * (at(h, 0) - at(-h, 0)) / (2 * h);
      const real by_l = real(p.c[i]) * (at(0, h) - at(0, -h)) / (2 * h);
      const double scale = 1 + std::abs(double(value));
      CHECK(std::abs(wide.value[i] - double(value)) <= 1e-13 * scale);
      CHECK(std::abs(wide.chosen[i] - double(by_w)) <= 1e-8 * scale * (1 + std::abs(p.c[i])));
      CHECK(std::abs(wide.rejected[i] - double(by_l)) <= 1e-8 * scale * (1 + std::abs(p.c[i])));
      // z is rounded once in float: its error moves the value by the slope
      CHECK(std::abs(double(narrow.value[i]) - double(value)) <= 3e-5 * scale);
      CHECK(std::abs(double(narrow.chosen[i]) - wide.chosen[i]) <=
            3e-5 * scale * (1 + std::abs(p.c[i])));
      CHECK(narrow.rejected[i] == -narrow.chosen[i]);
    }
    CHECK(std::memcmp(narrow.value.data(), packed.value.data(), 4 * p.w.size()) == 0);
    CHECK(std::memcmp(narrow.chosen.data(), packed.chosen.data(), 4 * p.w.size()) == 0);
    CHECK(wide.metrics.found == status::ok);
  }
}

struct hinge {
  float beta;
  static constexpr bool reads_reference = false;
  auto operator()(const auto& z) const { return max(1.0f - z * beta, 0.0f); }
};

}  // namespace

TEST_CASE("DPO, with and without flipped labels") {
  for (const double e : {0.0, 0.125}) {
    check_rule(preference::dpo{0.25f, static_cast<float>(e)}, preference::dpo{0.25, e}, true,
               [&](real w, real l, real rw, real rl) {
                 const real x = 0.25L * ((w - rw) - (l - rl));
                 return -(1 - real(e)) * log_sigmoid(x) - real(e) * log_sigmoid(-x);
               });
  }
}

TEST_CASE("IPO") {
  check_rule(preference::ipo{0.5f}, preference::ipo{0.5}, true,
             [](real w, real l, real rw, real rl) {
               const real d = (w - rw) - (l - rl) - 1 / (2 * 0.5L);
               return d * d;
             });
}

TEST_CASE("SimPO reads no reference") {
  check_rule(preference::simpo{2.0f, 0.5f}, preference::simpo{2.0, 0.5}, false,
             [](real w, real l, real, real) { return -log_sigmoid(2 * w - 2 * l - 0.5L); });
}

TEST_CASE("KTO over single responses") {
  const preference::kto of_double{0.25, 1.5, 0.75};
  const preference::kto of_float{0.25f, 1.5f, 0.75f};
  const pairs p = some_pairs(3, 100, 4);
  std::vector<std::uint8_t> good;
  for (std::size_t i = 0; i < p.w.size(); ++i) good.push_back(i % 3 != 0);
  const double z0 = 0.375;
  const auto compute = [&](auto executor, const auto& rule) {
    using S = typename decltype(executor)::scalar;
    const auto w = as<S>(p.w), r = as<S>(p.rw), c = as<S>(p.c);
    answer<S> a;
    a.value.assign(w.size(), S(0));
    a.chosen = a.value;
    a.metrics = preference_loss(executor, rule, static_cast<S>(z0),
                                {.logp = w, .ref = r, .desirable = good, .cotangent = c},
                                {.per_pair = a.value, .chosen = a.chosen});
    return a;
  };
  const auto wide = compute(reference<double>{}, of_double);
  const auto narrow = compute(reference<float>{}, of_float);
  const auto packed = compute(cpu{}, of_float);
  double rewards = 0;
  for (std::size_t i = 0; i < p.w.size(); ++i) {
    const auto at = [&](real d) {
      const real z = real(p.w[i]) + d - real(p.rw[i]);
      return good[i] ? 1.5L * (1 - sigmoid_of(0.25L * (z - z0)))
                     : 0.75L * (1 - sigmoid_of(0.25L * (z0 - z)));
    };
    CHECK(std::abs(wide.value[i] - double(at(0))) <= 1e-14);
    const real slope = real(p.c[i]) * (at(1e-5L) - at(-1e-5L)) / 2e-5L;
    CHECK(std::abs(wide.chosen[i] - double(slope)) <= 1e-9);
    // pushing a desirable response up lowers the loss
    if (p.c[i] > 0) CHECK((wide.chosen[i] < 0) == (good[i] != 0));
    CHECK(std::abs(double(narrow.value[i]) - wide.value[i]) <= 1e-6);
    CHECK(narrow.value[i] == packed.value[i]);
    CHECK(narrow.chosen[i] == packed.chosen[i]);
    if (good[i]) rewards += 0.25 * (p.w[i] - p.rw[i]);
  }
  CHECK(wide.metrics.chosen_count == 66);
  CHECK(wide.metrics.rejected_count == 34);
  CHECK(wide.metrics.mean_chosen() == doctest::Approx(rewards / 66).epsilon(1e-12));
}

TEST_CASE("metrics are TRL's and merge to the bit") {
  const pairs p = some_pairs(5, 64, 2);
  const preference::dpo rule{0.5, 0.0};
  const auto whole = run(reference<double>{}, rule, p);
  double chosen = 0, rejected = 0;
  int correct = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    chosen += 0.5 * (p.w[i] - p.rw[i]), rejected += 0.5 * (p.l[i] - p.rl[i]);
    correct += p.w[i] - p.rw[i] > p.l[i] - p.rl[i];
  }
  CHECK(correct > 0);
  CHECK(correct < 64);
  CHECK(whole.metrics.accuracy() == correct / 64.0);
  CHECK(whole.metrics.mean_chosen() == doctest::Approx(chosen / 64).epsilon(1e-12));
  CHECK(whole.metrics.mean_rejected() == doctest::Approx(rejected / 64).epsilon(1e-12));
  CHECK(whole.metrics.margin() == doctest::Approx((chosen - rejected) / 64).epsilon(1e-12));

  preference_metrics<float> merged;
  const preference::dpo narrow_rule{0.5f, 0.0f};
  const auto together = run(cpu{}, narrow_rule, p);
  for (std::size_t from = 48; from < 64; from -= 16) {  // the last part first
    pairs part;
    const auto cut = [&](const std::vector<double>& x) {
      return std::vector<double>(x.begin() + static_cast<std::ptrdiff_t>(from),
                                 x.begin() + static_cast<std::ptrdiff_t>(from) + 16);
    };
    part.w = cut(p.w), part.l = cut(p.l), part.rw = cut(p.rw), part.rl = cut(p.rl);
    part.c = cut(p.c);
    merged += run(cpu{}, narrow_rule, part).metrics;
  }
  CHECK(merged.chosen_count == 64);
  CHECK(merged.mean_chosen() == together.metrics.mean_chosen());
  CHECK(merged.mean_rejected() == together.metrics.mean_rejected());
  CHECK(merged.correct == together.metrics.correct);
}

TEST_CASE("a NaN stays in its pair; no pairs are no error") {
  pairs p = some_pairs(6, 8, 1);
  p.w[3] = std::numeric_limits<double>::quiet_NaN();
  const auto a = run(cpu{}, preference::dpo{0.5f, 0.0f}, p);
  CHECK(a.metrics.found == status::non_finite);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(std::isnan(a.value[i]) == (i == 3));
    CHECK(std::isnan(a.chosen[i]) == (i == 3));
  }
  const auto none = run(cpu{}, preference::dpo{0.5f, 0.0f}, pairs{});
  CHECK(none.metrics.found == status::ok);
  CHECK(none.metrics.accuracy() == 0);
  CHECK(none.metrics.mean_chosen() == 0);
}

TEST_CASE("what is absent is not written, and weighs 1") {
  pairs p = some_pairs(8, 9, 2);
  p.c.assign(9, 1.0);
  const auto w = as<float>(p.w), l = as<float>(p.l), rw = as<float>(p.rw), rl = as<float>(p.rl);
  const preference::dpo dpo{0.5f, 0.0f};
  const auto whole = run(cpu{}, dpo, p);
  const preference_pairs<float> in{
      .chosen = w, .rejected = l, .ref_chosen = rw, .ref_rejected = rl};
  std::vector<float> out(9);
  preference_loss(cpu{}, dpo, in, {.per_pair = out});
  CHECK(out == whole.value);
  preference_loss(cpu{}, dpo, in, {.chosen = out});
  CHECK(out == whole.chosen);
  preference_loss(cpu{}, dpo, in, {.rejected = out});
  CHECK(out == whole.rejected);

  std::vector<std::uint8_t> good(9, 0);
  good[2] = good[7] = 1;
  const std::vector<float> ones(9, 1.0f);
  const preference::kto kto{0.25f, 1.5f, 0.75f};
  std::vector<float> value(9), slope(9);
  const auto metrics = preference_loss(cpu{}, kto, 0.5f,
                                       {.logp = w, .ref = rw, .desirable = good, .cotangent = ones},
                                       {.per_pair = value, .chosen = slope});
  CHECK(metrics.found == status::ok);
  preference_loss(cpu{}, kto, 0.5f, {.logp = w, .ref = rw, .desirable = good}, {.per_pair = out});
  CHECK(out == value);
  preference_loss(cpu{}, kto, 0.5f, {.logp = w, .ref = rw, .desirable = good}, {.chosen = out});
  CHECK(out == slope);
  auto bad = w;
  bad[4] = std::nanf("");
  const auto found =
      preference_loss(cpu{}, kto, 0.5f, {.logp = bad, .ref = rw, .desirable = good}, {value});
  CHECK(found.found == status::non_finite);
  CHECK(std::isnan(value[4]));
  CHECK(std::isfinite(value[5]));
}

TEST_CASE("a rule of one's own") {
  pairs p;
  p.w = {-1, -1}, p.l = {-1.25, -9}, p.rw = p.rl = {0, 0}, p.c = {1, 2};
  const auto a = run(cpu{}, hinge{2.0f}, p, false);
  CHECK(a.value == std::vector<float>{0.5f, 0.0f});
  CHECK(a.chosen == std::vector<float>{-2.0f, 0.0f});
  CHECK(a.rejected == std::vector<float>{2.0f, 0.0f});
}

TEST_CASE("the ends of what is accepted") {
  const std::vector<double> at{-1.0};
  std::vector<double> value(1);
  const preference_pairs<double> in{
      .chosen = at, .rejected = at, .ref_chosen = at, .ref_rejected = at};
  const reference<double> exact;
  // equal rewards: the chosen response is not the better one
  CHECK(preference_loss(exact, preference::dpo{1e30, 0.0}, in, {value}).correct == 0);
  CHECK(value[0] == doctest::Approx(0.6931471805599453));
  CHECK(preference_loss(exact, preference::simpo{1.0, 0.0}, in, {value}).found == status::ok);
  CHECK(value[0] == doctest::Approx(0.6931471805599453));
  CHECK(preference_loss(exact, preference::simpo{1.0, 1e30}, in, {value}).found == status::ok);
  CHECK(value[0] == 1e30);
  const std::vector<std::uint8_t> yes(1, 1);
  CHECK(preference_loss(exact, preference::kto{1.0, 1.0, 1.0}, 1e30,
                        {.logp = at, .ref = at, .desirable = yes}, {value})
            .found == status::ok);
  CHECK(value[0] == 1);
}

TEST_CASE("what is refused, before anything is written") {
  std::vector<float> w(3, -1.0f), l(3, -2.0f), r(3, -1.5f), out(3, 7.0f), short_one(2, 0.0f);
  const auto message_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const auto with = [&](auto rule, const preference_pairs<float>& in,
                        const preference_results<float>& to) {
    return message_of([&] { preference_loss(cpu{}, rule, in, to); });
  };
  const preference::dpo dpo{0.1f, 0.0f};
  const preference_pairs<float> good{
      .chosen = w, .rejected = l, .ref_chosen = r, .ref_rejected = r};
  CHECK(contains(with(preference::dpo{0.0f, 0.0f}, good, {out}), "dpo.beta is 0"));
  CHECK(contains(with(preference::dpo{0.1f, 0.5f}, good, {out}), "dpo.flipped is 0.5"));
  CHECK(contains(with(preference::dpo{0.1f, -0.1f}, good, {out}), "dpo.flipped is -0.1"));
  CHECK(contains(with(preference::ipo{-1.0f}, good, {out}), "ipo.beta is -1"));
  CHECK(contains(with(preference::ipo{2e30f}, good, {out}), "ipo.beta is "));
  CHECK(contains(with(preference::simpo{1.0f, 2e30f}, good, {out}), "simpo.margin is "));
  CHECK(contains(with(preference::simpo{1.0f, -1.0f}, good, {out}), "simpo.margin is -1"));
  CHECK(contains(with(dpo, {.chosen = w, .rejected = short_one}, {out}),
                 "in.rejected has 2 entries, expected 3"));
  CHECK(contains(with(dpo, {.chosen = w, .rejected = view<const float>(nullptr, 3)}, {out}),
                 "in.rejected "));
  CHECK(contains(with(dpo, {.chosen = w, .rejected = l}, {out}),
                 "in.ref_chosen is null, expected 3 entries"));
  CHECK(contains(with(dpo, good, {short_one}), "out.per_pair has 2 entries, expected 3"));
  CHECK(contains(with(dpo, good, {w}), "out.per_pair overlaps in.chosen"));
  CHECK(contains(with(dpo, good, {out, out}), "out.chosen overlaps out.per_pair"));
  const std::vector<std::uint8_t> yes(3, 1);
  const preference_singles<float> singles{.logp = w, .ref = r, .desirable = yes};
  const preference::kto kto{0.1f, 1.0f, 1.0f};
  CHECK(contains(message_of([&] { preference_loss(cpu{}, kto, -1.0f, singles, {out}); }),
                 "z0 is -1"));
  CHECK(
      contains(message_of([&] { preference_loss(cpu{}, kto, 2e30f, singles, {out}); }), "z0 is "));
  CHECK(contains(message_of([&] {
                   preference_loss(cpu{}, kto, 0.0f, singles, {.per_pair = {}, .rejected = out});
                 }),
                 "out.rejected is given"));
  CHECK(contains(message_of([&] {
                   preference_loss(cpu{}, preference::kto{0.1f, 0.0f, 1.0f}, 0.0f, singles, {out});
                 }),
                 "kto.desirable is 0"));
  CHECK(out == std::vector<float>(3, 7.0f));
  CHECK(w == std::vector<float>(3, -1.0f));
}
