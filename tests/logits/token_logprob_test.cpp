// Log-prob, entropy and gradient from logits: against their definitions in __float128, within the
// bounds that the header states; equal bits; the contract's edge cases; refusals.
#include "rows.hpp"

#include <doctest/doctest.h>
#include <hence/logits/token_logprob.hpp>
#include <refusal.hpp>

#include <sys/mman.h>
#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using oracle::quad;
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

softmax_rule rule(double temperature = 1.0, double cap = 0) {
  return {.temperature = temperature, .negative = negative_labels::out_of_range, .soft_cap = cap};
}

struct backwards {
  template <class F> void parallel_for(std::int64_t count, F&& f) {
    for (std::int64_t i = count - 1; i >= 0; --i) f(i);
  }
};

template <class S> struct answer {
  std::vector<S> logp, entropy, anchor, log_sum, expected, gradient;
  status found = status::ok;
};

/// One call for rows that lie `stride` apart, in an array of exactly the size needed.
template <class S, class Executor, class T>
answer<S> run(const Executor& executor, const softmax_rule& r, const std::vector<T>& x,
              std::int64_t rows, const std::vector<std::int64_t>& labels, S g = S(0.75),
              S h = S(-0.5), const std::vector<std::uint8_t>& keep = {}) {
  const auto n = static_cast<std::size_t>(rows);
  const std::int64_t columns = static_cast<std::int64_t>(x.size()) / rows;
  answer<S> a;
  for (auto* v : {&a.logp, &a.entropy, &a.anchor, &a.log_sum, &a.expected}) v->assign(n, S(-77));
  a.gradient.assign(x.size(), S(-77));
  const std::vector<S> cot_logp(n, g), cot_entropy(n, h);
  std::vector<softmax_state> states(n);
  const view<const T, 2> logits(x.data(), rows, columns);
  const auto kept = keep.empty() ? view<const std::uint8_t, 2>()
                                 : view<const std::uint8_t, 2>(keep.data(), rows, columns);
  const token_results<S> out{.logp = a.logp,
                             .entropy = a.entropy,
                             .anchor = a.anchor,
                             .log_sum = a.log_sum,
                             .expected_logit = a.expected,
                             .states = states};
  a.found = token_logprob(executor, r, logits, labels, out, kept);
  const view<S, 2> gradient(a.gradient.data(), rows, columns);
  const status s =
      token_logprob_gradient(executor, r, logits, labels, states,
                             {.logp = cot_logp, .entropy = cot_entropy}, gradient, kept);
  CHECK(s == a.found);
  return a;
}

template <class S> bool same(const std::vector<S>& a, const std::vector<S>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!oracle::same(a[i], b[i])) return false;
  return true;
}
template <class S> bool same(const answer<S>& a, const answer<S>& b) {
  return same(a.logp, b.logp) && same(a.entropy, b.entropy) && same(a.anchor, b.anchor) &&
         same(a.log_sum, b.log_sum) && same(a.expected, b.expected) &&
         same(a.gradient, b.gradient) && a.found == b.found;
}

constexpr std::int64_t widths[] = {1,    2,    7,    8,    31,   256,  257,  700,
                                   1023, 1025, 2049, 4096, 4099, 9000, 50257};

double worst_logp = 0, worst_relative = 0, worst_entropy = 0, worst_gradient = 0;

