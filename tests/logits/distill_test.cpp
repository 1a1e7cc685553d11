// Distillation losses against their definitions in long double; gradients against differences of
// those; equal bits; dead tokens; refusals.
#include <doctest/doctest.h>
#include <hence/logits/distill.hpp>
#include <hence/threads/pool.hpp>
#include <refusal.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using real = long double;
constexpr float inf = std::numeric_limits<float>::infinity();

std::vector<real> log_softmax(const std::vector<real>& x, double temperature) {
  real top = -HUGE_VALL, sum = 0;
  for (const real v : x) top = std::max(top, v / real(temperature));
  for (const real v : x) sum += std::exp(v / real(temperature) - top);
  std::vector<real> r;
  for (const real v : x) r.push_back(v / real(temperature) - top - std::log(sum));
  return r;
}
real times(real p, real x) { return p > 0 ? p * x : 0; }

/// \param beta as the contract: 0 forward, 1 reverse.
real jsd(const std::vector<real>& s, const std::vector<real>& q, real beta) {
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const real a = std::exp(s[i]), b = std::exp(q[i]);
    if (beta == 0) {
      sum += times(b, q[i] - s[i]);
    } else if (beta == 1) {
      sum += times(a, s[i] - q[i]);
    } else {
      const real m = std::log((1 - beta) * a + beta * b);
      sum += beta * times(b, q[i] - m) + (1 - beta) * times(a, s[i] - m);
    }
  }
  return sum;
}

struct answer {
  std::vector<float> per_token, gradient;
  status found = status::ok;
  bool operator==(const answer& o) const {
    return std::memcmp(per_token.data(), o.per_token.data(), 4 * per_token.size()) == 0 &&
           std::memcmp(gradient.data(), o.gradient.data(), 4 * gradient.size()) == 0 &&
           found == o.found;
  }
};

template <class Executor, class How>
answer run(const Executor& executor, const How& how, const std::vector<float>& x,
           const std::vector<float>& y, std::int64_t rows, double temperature,
           const std::vector<std::uint8_t>& mask = {}) {
  answer a{std::vector<float>(std::size_t(rows), NAN), std::vector<float>(x.size(), NAN), {}};
  const std::int64_t columns = static_cast<std::int64_t>(x.size()) / rows;
  const std::vector<float> cot(std::size_t(rows), 0.5f);
  distill_inputs<float> in{.cotangent = cot};
  if (!mask.empty()) in.mask = mask;
  a.found = distill(
      executor, how, {.temperature = temperature}, view<const float, 2>(x.data(), rows, columns),
      view<const float, 2>(y.data(), rows, columns), in,
      {.per_token = a.per_token, .gradient = view<float, 2>(a.gradient.data(), rows, columns)});
  return a;
}

template <class How>
void against_definition(
    const How& how,
    const std::function<real(const std::vector<real>&, const std::vector<real>&)>& definition,
    bool masked) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  for (const std::size_t columns : {2u, 17u, 300u})
    for (const float offset : {0.0f, 5000.0f})
      for (const double temperature : {1.0, 0.8}) {
        std::vector<float> x(columns), y(columns);
        for (std::size_t i = 0; i < columns; ++i) {
          x[i] = normal(random) + offset, y[i] = x[i] + 0.5f * normal(random);
          if (masked && i % 5 == 1) x[i] = -inf;
          if (masked && i % 7 == 1) y[i] = -inf;
        }
        const answer a = run(cpu{}, how, x, y, 1, temperature);
        CHECK(a.found == status::ok);
        CHECK(a == run(reference<float>{}, how, x, y, 1, temperature));
        const std::vector<real> q = log_softmax({y.begin(), y.end()}, temperature);
        const auto value = [&](const std::vector<real>& z) {
          return definition(log_softmax(z, temperature), q);
        };
        const std::vector<real> z(x.begin(), x.end());
        CHECK(std::abs(double(real(a.per_token[0]) - value(z))) <
              2e-6 * (1 + std::abs(double(value(z)))));
        double worst = 0;
        for (std::size_t i = 0; i < columns; i += columns > 100 ? 7 : 1) {
          if (x[i] == -inf) {
            CHECK(a.gradient[i] == 0);
            continue;
          }
          std::vector<real> up = z, down = z;
          up[i] += 1e-4L, down[i] -= 1e-4L;
          const real slope = (value(up) - value(down)) / 2e-4L;
          worst = std::max(worst, std::abs(double(real(a.gradient[i]) - real(0.5) * slope)));
        }
        CHECK(worst < 1e-6);
      }
}

