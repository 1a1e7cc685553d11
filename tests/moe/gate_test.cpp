// Routing against a plain oracle in double, and what must hold for every input.

#include "oracle.hpp"

#include <hence/moe/gate.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <cstring>
#include <set>

namespace {

namespace moe = hence::moe;
using hence::view;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();

template <class S> struct routed {
  std::vector<std::int32_t> ids;
  std::vector<S> weights;
  std::vector<std::int64_t> load;
  std::vector<std::uint8_t> faults;
  moe::route_counts counts;
};

template <class S> struct extras {
  const std::vector<S>* bias = nullptr;
  const std::vector<std::uint8_t>* valid = nullptr;
  const std::vector<std::int32_t>* replay = nullptr;
};

template <class Executor, class Gate, class Z>
routed<typename Executor::scalar> run(const Executor& executor, const Gate& gate,
                                      const std::vector<Z>& z, std::int64_t tokens,
                                      const extras<typename Executor::scalar>& extra = {}) {
  using S = typename Executor::scalar;
  const std::int64_t experts = tokens > 0 ? static_cast<std::int64_t>(z.size()) / tokens : 8;
  const auto slots = static_cast<std::size_t>(tokens * gate.k);
  routed<S> out{std::vector<std::int32_t>(slots, 77),
                std::vector<S>(slots, S(77)),
                std::vector<std::int64_t>(static_cast<std::size_t>(experts), -5),
                std::vector<std::uint8_t>(static_cast<std::size_t>(tokens), 77),
                {}};
  moe::gate_inputs<S, Z> in;
  in.logits = view<const Z, 2>(z.data(), tokens, experts);
  if (extra.bias != nullptr) in.bias = *extra.bias;
  if (extra.valid != nullptr) in.valid = *extra.valid;
  if (extra.replay != nullptr)
    in.replay = view<const std::int32_t, 2>(extra.replay->data(), tokens, gate.k);
  moe::gate_outputs<S> to;
  to.ids = view<std::int32_t, 2>(out.ids.data(), tokens, gate.k);
  to.weights = view<S, 2>(out.weights.data(), tokens, gate.k);
  to.load = out.load;
  to.row_faults = out.faults;
  out.counts = moe::route(executor, gate, in, to);
  return out;
}

template <class S> bool same(const routed<S>& a, const routed<S>& b) {
  return a.ids == b.ids && a.load == b.load && a.faults == b.faults &&
         a.weights.size() == b.weights.size() &&
         std::memcmp(a.weights.data(), b.weights.data(), a.weights.size() * sizeof(S)) == 0;
}

/// Every slot and weight against the oracle. \param bound relative error of the weights.
template <class S>
void check(const routed<S>& got, const oracle::gate& g, const std::vector<S>& z,
           std::int64_t tokens, double bound, const std::vector<S>& bias = {}) {
  const auto experts = z.size() / static_cast<std::size_t>(tokens);
  std::vector<std::int64_t> load(experts, 0);
  const std::vector<double> wide_bias(bias.begin(), bias.end());
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto begin = z.begin() + t * static_cast<std::int64_t>(experts);
    const auto want =
        oracle::route(g, {begin, begin + static_cast<std::int64_t>(experts)}, wide_bias);
    for (std::size_t j = 0; j < want.ids.size(); ++j) {
      const auto at = static_cast<std::size_t>(t * g.k) + j;
      REQUIRE(got.ids[at] == want.ids[j]);
      CHECK(std::abs(static_cast<double>(got.weights[at]) - want.weights[j]) <=
            bound * std::abs(want.weights[j]));
      if (want.ids[j] >= 0) ++load[static_cast<std::size_t>(want.ids[j])];
    }
  }
  CHECK(got.load == load);
}