void against_definition(int kind, std::int64_t columns, double temperature, double cap = 0) {
  const std::string name = rows::kinds[kind];
  CAPTURE(name);
  CAPTURE(columns);
  CAPTURE(temperature);
  const std::int64_t label = columns / 3;
  const auto l = static_cast<std::size_t>(label);
  const std::vector<float> x = rows::make(kind, columns, label, 5);
  const rows::softmax exact(x, temperature, cap);
  const softmax_rule r = rule(temperature, cap);
  const auto a = run<float>(cpu{}, r, x, 1, {label});
  CHECK(same(a, run<float>(reference<float>{}, r, x, 1, {label})));
  CHECK(a.found == status::ok);

  const double more = cap / temperature * 0x1p-22;  // the rounding of capped logits
  const double log_p = static_cast<double>(exact.log_p[l]);
  const double error = std::abs(static_cast<double>(quad(double(a.logp[0])) - exact.log_p[l]));
  CHECK(error <= 4e-7 + more + rows::ulp(log_p));
  if (log_p > -0.25 && log_p < -1e-37) {
    CHECK(error <= 4 * rows::ulp(log_p) - 2 * more * log_p);
  }
  const double entropy_error =
      std::abs(static_cast<double>(quad(double(a.entropy[0])) - exact.entropy));
  CHECK(entropy_error <= 1e-6 + more);
  CHECK(a.entropy[0] >= 0);
  CHECK(double(a.entropy[0]) <= std::log(double(columns)));
  CHECK(std::abs(static_cast<double>(quad(double(a.anchor[0])) + quad(double(a.log_sum[0])) -
                                     exact.log_z)) <=
        2e-6 + more + rows::ulp(double(a.log_sum[0])));
  CHECK(std::abs(a.log_sum[0]) <= std::log(float(columns)) + 1 + 500 * 0.7f);
  const quad expected = exact.log_z - exact.entropy;
  CHECK(std::abs(static_cast<double>(quad(double(a.expected[0])) - expected)) <=
        2e-6 + more + rows::ulp(static_cast<double>(expected)));

  double total = 0, worst = 0;
  quad others = 0;  // 1 - p without cancellation
  for (std::size_t j = 0; j < x.size(); ++j) others += j == l ? quad(0) : exact.p[j];
  bool is_zero_outside = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    total += double(a.gradient[i]);
    if (!std::isfinite(x[i])) {
      is_zero_outside = is_zero_outside && a.gradient[i] == 0;
      continue;
    }
    // d (g logp + h H)/d x from the definition; 1 - tanh^2 of a soft-cap
    const quad p = exact.p[i], surprise = p > 0 ? exact.log_p[i] + exact.entropy : quad(0);
    quad d = 0.75 * (i == l ? others : -p) + 0.5 * p * surprise;
    d /= quad(temperature);
    if (cap > 0) {
      const quad y = exact.z[i] * quad(temperature) / quad(cap);
      d *= 1 - y * y;
    }
    const double error_here = std::abs(static_cast<double>(quad(double(a.gradient[i])) - d));
    const double size =
        static_cast<double>(rows::magnitude(d) + p * (1 + rows::magnitude(surprise)));
    // terms below 2^-60 of the largest are dropped
    worst = std::max(worst, error_here / (size + 1e-11));
  }
  CHECK(is_zero_outside);
  CHECK(worst <= 4e-6 + more);
  if (cap == 0) CHECK(std::abs(total) <= 2e-6 / temperature);
  if (cap > 0) return;
  worst_logp = std::max(worst_logp, error - rows::ulp(log_p));
  if (log_p > -0.25 && log_p < -1e-37)
    worst_relative = std::max(worst_relative, error / rows::ulp(log_p));
  worst_entropy = std::max(worst_entropy, entropy_error);
  worst_gradient = std::max(worst_gradient, worst);
}

TEST_CASE("against the definition in quadruple precision") {
  for (int kind = 0; kind < rows::kind_count; ++kind)
    for (const std::int64_t columns : widths) {
      if (columns > 1025 && kind % 4 != columns % 4) continue;
      against_definition(kind, columns, 1.0);
    }
  for (int kind = 0; kind < rows::kind_count; ++kind) {
    against_definition(kind, 1031, 0.7);
    against_definition(kind, 4099, 1.5);
    if (kind < 14) against_definition(kind, 300, 1.0, 30.0);
    if (kind < 14) against_definition(kind, 77, 0.5, 50.0);
  }
  MESSAGE("logp - 1 ulp " << worst_logp << ", relative in ulp " << worst_relative << ", entropy "
                          << worst_entropy << ", gradient " << worst_gradient);
}

TEST_CASE("the largest vocabulary at large offsets") {
  for (const int kind : {0, 6, 7, 12}) against_definition(kind, 152064, 1.0);
}

TEST_CASE("float64 on reference<double>, against the definition") {
  for (int kind = 0; kind < rows::kind_count; ++kind) {
    const std::string name = rows::kinds[kind];
    CAPTURE(name);
    const std::vector<float> x = rows::make(kind, 700, 233, 5);
    const rows::softmax exact(x, 0.7);
    const auto a = run<double>(reference<double>{}, rule(0.7),
                               std::vector<double>(x.begin(), x.end()), 1, {233});
    CHECK(std::abs(static_cast<double>(quad(a.logp[0]) - exact.log_p[233])) <=
          1e-13 * (1 + std::abs(a.logp[0])));
    CHECK(std::abs(static_cast<double>(quad(a.entropy[0]) - exact.entropy)) <= 1e-13);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const quad p = exact.p[i];
      const quad d = (0.75 * ((i == 233 ? 1 : 0) - p) +
                      (p > 0 ? 0.5 * p * (exact.log_p[i] + exact.entropy) : quad(0))) /
                     quad(0.7);
      worst = std::max(worst, std::abs(static_cast<double>(quad(a.gradient[i]) - d)));
    }
    CHECK(worst <= 1e-12);
  }
}

