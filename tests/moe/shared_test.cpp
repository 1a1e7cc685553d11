// Shared experts against the formula in double, by both ways.

#include "expert_oracle.hpp"

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/permute.hpp>
#include <hence/moe/shared.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>

namespace {

namespace moe = hence::moe;
using expert_oracle::at;
using expert_oracle::layer;
using expert_oracle::numbers;
using hence::view;

template <class S>
moe::expert_inputs<S> inputs_of(const layer& m, const numbers& x, const numbers& gate,
                                const numbers& up, const numbers& down, std::int64_t tokens) {
  moe::expert_inputs<S> in;
  in.rows = view<const S, 2>(x.data(), tokens, m.width);
  in.gate = view<const S, 3>(gate.data(), 1, m.inner, m.width);
  in.up = view<const S, 3>(up.data(), 1, m.inner, m.width);
  in.down = view<const S, 3>(down.data(), 1, m.width, m.inner);
  return in;
}

TEST_CASE("added to y, with a weight a token; gradients by differences") {
  constexpr std::int64_t tokens = 5;
  layer m(1, 4, 3);
  numbers x = expert_oracle::normal(15, 1), w = expert_oracle::normal(5, 2);
  const numbers routed = expert_oracle::normal(15, 3), c = expert_oracle::normal(15, 4);
  const hence::reference<double> executor;
  const moe::expert_mlp mlp{hence::gemm::chain<double>{}, moe::swiglu{}, moe::before_down{}};
  auto in = inputs_of<double>(m, x, m.gate, m.up, m.down, tokens);
  in.row_weights = w;
  numbers y = routed;
  moe::add_shared(executor, mlp, in, moe::recomputed{}, view<double, 2>(y.data(), tokens, 3));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const numbers want = m.expert(true, 0, &x[at(3 * t)]);
    for (std::int64_t d = 0; d < 3; ++d)
      CHECK(y[at(3 * t + d)] ==
            doctest::Approx(routed[at(3 * t + d)] + w[at(t)] * want[at(d)]).epsilon(1e-13));
  }
  numbers dx = routed, dw(5, 77), dgate(12, 77), dup(12, 77), ddown(12, 77);
  moe::expert_gradients<double> to;
  to.rows = view<double, 2>(dx.data(), tokens, 3);
  to.row_weights = dw;
  to.gate = view<double, 3>(dgate.data(), 1, 4, 3);
  to.up = view<double, 3>(dup.data(), 1, 4, 3);
  to.down = view<double, 3>(ddown.data(), 1, 3, 4);
  to.of_rows = hence::update::accumulate;
  moe::add_shared_backward(executor, mlp, in, moe::recomputed{},
                           view<const double, 2>(c.data(), tokens, 3), to);
  const auto value = [&] {
    double total = 0;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const numbers out = m.expert(true, 0, &x[at(3 * t)]);
      for (std::int64_t d = 0; d < 3; ++d) total += w[at(t)] * out[at(d)] * c[at(3 * t + d)];
    }
    return total;
  };
  const auto near = [](double a, double b) { CHECK(std::abs(a - b) < 1e-8 * (1 + std::abs(b))); };
  for (std::size_t i = 0; i < 15; ++i) near(dx[i] - routed[i], expert_oracle::slope(x[i], value));
  for (std::size_t i = 0; i < 5; ++i) near(dw[i], expert_oracle::slope(w[i], value));
  for (std::size_t i = 0; i < 12; ++i) {
    near(dgate[i], expert_oracle::slope(m.gate[i], value));
    near(dup[i], expert_oracle::slope(m.up[i], value));
    near(ddown[i], expert_oracle::slope(m.down[i], value));
  }
}

TEST_CASE("a plain activation accumulates its rows' gradient too") {
  layer m(1, 4, 3);
  const numbers x = expert_oracle::normal(6, 1), c = expert_oracle::normal(6, 4);
  auto in = inputs_of<double>(m, x, m.gate, m.up, m.down, 2);
  in.gate = {};
  const moe::expert_mlp mlp{hence::gemm::chain<double>{}, moe::silu{}, moe::after_down{}};
  numbers once(6), twice(6, 1.0);
  moe::expert_gradients<double> to;
  const auto run = [&](numbers& dx, hence::update u) {
    to.rows = view<double, 2>(dx.data(), 2, 3);
    to.of_rows = u;
    moe::add_shared_backward(hence::reference<double>{}, mlp, in, moe::recomputed{},
                             view<const double, 2>(c.data(), 2, 3), to);
  };
  run(once, hence::update::overwrite);
  run(twice, hence::update::accumulate);
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(twice[i] == doctest::Approx(1 + once[i]).epsilon(1e-13));
}