/// On every executor; fp32 ones agree to the bit.
template <class Gate>
void check_all(const Gate& gate, const oracle::gate& g, std::int64_t tokens, std::size_t experts,
               unsigned seed, bool with_bias) {
  const auto z = oracle::logits(static_cast<std::size_t>(tokens) * experts, seed);
  std::vector<float> bias;
  if (with_bias) bias = oracle::logits(experts, seed + 1, 0.2, 1024);
  const std::vector<double> wide(z.begin(), z.end()), wide_bias(bias.begin(), bias.end());
  extras<float> extra;
  extras<double> wide_extra;
  if (with_bias) extra.bias = &bias, wide_extra.bias = &wide_bias;
  const auto on_cpu = run(hence::cpu{}, gate, z, tokens, extra);
  check(run(hence::reference<double>{}, gate, wide, tokens, wide_extra), g, wide, tokens, 1e-14,
        wide_bias);
  check(on_cpu, g, z, tokens, 8 * 6e-8, bias);
  CHECK(same(on_cpu, run(hence::reference<float>{}, gate, z, tokens, extra)));
}

TEST_CASE("sigmoid in groups, as DeepSeek-V3 and its copies do") {
  oracle::gate g{
      oracle::score::sigmoid, 8, 8, 4, oracle::group_score::top2_sum, true, true, 1e-20, 2.5};
  const moe::normalized weights{1e-20, moe::single_raw{}};
  for (const bool bias : {false, true}) {
    check_all(
        moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}}, weights, 2.5}, g,
        37, 64, 1, bias);
    g.rule = oracle::group_score::max;
    check_all(
        moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::max_score{}}, weights, 2.5}, g,
        37, 64, 2, bias);
    g.rule = oracle::group_score::top_k_over_m_sum, g.kept = 2;
    check_all(moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 2, moe::top_k_over_m_sum{}},
                        weights, 2.5},
              g, 37, 64, 3, bias);
    g.rule = oracle::group_score::top2_sum, g.kept = 4;
  }
}

TEST_CASE("every score, any k, with and without normaliser") {
  for (const int k : {1, 2, 3, 5, 6, 8, 11, 24}) {
    oracle::gate g;
    g.k = k;
    g.scale = 1.5;
    g.eps = 1e-3;
    const moe::normalized weights{1e-3, moe::single_normalized{}};
    const auto seed = static_cast<unsigned>(k);
    g.score = oracle::score::sigmoid;
    check_all(moe::gate{moe::score::sigmoid{}, k, moe::all_experts{}, weights, 1.5}, g, 19, 24,
              seed, true);
    g.score = oracle::score::sqrt_softplus;
    check_all(moe::gate{moe::score::sqrt_softplus{}, k, moe::all_experts{}, weights, 1.5}, g, 19,
              24, seed, true);
    g.score = oracle::score::softmax;
    check_all(moe::gate{moe::score::softmax{}, k, moe::all_experts{}, weights, 1.5}, g, 19, 24,
              seed, false);
    g.normalize = false;
    check_all(moe::gate{moe::score::softmax{}, k, moe::all_experts{}, moe::raw{}, 1.5}, g, 19, 24,
              seed, true);
    g.score = oracle::score::softmax_after;
    check_all(moe::gate{moe::score::softmax_after{}, k, moe::all_experts{}, moe::raw{}, 1.5}, g, 19,
              24, seed, true);
  }
}

TEST_CASE("k = 1 is a choice: the score, or about 1") {
  const std::vector<float> z{1, 2, 0, -1};
  const auto raw = run(hence::cpu{},
                       moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{},
                                 moe::normalized{0.0, moe::single_raw{}}, 1.0},
                       z, 1);
  const auto one = run(hence::cpu{},
                       moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{},
                                 moe::normalized{0.0, moe::single_normalized{}}, 1.0},
                       z, 1);
  CHECK(raw.weights[0] == doctest::Approx(1 / (1 + std::exp(-2.0))));
  CHECK(one.weights[0] == 1.0f);
}

TEST_CASE("ties go to the lowest index, -0 is +0, groups likewise") {
  const moe::gate v3{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}},
                     moe::normalized{1e-20, moe::single_raw{}}, 2.5};
  const auto equal = run(hence::cpu{}, v3, std::vector<float>(2 * 256, 0.0f), 2);
  for (int j = 0; j < 16; ++j) CHECK(equal.ids[static_cast<std::size_t>(j)] == j % 8);

  const moe::gate after{moe::score::softmax_after{}, 4, moe::all_experts{}, moe::raw{}, 1.0};
  const auto zeros =
      run(hence::cpu{}, after, std::vector<float>{-1, -0.0f, 0.0f, -0.0f, 0.0f, -2}, 1);
  CHECK(zeros.ids == std::vector<std::int32_t>{1, 2, 3, 4});
}