TEST_CASE("float64 on reference<double>: masks, caps and rows without numbers") {
  const double none = -std::numeric_limits<double>::infinity();
  const std::vector<double> x{0.5, -1.0, 2.0, 0.25, 1.5}, masked{0.5, none, 2.0, none, 1.5};
  const auto as_minus_inf = run<double>(reference<double>{}, rule(0.7, 3), masked, 1, {2});
  CHECK(same(run<double>(reference<double>{}, rule(0.7, 3), x, 1, {2}, 0.75, -0.5, {1, 0, 1, 0, 1}),
             as_minus_inf));
  CHECK(as_minus_inf.gradient[1] == 0);
  CHECK(as_minus_inf.gradient[0] != 0);
  const auto certain =
      run<double>(reference<double>{}, rule(), std::vector<double>{none, 4.0, none}, 1, {1});
  CHECK(certain.logp[0] == 0);
  CHECK(certain.entropy[0] == 0);
  CHECK(certain.anchor[0] + certain.log_sum[0] == doctest::Approx(4.0).epsilon(1e-15));
  for (const double bad : {none, -none, std::nan("")}) {
    const auto a = run<double>(
        reference<double>{}, rule(),
        bad == none ? std::vector<double>{bad, bad, bad} : std::vector<double>{1, bad, 2}, 1, {0});
    CHECK(a.found == status::non_finite);
    CHECK(std::isnan(a.logp[0]));
    CHECK(std::isnan(a.gradient[2]));
  }
}

TEST_CASE("a label that is no number, the first column among them") {
  const double bad[] = {std::nan(""), std::numeric_limits<double>::infinity()};
  for (const double b : bad)
    for (const std::int64_t label : {0, 2}) {
      std::vector<double> x{0.5, -1.0, 2.0, 0.25};
      x[std::size_t(label)] = b;
      const auto exact = run<double>(reference<double>{}, rule(), x, 1, {label});
      const auto a = run<float>(cpu{}, rule(), std::vector<float>(x.begin(), x.end()), 1, {label});
      CHECK(a.found == status::non_finite);
      CHECK(exact.found == status::non_finite);
      CHECK(std::isnan(a.logp[0]));
      CHECK(std::isnan(exact.logp[0]));
      CHECK(std::isnan(a.gradient[1]));
      CHECK(std::isnan(exact.gradient[1]));
    }
}

TEST_CASE("a mask that keeps all has the bits of none") {
  for (const std::int64_t columns : {3, 1300}) {
    const std::vector<float> x = rows::make(0, columns, 1, 4);
    const std::vector<std::uint8_t> all(std::size_t(columns), 1);
    CHECK(same(run<float>(cpu{}, rule(0.8), x, 1, {1}, 0.75f, -0.5f, all),
               run<float>(cpu{}, rule(0.8), x, 1, {1}, 0.75f, -0.5f)));
  }
}

TEST_CASE("labels of 32 bits, and cotangents that are absent") {
  const std::vector<float> x = rows::make(0, 900, 5, 2);
  const view<const float, 2> logits(x.data(), 1, 900);
  const std::vector<std::int32_t> narrow{5};
  const view<const std::int32_t> narrow_view(narrow);
  const auto want = run<float>(cpu{}, rule(), x, 1, {5}, 0.75f, 0.0f);
  std::vector<float> logp(1), gradient(900);
  std::vector<softmax_state> states(1);
  CHECK(token_logprob(cpu{}, rule(), logits, narrow_view, {.logp = logp, .states = states}) ==
        status::ok);
  CHECK(same(logp, want.logp));
  const std::vector<float> g{0.75f}, h{-0.5f};
  token_logprob_gradient(cpu{}, rule(), logits, narrow, states, {.logp = g},
                         view<float, 2>(gradient.data(), 1, 900));
  CHECK(same(gradient, want.gradient));
  const auto of_entropy = run<float>(cpu{}, rule(), x, 1, {5}, 0.0f, -0.5f);
  token_logprob_gradient(cpu{}, rule(), logits, narrow, states, {.entropy = h},
                         view<float, 2>(gradient.data(), 1, 900));
  CHECK(same(gradient, of_entropy.gradient));
  token_logprob_gradient(cpu{}, rule(), logits, narrow, states, {},
                         view<float, 2>(gradient.data(), 1, 900));
  CHECK(std::count(gradient.begin(), gradient.end(), 0.0f) == 900);
}

