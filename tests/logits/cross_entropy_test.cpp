// Cross-entropy with label smoothing against its definition in long double, gradients against
// differences of that; equal bits; packing; refusals.
#include <doctest/doctest.h>
#include <hence/logits/cross_entropy.hpp>
#include <hence/logits/packed_labels.hpp>
#include <hence/threads/pool.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using real = long double;
constexpr float inf = std::numeric_limits<float>::infinity();

/// The mean of -log p under (1 - e) one-hot + e uniform over the tokens that are possible.
real smoothed(const std::vector<real>& x, std::size_t label, real e, real temperature) {
  real top = -HUGE_VALL, sum = 0, spread = 0;
  for (const real v : x) top = std::max(top, v / temperature);
  for (const real v : x) sum += std::exp(v / temperature - top);
  const real log_z = top + std::log(sum);
  int k = 0;
  for (const real v : x)
    if (v > -HUGE_VALL) ++k, spread += log_z - v / temperature;
  return (1 - e) * (log_z - x[label] / temperature) + e / k * spread;
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

template <class Executor>
answer run(const Executor& executor, const cross_entropy_rule& rule, const std::vector<float>& x,
           const std::vector<std::int64_t>& labels, const std::vector<std::uint8_t>& mask = {}) {
  const auto rows = static_cast<std::int64_t>(labels.size());
  const std::int64_t columns = static_cast<std::int64_t>(x.size()) / rows;
  answer a{std::vector<float>(labels.size(), NAN), std::vector<float>(x.size(), NAN), {}};
  const std::vector<float> cot(labels.size(), 0.5f);
  distill_inputs<float> in{.cotangent = cot};
  if (!mask.empty()) in.mask = mask;
  a.found = cross_entropy(
      executor, rule, view<const float, 2>(x.data(), rows, columns), labels, in,
      {.per_token = a.per_token, .gradient = view<float, 2>(a.gradient.data(), rows, columns)});
  return a;
}

TEST_CASE("values and gradients are those of the definition") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  for (const std::size_t columns : {2u, 17u, 300u})
    for (const float offset : {0.0f, 5000.0f})
      for (const double e : {0.0, 0.1, 0.7})
        for (const bool masked : {false, true}) {
          std::vector<float> x(columns);
          for (std::size_t i = 0; i < columns; ++i)
            x[i] = masked && i % 5 == 1 ? -inf : normal(random) + offset;
          const std::size_t label = columns - (columns % 5 == 2 ? 2 : 1);
          const cross_entropy_rule rule{
              .temperature = 0.8,
              .smoothing = e,
              .over = masked ? smoothing_over::support : smoothing_over::vocabulary};
          const std::vector<std::int64_t> labels{static_cast<std::int64_t>(label)};
          const answer a = run(cpu{}, rule, x, labels);
          CHECK(a.found == status::ok);
          CHECK(a == run(reference<float>{}, rule, x, labels));
          const std::vector<real> z(x.begin(), x.end());
          const auto value = [&](const std::vector<real>& v) {
            return smoothed(v, label, static_cast<real>(e), 0.8L);
          };
          CHECK(std::abs(double(real(a.per_token[0]) - value(z))) <
                2e-6 * (1 + std::abs(double(value(z)))));
          double worst = 0;
          for (std::size_t i = 0; i < columns; ++i) {
            if (x[i] == -inf) {
              CHECK(a.gradient[i] == 0);
              continue;
            }
            std::vector<real> up = z, down = z;
            up[i] += 1e-4L, down[i] -= 1e-4L;
            worst = std::max(
                worst, std::abs(double(real(a.gradient[i]) - (value(up) - value(down)) / 4e-4L)));
          }
          CHECK(worst < 1e-6);
        }
}