TEST_CASE("values and gradients are those of the definitions") {
  using divergence::forward_kl, divergence::reverse_kl, divergence::mixed_kl,
      divergence::generalized_jsd;
  using list = const std::vector<real>&;
  against_definition(forward_kl{}, [](list s, list q) { return jsd(s, q, 0); }, false);
  against_definition(reverse_kl{}, [](list s, list q) { return jsd(s, q, 1); }, false);
  against_definition(
      mixed_kl{0.25f}, [](list s, list q) { return 0.25L * jsd(s, q, 0) + 0.75L * jsd(s, q, 1); },
      false);
  for (const float beta : {0.1f, 0.5f, 0.9f})
    for (const bool masked : {false, true})
      against_definition(
          generalized_jsd{beta}, [&](list s, list q) { return jsd(s, q, real(beta)); }, masked);
}

/// Numbers whose float64 sum depends on its order: lanes of 16 and a tree over them, written out.
TEST_CASE("sums by column do not know the register width") {
  constexpr int n = 48;
  using V = typename detail::distiller<cpu<>>::V;
  std::mt19937 random(17);
  int in_order = 0;
  for (int round = 0; round < 50; ++round) {
    float x[n];
    double lane[16] = {}, from_left = 0;
    for (int i = 0; i < n; ++i) {
      const auto size = static_cast<int>(random() % 60);
      x[i] = std::ldexp(float(random() % 4001) - 2000.0f, size);
      lane[i % 16] += double(x[i]);
      from_left += double(x[i]);
    }
    for (int half = 8; half >= 1; half /= 2)
      for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    detail::column_sum<native_isa> one, wide;
    for (int i = 0; i < n; ++i) one.add(i, double(x[i]));
    for (int i = 0; i < n; i += detail::lane_count<V>) wide.add_lanes(i, detail::load_as<V>(x + i));
    CHECK(one.value() == lane[0]);
    CHECK(wide.value() == lane[0]);
    in_order += from_left == lane[0];
  }
  CHECK(in_order < 25);  // so that another order is seen
}

TEST_CASE("equal distributions are 0 apart; in place; dead tokens; bad rows") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> x(5 * 40), y(x.size());
  for (float& v : x) v = normal(random);
  for (float& v : y) v = normal(random);
  const divergence::generalized_jsd how{0.5f};
  const answer equal = run(cpu{}, how, x, x, 5, 1.0);
  for (const float v : equal.per_token) CHECK(v == 0);
  answer whole = run(cpu{}, how, x, y, 5, 1.0);
  std::vector<float> slopes(x.size());
  distill(cpu{}, how, {.temperature = 1.0}, view<const float, 2>(x.data(), 5, 40),
          view<const float, 2>(y.data(), 5, 40), {},
          {.gradient = view<float, 2>(slopes.data(), 5, 40)});
  for (std::size_t i = 0; i < slopes.size(); ++i) CHECK(slopes[i] == 2 * whole.gradient[i]);
  std::vector<float> values(5);
  distill(cpu{}, how, {.temperature = 1.0}, view<const float, 2>(x.data(), 5, 40),
          view<const float, 2>(y.data(), 5, 40), {}, {.per_token = values});
  CHECK(values == whole.per_token);
  std::vector<float> place = x;
  const std::vector<float> cot(5, 0.5f);
  distill(cpu{}, how, {.temperature = 1.0}, view<float, 2>(place.data(), 5, 40),
          view<const float, 2>(y.data(), 5, 40), distill_inputs<float>{.cotangent = cot},
          {.gradient = view<float, 2>(place.data(), 5, 40)});
  CHECK(place == whole.gradient);
  for (std::size_t i = 0; i < 40; ++i) x[40 + i] = NAN, y[80 + i] = inf;
  const answer masked = run(cpu{}, how, x, y, 5, 1.0, {1, 0, 0, 1, 1});
  CHECK(masked.found == status::ok);
  CHECK(masked.per_token[1] == 0);
  CHECK(std::count(masked.gradient.begin() + 40, masked.gradient.begin() + 120, 0.0f) == 80);
  CHECK(masked.per_token[3] == whole.per_token[3]);
  const answer bad = run(cpu{}, how, x, y, 5, 1.0);
  CHECK(bad.found == status::non_finite);
  CHECK(std::isnan(bad.per_token[1]));
  CHECK(std::isnan(bad.gradient[81]));
  CHECK(bad.per_token[4] == whole.per_token[4]);
  std::vector<float> narrower(x.begin(), x.begin() + 40);
  narrower[3] = -inf;
  CHECK(run(cpu{}, divergence::forward_kl{}, narrower,
            std::vector<float>(x.begin(), x.begin() + 40), 1, 1.0)
            .found == status::non_finite);
}