TEST_CASE("a part of labels, of either type and any stride") {
  const std::vector<std::int32_t> narrow{0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::int64_t> wide(narrow.begin(), narrow.end());
  view<const std::int32_t> every_other(narrow.data(), 4);
  view<const std::int64_t> every_other_wide(wide.data(), 4);
  every_other.stride[0] = every_other_wide.stride[0] = 2;
  for (const token_labels& all : {token_labels(every_other), token_labels(every_other_wide)}) {
    const token_labels some = all.part(1, 3);
    CHECK(some.size() == 3);
    for (std::int64_t i = 0; i < 3; ++i) CHECK(some[i] == 2 * (i + 1));
  }
}

TEST_CASE("the gradient is the slope of the values") {
  for (const double cap : {0.0, 20.0}) {
    std::vector<float> as_float = rows::make(0, 40, 7, 3);
    std::vector<double> x(as_float.begin(), as_float.end());
    const softmax_rule r = rule(0.8, cap);
    const auto a = run<double>(reference<double>{}, r, x, 1, {7});
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto up = x, down = x;
      up[i] += 1e-5, down[i] -= 1e-5;
      const auto u = run<double>(reference<double>{}, r, up, 1, {7}),
                 d = run<double>(reference<double>{}, r, down, 1, {7});
      const double slope =
          (0.75 * (u.logp[0] - d.logp[0]) - 0.5 * (u.entropy[0] - d.entropy[0])) / 2e-5;
      CHECK(a.gradient[i] == doctest::Approx(slope).epsilon(1e-6));
    }
  }
}

TEST_CASE("bits do not depend on storage, batch, stride, pool or place") {
  const std::int64_t columns = 2531;
  std::vector<float> batch;
  std::vector<std::int64_t> labels;
  for (int kind = 0; kind < rows::kind_count; ++kind) {
    std::vector<float> x = rows::make(kind, columns, columns / 3, 9);
    if (kind != 11 && kind < 14)
      for (float& v : x) v = float(bf16(v));
    batch.insert(batch.end(), x.begin(), x.end());
    labels.push_back(kind % 2 ? columns / 3 : columns - 1);
  }
  const std::int64_t n = rows::kind_count;
  const auto whole = run<float>(cpu{}, rule(0.9), batch, n, labels);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::string name = rows::kinds[i];
    CAPTURE(name);
    const auto from = batch.begin() + i * columns;
    const std::vector<float> x(from, from + columns);
    const std::vector<std::int64_t> label{labels[static_cast<std::size_t>(i)]};
    const auto alone = run<float>(cpu{}, rule(0.9), x, 1, label);
    const auto k = static_cast<std::size_t>(i);
    CHECK(oracle::same(alone.logp[0], whole.logp[k]));
    CHECK(oracle::same(alone.entropy[0], whole.entropy[k]));
    CHECK(same(alone.gradient, std::vector<float>(whole.gradient.begin() + i * columns,
                                                  whole.gradient.begin() + (i + 1) * columns)));
    if (i != 11 && i < 14)
      CHECK(same(alone, run<float>(cpu{}, rule(0.9), rows::stored<bf16>(x), 1, label)));
    if (i == 0 || i == 2 || i == 8 || i == 12) {
      std::vector<float> half;
      for (const float v : x) half.push_back(float(f16(v)));
      CHECK(same(run<float>(cpu{}, rule(0.9), half, 1, label),
                 run<float>(cpu{}, rule(0.9), rows::stored<f16>(half), 1, label)));
    }
    // a keep mask that keeps all, and garbage beyond the support
    CHECK(same(alone, run<float>(cpu{}, rule(0.9), x, 1, label, 0.75f, -0.5f,
                                 std::vector<std::uint8_t>(x.size(), 1))));
    std::vector<float> garbage = x;
    std::vector<std::uint8_t> keep(x.size(), 1);
    for (std::size_t c = 0; c < x.size(); ++c)
      if (x[c] == -inf) keep[c] = 0, garbage[c] = c % 2 ? nan : inf;
    CHECK(same(alone, run<float>(cpu{}, rule(0.9), garbage, 1, label, 0.75f, -0.5f, keep)));
    // another address and a row stride
    std::vector<float> moved(x.size() * 2 + 40, nan);
    std::copy(x.begin(), x.end(), moved.begin() + 3);
    std::copy(x.begin(), x.end(), moved.begin() + 3 + columns + 11);
    std::vector<float> logp(2), entropy(2);
    std::vector<std::int64_t> two{label[0], label[0]};
    token_logprob(cpu{}, rule(0.9), view<float, 2>(moved.data() + 3, 2, columns, columns + 11), two,
                  {.logp = logp, .entropy = entropy});
    for (const float v : logp) CHECK(oracle::same(v, alone.logp[0]));
    for (const float v : entropy) CHECK(oracle::same(v, alone.entropy[0]));
  }
  backwards pool;
  CHECK(same(whole, run<float>(cpu{pool}, rule(0.9), batch, n, labels)));
  CHECK(same(whole, run<float>(reference<float>{}, rule(0.9), batch, n, labels)));
}

