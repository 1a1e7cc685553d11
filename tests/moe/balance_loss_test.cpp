// The losses of balance: their value at balance, the formula in double, central differences,
// merging.

#include "oracle.hpp"

#include <hence/moe/balance_loss.hpp>

#include <doctest/doctest.h>
#include <cstring>
#include <stdexcept>

namespace {

namespace moe = hence::moe;
using hence::view;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();

template <class S> struct measured {
  std::vector<std::int64_t> probability, top_k;
  moe::balance_counts<S> counts;
};

template <class S>
moe::balance_inputs<S> inputs(const std::vector<S>& z, std::size_t experts,
                              const std::vector<std::uint8_t>* valid = nullptr) {
  moe::balance_inputs<S> in;
  in.logits = view<const S, 2>(z.data(), static_cast<std::int64_t>(z.size() / experts),
                               static_cast<std::int64_t>(experts));
  if (valid != nullptr) in.valid = *valid;
  return in;
}

template <class Executor, class Score>
measured<typename Executor::scalar> measure(const Executor& executor, const Score& score, int k,
                                            const std::vector<typename Executor::scalar>& z,
                                            std::size_t experts,
                                            const std::vector<std::uint8_t>* valid = nullptr) {
  measured<typename Executor::scalar> m{
      std::vector<std::int64_t>(experts, -9), std::vector<std::int64_t>(experts, -9), {}};
  m.counts =
      moe::measure_balance(executor, score, k, inputs(z, experts, valid), m.probability, m.top_k);
  return m;
}

template <class Executor, class Score, class Loss>
std::vector<typename Executor::scalar> gradient(const Executor& executor, const Score& score,
                                                const Loss& loss, int k,
                                                const std::vector<typename Executor::scalar>& z,
                                                std::size_t experts,
                                                const moe::balance_window& window,
                                                const std::vector<std::uint8_t>* valid = nullptr) {
  using S = typename Executor::scalar;
  std::vector<S> out(z.size(), S(77));
  const view<S, 2> to(out.data(), static_cast<std::int64_t>(z.size() / experts),
                      static_cast<std::int64_t>(experts));
  if constexpr (std::is_same_v<Loss, moe::z_loss>)
    moe::balance_gradient(executor, loss, inputs(z, experts, valid), window.rows, to,
                          moe::overwrite{});
  else
    moe::balance_gradient(executor, loss, score, k, inputs(z, experts, valid), window, to,
                          moe::overwrite{});
  return out;
}

/// P of a row, from the contract.
std::vector<double> probabilities(oracle::score score, const std::vector<double>& z) {
  oracle::gate g;
  g.score = score == oracle::score::softmax_after ? oracle::score::softmax : score;
  auto p = oracle::scores(g, z);
  if (g.score == oracle::score::softmax) return p;
  double sum = 1e-20;
  for (double x : p) sum += x;
  for (double& x : p) x /= sum;
  return p;
}

struct plain_loss {
  double value = 0, z = 0;
};
/// The losses with constant counts.
plain_loss plain(oracle::score score, int k, const std::vector<double>& z, std::size_t experts,
                 const std::vector<std::int64_t>& count) {
  plain_loss out;
  const std::size_t rows = z.size() / experts;
  const auto t2 = static_cast<double>(rows) * static_cast<double>(rows);
  for (std::size_t t = 0; t < rows; ++t) {
    const std::vector<double> row(z.begin() + static_cast<std::int64_t>(t * experts),
                                  z.begin() + static_cast<std::int64_t>((t + 1) * experts));
    const auto p = probabilities(score, row);
    double sum = 0;
    for (std::size_t e = 0; e < experts; ++e) {
      out.value += static_cast<double>(count[e]) * p[e] * static_cast<double>(experts) / k / t2;
      if (oracle::scored(row[e])) sum += std::exp(row[e]);
    }
    if (sum > 0) out.z += std::log(sum) * std::log(sum) / static_cast<double>(rows);
  }
  return out;
}

template <class Score> void check(const Score& score, oracle::score name, int k) {
  constexpr std::size_t experts = 21, rows = 35;
  auto z = oracle::logits(rows * experts, static_cast<unsigned>(k), 1.5, 1 << 16);
  z[5] = nan, z[experts + 2] = -inf;
  const std::vector<double> wide(z.begin(), z.end());
  const auto m = measure(hence::reference<double>{}, score, k, wide, experts);
  const auto on_cpu = measure(hence::cpu{}, score, k, z, experts);
  CHECK(m.counts.rows == rows);
  CHECK(on_cpu.top_k == m.top_k);
  std::vector<std::int64_t> count(experts, 0);
  for (std::size_t t = 0; t < rows; ++t) {
    const std::vector<double> row(wide.begin() + static_cast<std::int64_t>(t * experts),
                                  wide.begin() + static_cast<std::int64_t>((t + 1) * experts));
    std::vector<int> all;
    for (std::size_t e = 0; e < experts; ++e)
      if (oracle::scored(row[e])) all.push_back(static_cast<int>(e));
    const auto best = oracle::ordered(probabilities(name, row), all);
    for (std::size_t j = 0; j < static_cast<std::size_t>(k); ++j)
      ++count[static_cast<std::size_t>(best[j])];
  }
  CHECK(m.top_k == count);
  const moe::balance_window window{m.top_k, m.counts.rows};
  const auto want = plain(name, k, wide, experts, count);
  const moe::switch_loss loss{0.3, moe::balance_is_one{}};
  CHECK(moe::balance_loss(loss, k, m.probability, window) ==
        doctest::Approx(0.3 * want.value).epsilon(1e-9));
  CHECK(moe::balance_loss(loss, k, on_cpu.probability, window) ==
        doctest::Approx(0.3 * want.value).epsilon(1e-6));
  CHECK(moe::balance_loss(moe::switch_loss{0.3, moe::balance_is_k{}}, k, m.probability, window) ==
        doctest::Approx(0.3 * k * want.value).epsilon(1e-9));
  CHECK(moe::balance_loss(moe::z_loss{0.3}, m.counts) ==
        doctest::Approx(0.3 * want.z).epsilon(1e-12));
  CHECK(moe::balance_loss(moe::z_loss{0.3}, on_cpu.counts) ==
        doctest::Approx(0.3 * want.z).epsilon(1e-6));

  const auto g = gradient(hence::reference<double>{}, score, loss, k, wide, experts, window);
  const auto gz =
      gradient(hence::reference<double>{}, score, moe::z_loss{0.3}, k, wide, experts, window);
  const auto narrow = gradient(hence::cpu{}, score, loss, k, z, experts, window);
  const auto narrow_z = gradient(hence::cpu{}, score, moe::z_loss{0.3}, k, z, experts, window);
  const auto scalar = gradient(hence::reference<float>{}, score, loss, k, z, experts, window);
  CHECK(std::memcmp(narrow.data(), scalar.data(), scalar.size() * 4) == 0);
  auto moved = wide;
  for (std::size_t i = 0; i < 4 * experts; ++i) {
    if (!oracle::scored(wide[i])) {
      CHECK(g[i] == 0);
      CHECK(gz[i] == 0);
      CHECK(narrow[i] == 0);
      continue;
    }
    const double h = 1e-5;
    moved[i] = wide[i] + h;
    const auto above = plain(name, k, moved, experts, count);
    moved[i] = wide[i] - h;
    const auto below = plain(name, k, moved, experts, count);
    moved[i] = wide[i];
    const double d = 0.3 * (above.value - below.value) / (2 * h),
                 dz = 0.3 * (above.z - below.z) / (2 * h);
    CHECK(g[i] == doctest::Approx(d).epsilon(1e-5).scale(1e-5));
    CHECK(gz[i] == doctest::Approx(dz).epsilon(1e-5).scale(1e-5));
    CHECK(std::abs(double(narrow[i]) - g[i]) < 1e-8);
    CHECK(std::abs(double(narrow_z[i]) - gz[i]) < 1e-7);
  }
}

TEST_CASE("values and gradients") {
  for (const int k : {1, 3, 9}) {
    check(moe::score::softmax{}, oracle::score::softmax, k);
    check(moe::score::softmax_after{}, oracle::score::softmax_after, k);
    check(moe::score::sigmoid{}, oracle::score::sigmoid, k);
    check(moe::score::sqrt_softplus{}, oracle::score::sqrt_softplus, k);
  }
}

TEST_CASE("at perfect balance: coef, or k coef") {
  // row t prefers experts t and t + 1: each expert is chosen as often, and equal P on average
  constexpr std::size_t experts = 8;
  std::vector<float> z(experts * experts, 0.0f);
  for (std::size_t t = 0; t < experts; ++t)
    z[t * experts + t] = z[t * experts + (t + 1) % experts] = 1;
  const auto at = [&](const auto& score) {
    const auto m = measure(hence::cpu{}, score, 2, z, experts);
    CHECK(m.top_k == std::vector<std::int64_t>(experts, 2));
    const moe::balance_window window{m.top_k, m.counts.rows};
    CHECK(moe::balance_loss(moe::switch_loss{0.01, moe::balance_is_one{}}, 2, m.probability,
                            window) == doctest::Approx(0.01).epsilon(1e-6));
    CHECK(moe::balance_loss(moe::switch_loss{0.01, moe::balance_is_k{}}, 2, m.probability,
                            window) == doctest::Approx(0.02).epsilon(1e-6));
    // balanced counts pull nowhere, exactly
    for (const float d :
         gradient(hence::cpu{}, score, moe::switch_loss{0.01, moe::balance_is_one{}}, 2, z, experts,
                  window))
      CHECK(std::abs(d) < 1e-20f);
  };
  at(moe::score::softmax{});
  at(moe::score::sigmoid{});
}

struct backwards {
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = n - 1; i >= 0; --i) f(i);
  }
};

