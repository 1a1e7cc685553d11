// Shards of the vocabulary against the definitions on whole rows, in long double.
#include <doctest/doctest.h>
#include <hence/logits/vocabulary_shards.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using real = long double;
using ints = std::vector<std::int64_t>;
constexpr float inf = std::numeric_limits<float>::infinity();

template <class S> struct answer {
  std::vector<S> logp, entropy, gradient;
  std::vector<softmax_state> states;
  status found = status::ok;
};

/// \param cuts first columns of the shards, and the vocabulary.
template <class S, class Executor>
answer<S> run(const Executor& executor, const softmax_rule& rule, const std::vector<float>& x,
              std::int64_t rows, const ints& labels, const ints& cuts,
              const std::vector<std::uint8_t>& keep = {}) {
  const std::int64_t columns = cuts.back(), shards = static_cast<std::int64_t>(cuts.size()) - 1;
  const auto n = static_cast<std::size_t>(rows);
  answer<S> a;
  a.logp.assign(n, S(-77)), a.entropy.assign(n, S(-77)), a.gradient.assign(x.size(), S(-77));
  std::vector<softmax_state> parts(static_cast<std::size_t>(shards) * n);
  a.states.resize(n);
  const std::vector<S> g(n, S(0.75)), h(n, S(-0.5));
  const auto kept = [&](std::int64_t c) {
    return keep.empty() ? view<const std::uint8_t, 2>()
                        : view<const std::uint8_t, 2>(
                              keep.data() + cuts[std::size_t(c)], rows,
                              cuts[std::size_t(c) + 1] - cuts[std::size_t(c)], columns);
  };
  const auto part = [&](std::int64_t c) {
    const std::int64_t first = cuts[std::size_t(c)];
    return view<const float, 2>(x.data() + first, rows, cuts[std::size_t(c) + 1] - first, columns);
  };
  for (std::int64_t c = 0; c < shards; ++c)
    a.found |= shard_states(executor, rule, part(c), labels, cuts[std::size_t(c)],
                            view<softmax_state>(parts.data() + std::size_t(c) * n, rows), kept(c));
  a.found |=
      merge_shards(executor, rule, view<const softmax_state, 2>(parts.data(), shards, rows), labels,
                   columns, {.logp = a.logp, .entropy = a.entropy, .states = a.states});
  for (std::int64_t c = 0; c < shards; ++c) {
    const std::int64_t first = cuts[std::size_t(c)];
    a.found |= shard_gradient(
        executor, rule, part(c), labels, first, a.states, {.logp = g, .entropy = h},
        view<S, 2>(a.gradient.data() + first, rows, cuts[std::size_t(c) + 1] - first, columns),
        kept(c));
  }
  return a;
}

struct exact {
  real logp, entropy;
  std::vector<real> gradient;
};
exact by_definition(const float* x, std::int64_t columns, std::int64_t label, real temperature,
                    const std::uint8_t* keep) {
  real top = -HUGE_VALL, sum = 0;
  const auto at = [&](std::int64_t i) {
    return keep && !keep[i] ? -HUGE_VALL : real(x[i]) / temperature;
  };
  for (std::int64_t i = 0; i < columns; ++i) top = std::max(top, at(i));
  for (std::int64_t i = 0; i < columns; ++i) sum += std::exp(at(i) - top);
  exact e{at(label) - top - std::log(sum), 0, {}};
  for (std::int64_t i = 0; i < columns; ++i) {
    const real l = at(i) - top - std::log(sum), p = std::exp(l);
    if (p > 0) e.entropy -= p * l;
  }
  for (std::int64_t i = 0; i < columns; ++i) {
    const real l = at(i) - top - std::log(sum), p = std::exp(l);
    const real by_entropy = p > 0 ? -p * (l + e.entropy) : 0;
    e.gradient.push_back((0.75L * ((i == label) - p) - 0.5L * by_entropy) / temperature);
  }
  return e;
}

const ints cuts_of[] = {{0, 300}, {0, 100, 300}, {0, 1, 299, 300}, {0, 64, 128, 200, 300}};

}  // namespace