TEST_CASE("threads leave no trace") {
  constexpr std::int64_t rows = 29, columns = 9000;  // 7 rows at a time
  std::mt19937 random(6);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(std::size_t(rows * columns)), y(x.size());
  for (auto* v : {&x, &y})
    for (float& f : *v) f = normal(random);
  x[5 * columns] = NAN;
  std::vector<std::uint8_t> mask(std::size_t(rows), 1);
  mask[9] = 0;
  const divergence::reverse_kl how;
  const answer whole = run(cpu{}, how, x, y, rows, 0.9, mask);
  CHECK(whole.found == status::non_finite);
  const std::vector<std::int64_t> ids(std::size_t(rows * 3), 7);
  const std::vector<float> q(ids.size(), -1.0f);
  const auto top = [&](const auto& executor) {
    answer a{std::vector<float>(std::size_t(rows), NAN), std::vector<float>(x.size(), NAN), {}};
    a.found = distill_top_k(
        executor, {.temperature = 0.9}, view<const float, 2>(x.data(), rows, columns),
        view<const std::int64_t, 2>(ids.data(), rows, 3), view<const float, 2>(q.data(), rows, 3),
        {},
        {.per_token = a.per_token, .gradient = view<float, 2>(a.gradient.data(), rows, columns)});
    return a;
  };
  for (const int threads : {1, 2, 3, 7}) {
    thread_pool pool(threads);
    CHECK(run(cpu{pool}, how, x, y, rows, 0.9, mask) == whole);
    CHECK(top(cpu{pool}) == top(cpu{}));
  }
}

TEST_CASE("the teacher's largest tokens") {
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(60);
  for (float& v : x) v = normal(random);
  const std::vector<std::int64_t> ids{5, 50, 7};
  const std::vector<float> q{-0.5f, -1.5f, -6.0f};
  struct setting {
    double least, low, high;
  };
  for (const setting& at : {setting{-HUGE_VAL, -HUGE_VAL, HUGE_VAL},
                            setting{-4, -HUGE_VAL, HUGE_VAL}, setting{-HUGE_VAL, -1, 0.01}}) {
    const double least = at.least, low = at.low, high = at.high;
    std::vector<float> value(1), gradient(60), other(60);
    const auto call = [&](const auto& executor, std::vector<float>& to) {
      return distill_top_k(
          executor,
          {.temperature = 0.9, .log_prob_min = least, .clamp_min = low, .clamp_max = high},
          view<const float, 2>(x.data(), 1, 60), view<const std::int64_t, 2>(ids.data(), 1, 3),
          view<const float, 2>(q.data(), 1, 3), {},
          {.per_token = value, .gradient = view<float, 2>(to.data(), 1, 60)});
    };
    CHECK(call(cpu{}, gradient) == status::ok);
    CHECK(call(reference<float>{}, other) == status::ok);
    CHECK(gradient == other);
    const auto definition = [&](const std::vector<real>& z) {
      const auto s = log_softmax(z, 0.9);
      real sum = 0;
      for (std::size_t j = 0; j < 3; ++j) {
        const real a = std::max(real(q[j]), real(least)),
                   b = std::max(s[std::size_t(ids[j])], real(least));
        sum += std::exp(a) * (a - b);
      }
      return std::clamp(sum, real(low), real(high));
    };
    const std::vector<real> z(x.begin(), x.end());
    CHECK(double(value[0]) == doctest::Approx(double(definition(z))).epsilon(1e-6));
    for (std::size_t i = 0; i < 60; i += 1) {
      auto up = z, down = z;
      up[i] += 1e-4L, down[i] -= 1e-4L;
      CHECK(std::abs(double(gradient[i]) - double((definition(up) - definition(down)) / 2e-4L)) <
            1e-6);
    }
  }
}