TEST_CASE("sums of micro-batches and of any pool are those of the whole") {
  constexpr std::size_t experts = 16, rows = 700;
  const auto z = oracle::logits(rows * experts, 4);
  const auto whole = measure(hence::cpu{}, moe::score::sigmoid{}, 2, z, experts);
  backwards pool;
  const auto pooled = measure(hence::cpu(pool), moe::score::sigmoid{}, 2, z, experts);
  const auto scalar = measure(hence::reference<float>{}, moe::score::sigmoid{}, 2, z, experts);
  for (const auto* other : {&pooled, &scalar}) {
    CHECK(other->probability == whole.probability);
    CHECK(other->top_k == whole.top_k);
    CHECK(other->counts.squares.value() == whole.counts.squares.value());
  }
  const moe::balance_window window{whole.top_k, whole.counts.rows};
  const auto same_gradient = [&](const auto& loss) {
    const auto of = [&](const auto& executor) {
      return gradient(executor, moe::score::sigmoid{}, loss, 2, z, experts, window);
    };
    CHECK(of(hence::cpu(pool)) == of(hence::cpu{}));
  };
  same_gradient(moe::switch_loss{0.1, moe::balance_is_one{}});
  same_gradient(moe::z_loss{0.1});
  for (const std::size_t cut : {1u, 300u}) {
    const auto middle = z.begin() + static_cast<std::int64_t>(cut * experts);
    auto a = measure(hence::cpu{}, moe::score::sigmoid{}, 2, {z.begin(), middle}, experts);
    const auto b = measure(hence::cpu{}, moe::score::sigmoid{}, 2, {middle, z.end()}, experts);
    for (std::size_t e = 0; e < experts; ++e)
      a.probability[e] += b.probability[e], a.top_k[e] += b.top_k[e];
    CHECK(a.probability == whole.probability);
    CHECK(a.top_k == whole.top_k);
    CHECK((a.counts + b.counts).squares.value() == whole.counts.squares.value());
  }
}