TEST_CASE("any cut gives the numbers of the whole rows") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 3);
  for (const float offset : {0.0f, 4096.0f, -3.0e6f, 2.0e7f}) {
    const std::int64_t rows = 20, columns = 300;
    std::vector<float> x(static_cast<std::size_t>(rows * columns));
    for (float& v : x) v = normal(random) + offset;
    std::vector<std::uint8_t> keep(x.size(), 1);
    for (auto& k : keep) k = random() % 4 != 0;
    ints labels;
    for (std::int64_t i = 0; i < rows; ++i) {
      labels.push_back(i < 3 ? ints{0, 299, 100}[std::size_t(i)] : std::int64_t(random() % 300));
      keep[static_cast<std::size_t>(i * columns + labels.back())] = 1;
    }
    // a shard of row 5 has no support
    for (std::size_t c = 100; c < 300; ++c) keep[5 * 300 + c] = 0;
    labels[5] = 7, keep[5 * 300 + 7] = 1;
    for (const bool masked : {false, true})
      for (const ints& cuts : cuts_of) {
        const softmax_rule rule{.temperature = 0.75, .negative = negative_labels::out_of_range};
        const auto mask = masked ? keep : std::vector<std::uint8_t>{};
        const auto narrow = run<float>(cpu{}, rule, x, rows, labels, cuts, mask);
        const auto scalar = run<float>(reference<float>{}, rule, x, rows, labels, cuts, mask);
        CHECK(narrow.found == status::ok);
        CHECK(std::memcmp(narrow.logp.data(), scalar.logp.data(), 4 * narrow.logp.size()) == 0);
        CHECK(std::memcmp(narrow.gradient.data(), scalar.gradient.data(), 4 * x.size()) == 0);
        for (std::int64_t i = 0; i < rows; ++i) {
          const auto r = static_cast<std::size_t>(i);
          const exact e = by_definition(x.data() + i * columns, columns, labels[r], 0.75L,
                                        masked ? keep.data() + i * columns : nullptr);
          CHECK(std::abs(real(narrow.logp[r]) - e.logp) <= 4e-7L + 1.2e-7L * std::abs(e.logp));
          CHECK(std::abs(real(narrow.entropy[r]) - e.entropy) <= 1e-6L);
          for (std::size_t c = 0; c < 300; ++c)
            CHECK(std::abs(real(narrow.gradient[r * 300 + c]) - e.gradient[c]) <= 1e-6L);
        }
      }
  }
}

TEST_CASE("one shard is the whole row, to the bit") {
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, 5);
  std::vector<float> x(10 * 300);
  for (float& v : x) v = normal(random);
  ints labels;
  for (int i = 0; i < 10; ++i) labels.push_back(static_cast<std::int64_t>(random() % 300));
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::out_of_range};
  const auto a = run<float>(cpu{}, rule, x, 10, labels, {0, 300});
  std::vector<float> logp(10), entropy(10), gradient(3000), g(10, 0.75f), h(10, -0.5f);
  std::vector<softmax_state> states(10);
  const view<const float, 2> logits(x.data(), 10, 300);
  token_logprob(cpu{}, rule, logits, labels, {.logp = logp, .entropy = entropy, .states = states});
  token_logprob_gradient(cpu{}, rule, logits, labels, states, {.logp = g, .entropy = h},
                         view<float, 2>(gradient.data(), 10, 300));
  CHECK(a.logp == logp);
  CHECK(a.entropy == entropy);
  CHECK(a.gradient == gradient);
}