TEST_CASE("one call gives the bits of two, and in place as well") {
  const std::vector<float> x = rows::make(0, 5000, 77, 4);
  const auto two = run<float>(cpu{}, rule(), x, 5, {5, 6, 7, 8, 999});
  const std::vector<std::int64_t> labels{5, 6, 7, 8, 999};
  const std::vector<float> g(5, 0.75f), h(5, -0.5f);
  std::vector<float> logp(5), entropy(5), gradient(x.size());
  token_logprob_and_gradient(cpu{}, rule(), view<const float, 2>(x.data(), 5, 1000), labels,
                             {.logp = g, .entropy = h}, {.logp = logp, .entropy = entropy},
                             view<float, 2>(gradient.data(), 5, 1000));
  CHECK(same(two.logp, logp));
  CHECK(same(two.entropy, entropy));
  CHECK(same(two.gradient, gradient));
  for (const double cap : {0.0, 15.0}) {
    std::vector<float> place = x, apart(x.size());
    for (auto* to : {&apart, &place})
      token_logprob_and_gradient(cpu{}, rule(1.0, cap), view<float, 2>(place.data(), 5, 1000),
                                 labels, {.logp = g, .entropy = h}, {.logp = logp},
                                 view<float, 2>(to->data(), 5, 1000));
    CHECK(same(place, apart));
  }
  std::vector<bf16> narrow(x.size());
  std::vector<bf16> stored = rows::stored<bf16>(x);
  token_logprob_and_gradient(cpu{}, rule(), view<bf16, 2>(stored.data(), 5, 1000), labels,
                             {.logp = g, .entropy = h}, {.logp = logp},
                             view<float, 2>(gradient.data(), 5, 1000));
  token_logprob_and_gradient(cpu{}, rule(), view<bf16, 2>(stored.data(), 5, 1000), labels,
                             {.logp = g, .entropy = h}, {.logp = logp},
                             view<bf16, 2>(narrow.data(), 5, 1000));
  std::vector<f16> half(x.size());
  token_logprob_and_gradient(cpu{}, rule(), view<bf16, 2>(stored.data(), 5, 1000), labels,
                             {.logp = g, .entropy = h}, {.logp = logp},
                             view<f16, 2>(half.data(), 5, 1000));
  bool are_rounded = true;
  for (std::size_t i = 0; i < x.size(); ++i)
    are_rounded = are_rounded && narrow[i].bits == bf16(gradient[i]).bits &&
                  half[i].bits == f16(gradient[i]).bits;
  CHECK(are_rounded);
}

TEST_CASE("NaN, infinities and bad labels spoil their own row") {
  std::vector<float> x;
  const std::int64_t columns = 1300;
  const std::vector<float> good = rows::make(0, columns, 5, 2);
  const int n = 8;
  for (int i = 0; i < n; ++i) x.insert(x.end(), good.begin(), good.end());
  const auto at = [&](std::int64_t row, std::int64_t c) -> float& {
    return x[static_cast<std::size_t>(row * columns + c)];
  };
  at(1, 1299) = nan;
  at(2, 700) = inf;
  for (std::int64_t c = 0; c < columns; ++c) at(3, c) = -inf;
  at(5, 5) = -inf;  // the label
  at(6, 5) = nan;   // the label
  at(7, 5) = inf;   // the label
  const std::vector<std::int64_t> labels{5, 5, 5, 5, 1300, 5, 5, 5};
  for (int pass = 0; pass < 2; ++pass) {
    const auto a = pass ? run<float>(cpu{}, rule(), x, n, labels)
                        : run<float>(reference<float>{}, rule(), x, n, labels);
    CHECK(has(a.found, status::non_finite));
    CHECK(has(a.found, status::label));
    const auto alone = run<float>(cpu{}, rule(), good, 1, {5});
    CHECK(alone.found == status::ok);
    CHECK(a.logp[0] == alone.logp[0]);
    for (const std::size_t row : {1u, 2u, 3u, 6u, 7u}) {
      CAPTURE(row);
      for (const auto* v : {&a.logp, &a.entropy, &a.anchor, &a.log_sum, &a.expected})
        CHECK(std::isnan((*v)[row]));
      CHECK(std::isnan(a.gradient[row * columns + 9]));
    }
    CHECK(std::isnan(a.logp[4]));
    CHECK(a.entropy[4] == doctest::Approx(alone.entropy[0]));
    CHECK(a.logp[5] == -inf);
    CHECK(std::isfinite(a.entropy[5]));
    CHECK(std::isnan(a.gradient[5 * columns]));
  }
  // ignored rows are not read
  softmax_rule ignoring = rule();
  ignoring.negative = negative_labels::ignored;
  const auto a = run<float>(cpu{}, ignoring, x, n, {5, -1, -100, -5, -1, -1, -7, -100});
  CHECK(a.found == status::ok);
  for (std::size_t row = 1; row < n; ++row) {
    CHECK(a.logp[row] == 0);
    CHECK(a.entropy[row] == 0);
    const auto from = a.gradient.begin() + static_cast<std::int64_t>(row) * columns;
    CHECK(std::count(from, from + columns, 0.0f) == columns);
  }
  const auto strict = run<float>(cpu{}, rule(), good, 1, {-1});
  CHECK(strict.found == status::label);
  CHECK(std::isnan(strict.logp[0]));
  // one token of support: certain
  std::vector<float> single(1300, -inf);
  single[1100] = -3.0e7f;
  const auto certain = run<float>(cpu{}, rule(), single, 1, {1100});
  CHECK(certain.found == status::ok);
  CHECK(certain.logp[0] == 0);
  CHECK(certain.entropy[0] == 0);
  CHECK(certain.expected[0] == -3.0e7f);
  CHECK(std::count(certain.gradient.begin(), certain.gradient.end(), 0.0f) == 1300);
}