TEST_CASE("a NaN or -inf logit is never selected; a NaN is told; the others route") {
  const moe::gate gate{moe::score::sigmoid{}, 3, moe::all_experts{},
                       moe::normalized{0.0, moe::single_raw{}}, 1.0};
  const std::vector<float> z{nan, 1,   -inf, 3,   2,   0,     //
                             nan, nan, -inf, 3,   nan, -inf,  //
                             nan, nan, nan,  nan, nan, nan,   //
                             0,   1,   2,    3,   4,   5};
  for (const auto& got :
       {run(hence::cpu{}, gate, z, 4), run(hence::reference<float>{}, gate, z, 4)}) {
    CHECK(got.ids == std::vector<std::int32_t>{3, 4, 1, 3, -1, -1, -1, -1, -1, 5, 4, 3});
    CHECK(got.weights[3] == 1.0f);
    for (std::size_t i = 4; i < 9; ++i) CHECK(got.weights[i] == 0.0f);
    CHECK(got.faults == std::vector<std::uint8_t>{1, 1, 1, 0});
    CHECK(got.counts.nan_rows == 3);
    CHECK(got.counts.short_rows == 2);
    CHECK(got.counts.empty_slots == 5);
    CHECK(got.load == std::vector<std::int64_t>{0, 1, 0, 3, 2, 1});
    CHECK(hence::has(got.counts.conditions(), hence::status::non_finite));
  }
}

TEST_CASE("a row with +inf selects nothing and spoils no other") {
  for (const bool after : {false, true}) {
    const std::vector<float> z{1, inf, 0, 2, 1, 0};
    const auto got =
        after ? run(hence::cpu{},
                    moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0}, z, 2)
              : run(hence::cpu{},
                    moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, moe::raw{}, 1.0},
                    z, 2);
    CHECK(got.ids == std::vector<std::int32_t>{-1, -1, 0, 1});
    CHECK(got.weights[0] == 0.0f);
    CHECK(got.weights[2] > 0.0f);
    CHECK(got.faults == std::vector<std::uint8_t>{2, 0});
    CHECK(got.counts.infinite_rows == 1);
  }
}

TEST_CASE("fewer than k eligible: never an expert of a dropped group, never one twice") {
  // two experts a group, one group kept, k = 3: one slot stays empty
  const moe::gate gate{moe::score::sigmoid{}, 3, moe::grouped{4, 1, moe::max_score{}}, moe::raw{},
                       1.0};
  const auto got = run(hence::cpu{}, gate, std::vector<float>{0, 1, 5, -9, 2, 3, 4, 4}, 1);
  CHECK(got.ids == std::vector<std::int32_t>{2, 3, -1});
  // a group whose experts are all switched off is never kept
  const std::vector<float> bias{0, 0, -inf, -inf, 0, 0, 0, 0};
  extras<float> extra;
  extra.bias = &bias;
  const auto other = run(hence::cpu{}, gate, std::vector<float>{0, 1, 5, -9, 2, 3, 4, 4}, 1, extra);
  CHECK(other.ids == std::vector<std::int32_t>{6, 7, -1});
  const std::vector<float> all_off(8, -inf);
  extra.bias = &all_off;
  CHECK(run(hence::cpu{}, gate, std::vector<float>(8, 0.0f), 1, extra).ids ==
        std::vector<std::int32_t>{-1, -1, -1});
}

TEST_CASE("the bias selects and never weighs") {
  const std::vector<float> z{0, 1, 2, 3}, bias{10, 1e6f, 0, 0};
  extras<float> extra;
  extra.bias = &bias;
  const auto got =
      run(hence::cpu{}, moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0}, z,
          1, extra);
  CHECK(got.ids == std::vector<std::int32_t>{1, 0});
  CHECK(got.weights[0] == hence::sigmoid(hence::num<float>(1.0f)).v);  // to the bit
  CHECK(got.weights[1] == 0.5f);
}

