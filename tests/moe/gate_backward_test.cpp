// The gradient of the logits against central differences of the oracle's weights, in double.

#include "oracle.hpp"

#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <cstring>

namespace {

namespace moe = hence::moe;
using hence::view;

template <class Executor, class Gate>
std::vector<typename Executor::scalar> gradient(
    const Executor& executor, const Gate& gate, const std::vector<typename Executor::scalar>& z,
    const std::vector<std::int32_t>& ids, const std::vector<typename Executor::scalar>& cotangent,
    const std::vector<std::uint8_t>* valid = nullptr) {
  using S = typename Executor::scalar;
  const auto tokens = static_cast<std::int64_t>(ids.size()) / gate.k;
  const auto experts = tokens > 0 ? static_cast<std::int64_t>(z.size()) / tokens : 8;
  std::vector<S> out(z.size(), S(77));
  moe::gate_backward_inputs<S> in;
  in.logits = view<const S, 2>(z.data(), tokens, experts);
  in.ids = view<const std::int32_t, 2>(ids.data(), tokens, gate.k);
  in.grad_weights = view<const S, 2>(cotangent.data(), tokens, gate.k);
  if (valid != nullptr) in.valid = *valid;
  moe::route_backward(executor, gate, in, view<S, 2>(out.data(), tokens, experts));
  return out;
}

/// Against differences of the oracle, at the ids that it selects.
template <class Gate>
void check(const Gate& gate, const oracle::gate& g, std::size_t experts, unsigned seed) {
  constexpr std::size_t tokens = 19;
  const auto z = oracle::logits(tokens * experts, seed, 1.5, 1 << 16);
  const std::vector<double> wide(z.begin(), z.end());
  const auto k = static_cast<std::size_t>(g.k);
  std::vector<std::int32_t> ids;
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto begin = wide.begin() + static_cast<std::int64_t>(t * experts);
    const auto row = oracle::route(g, {begin, begin + static_cast<std::int64_t>(experts)});
    ids.insert(ids.end(), row.ids.begin(), row.ids.end());
  }
  ids[k] = -1;  // an empty slot
  const auto cotangent = oracle::logits(tokens * k, seed + 1, 1);
  const std::vector<double> wide_cotangent(cotangent.begin(), cotangent.end());
  const auto got = gradient(hence::reference<double>{}, gate, wide, ids, wide_cotangent);
  const auto on_cpu = gradient(hence::cpu{}, gate, z, ids, cotangent);
  const auto scalar = gradient(hence::reference<float>{}, gate, z, ids, cotangent);
  CHECK(std::memcmp(on_cpu.data(), scalar.data(), scalar.size() * 4) == 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    std::vector<double> row(wide.begin() + static_cast<std::int64_t>(t * experts),
                            wide.begin() + static_cast<std::int64_t>((t + 1) * experts));
    const std::vector<int> slots(ids.begin() + static_cast<std::int64_t>(t * k),
                                 ids.begin() + static_cast<std::int64_t>((t + 1) * k));
    const auto value = [&] {
      const auto w = oracle::weights(g, row, oracle::scores(g, row), slots);
      double sum = 0;
      for (std::size_t j = 0; j < k; ++j) sum += w[j] * wide_cotangent[t * k + j];
      return sum;
    };
    for (std::size_t e = 0; e < experts; ++e) {
      const double at = row[e], h = 1e-5;
      row[e] = at + h;
      const double above = value();
      row[e] = at - h;
      const double want = (above - value()) / (2 * h);
      row[e] = at;
      CHECK(got[t * experts + e] == doctest::Approx(want).epsilon(1e-7).scale(1e-2));
      CHECK(std::abs(static_cast<double>(on_cpu[t * experts + e]) - got[t * experts + e]) <
            2e-6 * (1 + std::abs(want)));
    }
  }
}

TEST_CASE("central differences") {
  for (const int k : {1, 2, 4, 5, 9, 16}) {  // 4 and 16 fill whole cache lines
    const auto seed = static_cast<unsigned>(k);
    oracle::gate g;
    g.k = k, g.scale = 2.5, g.eps = 0.1;
    const moe::normalized weights{0.1, moe::single_normalized{}};
    check(moe::gate{moe::score::sigmoid{}, k, moe::all_experts{}, weights, 2.5}, g, 21, seed);
    g.score = oracle::score::sqrt_softplus;
    check(moe::gate{moe::score::sqrt_softplus{}, k, moe::all_experts{}, weights, 2.5}, g, 21, seed);
    g.score = oracle::score::softmax;
    check(moe::gate{moe::score::softmax{}, k, moe::all_experts{}, weights, 2.5}, g, 21, seed);
    g.normalize = false;
    check(moe::gate{moe::score::softmax{}, k, moe::all_experts{}, moe::raw{}, 2.5}, g, 21, seed);
    g.score = oracle::score::softmax_after;
    check(moe::gate{moe::score::softmax_after{}, k, moe::all_experts{}, moe::raw{}, 2.5}, g, 21,
          seed);
    g.score = oracle::score::sigmoid, g.normalize = true, g.single_raw = true;
    check(moe::gate{moe::score::sigmoid{}, k, moe::all_experts{},
                    moe::normalized{0.1, moe::single_raw{}}, 2.5},
          g, 21, seed);
  }
}