TEST_CASE("offsets beyond 2^31 elements") {
  const std::int64_t stride = (std::int64_t{1} << 31) + 4096, rows = 3, columns = 1500;
  const auto bytes = static_cast<std::size_t>((rows - 1) * stride + columns) * sizeof(float);
  void* memory[2];
  for (void*& m : memory) {
    // shared: no part of what a limit of the process' data counts
    m = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    REQUIRE(m != MAP_FAILED);
  }
  auto *x = static_cast<float*>(memory[0]), *g = static_cast<float*>(memory[1]);
  std::vector<float> flat;
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto row = rows::make(0, columns, 3, static_cast<unsigned>(i));
    std::copy(row.begin(), row.end(), x + i * stride);
    flat.insert(flat.end(), row.begin(), row.end());
  }
  const std::vector<std::int64_t> labels{1, 2, 1499};
  const auto want = run<float>(cpu{}, rule(), flat, rows, labels);
  std::vector<float> logp(3);
  const std::vector<float> cot(3, 0.75f), cot_entropy(3, -0.5f);
  token_logprob_and_gradient(cpu{}, rule(), view<float, 2>(x, rows, columns, stride), labels,
                             {.logp = cot, .entropy = cot_entropy}, {.logp = logp},
                             view<float, 2>(g, rows, columns, stride));
  CHECK(same(logp, want.logp));
  for (std::int64_t i = 0; i < rows; ++i)
    CHECK(std::memcmp(g + i * stride, want.gradient.data() + i * columns,
                      static_cast<std::size_t>(columns) * 4) == 0);
  for (void* m : memory) munmap(m, bytes);
}