TEST_CASE("invalid rows are not read") {
  std::vector<float> z = oracle::logits(40 * 16, 5);
  std::vector<std::uint8_t> valid(40);
  for (std::size_t t = 0; t < 40; ++t) {
    valid[t] = t % 3 != 1;
    if (!valid[t])
      std::fill_n(z.begin() + static_cast<std::int64_t>(t) * 16, 16, t % 2 == 0 ? inf : nan);
  }
  extras<float> extra;
  extra.valid = &valid;
  const moe::gate gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  const auto got = run(hence::cpu{}, gate, z, 40, extra);
  CHECK(same(got, run(hence::reference<float>{}, gate, z, 40, extra)));
  CHECK(got.counts.rows == 27);
  CHECK(got.counts.nan_rows == 0);
  std::vector<float> live;
  for (std::size_t t = 0; t < 40; ++t) {
    if (valid[t]) {
      live.insert(live.end(), z.begin() + static_cast<std::int64_t>(t) * 16,
                  z.begin() + static_cast<std::int64_t>(t + 1) * 16);
      continue;
    }
    CHECK(got.ids[2 * t] == -1);
    CHECK(got.weights[2 * t] == 0.0f);
    CHECK(got.faults[t] == 0);
  }
  const auto compact = run(hence::cpu{}, gate, live, 27);
  CHECK(compact.load == got.load);
  for (std::size_t t = 0, i = 0; t < 40; ++t)
    if (valid[t]) CHECK(compact.weights[2 * i++] == got.weights[2 * t]);
}

TEST_CASE("a softmax of the selected logits is of those that there are") {
  const moe::gate gate{moe::score::softmax_after{}, 4, moe::all_experts{}, moe::raw{}, 1.0};
  const std::vector<float> z{-inf, 1, nan, 2, -inf};
  const auto got = run(hence::cpu{}, gate, z, 1);
  CHECK(got.ids == std::vector<std::int32_t>{3, 1, -1, -1});
  CHECK(static_cast<double>(got.weights[0]) == doctest::Approx(1 / (1 + std::exp(-1.0))));
  CHECK(static_cast<double>(got.weights[1]) == doctest::Approx(1 / (1 + std::exp(1.0))));
  CHECK(got.weights[2] == 0);
  CHECK(got.weights[3] == 0);
}

TEST_CASE("shapes at the edge: no token, one token, k = E, one group, groups of one") {
  const moe::gate v3{moe::score::sigmoid{}, 2, moe::grouped{4, 2, moe::top2_sum{}}, moe::raw{},
                     1.0};
  const auto none = run(hence::cpu{}, v3, std::vector<float>{}, 0);
  CHECK(none.load == std::vector<std::int64_t>(8, 0));
  CHECK(none.counts.conditions() == hence::status::empty);

  oracle::gate g;
  g.k = 8;
  check_all(moe::gate{moe::score::sigmoid{}, 8, moe::all_experts{},
                      moe::normalized{0.0, moe::single_raw{}}, 1.0},
            g, 1, 8, 3, true);
  g.normalize = false, g.k = 3;
  check_all(
      moe::gate{moe::score::sigmoid{}, 3, moe::grouped{1, 1, moe::top2_sum{}}, moe::raw{}, 1.0}, g,
      5, 8, 4, true);
  g.groups = 8, g.kept = 5, g.rule = oracle::group_score::top2_sum;  // groups of one
  check_all(
      moe::gate{moe::score::sigmoid{}, 3, moe::grouped{8, 5, moe::top2_sum{}}, moe::raw{}, 1.0}, g,
      5, 8, 5, true);
  g.k = 1, g.groups = g.kept = 1;
  check_all(moe::gate{moe::score::softmax{}, 1, moe::all_experts{}, moe::raw{}, 1.0},
            {oracle::score::softmax, 1, 1, 1, {}, false}, 3, 1, 6, false);
}

struct threads {
  int order;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = 0; i < n; ++i) f(order > 0 ? i : n - 1 - i);
  }
};