TEST_CASE("the global batch in two calls: the gradients of one") {
  constexpr std::size_t experts = 9, rows = 40, cut = 13;
  const auto z = oracle::logits(rows * experts, 5);
  const auto middle = z.begin() + cut * experts;
  const auto m = measure(hence::cpu{}, moe::score::sigmoid{}, 2, z, experts);
  const moe::balance_window window{m.top_k, m.counts.rows};
  const auto of = [&](const auto& loss, const std::vector<float>& logits) {
    return gradient(hence::cpu{}, moe::score::sigmoid{}, loss, 2, logits, experts, window);
  };
  const auto check_loss = [&](const auto& loss) {
    const auto whole = of(loss, z), last = of(loss, {middle, z.end()});
    auto both = of(loss, {z.begin(), middle});
    both.insert(both.end(), last.begin(), last.end());
    CHECK(both == whole);
  };
  check_loss(moe::switch_loss{0.1, moe::balance_is_k{}});
  check_loss(moe::z_loss{0.1});
}

TEST_CASE("sequence-wise: the mean over sequences, each with its own counts") {
  // DeepSeek-V3, arXiv:2412.19437, eq. 17 to 20, of sequences of 7 and 12 tokens
  constexpr std::size_t experts = 6, first = 7, rows = 19;
  constexpr int k = 2;
  const auto narrow = oracle::logits(rows * experts, 9, 1.5, 1 << 16);
  const std::vector<double> z(narrow.begin(), narrow.end());
  const auto sequence = [&](const std::vector<double>& all, bool second) {
    const auto middle = all.begin() + first * experts;
    return second ? std::vector<double>(middle, all.end())
                  : std::vector<double>(all.begin(), middle);
  };
  const hence::reference<double> executor;
  std::vector<double> grad;
  double value = 0;
  std::vector<std::int64_t> counts[2];
  const moe::switch_loss half{0.5 * 0.3, moe::balance_is_one{}};  // of two sequences
  for (const bool second : {false, true}) {
    const auto part = sequence(z, second);
    const auto m = measure(executor, moe::score::sigmoid{}, k, part, experts);
    const moe::balance_window window{m.top_k, m.counts.rows};
    counts[second] = m.top_k;
    value += moe::balance_loss(half, k, m.probability, window);
    const auto g = gradient(executor, moe::score::sigmoid{}, half, k, part, experts, window);
    grad.insert(grad.end(), g.begin(), g.end());
  }
  const auto plainly = [&](const std::vector<double>& at) {
    double sum = 0;
    for (const bool second : {false, true})
      sum += plain(oracle::score::sigmoid, k, sequence(at, second), experts, counts[second]).value;
    return 0.3 * sum / 2;
  };
  CHECK(std::abs(value - plainly(z)) < 1e-9);
  for (std::size_t i = 0; i < z.size(); ++i) {
    auto above = z, below = z;
    above[i] += 1e-5, below[i] -= 1e-5;
    CHECK(std::abs(grad[i] - (plainly(above) - plainly(below)) / 2e-5) < 1e-9);
  }
}