TEST_CASE("wrong arguments are refused before anything is written") {
  std::vector<float> x(20, 1.0f), logp(4, -77.0f), gradient(20, -77.0f), five(5, -77.0f);
  const std::vector<std::int64_t> labels{0, 1, 2, 3}, few{1};
  const std::vector<std::int64_t> labels_of_two{0, 1};
  const view<float, 2> logits(x.data(), 4, 5), grad(gradient.data(), 4, 5);
  std::vector<softmax_state> states(4);
  const auto forward = [&](const softmax_rule& r, view<float, 2> l, const auto& ids,
                           const token_results<float>& out, view<const std::uint8_t, 2> keep = {}) {
    return refusal([&] { token_logprob(cpu{}, r, l, ids, out, keep); });
  };
  const token_results<float> out{.logp = logp};
  for (const double t : {0.0, -1.0, std::nan(""), HUGE_VAL})
    CHECK(forward(rule(t), logits, labels, out).find("hence: softmax_rule.temperature is ") == 0);
  CHECK(forward(rule(1, -1), logits, labels, out) ==
        "hence: softmax_rule.soft_cap is -1, expected a number above 0, or 0 for none");
  CHECK(forward(rule(1, 2e20), logits, labels, out).find("hence: softmax_rule.soft_cap is ") == 0);
  CHECK(forward({.temperature = 1.0, .negative = {}}, logits, labels, out)
            .find("hence: softmax_rule.negative is unstated") == 0);
  CHECK(forward(rule(), logits, few, out) == "hence: labels has 1 entries, logits has 4 rows");
  CHECK(forward(rule(), logits, std::vector<std::int32_t>(3), out) ==
        "hence: labels has 3 entries, logits has 4 rows");
  CHECK(forward(rule(), logits, token_labels(), out) == "hence: labels is null, expected 4 rows");
  CHECK(forward(rule(), logits, labels, {.logp = five}) ==
        "hence: out.logp has 5 entries, logits has 4 rows");
  CHECK(forward(rule(), logits, labels, {.entropy = five}) ==
        "hence: out.entropy has 5 entries, logits has 4 rows");
  CHECK(forward(rule(), view<float, 2>(x.data(), 4, 0), labels, out) ==
        "hence: logits has shape [4, 0], expected [rows, vocabulary], a vocabulary of 1 or more");
  CHECK(forward(rule(), view<float, 2>(nullptr, 4, 5), labels, out) ==
        "hence: logits is null, expected shape [4, 5]");
  view<float, 2> columns_apart = logits;
  columns_apart.stride[1] = 2;
  CHECK(forward(rule(), columns_apart, labels, out) ==
        "hence: logits has column stride 2, expected 1 (the columns of a row are contiguous)");
  CHECK(forward(rule(), logits, labels, {.logp = view<float>(x.data(), 4)}) ==
        "hence: out.logp overlaps logits, expected separate arrays");
  view<float> still(logp.data(), 4);
  still.stride[0] = 0;
  CHECK(forward(rule(), logits, labels, {.logp = still}) ==
        "hence: out.logp has stride 0, expected another: its 4 entries are one");
  const std::vector<std::uint8_t> keep(20, 1);
  CHECK(forward(rule(), logits, labels, out, view<const std::uint8_t, 2>(keep.data(), 5, 4)) ==
        "hence: keep has shape [5, 4], expected [4, 5]");

  const auto backward = [&](view<const softmax_state> s, const token_cotangents<float>& cot,
                            view<float, 2> g) {
    return refusal([&] { token_logprob_gradient(cpu{}, rule(), logits, labels, s, cot, g); });
  };
  CHECK(backward({}, {.logp = logp}, grad) ==
        "hence: states is null, expected 4 rows as token_logprob wrote them");
  CHECK(backward(view<const softmax_state>(states.data(), 3), {.logp = logp}, grad) ==
        "hence: states has 3 entries, logits has 4 rows");
  CHECK(backward(states, {.logp = five}, grad) ==
        "hence: cot.logp has 5 entries, logits has 4 rows");
  CHECK(backward(states, {.logp = logp}, view<float, 2>(gradient.data(), 5, 4)) ==
        "hence: gradient has shape [5, 4], expected [4, 5]");
  CHECK(backward(states, {.logp = logp}, view<float, 2>(gradient.data(), 4, 5, 4)) ==
        "hence: gradient has row stride 4, expected at least its 5 columns");
  CHECK(backward(states, {.logp = logp}, view<float, 2>(x.data() + 1, 4, 5, 5))
            .find("hence: gradient overlaps logits") == 0);
  CHECK(backward(states, {.logp = logp}, view<float, 2>(gradient.data(), 4, 4, 5)) ==
        "hence: gradient has shape [4, 4], expected [4, 5]");
  CHECK(backward(states, {.logp = logp}, view<float, 2>(gradient.data() + 16, 4, 5, -4)) ==
        "hence: gradient has row stride -4, expected at least its 5 columns");
  // the same array, its rows elsewhere
  CHECK(refusal([&] {
          token_logprob_gradient(cpu{}, rule(), view<float, 2>(x.data(), 2, 5), labels_of_two,
                                 view<const softmax_state>(states.data(), 2), {},
                                 view<float, 2>(x.data(), 2, 5, 6));
        }).find("hence: gradient overlaps logits") == 0);
  CHECK(refusal([&] {
          token_logprob_gradient(cpu{}, rule(), logits, labels, states, {},
                                 view<float, 2>(reinterpret_cast<float*>(x.data()), 4, 5),
                                 view<const std::uint8_t, 2>(
                                     reinterpret_cast<const std::uint8_t*>(x.data()) + 60, 4, 5));
        }) == "hence: gradient overlaps keep, expected separate arrays");
  for (const float v : logp) CHECK(v == -77);
  for (const float v : gradient) CHECK(v == -77);
  // no rows at all
  const std::vector<std::int64_t> none;
  CHECK(token_logprob(cpu{}, rule(), view<float, 2>(x.data(), 0, 5), none, {}) == status::ok);
}