TEST_CASE("the same bits for any pool, any split into rows and any neighbour") {
  const auto z = oracle::logits(1111 * 48, 9);
  const moe::gate gate{moe::score::softmax{}, 6, moe::grouped{6, 3, moe::top2_sum{}},
                       moe::normalized{1e-20, moe::single_raw{}}, 1.0};
  const auto whole = run(hence::cpu{}, gate, z, 1111);
  threads forwards{1}, backwards{-1};
  hence::thread_pool pool(3);
  CHECK(same(whole, run(hence::cpu(forwards), gate, z, 1111)));
  CHECK(same(whole, run(hence::cpu(backwards), gate, z, 1111)));
  CHECK(same(whole, run(hence::cpu(pool), gate, z, 1111)));
  CHECK(same(whole, run(hence::reference<float>{}, gate, z, 1111)));
  // as many rows as make the most parts
  const auto many = oracle::logits(8500 * 6, 10);
  const moe::gate plain{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  CHECK(same(run(hence::cpu{}, plain, many, 8500), run(hence::cpu(backwards), plain, many, 8500)));
  for (const std::int64_t cut : {1, 7, 640}) {
    const auto middle = z.begin() + cut * 48;
    auto first = run(hence::cpu{}, gate, std::vector<float>(z.begin(), middle), cut);
    const auto second = run(hence::cpu{}, gate, std::vector<float>(middle, z.end()), 1111 - cut);
    first.ids.insert(first.ids.end(), second.ids.begin(), second.ids.end());
    first.weights.insert(first.weights.end(), second.weights.begin(), second.weights.end());
    first.faults.insert(first.faults.end(), second.faults.begin(), second.faults.end());
    for (std::size_t e = 0; e < first.load.size(); ++e) first.load[e] += second.load[e];
    CHECK(same(whole, first));
    CHECK((first.counts + second.counts).rows == 1111);
  }
}

TEST_CASE("bf16 and fp16 logits widen exactly") {
  const auto z = oracle::logits(21 * 40, 11);
  const moe::gate gate{moe::score::sigmoid{}, 4, moe::all_experts{}, moe::raw{}, 1.0};
  std::vector<hence::bf16> brief;
  std::vector<hence::f16> half;
  std::vector<float> from_brief;
  for (float x : z) brief.emplace_back(x), half.emplace_back(x), from_brief.push_back(brief.back());
  CHECK(same(run(hence::cpu{}, gate, brief, 21), run(hence::cpu{}, gate, from_brief, 21)));
  CHECK(same(run(hence::cpu{}, gate, half, 21), run(hence::cpu{}, gate, z, 21)));  // z fits
  CHECK(same(run(hence::reference<float>{}, gate, half, 21), run(hence::cpu{}, gate, z, 21)));
}

TEST_CASE("scores rounded to bf16") {
  const auto z = oracle::logits(21 * 40, 12);
  const moe::gate gate{
      moe::score::sigmoid{}, 4, moe::all_experts{}, moe::normalized{0.0, moe::single_raw{}}, 2.5,
      moe::bf16_scores{}};
  const auto got = run(hence::cpu{}, gate, z, 21);
  CHECK(same(got, run(hence::reference<float>{}, gate, z, 21)));
  const auto rounded = [](double x) {
    return static_cast<float>(hence::bf16(static_cast<float>(x)));
  };
  for (std::size_t t = 0; t < 21; ++t) {
    std::vector<double> s;
    std::vector<int> all(40);
    std::iota(all.begin(), all.end(), 0);
    for (std::size_t e = 0; e < 40; ++e)
      s.push_back(rounded(1 / (1 + std::exp(-double(z[t * 40 + e])))));
    const auto ids = oracle::ordered(s, all);
    double sum = 0;
    for (std::size_t j = 0; j < 4; ++j) sum += s[static_cast<std::size_t>(ids[j])];
    for (std::size_t j = 0; j < 4; ++j) {
      CHECK(got.ids[4 * t + j] == ids[j]);
      CHECK(got.weights[4 * t + j] ==
            rounded(2.5 * rounded(s[static_cast<std::size_t>(ids[j])] / rounded(sum))));
    }
  }
}

TEST_CASE("replayed ids are weighted as if selected") {
  const auto z = oracle::logits(33 * 24, 13);
  const moe::gate gate{moe::score::sqrt_softplus{}, 4, moe::all_experts{},
                       moe::normalized{1e-20, moe::single_raw{}}, 1.5};
  const auto live = run(hence::cpu{}, gate, z, 33);
  extras<float> extra;
  extra.replay = &live.ids;
  CHECK(same(live, run(hence::cpu{}, gate, z, 33, extra)));

  // slots as given, -1 empty, an unscored expert weighs nothing
  std::vector<float> row{0, 1, nan, 2};
  std::vector<std::int32_t> ids{-1, 2, 0, 3};
  extra.replay = &ids;
  for (const auto& got : {run(hence::cpu{}, gate, row, 1, extra),
                          run(hence::reference<float>{}, gate, row, 1, extra)}) {
    CHECK(got.ids == ids);
    CHECK(got.weights[0] == 0.0f);
    CHECK(got.weights[1] == 0.0f);
    CHECK(got.weights[2] + got.weights[3] == doctest::Approx(1.5));
    CHECK(got.load == std::vector<std::int64_t>{1, 0, 1, 1});
  }
}

TEST_CASE("given experts that are all unscored weigh nothing") {
  const std::vector<float> z{-inf, nan, -inf, nan};
  const std::vector<std::int32_t> ids{2, 1};
  extras<float> extra;
  extra.replay = &ids;
  const auto weighs_nothing = [&](const auto& gate) {
    const auto got = run(hence::cpu{}, gate, z, 1, extra);
    CHECK(got.ids == ids);
    CHECK(got.weights == std::vector<float>{0, 0});
    CHECK(got.counts.replayed_rows == 1);
  };
  const moe::normalized weights{0.0, moe::single_raw{}};
  weighs_nothing(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, weights, 1.0});
  weighs_nothing(moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, weights, 1.0});
  weighs_nothing(moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0});
  weighs_nothing(moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, moe::raw{}, 1.0});
}