TEST_CASE("the teacher's largest tokens: rows of any stride, ends that are equal") {
  std::mt19937 random(12);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(3 * 9), q(3 * 5);
  for (float& v : x) v = normal(random);
  for (float& v : q) v = -std::abs(normal(random));
  const std::vector<std::int64_t> ids{0, 1, 7, 7, 7, 4, 2, 7, 7, 7, 6, 5, 7, 7, 7};
  const auto call = [&](std::int64_t first, std::int64_t rows, const distill_top_k_rule& rule) {
    std::vector<float> value(static_cast<std::size_t>(rows));
    const status found = distill_top_k(
        cpu{}, rule, view<const float, 2>(x.data() + 9 * first, rows, 8, 9),
        view<const std::int64_t, 2>(ids.data() + 5 * first, rows, 2, 5),
        view<const float, 2>(q.data() + 5 * first, rows, 2, 5), {}, {.per_token = value});
    CHECK(found == status::ok);
    return value;
  };
  const auto all = call(0, 3, {.temperature = 1.0});
  for (std::int64_t t = 0; t < 3; ++t)
    CHECK(call(t, 1, {.temperature = 1.0})[0] == all[static_cast<std::size_t>(t)]);
  CHECK(all[0] != all[1]);
  CHECK(call(0, 3, {.temperature = 1.0, .clamp_min = 0.5, .clamp_max = 0.5}) ==
        std::vector<float>(3, 0.5f));
  for (const double least : {double(NAN), HUGE_VAL})
    CHECK_THROWS_AS(call(0, 3, {.temperature = 1.0, .log_prob_min = least}), std::invalid_argument);
  // a token that is shown twice
  const std::vector<std::int64_t> twice{4, 2, 4};
  const std::vector<float> shown{-1, -2, -3};
  std::vector<float> value(1, 7.0f), gradient(8, 7.0f);
  CHECK(distill_top_k(cpu{}, {.temperature = 1.0}, view<const float, 2>(x.data(), 1, 8),
                      view<const std::int64_t, 2>(twice.data(), 1, 3),
                      view<const float, 2>(shown.data(), 1, 3), {},
                      {.per_token = value, .gradient = view<float, 2>(gradient.data(), 1, 8)}) ==
        status::label);
  CHECK(std::isnan(value[0]));
  CHECK(std::isnan(gradient[0]));
}

TEST_CASE("the teacher's largest tokens: dead tokens, bad ids, outputs apart") {
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(4 * 7);
  for (float& v : x) v = normal(random);
  x[3 * 7 + 2] = NAN;
  std::vector<std::int64_t> ids{0, 6, 1, -1, 3, 7, 4, 5};
  const std::vector<float> q{-0.5f, -1.5f, -0.4f, -2.0f, -1.0f, -1.0f, -0.7f, -0.9f};
  std::vector<std::uint8_t> mask(4, 1);
  const auto call = [&](const distill_results<float>& to, std::int64_t rows = 4) {
    return distill_top_k(cpu{}, {.temperature = 0.9}, view<const float, 2>(x.data(), rows, 7),
                         view<const std::int64_t, 2>(ids.data(), rows, 2),
                         view<const float, 2>(q.data(), rows, 2),
                         {.mask = view<const std::uint8_t>(mask.data(), rows)}, to);
  };
  std::vector<float> value(4, 9.0f), gradient(x.size(), 9.0f);
  const distill_results<float> both{.per_token = value,
                                    .gradient = view<float, 2>(gradient.data(), 4, 7)};
  CHECK(call(both) == (status::label | status::non_finite));
  CHECK(std::isfinite(value[0]));
  for (const std::size_t t : {1u, 2u, 3u}) {
    CHECK(std::isnan(value[t]));
    CHECK(std::isnan(gradient[t * 7 + 4]));
  }
  mask = {1, 0, 0, 0};
  CHECK(call(both) == status::ok);
  for (const std::size_t t : {1u, 2u, 3u}) {
    CHECK(value[t] == 0);
    CHECK(std::count(gradient.begin() + std::ptrdiff_t(t * 7),
                     gradient.begin() + std::ptrdiff_t(t * 7 + 7), 0.0f) == 7);
  }
  std::vector<float> alone(1, 9.0f), slope(7, 9.0f);
  CHECK(call({.per_token = alone}, 1) == status::ok);
  CHECK(alone[0] == value[0]);
  CHECK(call({.gradient = view<float, 2>(slope.data(), 1, 7)}, 1) == status::ok);
  CHECK(std::equal(slope.begin(), slope.end(), gradient.begin()));
  // no row has a value without its slope, nor the slope without the value
  mask = {1, 1, 1, 1};
  std::fill(gradient.begin(), gradient.end(), 9.0f);
  CHECK(call({.gradient = view<float, 2>(gradient.data(), 4, 7)}) ==
        (status::label | status::non_finite));
  CHECK(std::isnan(gradient[7]));
}