TEST_CASE("float64, soft-caps and near-certain labels") {
  std::vector<float> x(300, -30.0f);
  x[250] = 25.0f;
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::out_of_range};
  const real certain = -std::log1p(299 * std::exp(-55.0L));
  for (const ints& cuts : cuts_of) {
    const auto narrow = run<float>(cpu{}, rule, x, 1, {250}, cuts);
    CHECK(std::abs(real(narrow.logp[0]) / certain - 1) <= 5e-7L);
    const auto wide = run<double>(reference<double>{}, rule, x, 1, {250}, cuts);
    CHECK(std::abs(real(wide.logp[0]) / certain - 1) <= 1e-11L);
    CHECK(wide.logp[0] < 0);
  }
  // a shard whose only possible token is the label
  const std::vector<float> alone{-inf, 4, -inf, 3, 2};
  const exact two = by_definition(alone.data(), 5, 1, 1, nullptr);
  for (const ints& cuts : {ints{0, 3, 5}, ints{0, 1, 2, 5}, ints{0, 5}}) {
    CHECK(std::abs(real(run<double>(reference<double>{}, rule, alone, 1, {1}, cuts).logp[0]) -
                   two.logp) <= 1e-14L);
    CHECK(std::abs(real(run<float>(cpu{}, rule, alone, 1, {1}, cuts).logp[0]) - two.logp) <= 1e-7L);
  }
  const softmax_rule capped{
      .temperature = 1.0, .negative = negative_labels::out_of_range, .soft_cap = 10};
  std::vector<float> y(300);
  for (std::size_t i = 0; i < 300; ++i) y[i] = float(i) / 10 - 12;
  std::vector<float> squashed(300);
  for (std::size_t i = 0; i < 300; ++i) squashed[i] = float(10 * std::tanh(real(y[i]) / 10));
  const exact c = by_definition(squashed.data(), 300, 17, 1, nullptr);
  CHECK(std::abs(real(run<float>(cpu{}, capped, y, 1, {17}, {0, 100, 300}).logp[0]) - c.logp) <=
        2e-6L);
}

TEST_CASE("NaN, no support, bad and ignored labels") {
  const softmax_rule strict{.temperature = 1.0, .negative = negative_labels::out_of_range},
      lax{.temperature = 1.0, .negative = negative_labels::ignored};
  std::vector<float> x(2 * 300, 0.5f);
  const ints cuts{0, 100, 300};
  x[150] = std::nanf("");
  const auto with_nan = run<float>(cpu{}, strict, x, 2, {3, 4}, cuts);
  CHECK(with_nan.found == status::non_finite);
  CHECK(std::isnan(with_nan.logp[0]));
  CHECK(std::isnan(with_nan.gradient[0]));
  CHECK(std::isnan(with_nan.gradient[299]));
  CHECK(with_nan.logp[1] == doctest::Approx(-std::log(300.0)).epsilon(1e-6));
  x[150] = 0.5f, x[3] = std::nanf("");
  const auto first = run<float>(cpu{}, strict, x, 2, {150, 4}, cuts);
  CHECK(first.found == status::non_finite);
  CHECK(std::isnan(first.logp[0]));
  CHECK(std::isnan(first.gradient[299]));
  CHECK(first.logp[1] == with_nan.logp[1]);
  x[3] = 0.5f;
  for (std::size_t i = 0; i < 300; ++i) x[i] = -inf;
  const auto nothing = run<float>(cpu{}, strict, x, 2, {3, 4}, cuts);
  CHECK(nothing.found == status::non_finite);
  CHECK(std::isnan(nothing.logp[0]));
  x.assign(600, 0.5f);
  const auto bad = run<float>(cpu{}, strict, x, 2, {300, -1}, cuts);
  CHECK(bad.found == status::label);
  CHECK(std::isnan(bad.logp[0]));
  CHECK(std::isnan(bad.logp[1]));
  CHECK(std::isnan(bad.gradient[599]));
  CHECK(bad.entropy[0] == doctest::Approx(std::log(300.0)).epsilon(1e-6));
  const auto ignored = run<float>(cpu{}, lax, x, 2, {-100, 150}, cuts);
  CHECK(ignored.found == status::ok);
  CHECK(ignored.logp[0] == 0);
  CHECK(ignored.entropy[0] == 0);
  for (std::size_t i = 0; i < 300; ++i) CHECK(ignored.gradient[i] == 0);
  CHECK(ignored.logp[1] == doctest::Approx(-std::log(300.0)).epsilon(1e-6));
  x[450] = -inf;
  const auto masked_out = run<float>(cpu{}, lax, x, 2, {-100, 150}, cuts);
  CHECK(masked_out.found == status::label);
  CHECK(masked_out.logp[1] == -inf);
}