TEST_CASE("large logits: the largest number is scored, e^z does not overflow") {
  const std::vector<float> largest{0, std::numeric_limits<float>::max(), 1};
  const auto got =
      run(hence::cpu{}, moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0},
          largest, 1);
  CHECK(got.ids == std::vector<std::int32_t>{1, 2});
  CHECK(got.faults[0] == 0);
  const std::vector<float> z{999, 1000, -5000, 998};
  const double sum = 1 + std::exp(-1.0) + std::exp(-2.0);
  const auto before = run(
      hence::cpu{}, moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0}, z, 1);
  CHECK(before.weights[0] == doctest::Approx(1 / sum).epsilon(1e-6));
  const std::vector<std::int32_t> ids{2, 1};  // not best first
  extras<float> extra;
  extra.replay = &ids;
  const auto after = run(
      hence::cpu{}, moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, moe::raw{}, 1.0},
      z, 1, extra);
  CHECK(after.weights == std::vector<float>{0, 1});
}

TEST_CASE("a softmax sums in four chains") {
  using N = hence::num<float>;
  const moe::gate gate{moe::score::softmax{}, 8, moe::all_experts{}, moe::raw{}, 1.0};
  for (unsigned seed = 21; seed < 41; ++seed) {
    const auto z = oracle::logits(8, seed, 1);
    N y[8];
    const float top = *std::max_element(z.begin(), z.end());
    for (std::size_t e = 0; e < 8; ++e) y[e] = hence::exp(N(z[e]) - N(top));
    const N sum = ((y[0] + y[4]) + (y[1] + y[5])) + ((y[2] + y[6]) + (y[3] + y[7]));
    const auto got = run(hence::cpu{}, gate, z, 1);
    for (std::size_t j = 0; j < 8; ++j)
      CHECK(got.weights[j] == (y[static_cast<std::size_t>(got.ids[j])] * (N(1.0f) / sum)).v);
  }
}