TEST_CASE("invalid rows are not read; no valid row is 0") {
  const std::vector<float> z{1, 2, 3, nan, inf, nan, 0, 0, 1};
  const std::vector<std::uint8_t> valid{1, 0, 1}, none(3, 0);
  const auto m = measure(hence::cpu{}, moe::score::softmax{}, 1, z, 3, &valid);
  CHECK(m.counts.rows == 2);
  CHECK(m.top_k == std::vector<std::int64_t>{0, 0, 2});
  const moe::balance_window window{m.top_k, 2};
  const auto g = gradient(hence::cpu{}, moe::score::softmax{},
                          moe::switch_loss{1.0, moe::balance_is_one{}}, 1, z, 3, window, &valid);
  for (const std::size_t i : {3u, 4u, 5u}) CHECK(g[i] == 0.0f);
  CHECK(g[2] > 0.0f);
  const auto nothing = measure(hence::cpu{}, moe::score::softmax{}, 1, z, 3, &none);
  CHECK(moe::balance_loss(moe::switch_loss{1.0, moe::balance_is_one{}}, 1, nothing.probability,
                          {nothing.top_k, 0}) == 0);
  CHECK(moe::balance_loss(moe::z_loss{1.0}, nothing.counts) == 0);
  for (const float d : gradient(hence::cpu{}, moe::score::softmax{}, moe::z_loss{1.0}, 1, z, 3,
                                {nothing.top_k, 0}, &none))
    CHECK(d == 0.0f);
}