TEST_CASE("the rest is nothing where the k are all there is") {
  std::vector<float> x{0.5f, -1.0f, 2.0f}, value(1), gradient(3), plain(3);
  const std::vector<std::int64_t> ids{2, 0, 1};
  const auto s = log_softmax({0.0L, 1.0L, 0.5L}, 1);
  const std::vector<float> q{float(s[0]), float(s[1]), float(s[2])};
  const auto call = [&](auto rest, std::vector<float>& to) {
    distill_top_k(cpu{}, divergence::reverse_kl{}, rest, {.temperature = 1.0},
                  view<const float, 2>(x.data(), 1, 3),
                  view<const std::int64_t, 2>(ids.data(), 1, 3),
                  view<const float, 2>(q.data(), 1, 3), {},
                  {.per_token = value, .gradient = view<float, 2>(to.data(), 1, 3)});
    return value[0];
  };
  const float with = call(tail::one_token{}, gradient), without = call(tail::ignored{}, plain);
  CHECK(with == doctest::Approx(double(without)).epsilon(1e-5));
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(gradient[i] - plain[i]) < 1e-5f);
}

TEST_CASE("a teacher that shows nearly all of itself") {
  constexpr std::int64_t columns = 100;
  const std::vector<float> x(columns, 0.0f);
  const std::vector<std::int64_t> ids{0, 1};
  for (const double gap : {10.0, 14.0, 17.0, 25.0, 60.0}) {
    std::vector<real> y(columns, 0);
    y[0] = real(gap) + 1, y[1] = real(gap);
    const auto teacher = log_softmax(y, 1), student = log_softmax(std::vector<real>(columns, 0), 1);
    const std::vector<float> q{float(teacher[0]), float(teacher[1])};
    std::vector<float> value(1), gradient(columns);
    CHECK(distill_top_k(
              cpu{}, divergence::reverse_kl{}, tail::one_token{}, {.temperature = 1.0},
              view<const float, 2>(x.data(), 1, columns),
              view<const std::int64_t, 2>(ids.data(), 1, 2), view<const float, 2>(q.data(), 1, 2),
              {}, {.per_token = value, .gradient = view<float, 2>(gradient.data(), 1, columns)}) ==
          status::ok);
    // from the definition, with the rest no less than fp32 log-probs tell
    const real rest = std::max(1 - std::exp(real(q[0])) - std::exp(real(q[1])), 0x1p-24L);
    const real own = 0.98L;
    real want = own * (std::log(own) - std::log(rest));
    for (const std::size_t j : {0u, 1u}) want += std::exp(student[j]) * (student[j] - real(q[j]));
    CHECK(double(value[0]) == doctest::Approx(double(want)).epsilon(1e-5));
    CHECK(value[0] < 17);
    for (const float g : gradient) CHECK(std::abs(g) < 1);
  }
}

TEST_CASE("what the teacher's list may not hold") {
  const std::vector<float> x{0.5f, -inf, 2.0f, 1.0f};
  const auto found = [&](const auto& how, std::int64_t id, float q, double least) {
    const std::vector<std::int64_t> ids{0, id};
    const std::vector<float> logp{-1.0f, q};
    float value = 9;
    const status s = distill_top_k(
        cpu{}, how, tail::ignored{}, {.temperature = 1.0, .log_prob_min = least},
        view<const float, 2>(x.data(), 1, 4), view<const std::int64_t, 2>(ids.data(), 1, 2),
        view<const float, 2>(logp.data(), 1, 2), {}, {.per_token = view<float>(&value, 1)});
    CHECK(std::isnan(value) == (s == status::non_finite));
    return s;
  };
  const divergence::reverse_kl reverse;
  const divergence::generalized_jsd<float> jsd_of{0.5f};
  for (const float bad : {NAN, inf}) {
    CHECK(found(reverse, 2, bad, -HUGE_VAL) == status::non_finite);
    CHECK(found(jsd_of, 2, bad, -HUGE_VAL) == status::non_finite);
  }
  CHECK(found(reverse, 2, -inf, -HUGE_VAL) == status::non_finite);
  CHECK(found(reverse, 1, -2.0f, -HUGE_VAL) == status::non_finite);
  CHECK(found(reverse, 1, -inf, -HUGE_VAL) == status::ok);
  CHECK(found(reverse, 2, -inf, -10) == status::ok);
  CHECK(found(jsd_of, 2, -inf, -HUGE_VAL) == status::ok);
  CHECK(found(jsd_of, 1, -2.0f, -HUGE_VAL) == status::ok);
}