TEST_CASE("groups: ties, few eligible experts, the lowest bias, more terms than kept groups") {
  const auto ids = [](const auto& groups, std::int64_t k, const std::vector<float>& z,
                      const std::vector<float>* bias = nullptr) {
    extras<float> extra;
    extra.bias = bias;
    return run(hence::cpu{}, moe::gate{moe::score::sigmoid{}, k, groups, moe::raw{}, 1.0}, z, 1,
               extra)
        .ids;
  };
  CHECK(ids(moe::grouped{2, 1, moe::max_score{}}, 2, {1, 0, 1, 0.5f}) ==
        std::vector<std::int32_t>{0, 1});
  // three terms, of which the first group has two: 0.88 + 0.88 beats 3 times 0.5
  CHECK(ids(moe::grouped{2, 1, moe::top_k_over_m_sum{}}, 3, {2, 2, -inf, 0, 0, 0}) ==
        std::vector<std::int32_t>{0, 1, -1});
  // a group without an eligible expert is behind one whose sum is the lowest number
  const std::vector<float> lowest(4, -std::numeric_limits<float>::max());
  CHECK(ids(moe::grouped{2, 1, moe::top2_sum{}}, 1, {-inf, nan, 1, 2}, &lowest) ==
        std::vector<std::int32_t>{2});
  oracle::gate g;
  g.k = 24, g.groups = 2, g.kept = 1, g.rule = oracle::group_score::top_k_over_m_sum;
  g.normalize = false;
  check_all(moe::gate{moe::score::sigmoid{}, 24, moe::grouped{2, 1, moe::top_k_over_m_sum{}},
                      moe::raw{}, 1.0},
            g, 9, 64, 22, true);
}

TEST_CASE("expert 0 twice is told; an id out of range leaves the load of the others") {
  const moe::gate gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  const std::vector<std::int32_t> twice{0, 0};
  extras<float> extra;
  extra.replay = &twice;
  CHECK(run(hence::cpu{}, gate, std::vector<float>{1, 2, 3}, 1, extra).counts.repeated_rows == 1);
  const moe::gate one{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0};
  const std::vector<std::int32_t> last{0, 0, 0, 0, 64};
  extra.replay = &last;
  CHECK(run(hence::cpu{}, one, std::vector<float>(5 * 64, 0.5f), 5, extra).load[0] == 4);
}

TEST_CASE("given ids that are none empty their row and are told") {
  const std::vector<float> z(3 * 4, 0.5f);
  const moe::gate gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  for (const std::int32_t bad : {4, -2, 1 << 30, std::numeric_limits<std::int32_t>::min()}) {
    const std::vector<std::int32_t> ids{0, bad, 3, 3, 2, 1};
    extras<float> extra;
    extra.replay = &ids;
    const auto got = run(hence::cpu{}, gate, z, 3, extra);
    CHECK(got.ids == std::vector<std::int32_t>{-1, -1, -1, -1, 2, 1});
    CHECK(got.faults == std::vector<std::uint8_t>{4, 8, 0});
    CHECK(got.counts.range_rows == 1);
    CHECK(got.counts.repeated_rows == 1);
    CHECK(hence::has(got.counts.conditions(), hence::status::malformed));
    CHECK(got.load == std::vector<std::int64_t>{0, 1, 1, 0});
  }
}

TEST_CASE("strides, narrow ids, a workspace, no optional output") {
  const auto z = oracle::logits(30 * 20, 14);
  const moe::gate gate{moe::score::sigmoid{}, 3, moe::all_experts{}, moe::raw{}, 1.0};
  std::vector<float> wide(30 * 25, nan), weights(30 * 5, 77.0f);
  for (std::size_t t = 0; t < 30; ++t)
    std::copy_n(z.begin() + static_cast<std::int64_t>(t) * 20, 20,
                wide.begin() + static_cast<std::int64_t>(t) * 25);
  std::vector<std::int8_t> ids(30 * 4, 77);
  const auto bytes = moe::route_workspace_bytes(hence::cpu{}, gate, 30, 20);
  std::vector<std::byte> memory(static_cast<std::size_t>(bytes) + 64);
  const auto past = reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  moe::gate_inputs<float> in;
  in.logits = view<const float, 2>(wide.data(), 30, 20, 25);
  std::vector<std::uint8_t> valid(30, 1);
  valid[29] = 0;
  in.valid = valid;
  moe::gate_outputs<float, std::int8_t> out;
  out.ids = view<std::int8_t, 2>(ids.data(), 30, 3, 4);
  out.weights = view<float, 2>(weights.data(), 30, 3, 5);
  moe::route(hence::cpu{}, gate, in, out, view<std::byte>(memory.data() + (64 - past) % 64, bytes));
  const auto want = run(hence::cpu{}, gate, z, 30);
  for (std::size_t t = 0; t < 30; ++t) {
    for (std::size_t j = 0; j < 3; ++j) {
      CHECK(ids[t * 4 + j] == (t < 29 ? want.ids[t * 3 + j] : -1));
      CHECK(weights[t * 5 + j] == (t < 29 ? want.weights[t * 3 + j] : 0.0f));
    }
    CHECK(ids[t * 4 + 3] == 77);
    CHECK(weights[t * 5 + 4] == 77.0f);
  }
}