TEST_CASE("k = E is balanced whatever the logits are; no token, one token") {
  const moe::switch_loss loss{0.5, moe::balance_is_one{}};
  const auto check_score = [&](const auto& score) {
    for (const std::size_t tokens : {1u, 33u}) {
      const auto z = oracle::logits(tokens * 6, 8);
      const auto m = measure(hence::cpu{}, score, 6, z, 6);
      const auto rows = static_cast<std::int64_t>(tokens);
      CHECK(m.top_k == std::vector<std::int64_t>(6, rows));
      const moe::balance_window window{m.top_k, rows};
      CHECK(std::abs(moe::balance_loss(loss, 6, m.probability, window) - 0.5) < 1e-6);
      for (const float d : gradient(hence::cpu{}, score, loss, 6, z, 6, window))
        CHECK(std::abs(d) < 1e-7f);
    }
    const auto none = measure(hence::cpu{}, score, 2, std::vector<float>(), 6);
    CHECK(none.counts.rows == 0);
    CHECK(moe::balance_loss(loss, 2, none.probability, {none.top_k, 0}) == 0);
  };
  check_score(moe::score::softmax{});
  check_score(moe::score::sigmoid{});
  // one token, k = 1: E P of its best expert
  const std::vector<float> z{0, 1, 2};
  const auto m = measure(hence::cpu{}, moe::score::softmax{}, 1, z, 3);
  const double best = std::exp(2.0) / (1 + std::exp(1.0) + std::exp(2.0));
  CHECK(std::abs(moe::balance_loss(loss, 1, m.probability, {m.top_k, 1}) - 0.5 * 3 * best) < 1e-6);
}

TEST_CASE("a row with fewer scored experts than k counts those") {
  const std::vector<float> z{nan, 2, -inf, nan, 0, 1};
  const auto m = measure(hence::cpu{}, moe::score::sigmoid{}, 2, z, 3);
  CHECK(m.top_k == std::vector<std::int64_t>{0, 2, 1});
}

TEST_CASE("added to what is there") {
  const auto z = oracle::logits(20 * 5, 6);
  const auto m = measure(hence::cpu{}, moe::score::softmax{}, 2, z, 5);
  const auto g =
      gradient(hence::cpu{}, moe::score::softmax{}, moe::z_loss{1.0}, 2, z, 5, {m.top_k, 20});
  auto there = oracle::logits(20 * 5, 7);
  const auto before = there;
  moe::balance_gradient(hence::cpu{}, moe::z_loss{1.0}, inputs(z, 5), 20,
                        view<float, 2>(there.data(), 20, 5), moe::accumulate{});
  for (std::size_t i = 0; i < there.size(); ++i) CHECK(there[i] == before[i] + g[i]);
}

TEST_CASE("a row's sums to the bit, and which P is the largest") {
  using N = hence::num<float>;
  for (unsigned seed = 21; seed < 41; ++seed) {
    const auto z = oracle::logits(8, seed);
    N s[8];
    for (std::size_t e = 0; e < 8; ++e) s[e] = hence::sigmoid(N(z[e]));
    const N sum = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
    const auto m = measure(hence::cpu{}, moe::score::sigmoid{}, 1, z, 8);
    for (std::size_t e = 0; e < 8; ++e) {
      const double p = static_cast<double>((s[e] * (N(1.0f) / sum)).v);
      CHECK(m.probability[e] == static_cast<std::int64_t>(std::floor(p * 0x1p40 + 0.5)));
    }
  }
  // P apart by 2^-25
  const std::vector<float> close{0, 0x1p-22f, 0, 0, 0, 0, 0, 0};
  CHECK(measure(hence::cpu{}, moe::score::softmax{}, 1, close, 8).top_k[1] == 1);
  // scores as small as what is added to their sum
  const std::vector<float> small{-46, nan};
  const double tiny = 1 / (1 + std::exp(46.0));
  CHECK(static_cast<double>(
            measure(hence::cpu{}, moe::score::sigmoid{}, 1, small, 2).probability[0]) ==
        doctest::Approx(0x1p40 * tiny / (tiny + 1e-20)).epsilon(1e-5));
}

TEST_CASE("the gradient where scores are as small as what is added to their sum") {
  const std::vector<double> z{-46.5, -45, -46};
  const std::vector<std::int64_t> count{1, 2, 5};
  const auto g = gradient(hence::reference<double>{}, moe::score::sigmoid{},
                          moe::switch_loss{1.0, moe::balance_is_one{}}, 1, z, 3, {count, 8});
  for (std::size_t i = 0; i < 3; ++i) {
    auto above = z, below = z;
    above[i] += 1e-5, below[i] -= 1e-5;
    const double want = (plain(oracle::score::sigmoid, 1, above, 3, count).value -
                         plain(oracle::score::sigmoid, 1, below, 3, count).value) /
                        2e-5;
    CHECK(64 * g[i] == doctest::Approx(want).epsilon(1e-6));  // this row's, of a window of 8
  }
}