TEST_CASE("appended slots: one grouped call does what two do") {
  constexpr std::int64_t tokens = 4, k = 2, experts = 3, shared = 1;
  const layer m(experts + shared, 8, 6);
  const auto x = expert_oracle::as<float>(expert_oracle::normal(tokens * 6, 1));
  const auto gate = expert_oracle::as<float>(m.gate), up = expert_oracle::as<float>(m.up),
             down = expert_oracle::as<float>(m.down);
  const std::vector<std::int32_t> ids{0, 2, 1, -1, 2, 0, -1, -1};
  const std::vector<float> weights{0.5f, 0.25f, 0.75f, 0, 1, 0.5f, 0, 0};
  const std::vector<std::uint8_t> valid{1, 1, 1, 0};
  std::vector<std::int32_t> all(12, 77);
  std::vector<float> all_weights(12, 77);
  moe::append_shared(view<const std::int32_t, 2>(ids.data(), tokens, k),
                     view<const float, 2>(weights.data(), tokens, k), experts, shared, 1.0f,
                     view<std::int32_t, 2>(all.data(), tokens, 3),
                     view<float, 2>(all_weights.data(), tokens, 3), valid);
  CHECK(all == std::vector<std::int32_t>{0, 2, 3, 1, -1, 3, 2, 0, 3, -1, -1, -1});
  CHECK(all_weights == std::vector<float>{0.5f, 0.25f, 1, 0.75f, 0, 1, 1, 0.5f, 1, 0, 0, 0});
  std::vector<std::int64_t> offsets(5), order(12), position(12), count;
  moe::permute(view<const std::int32_t, 2>(all.data(), tokens, 3), 4, 1,
               moe::permutation{offsets, order, view<std::int64_t, 2>(position.data(), tokens, 3)});
  for (std::size_t e = 0; e < 4; ++e) count.push_back(offsets[e + 1] - offsets[e]);
  moe::layer_inputs<float> in;
  in.x = view<const float, 2>(x.data(), tokens, 6);
  in.weights = view<const float, 2>(all_weights.data(), tokens, 3);
  in.position = moe::slot_positions(position.data(), tokens, 3);
  in.segments = {offsets, count};
  in.gate = view<const float, 3>(gate.data(), 4, 8, 6);
  in.up = view<const float, 3>(up.data(), 4, 8, 6);
  in.down = view<const float, 3>(down.data(), 4, 6, 8);
  std::vector<float> y(24);
  moe::experts(hence::cpu{},
               moe::expert_mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}}, in,
               moe::recomputed{}, view<float, 2>(y.data(), tokens, 6));
  const numbers wide(x.begin(), x.end());
  for (std::size_t t = 0; t < 4; ++t)
    for (std::size_t d = 0; d < 6; ++d) {
      double want = t < 3 ? m.expert(true, 3, &wide[6 * t])[d] : 0.0;
      for (std::size_t j = 0; j < 2; ++j)
        if (ids[2 * t + j] >= 0)
          want += static_cast<double>(weights[2 * t + j]) *
                  m.expert(true, ids[2 * t + j], &wide[6 * t])[d];
      CHECK(std::abs(static_cast<double>(y[6 * t + d]) - want) < 1e-5);
    }
}

TEST_CASE("what is refused") {
  std::vector<std::int32_t> ids(4), all(6, 77);
  std::vector<float> w(4), all_w(6, 77);
  const auto refusal = [&](std::int64_t experts, std::int64_t shared) -> std::string {
    try {
      moe::append_shared(view<const std::int32_t, 2>(ids.data(), 2, 2),
                         view<const float, 2>(w.data(), 2, 2), experts, shared, 1.0f,
                         view<std::int32_t, 2>(all.data(), 2, 3),
                         view<float, 2>(all_w.data(), 2, 3));
    } catch (const std::invalid_argument& e) {
      CHECK(all[0] == 77);
      return e.what();
    }
    return "";
  };
  CHECK(refusal(0, 1) == "hence: experts is 0 and shared 1, expected 1 or more and 0 or more");
  CHECK(refusal(3, -1) == "hence: experts is 3 and shared -1, expected 1 or more and 0 or more");
  CHECK(refusal(4, 2) == "hence: all_ids has shape [2, 3], expected [2, 4]");
  CHECK(refusal(1, 0) == "hence: all_ids has shape [2, 3], expected [2, 2]");
  CHECK(refusal(4, 1).empty());
}

}  // namespace