TEST_CASE("shapes at the edge and any pool: no token, one token, k = E") {
  const auto run = [](const auto& executor, std::size_t tokens, std::int64_t k, const auto& score) {
    const moe::gate gate{score, k, moe::all_experts{}, moe::raw{}, 1.0};
    const auto z = oracle::logits(tokens * 8, 3);
    std::vector<std::int32_t> ids;
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::int64_t j = 0; j < k; ++j)
        ids.push_back(static_cast<std::int32_t>((3 * t + static_cast<std::size_t>(j)) % 8));
    return gradient(executor, gate, z, ids, oracle::logits(ids.size(), 4));
  };
  const auto check_score = [&](const auto& score) {
    CHECK(run(hence::cpu{}, 0, 2, score).empty());
    for (const std::size_t tokens : {1u, 700u})
      for (const std::int64_t k : {1, 3, 8}) {
        const auto want = run(hence::cpu{}, tokens, k, score);
        CHECK(run(hence::reference<float>{}, tokens, k, score) == want);
        for (const int threads : {1, 2, 3, 8}) {
          hence::thread_pool pool(threads);
          CHECK(run(hence::cpu(pool), tokens, k, score) == want);
        }
        float most = 0;
        for (const float g : want) most = std::max(most, std::abs(g));
        CHECK(most > 0);
      }
  };
  check_score(moe::score::softmax{});
  check_score(moe::score::sigmoid{});
}

TEST_CASE("counts of as many parts as there can be") {
  constexpr std::int64_t tokens = 64 * 128;
  const std::vector<float> z(tokens * 2, 0.5f), cotangent(tokens, 1.0f);
  const std::vector<std::int32_t> ids(tokens, 1);
  std::vector<float> out(z.size());
  moe::gate_backward_inputs<float> in;
  in.logits = view<const float, 2>(z.data(), tokens, 2);
  in.ids = view<const std::int32_t, 2>(ids.data(), tokens, 1);
  in.grad_weights = view<const float, 2>(cotangent.data(), tokens, 1);
  hence::thread_pool pool(2);
  const auto counts = moe::route_backward(
      hence::cpu(pool), moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0},
      in, view<float, 2>(out.data(), tokens, 2));
  CHECK(counts.rows == tokens);
  CHECK(counts.nan_rows + counts.infinite_rows + counts.range_rows + counts.repeated_rows == 0);
  CHECK(counts.short_rows + counts.replayed_rows + counts.empty_slots == 0);
}

TEST_CASE("exact zeros: off the selection, and where a normalised k = 1 cannot learn") {
  const std::vector<float> z{1, 2, 3, 4, 5}, cotangent{1.7f};
  const std::vector<std::int32_t> ids{3};
  const auto none = gradient(hence::cpu{},
                             moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{},
                                       moe::normalized{0.0, moe::single_normalized{}}, 2.5},
                             z, ids, cotangent);
  CHECK(none == std::vector<float>(5, 0.0f));
  const auto after = gradient(
      hence::cpu{}, moe::gate{moe::score::softmax_after{}, 1, moe::all_experts{}, moe::raw{}, 2.5},
      z, ids, cotangent);
  CHECK(after == std::vector<float>(5, 0.0f));
  const auto raw = gradient(hence::cpu{},
                            moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{},
                                      moe::normalized{0.0, moe::single_raw{}}, 2.5},
                            z, ids, cotangent);
  CHECK(raw[3] > 0.0f);
  for (const std::size_t e : {0u, 1u, 2u, 4u}) CHECK(raw[e] == 0.0f);
}