TEST_CASE("in place; threads; dead tokens; bad rows") {
  constexpr std::int64_t rows = 19, columns = 9000;
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> x(rows * columns);
  for (float& v : x) v = normal(random);
  std::vector<std::int64_t> labels(rows, 8999);
  const cross_entropy_rule rule{
      .temperature = 1.0, .smoothing = 0.1, .over = smoothing_over::vocabulary};
  const answer whole = run(cpu{}, rule, x, labels);
  std::vector<float> place = x;
  const std::vector<float> cot(rows, 0.5f);
  const view<float, 2> both(place.data(), rows, columns);
  cross_entropy(cpu{}, rule, both, labels, distill_inputs<float>{.cotangent = cot},
                {.gradient = both});
  CHECK(place == whole.gradient);
  labels[1] = -100, labels[2] = labels[9] = columns;
  x[1 * columns] = NAN, x[3 * columns] = NAN, x[4 * columns] = -inf, x[5 * columns + 8999] = -inf;
  x[6 * columns] = NAN;
  std::vector<std::uint8_t> mask(rows, 1);
  mask[6] = 0;
  const answer a = run(cpu{}, rule, x, labels, mask);
  CHECK(a.found == (status::label | status::non_finite));
  for (const std::size_t t : {1u, 6u}) {
    CHECK(a.per_token[t] == 0);
    CHECK(a.gradient[t * columns + 5] == 0);
  }
  for (const std::size_t t : {2u, 3u, 4u, 5u, 9u}) {
    CHECK(std::isnan(a.per_token[t]));
    CHECK(std::isnan(a.gradient[t * columns + 5]));
  }
  CHECK(a.per_token[7] == whole.per_token[7]);
  for (const int threads : {1, 2, 3, 7}) {
    thread_pool pool(threads);
    CHECK(run(cpu{pool}, rule, x, labels, mask) == a);
  }
  // over the support a masked vocabulary is fine, and the label has to be in it
  const cross_entropy_rule over{
      .temperature = 1.0, .smoothing = 0.1, .over = smoothing_over::support};
  CHECK(run(cpu{}, over, {1, -inf, 2}, {0}).found == status::ok);
  CHECK(run(cpu{}, over, {1, -inf, 2}, {1}).found == status::label);
}

TEST_CASE("two packed sequences have the loss of two alone") {
  const std::vector<std::int64_t> cu{0, 4, 9}, ids{1, 2, 3, 4, 0, 5, 1, 2, 3};
  const std::vector<std::uint8_t> answers{0, 0, 1, 1, 0, 1, 1, 1, 1};
  constexpr std::int64_t columns = 6;
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(9 * columns), weight(9), value(9);
  for (float& v : x) v = normal(random);
  std::vector<std::int64_t> labels(9);
  const ragged batch{cu, {.response = answers}};
  const label_counts n = packed_labels(cpu{}, batch, ids, labels);
  label_weights(cpu{}, label_mean::sequences{n.sequences}, batch, labels, weight);
  const cross_entropy_rule rule{
      .temperature = 1.0, .smoothing = 0.1, .over = smoothing_over::support};
  cross_entropy(cpu{}, rule, view<const float, 2>(x.data(), 9, columns), labels, {},
                {.per_token = value});
  double loss = 0;
  for (std::size_t t = 0; t < 9; ++t) loss += double(weight[t]) * double(value[t]);
  const auto at = [&](std::size_t t, std::size_t label) {
    std::vector<real> row(x.begin() + std::ptrdiff_t(t * columns),
                          x.begin() + std::ptrdiff_t((t + 1) * columns));
    return double(smoothed(row, label, 0.1L, 1));
  };
  const double first = (at(1, 3) + at(2, 4)) / 2;
  const double second = (at(4, 5) + at(5, 1) + at(6, 2) + at(7, 3)) / 4;
  CHECK(loss == doctest::Approx((first + second) / 2).epsilon(1e-6));
}

TEST_CASE("wrong arguments are refused") {
  std::vector<float> x(12, 1.0f), out(3, -7.0f);
  const std::vector<std::int64_t> labels(3), few(2);
  const auto call = [&](double smoothing, double t, const std::vector<std::int64_t>& l) {
    try {
      cross_entropy(cpu{},
                    {.temperature = t, .smoothing = smoothing, .over = smoothing_over::support},
                    view<const float, 2>(x.data(), 3, 4), l, {}, {.per_token = out});
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(call(1, 1, labels) ==
        "hence: cross_entropy_rule.smoothing is 1, expected a share from 0 to below 1");
  CHECK(call(-0.1, 1, labels).find("hence: cross_entropy_rule.smoothing is -0.1") == 0);
  CHECK(call(0.1, 0, labels).find("hence: softmax_rule.temperature is 0") == 0);
  CHECK(call(0.1, 1, {}) == "hence: labels is null, expected 3 rows");
  CHECK(call(0.1, 1, few) == "hence: labels has 2 entries, logits has 3 rows");
  CHECK(out == std::vector<float>(3, -7.0f));
  // no rows need no labels
  CHECK(cross_entropy(cpu{}, {.temperature = 1, .smoothing = 0, .over = smoothing_over::support},
                      view<const float, 2>(x.data(), 0, 4), view<const std::int64_t>(),
                      distill_inputs<float>{}, {}) == status::ok);
}

}  // namespace