TEST_CASE("nothing is written behind the workspace") {
  const moe::gate gate{moe::score::sigmoid{}, 4, moe::all_experts{}, moe::raw{}, 1.0};
  const auto z = oracle::logits(9 * 24, 14);
  const auto bytes = moe::route_workspace_bytes(hence::cpu{}, gate, 9, 24);
  alignas(64) static std::byte memory[1 << 14];
  REQUIRE(bytes + 256 <= std::int64_t{sizeof memory});
  std::fill_n(memory, sizeof memory, std::byte{0x5a});
  std::vector<std::int32_t> ids(36);
  std::vector<float> weights(36);
  moe::gate_inputs<float> in;
  in.logits = view<const float, 2>(z.data(), 9, 24);
  moe::gate_outputs<float> out;
  out.ids = view<std::int32_t, 2>(ids.data(), 9, 4);
  out.weights = view<float, 2>(weights.data(), 9, 4);
  moe::route(hence::cpu{}, gate, in, out, view<std::byte>(memory, bytes));
  for (std::int64_t i = bytes; i < bytes + 256; ++i) CHECK(memory[i] == std::byte{0x5a});
}

TEST_CASE("a score of one's own") {
  const auto square = [](const auto& z) { return z * z; };
  const moe::gate gate{square, 2, moe::all_experts{}, moe::raw{}, 1.0};
  const auto got = run(hence::cpu{}, gate, std::vector<float>{1, -3, 2, 0}, 1);
  CHECK(got.ids == std::vector<std::int32_t>{1, 2});
  CHECK(got.weights == std::vector<float>{9, 4});
}

TEST_CASE("any bit pattern: ids distinct and in range, weights finite") {
  std::mt19937 random(15);
  std::vector<float> z(600 * 12);
  for (float& x : z) {
    const auto bits = static_cast<std::uint32_t>(random());
    std::memcpy(&x, &bits, 4);
    if (random() % 5 == 0) x = nan;
  }
  const auto try_one = [&](const auto& gate) {
    const auto got = run(hence::cpu{}, gate, z, 600);
    CHECK(same(got, run(hence::reference<float>{}, gate, z, 600)));
    for (std::size_t t = 0; t < 600; ++t) {
      std::set<int> seen;
      for (std::size_t j = 0; j < 4; ++j) {
        const int e = got.ids[4 * t + j];
        REQUIRE((e >= -1 && e < 12));
        if (e >= 0)
          REQUIRE(
              (seen.insert(e).second && std::isfinite(z[12 * t + static_cast<std::size_t>(e)])));
        REQUIRE(std::isfinite(got.weights[4 * t + j]));
      }
    }
  };
  try_one(moe::gate{moe::score::sigmoid{}, 4, moe::grouped{4, 2, moe::top2_sum{}},
                    moe::normalized{0.0, moe::single_raw{}}, 1.0});
  try_one(moe::gate{moe::score::softmax{}, 4, moe::all_experts{},
                    moe::normalized{1e-20, moe::single_raw{}}, 1.0});
  try_one(moe::gate{moe::score::softmax_after{}, 4, moe::grouped{3, 2, moe::top2_sum{}}, moe::raw{},
                    1.0});
  try_one(moe::gate{moe::score::sqrt_softplus{}, 4, moe::grouped{4, 2, moe::top_k_over_m_sum{}},
                    moe::raw{}, 1.0});
}

}  // namespace