/// The k given tokens, and the rest as one if `whole`.
template <class How, class Tail>
void top_against_definition(const How& how, Tail tail, real beta, double forward) {
  constexpr bool whole = std::same_as<Tail, tail::one_token>;
  std::mt19937 random(12);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(61), y(61);
  for (auto* v : {&x, &y})
    for (float& f : *v) f = normal(random);
  x[7] = -inf;  // outside the k
  const auto teacher = log_softmax({y.begin(), y.end()}, 1);
  const std::vector<std::int64_t> ids{5, 60, 8, 30};
  std::vector<float> q;
  for (const std::int64_t id : ids) q.push_back(static_cast<float>(teacher[std::size_t(id)]));
  std::vector<float> value(1), gradient(61), other(61);
  const std::vector<float> cot{0.5f};
  const auto call = [&](const auto& executor, std::vector<float>& to) {
    return distill_top_k(
        executor, how, tail, {.temperature = 0.9}, view<const float, 2>(x.data(), 1, 61),
        view<const std::int64_t, 2>(ids.data(), 1, 4), view<const float, 2>(q.data(), 1, 4),
        {.cotangent = cot}, {.per_token = value, .gradient = view<float, 2>(to.data(), 1, 61)});
  };
  CHECK(call(cpu{}, gradient) == status::ok);
  CHECK(call(reference<float>{}, other) == status::ok);
  CHECK(gradient == other);
  const auto definition = [&](const std::vector<real>& z) {
    const auto s = log_softmax(z, 0.9);
    std::vector<real> a, b;
    real rest_s = 1, rest_q = 1;
    for (std::size_t j = 0; j < 4; ++j) {
      a.push_back(s[std::size_t(ids[j])]), b.push_back(real(q[j]));
      rest_s -= std::exp(a[j]), rest_q -= std::exp(b[j]);
    }
    if (whole) a.push_back(std::log(rest_s)), b.push_back(std::log(rest_q));
    return beta < 0 ? real(forward) * jsd(a, b, 0) + (1 - real(forward)) * jsd(a, b, 1)
                    : jsd(a, b, beta);
  };
  const std::vector<real> z(x.begin(), x.end());
  CHECK(double(value[0]) == doctest::Approx(double(definition(z))).epsilon(1e-5));
  for (std::size_t i = 0; i < 61; ++i) {
    if (i == 7) {
      CHECK(gradient[i] == 0);
      continue;
    }
    auto up = z, down = z;
    up[i] += 1e-4L, down[i] -= 1e-4L;
    CHECK(std::abs(double(gradient[i]) - double((definition(up) - definition(down)) / 4e-4L)) <
          1e-6);
  }
}

TEST_CASE("any divergence of the teacher's largest tokens, with and without the rest") {
  const auto both = [](const auto& how, real beta, double forward = 0) {
    top_against_definition(how, tail::ignored{}, beta, forward);
    top_against_definition(how, tail::one_token{}, beta, forward);
  };
  both(divergence::forward_kl{}, 0);
  both(divergence::reverse_kl{}, 1);
  both(divergence::mixed_kl{0.25f}, -1, 0.25);
  both(divergence::generalized_jsd{0.3f}, real(0.3f));
}

TEST_CASE("the rest as one token is 0 where the student is the teacher") {
  const std::vector<float> x{1, 2, 3, 0, -inf};
  const auto s = log_softmax({x.begin(), x.end()}, 1);
  const std::vector<float> q{static_cast<float>(s[2]), static_cast<float>(s[1])};
  const std::vector<std::int64_t> ids{2, 1};
  std::vector<float> value(1), gradient(5);
  distill_top_k(cpu{}, divergence::reverse_kl{}, tail::one_token{}, {.temperature = 1.0},
                view<const float, 2>(x.data(), 1, 5), view<const std::int64_t, 2>(ids.data(), 1, 2),
                view<const float, 2>(q.data(), 1, 2), {},
                {.per_token = value, .gradient = view<float, 2>(gradient.data(), 1, 5)});
  CHECK(std::abs(value[0]) < 1e-6f);
  for (const float g : gradient) CHECK(std::abs(g) < 1e-6f);
}