TEST_CASE("what is written shares no memory with what is read or written beside it") {
  // one buffer for all; every array has a place of its own unless a case moves it
  alignas(64) std::byte room[4096] = {};
  struct place {
    std::int64_t logits = 0, labels = 128, keep = 192, logp = 256, entropy = 320, anchor = 384,
                 log_sum = 448, expected = 512, states = 576, cot_logp = 1024, cot_entropy = 1088,
                 gradient = 1152;
    std::int64_t step = 1;  // of out.logp and out.entropy
  };
  const auto rows = [&]<class T>(T*, std::int64_t at) {
    return view<T>(reinterpret_cast<T*>(room + at), 4);
  };
  const auto table = [&]<class T>(T*, std::int64_t at) {
    return view<T, 2>(reinterpret_cast<T*>(room + at), 4, 5);
  };
  constexpr float* f = nullptr;
  const auto results = [&](const place& p) {
    token_results<float> out{.logp = rows(f, p.logp),
                             .entropy = rows(f, p.entropy),
                             .anchor = rows(f, p.anchor),
                             .log_sum = rows(f, p.log_sum),
                             .expected_logit = rows(f, p.expected),
                             .states = rows(static_cast<softmax_state*>(nullptr), p.states)};
    out.logp.stride[0] = out.entropy.stride[0] = p.step;
    return out;
  };
  const auto labels = [&](const place& p) {
    return token_labels(rows(static_cast<const std::int64_t*>(nullptr), p.labels));
  };
  const auto keep = [&](const place& p) {
    return table(static_cast<const std::uint8_t*>(nullptr), p.keep);
  };
  const auto cotangents = [&](const place& p) {
    return token_cotangents<float>{rows(f, p.cot_logp), rows(f, p.cot_entropy)};
  };
  const auto forward = [&](const place& p) {
    return refusal(
        [&] { token_logprob(cpu{}, rule(), table(f, p.logits), labels(p), results(p), keep(p)); });
  };
  const auto backward = [&](const place& p) {
    return refusal([&] {
      token_logprob_gradient(cpu{}, rule(), table(f, p.logits), labels(p),
                             view<const softmax_state>(results(p).states), cotangents(p),
                             table(f, p.gradient), keep(p));
    });
  };
  const auto both = [&](const place& p) {
    return refusal([&] {
      token_logprob_and_gradient(cpu{}, rule(), table(f, p.logits), labels(p), cotangents(p),
                                 results(p), table(f, p.gradient), keep(p));
    });
  };
  using call_t = std::function<std::string(const place&)>;
  const auto says = [](const char* a, const char* b) {
    return std::string("hence: ") + a + " overlaps " + b + ", expected separate arrays";
  };
  for (const auto& call : {call_t(forward), call_t(both)}) {
    CHECK(call({.logp = 76}) == says("out.logp", "logits"));
    CHECK(call({.states = 72}) == says("out.states", "logits"));
    CHECK(call({.entropy = 156}) == says("out.entropy", "labels"));
    CHECK(call({.anchor = 208}) == says("out.anchor", "keep"));
    CHECK(call({.entropy = 268}) == says("out.entropy", "out.logp"));
    CHECK(call({.log_sum = 384}) == says("out.log_sum", "out.anchor"));
    CHECK(call({.expected = 448}) == says("out.expected_logit", "out.log_sum"));
    CHECK(call({.states = 520}) == says("out.states", "out.expected_logit"));
    CHECK(call({.logp = 256, .entropy = 264, .step = 2}) == says("out.entropy", "out.logp"));
    CHECK(call({.logp = 256, .entropy = 260, .step = 2}) ==
          "accepted");  // the columns of one table
  }
  for (const auto& call : {call_t(backward), call_t(both)}) {
    CHECK(call({.gradient = 128 + 28}) == says("gradient", "labels"));
    CHECK(call({.gradient = 208}) == says("gradient", "keep"));
    CHECK(call({.cot_logp = 1228}) == says("gradient", "cot.logp"));
    CHECK(call({.cot_entropy = 1152}) == says("gradient", "cot.entropy"));
    CHECK(call({.gradient = 4}).find("hence: gradient overlaps logits") == 0);
    CHECK(call({.gradient = 0}) == "accepted");  // in place
  }
  CHECK(backward({.states = 1200}) == says("gradient", "states"));
  CHECK(both({.states = 1200}) == says("gradient", "out.states"));
  CHECK(both({.logp = 1024}) == says("out.logp", "cot.logp"));
  CHECK(both({.anchor = 1100}) == says("out.anchor", "cot.entropy"));
  CHECK(both({.gradient = 340}) == says("gradient", "out.anchor"));
}

}  // namespace