TEST_CASE("two shards in different frames") {
  using N = num<double, native_isa>;
  const softmax_state near{1, 0, 10, 0, 3}, far{2, 0, 0, 10, NAN};
  // both have the exponent 10: the first stays
  CHECK(detail::merged<N>(near, far, 1).shift == 0);
  CHECK(detail::merged<N>(near, far, 1).others == 3);
  CHECK(detail::merged<N>(near, far, 1).label == 3);
  CHECK(detail::merged<N>(far, near, 1).shift == 10);
  CHECK(detail::merged<N>(far, near, 1).label == -7);
  // a NaN leaves no frame, whichever side it comes from
  const softmax_state nan = detail::without_numbers();
  for (const softmax_state& merged :
       {detail::merged<N>(nan, far, 1), detail::merged<N>(far, nan, 1)}) {
    CHECK(std::isnan(merged.others));
    CHECK(merged.shift == 0);
  }
}

TEST_CASE("a vocabulary of one token") {
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::out_of_range};
  CHECK(run<float>(cpu{}, rule, {3.0f, -4.0f}, 2, {0, 0}, {0, 1}).logp == std::vector<float>{0, 0});
}

TEST_CASE("what is refused") {
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::out_of_range};
  std::vector<float> x(8), logp(2);
  std::vector<softmax_state> states(4);
  const ints labels{0, 1}, too_few{0};
  const view<const float, 2> logits(x.data(), 2, 4);
  const auto message_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto starts = [](const std::string& text, const char* with) {
    return text.rfind(with, 0) == 0;
  };
  const view<softmax_state> two(states.data(), 2), three(states.data(), 3);
  CHECK(starts(message_of([&] { shard_states(cpu{}, rule, logits, labels, -1, two); }),
               "hence: first_column is -1"));
  CHECK(starts(message_of([&] { shard_states(cpu{}, rule, logits, labels, 0, three); }),
               "hence: out.states has 3 entries"));
  CHECK(starts(
      message_of([&] { shard_states(cpu{}, rule, logits, labels, 0, view<softmax_state>()); }),
      "hence: states is null"));
  const view<const softmax_state, 2> gathered(states.data(), 2, 2), none(states.data(), 0, 2);
  CHECK(starts(message_of([&] { merge_shards(cpu{}, rule, none, labels, 8, {.logp = logp}); }),
               "hence: states has shape [0, 2]"));
  CHECK(starts(message_of([&] { merge_shards(cpu{}, rule, gathered, labels, 0, {.logp = logp}); }),
               "hence: vocabulary is 0"));
  CHECK(starts(message_of([&] { merge_shards(cpu{}, rule, gathered, too_few, 8, {.logp = logp}); }),
               "hence: labels has 1 entries"));
  CHECK(starts(message_of([&] {
                 merge_shards(cpu{}, rule, view<const softmax_state, 2>(nullptr, 2, 2), labels, 8,
                              {.logp = logp});
               }),
               "hence: states has shape [2, 2]"));
  CHECK(starts(message_of([&] {
                 merge_shards(cpu{}, rule, view<const softmax_state, 2>(states.data(), 2, -1), {},
                              8, {.logp = logp});
               }),
               "hence: states has shape [2, -1]"));
  CHECK(starts(message_of([&] {
                 shard_gradient(cpu{}, rule, logits, labels, -1, two, {},
                                view<float, 2>(x.data(), 2, 4));
               }),
               "hence: first_column is -1"));
  CHECK(message_of([&] { merge_shards(cpu{}, rule, gathered, {}, 8, {.logp = logp}); }) ==
        "hence: labels is null, expected 2 rows");
  CHECK(message_of([&] { merge_shards(cpu{}, rule, gathered, labels, 8, {.states = two}); }) ==
        "hence: out.states overlaps states, expected separate arrays");
  // no rows are no error
  const ints none_given;
  CHECK(shard_states(cpu{}, rule, view<const float, 2>(x.data(), 0, 4), none_given, 0,
                     view<softmax_state>()) == status::ok);
  CHECK(merge_shards(cpu{}, rule, view<const softmax_state, 2>(nullptr, 2, 0), none_given, 8, {}) ==
        status::ok);
}