TEST_CASE("a mixture's share is one") {
  for (const float forward : {-0.1f, 1.1f, NAN}) {
    const std::vector<float> x(2);
    std::string told;
    try {
      distill(cpu{}, divergence::mixed_kl{forward}, {.temperature = 1.0},
              view<const float, 2>(x.data(), 1, 2), view<const float, 2>(x.data(), 1, 2), {}, {});
    } catch (const std::invalid_argument& e) {
      told = e.what();
    }
    CHECK(told.find("hence: mixed_kl.forward is ") == 0);
  }
  divergence::mixed_kl{0.0f}.check();
  divergence::mixed_kl{1.0f}.check();
}

TEST_CASE("wrong arguments are refused") {
  std::vector<float> x(12, 1.0f), y(12, 1.0f), out(3, -7.0f);
  const view<float, 2> a(x.data(), 3, 4), b(y.data(), 3, 4), wrong(y.data(), 4, 3);
  const auto call = [&](const auto& how, double t, view<float, 2> teacher,
                        const distill_results<float>& to, const distill_inputs<float>& in = {}) {
    return refusal([&] { distill(cpu{}, how, {.temperature = t}, a, teacher, in, to); });
  };
  const divergence::forward_kl kl;
  const std::vector<float> few(2);
  CHECK(call(kl, 0, b, {.per_token = out}).find("hence: softmax_rule.temperature is 0") == 0);
  CHECK(call(kl, 1, wrong, {.per_token = out}) ==
        "hence: teacher has shape [4, 3], expected [3, 4]");
  CHECK(call(kl, 1, b, {.per_token = out}, {.cotangent = few}) ==
        "hence: in.cotangent has 2 entries, logits has 3 rows");
  CHECK(call(kl, 1, b, {.gradient = b}) ==
        "hence: out.gradient overlaps teacher, expected separate arrays");
  CHECK(call(divergence::generalized_jsd{0.0f}, 1, b, {.per_token = out})
            .find("hence: generalized_jsd.beta is 0, expected") == 0);
  std::vector<float> wide(20, -7.0f);
  const view<float, 2> rows_apart(wide.data(), 3, 4, 5);
  CHECK(refusal([&] {
          distill(cpu{}, kl, {.temperature = 1.0}, view<float, 2>(wide.data(), 3, 4), b, {},
                  {.gradient = rows_apart});
        }) == "hence: out.gradient overlaps student, expected the same array or one apart from it");
  CHECK(refusal([&] {
          distill(cpu{}, kl, {.temperature = 1.0}, view<float, 2>(wide.data(), 3, 0),
                  view<float, 2>(wide.data(), 3, 0), {}, {});
        }).find("hence: student has shape [3, 0], expected [tokens, vocabulary]") == 0);
  CHECK(std::count(wide.begin(), wide.end(), -7.0f) == 20);
  CHECK(call(divergence::generalized_jsd{1.0f}, 1, b, {.per_token = out})
            .find("hence: generalized_jsd.beta is 1, expected") == 0);
  const std::vector<std::int64_t> ids{0, 1, 4};
  std::vector<float> q(3, -1.0f);
  const auto top = [&](view<float, 2> gradient, double low) {
    return refusal([&] {
      const status s = distill_top_k(cpu{}, {.temperature = 1.0, .clamp_min = low}, a,
                                     view<const std::int64_t, 2>(ids.data(), 3, 1),
                                     view<const float, 2>(q.data(), 3, 1), {},
                                     {.per_token = out, .gradient = gradient});
      CHECK(s == status::label);
    });
  };
  CHECK(top(a, 0) == "hence: out.gradient overlaps student, expected separate arrays");
  CHECK(top({}, NAN).find("hence: clamp_min nan is not at most") == 0);
  CHECK(out == std::vector<float>(3, -7.0f));
  CHECK(top({}, -HUGE_VAL) == "accepted");
  CHECK(std::isnan(out[2]));
  CHECK(std::isfinite(out[0]));
}

}  // namespace