TEST_CASE("a row without a scored expert adds 0; a window without rows pulls nowhere") {
  const std::vector<float> z{nan, -inf, nan};
  const auto adds_nothing = [&](const auto& score) {
    const auto m = measure(hence::cpu{}, score, 2, z, 3);
    CHECK(m.probability == std::vector<std::int64_t>(3, 0));
    CHECK(m.top_k == std::vector<std::int64_t>(3, 0));
    CHECK(m.counts.squares.value() == 0);
  };
  adds_nothing(moe::score::softmax{});
  adds_nothing(moe::score::sigmoid{});
  const auto live = oracle::logits(6, 3);
  for (const float d :
       gradient(hence::cpu{}, moe::score::softmax{}, moe::z_loss{1.0}, 1, live, 3, {{}, 0}))
    CHECK(d == 0.0f);
}

TEST_CASE("nothing is written behind the workspace or beside a strided gradient") {
  constexpr std::int64_t experts = 16, tokens = 9;
  const auto z = oracle::logits(experts * tokens, 4);
  std::vector<std::uint8_t> valid(tokens, 1);
  valid[8] = 0;
  const auto in = inputs(z, experts, &valid);
  const auto bytes = moe::balance_workspace_bytes(hence::cpu{}, tokens, experts, 4);
  alignas(64) static std::byte memory[1 << 14];
  REQUIRE(bytes + 256 <= std::int64_t{sizeof memory});
  std::fill_n(memory, sizeof memory, std::byte{0x5a});
  const view<std::byte> workspace(memory, bytes);
  std::vector<std::int64_t> probability(experts), top_k(experts);
  const auto counts = moe::measure_balance(hence::cpu{}, moe::score::sigmoid{}, 4, in, probability,
                                           top_k, workspace);
  std::vector<float> g((experts + 1) * tokens, 77.0f);
  moe::balance_gradient(hence::cpu{}, moe::switch_loss{1.0, moe::balance_is_one{}},
                        moe::score::sigmoid{}, 4, in, {top_k, counts.rows},
                        view<float, 2>(g.data(), tokens, experts, experts + 1), moe::overwrite{},
                        workspace);
  for (std::int64_t i = bytes; i < bytes + 256; ++i) CHECK(memory[i] == std::byte{0x5a});
  for (std::size_t t = 0; t < tokens; ++t) CHECK(g[t * (experts + 1) + experts] == 77.0f);
}

TEST_CASE("bad arrays are refused before anything is written") {
  const std::vector<float> z(12, 0.5f);
  std::vector<std::int64_t> probability(4, 77), top_k(3, 77);
  const auto refusal = [](auto f) -> std::string {
    try {
      f();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  CHECK(refusal([&] {
          moe::measure_balance(hence::cpu{}, moe::score::softmax{}, 2, inputs(z, 4), probability,
                               top_k);
        }) == "hence: top_k has 3 entries, expected 4");
  CHECK(refusal([&] {
          moe::measure_balance(hence::cpu{}, moe::score::softmax{}, 5, inputs(z, 4), probability,
                               probability);
        }) == "hence: gate.k is 5, expected 1 to the 4 experts");
  CHECK(probability[0] == 77);
  std::vector<float> g(12, 77.0f);
  CHECK(refusal([&] {
          moe::balance_gradient(hence::cpu{}, moe::switch_loss{1.0, moe::balance_is_one{}},
                                moe::score::softmax{}, 2, inputs(z, 4), {top_k, 3},
                                view<float, 2>(g.data(), 3, 4), moe::overwrite{});
        }) == "hence: count has 3 entries, expected 4");
  CHECK(g[0] == 77.0f);
  top_k.resize(4);
  const auto value = [&](double coef, std::int64_t k) {
    return refusal([&] {
      moe::balance_loss(moe::switch_loss{coef, moe::balance_is_one{}}, k, probability, {top_k, 3});
    });
  };
  CHECK(value(1, 0) == "hence: gate.k is 0, expected 1 to the 4 experts");
  CHECK(value(__builtin_nan(""), 2) == "hence: coef is nan, expected a finite number");
  CHECK(refusal([&] {
          moe::balance_gradient(hence::cpu{}, moe::z_loss{__builtin_inf()}, inputs(z, 4), 3,
                                view<float, 2>(g.data(), 3, 4), moe::overwrite{});
        }) == "hence: coef is inf, expected a finite number");
  CHECK(g[0] == 77.0f);
}

}  // namespace