TEST_CASE("the gradient of sqrt-softplus is finite for every finite logit") {
  for (const float x :
       {-3e38f, -1e4f, -200.0f, -104.0f, -87.5f, -17.0f, 0.0f, 88.0f, 1e4f, 3e38f}) {
    const std::vector<float> z{x, x, 0.5f, x}, cotangent{1, 2};
    const std::vector<std::int32_t> ids{2, 0};
    for (const auto& got :
         {gradient(hence::cpu{},
                   moe::gate{moe::score::sqrt_softplus{}, 2, moe::all_experts{},
                             moe::normalized{1e-20, moe::single_raw{}}, 1.0},
                   z, ids, cotangent),
          gradient(hence::cpu{},
                   moe::gate{moe::score::sqrt_softplus{}, 2, moe::all_experts{}, moe::raw{}, 1.0},
                   z, ids, cotangent)})
      for (const float d : got) CHECK(std::isfinite(d));
  }
}

TEST_CASE("dead data is not read: invalid rows, empty slots, unscored experts") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  inf = std::numeric_limits<float>::infinity();
  const std::vector<float> z{nan, nan, nan, nan, 1, nan, -inf, 2, 1, 2, 3, 4};
  const std::vector<float> cotangent{nan, nan, 1, nan, 2, 3};
  const std::vector<std::int32_t> ids{0, 1, 3, -1, 1, 1};
  const std::vector<std::uint8_t> valid{0, 1, 1};
  const auto check_one = [&](const auto& gate) {
    const auto got = gradient(hence::cpu{}, gate, z, ids, cotangent, &valid);
    for (const std::size_t e : {0u, 1u, 2u, 3u, 5u, 6u}) CHECK(got[e] == 0.0f);
    CHECK(got[7] != 0.0f);
    CHECK(std::isfinite(got[7]));
    for (std::size_t e = 8; e < 12; ++e) CHECK(got[e] == 0.0f);  // an id twice: no row
  };
  check_one(moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0});
  check_one(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{},
                      moe::normalized{0.5, moe::single_raw{}}, 1.0});
}

TEST_CASE("given experts that are all unscored get 0") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  inf = std::numeric_limits<float>::infinity();
  const std::vector<float> z{-inf, nan, -inf, nan}, cotangent{1, -2};
  const auto none = [&](const auto& gate) {
    for (const float d : gradient(hence::cpu{}, gate, z, {2, 1}, cotangent)) CHECK(d == 0.0f);
  };
  const moe::normalized weights{0.0, moe::single_raw{}};
  none(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, weights, 1.0});
  none(moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, weights, 1.0});
  none(moe::gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0});
  none(moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, moe::raw{}, 1.0});
  // beside a scored one it is +0
  const auto beside = gradient(
      hence::cpu{}, moe::gate{moe::score::softmax{}, 1, moe::all_experts{}, moe::raw{}, 1.0},
      {1, -inf, 2, nan}, {0}, {1});
  CHECK(beside[0] > 0);
  CHECK(__builtin_bit_cast(std::uint32_t, beside[1]) == 0);
  CHECK(__builtin_bit_cast(std::uint32_t, beside[3]) == 0);
}

TEST_CASE("counts of a call; a strided gradient is written where it is") {
  const auto z = oracle::logits(6 * 3, 5);
  const std::vector<float> cotangent(6, 1.0f);
  const std::vector<std::int32_t> ids{2, 0, 1, 2, 3, 0};  // 3 is none
  const std::vector<std::uint8_t> valid{1, 1, 1, 1, 1, 0};
  std::vector<float> out(6 * 4, 77.0f);
  moe::gate_backward_inputs<float> in;
  in.logits = view<const float, 2>(z.data(), 6, 3);
  in.ids = view<const std::int32_t, 2>(ids.data(), 6, 1);
  in.grad_weights = view<const float, 2>(cotangent.data(), 6, 1);
  in.valid = valid;
  const auto counts = moe::route_backward(
      hence::cpu{}, moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0}, in,
      view<float, 2>(out.data(), 6, 3, 4));
  CHECK(counts.rows == 5);
  CHECK(counts.range_rows == 1);
  for (std::size_t t = 0; t < 6; ++t) CHECK(out[4 * t + 3] == 77.0f);
  for (std::size_t e = 0; e < 3; ++e) {
    CHECK(out[16 + e] == 0.0f);
    CHECK(out[20 + e] == 0.0f);
  }
}

TEST_CASE("a score of one's own is differentiated") {
  const auto cube = [](const auto& z) { return z * z * z; };
  const std::vector<float> z{1, -3, 2, 0}, cotangent{1, 10};
  const auto got = gradient(hence::cpu{}, moe::gate{cube, 2, moe::all_experts{}, moe::raw{}, 1.0},
                            z, {2, 0}, cotangent);
  CHECK(got == std::vector<float>{30, 0, 12, 0});
}

}  // namespace
