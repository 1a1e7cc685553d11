// The layer, tokens in and out: against the formula in double, by differences, and itself.

#include "expert_oracle.hpp"

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/permute.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>

namespace {

namespace moe = hence::moe;
namespace gemm = hence::gemm;
using expert_oracle::as;
using expert_oracle::at;
using expert_oracle::layer;
using expert_oracle::numbers;
using expert_oracle::outcome;
using expert_oracle::same;
using expert_oracle::same_gradients;
using hence::view;

template <class S> struct layer_case {
  const layer& model;
  std::int64_t tokens, k, rows;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets, order, position, aligned, aligned_position, count;
  std::vector<S> x, weights, cotangent, gate, up, down;

  layer_case(const layer& m, std::int64_t t, std::int64_t slots, std::int64_t align = 1)
      : model(m),
        tokens(t),
        k(slots),
        ids(at(t * slots)),
        offsets(at(m.experts + 1)),
        order(ids.size()),
        position(order),
        aligned(offsets),
        aligned_position(order),
        x(as<S>(expert_oracle::normal(t * m.width, 4))),
        weights(as<S>(expert_oracle::normal(t * slots, 6))),
        cotangent(as<S>(expert_oracle::normal(t * m.width, 5))),
        gate(as<S>(m.gate)),
        up(as<S>(m.up)),
        down(as<S>(m.down)) {
    std::mt19937 random(8);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      // the last expert gets no token, and some slots are empty
      ids[i] = static_cast<std::int32_t>(random() % static_cast<unsigned>(m.experts)) - 1;
      if (ids[i] < 0) weights[i] = static_cast<S>(__builtin_nan(""));
    }
    moe::permute(
        view<const std::int32_t, 2>(ids.data(), t, slots), m.experts, align,
        moe::permutation{offsets, order, view<std::int64_t, 2>(position.data(), t, slots), aligned,
                         view<std::int64_t, 2>(aligned_position.data(), t, slots)});
    for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
      count.push_back(offsets[e + 1] - offsets[e]);
    rows = align > 1 ? aligned.back() : t * slots;
  }
  moe::layer_inputs<S> inputs(bool is_aligned = false) const {
    moe::layer_inputs<S> in;
    in.x = view<const S, 2>(x.data(), tokens, model.width);
    in.weights = view<const S, 2>(weights.data(), tokens, k);
    in.position = moe::slot_positions((is_aligned ? aligned_position : position).data(), tokens, k);
    in.segments = {is_aligned ? aligned : offsets, count};
    expert_oracle::set_matrices<const S>(in, *this, model);
    if (is_aligned) in.rows = rows;
    return in;
  }
};

template <class Executor, class Gemm, class Weights, class Kept, class S>
outcome<S> run(const Executor& executor, const Gemm& g, Weights place, const Kept& kept,
               const layer_case<S>& c, bool is_aligned = false) {
  const layer& m = c.model;
  outcome<S> o(m, c.tokens, c.tokens * c.k);
  moe::layer_gradients<S> to;
  to.x = view<S, 2>(o.x.data(), c.tokens, m.width);
  to.weights = view<S, 2>(o.weights.data(), c.tokens, c.k);
  expert_oracle::set_matrices<S>(to, o, m);
  const moe::expert_mlp mlp{g, moe::swiglu{}, place};
  const auto in = c.inputs(is_aligned);
  moe::experts(executor, mlp, in, kept, view<S, 2>(o.out.data(), c.tokens, m.width));
  moe::experts_backward(executor, mlp, in, kept,
                        view<const S, 2>(c.cotangent.data(), c.tokens, m.width), to);
  return o;
}

/// y of the contract's section 7.
numbers formula(const layer& m, const layer_case<double>& c, const numbers& x, const numbers& w) {
  numbers y(at(c.tokens * m.width));
  for (std::int64_t t = 0; t < c.tokens; ++t)
    for (std::int64_t j = 0; j < c.k; ++j) {
      const std::int64_t e = c.ids[at(t * c.k + j)];
      if (e < 0) continue;
      const numbers out = m.expert(true, e, &x[at(t * m.width)]);
      for (std::int64_t d = 0; d < m.width; ++d)
        y[at(t * m.width + d)] += w[at(t * c.k + j)] * out[at(d)];
    }
  return y;
}

template <class Weights> void against_formula(Weights place) {
  const layer m(4, 3, 5);
  const layer_case<double> c(m, 6, 3);
  const auto got =
      run(hence::reference<double>{}, gemm::chain<double>{}, place, moe::recomputed{}, c);
  layer model = m;
  numbers x = c.x, w = c.weights;
  const numbers want = formula(m, c, x, w);
  for (std::size_t i = 0; i < want.size(); ++i)
    CHECK(std::abs(got.out[i] - want[i]) <= 1e-13 * (1 + std::abs(want[i])));
  const auto value = [&] {
    const numbers y = formula(model, c, x, w);
    double total = 0;
    for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * c.cotangent[i];
    return total;
  };
  const auto near = [](double a, double b) { return std::abs(a - b) <= 5e-8 * (1 + std::abs(b)); };
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(near(got.x[i], expert_oracle::slope(x[i], value)));
  for (std::size_t i = 0; i < w.size(); ++i)
    CHECK(near(got.weights[i], c.ids[i] < 0 ? 0.0 : expert_oracle::slope(w[i], value)));
  for (std::size_t i = 0; i < model.up.size(); ++i) {
    CHECK(near(got.gate[i], expert_oracle::slope(model.gate[i], value)));
    CHECK(near(got.up[i], expert_oracle::slope(model.up[i], value)));
    CHECK(near(got.down[i], expert_oracle::slope(model.down[i], value)));
  }
}

TEST_CASE("the formula and its differences, both places of the weights") {
  against_formula(moe::after_down{});
  against_formula(moe::before_down{});
}

TEST_CASE("the same bits for every executor, pool and layout; gradients for either place") {
  const layer m(7, 20, 33);
  const layer_case<float> c(m, 400, 4), blocks(m, 400, 4, 16);
  const gemm::ordered ordered;
  const auto got = run(hence::cpu{}, ordered, moe::after_down{}, moe::recomputed{}, c);
  const auto demand = [&](const outcome<float>& o) { CHECK(same(got, o)); };
  demand(run(hence::reference<float>{}, gemm::chain<float>{}, moe::after_down{}, moe::recomputed{},
             c));
  demand(run(hence::cpu{}, ordered, moe::after_down{}, moe::recomputed{}, blocks, true));
  for (const int threads : {1, 2, 3, 8}) {
    hence::thread_pool pool(threads);
    demand(run(hence::cpu(pool), ordered, moe::after_down{}, moe::recomputed{}, c));
  }
  std::vector<float> gate(at(c.rows * m.inner)), up(gate);
  const moe::saved_activations<float> kept{view<float, 2>(gate.data(), c.rows, m.inner),
                                           view<float, 2>(up.data(), c.rows, m.inner)};
  demand(run(hence::cpu{}, ordered, moe::after_down{}, kept, c));
  const auto before = run(hence::cpu{}, ordered, moe::before_down{}, moe::recomputed{}, c);
  CHECK(same_gradients(got, before));
  CHECK(!same(got.out, before.out));  // rounded otherwise
  for (std::size_t i = 0; i < got.out.size(); ++i)
    CHECK(static_cast<double>(got.out[i]) ==
          doctest::Approx(static_cast<double>(before.out[i])).epsilon(1e-4));
}

TEST_CASE("tokens in f16 are gathered as they are, matrices in f16 widened") {
  const layer m(4, 20, 24);
  layer_case<float> c(m, 60, 3);
  using hence::f16;
  const auto narrow = [](std::vector<float>& v) {
    std::vector<f16> n;
    for (float& x : v) n.emplace_back(x), x = n.back();
    return n;
  };
  const auto x = narrow(c.x), gate = narrow(c.gate), up = narrow(c.up), down = narrow(c.down);
  const auto want = run(hence::cpu{}, gemm::ordered{}, moe::after_down{}, moe::recomputed{}, c);
  struct {
    const std::vector<f16>&gate, &up, &down;
  } const matrices{gate, up, down};
  moe::layer_inputs<float, f16, f16> in;
  in.x = view<const f16, 2>(x.data(), c.tokens, m.width);
  const auto plain = c.inputs();
  in.weights = plain.weights, in.position = plain.position, in.segments = plain.segments;
  expert_oracle::set_matrices<const f16>(in, matrices, m);
  outcome<float> got(m, c.tokens, c.tokens * c.k);
  moe::layer_gradients<float> to;
  to.x = view<float, 2>(got.x.data(), c.tokens, m.width);
  to.weights = view<float, 2>(got.weights.data(), c.tokens, c.k);
  expert_oracle::set_matrices<float>(to, got, m);
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  moe::experts(hence::cpu{}, mlp, in, moe::recomputed{},
               view<float, 2>(got.out.data(), c.tokens, m.width));
  moe::experts_backward(hence::cpu{}, mlp, in, moe::recomputed{},
                        view<const float, 2>(c.cotangent.data(), c.tokens, m.width), to);
  CHECK(same(got, want));
}

TEST_CASE("no token, one token, a token without a slot") {
  const layer m(3, 4, 5);
  const layer_case<float> none(m, 0, 2);
  const auto o = run(hence::cpu{}, gemm::ordered{}, moe::after_down{}, moe::recomputed{}, none);
  for (const float g : o.gate) CHECK(g == 0);
  layer_case<float> one(m, 1, 1);
  one.ids = {-1}, one.position = {-1}, one.count = {0, 0, 0}, one.offsets = {0, 0, 0, 0};
  one.weights = {__builtin_nanf("")};
  const auto y = run(hence::cpu{}, gemm::ordered{}, moe::after_down{}, moe::recomputed{}, one);
  for (const float v : y.out) CHECK(v == 0);
  for (const float v : y.x) CHECK(v == 0);
  CHECK(y.weights[0] == 0);
}

TEST_CASE("the backward pass keeps its promises about memory") {
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::before_down{}};
  const std::int64_t scratch = gemm::ordered::scratch_floats * 4;
  // beside the scratch: one array [rows, width], and tiles of 512 rows of 3 ff and 2 width
  const std::int64_t bytes = moe::experts_workspace_bytes<float>(hence::cpu{}, mlp, 4096, 512, 256);
  CHECK(bytes <=
        scratch + 4 * (4096 * 512 + 4 * 4096 + 512 * (3 * (256 + 32) + 2 * (512 + 32))) + 1024);
  // that does not grow with the rows
  CHECK(moe::expert_workspace_bytes(hence::cpu{}, mlp, 4096, 256) ==
        moe::expert_workspace_bytes(hence::cpu{}, mlp, 1 << 20, 256));
}

TEST_CASE("experts of more rows than a tile, in tiles and on a pool") {
  const layer m(3, 5, 6);
  const layer_case<float> c(m, 700, 2);  // two experts of 470 to 700 rows
  CHECK(c.count[0] + c.count[1] > 800);
  const auto got = run(hence::cpu{}, gemm::ordered{}, moe::after_down{}, moe::recomputed{}, c);
  const auto plain =
      run(hence::reference<float>{}, gemm::chain<float>{}, moe::after_down{}, moe::recomputed{}, c);
  CHECK(same(got, plain));
  hence::thread_pool pool(3);
  CHECK(same(got, run(hence::cpu(pool), gemm::ordered{}, moe::after_down{}, moe::recomputed{}, c)));
}

TEST_CASE("experts of more rows than a block of the backward pass") {
  const layer m(12, 2, 3);
  const layer_case<float> c(m, 2800, 2);
  CHECK(c.offsets[8] < 4096);  // experts within a block, in two, and more than one in the last
  CHECK(c.offsets[9] > 4096);
  CHECK(c.offsets[10] < c.offsets[11]);
  CHECK(c.offsets[12] < 2 * 4096);
  hence::thread_pool pool(2);
  CHECK(same(run(hence::cpu(pool), gemm::ordered{}, moe::after_down{}, moe::recomputed{}, c),
             run(hence::cpu{}, gemm::ordered{}, moe::after_down{}, moe::recomputed{}, c)));
}

TEST_CASE("what is written lies apart from what is read, tile after tile") {
  const layer m(3, 4, 5);
  layer_case<float> c(m, 4, 2);
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  std::vector<float> room(400, 3.0f);
  const auto refusal = [](auto call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  const auto forward = [&](std::int64_t saved_gate, std::int64_t saved_up, std::int64_t y) {
    return refusal([&] {
      auto in = c.inputs();
      in.x = view<const float, 2>(room.data(), 4, 5);
      const moe::saved_activations<float> kept{view<float, 2>(&room[at(saved_gate)], 8, 4),
                                               view<float, 2>(&room[at(saved_up)], 8, 4)};
      moe::experts(hence::cpu{}, mlp, in, kept, view<float, 2>(&room[at(y)], 4, 5));
    });
  };
  const std::string apart = ", expected separate arrays";
  CHECK(forward(19, 100, 200) == "hence: saved.gate overlaps x" + apart);
  CHECK(forward(100, 19, 200) == "hence: saved.up overlaps x" + apart);
  CHECK(forward(100, 131, 200) == "hence: saved.up overlaps saved.gate" + apart);
  CHECK(forward(100, 200, 219) == "hence: saved.up overlaps y" + apart);
  CHECK(forward(100, 200, 19) == "hence: y overlaps x" + apart);
  const auto backward = [&](std::int64_t x, std::int64_t gate, std::int64_t up, std::int64_t down) {
    return refusal([&] {
      moe::layer_gradients<float> to;
      to.x = view<float, 2>(&room[at(x)], 4, 5);
      to.gate = view<float, 3>(&room[at(gate)], 3, 4, 5);
      to.up = view<float, 3>(&room[at(up)], 3, 4, 5);
      to.down = view<float, 3>(&room[at(down)], 3, 5, 4);
      moe::experts_backward(hence::cpu{}, mlp, c.inputs(), moe::recomputed{},
                            view<const float, 2>(room.data(), 4, 5), to);
    });
  };
  CHECK(backward(19, 100, 200, 300) == "hence: gradients.x overlaps cotangent" + apart);
  CHECK(backward(380, 19, 200, 300) == "hence: gradients.gate overlaps cotangent" + apart);
  CHECK(backward(380, 100, 19, 300) == "hence: gradients.up overlaps cotangent" + apart);
  CHECK(backward(380, 100, 200, 19) == "hence: gradients.down overlaps cotangent" + apart);
  CHECK(backward(380, 100, 200, 259) == "hence: gradients.down overlaps gradients.up" + apart);
  for (const float v : room) CHECK(v == 3);
}

TEST_CASE("what is refused, before anything is written") {
  const layer m(3, 4, 5);
  const layer_case<float> c(m, 4, 2);
  std::vector<float> y(20, 77.0f);
  const auto refusal = [&](auto change) -> std::string {
    auto in = c.inputs();
    change(in);
    try {
      moe::experts(hence::cpu{}, moe::expert_mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}},
                   in, moe::recomputed{}, view<float, 2>(y.data(), 4, 5));
    } catch (const std::invalid_argument& e) {
      CHECK(y[0] == 77);
      return e.what();
    }
    return "";
  };
  CHECK(refusal([](auto& in) { in.x.extent[1] = 4; }) ==
        "hence: x has shape [4, 4], expected [4, 5]");
  CHECK(refusal([](auto& in) { in.weights.extent[1] = 1; }) ==
        "hence: weights has shape [4, 1], expected [4, 2]");
  CHECK(refusal([](auto& in) { in.rows = 1; }).substr(0, 16) == "hence: position[");
  CHECK(refusal([](auto& in) { in.rows = 0; }).ends_with("expected -1 to -1"));
  const std::vector<std::int64_t> counts{1, 0, 0};
  CHECK(refusal([&](auto& in) { in.segments.count = counts; }).substr(0, 42) ==
        "hence: segments hold 1 rows, expected the ");
  // as many slots as rows, but two of one row
  std::vector<std::int64_t> twice = c.position;
  std::int64_t last = -1;
  for (std::int64_t& p : twice) {
    if (p >= 0 && last >= 0) p = last;
    if (p >= 0) last = p;
  }
  const std::string unnamed =
      refusal([&](auto& in) { in.position = moe::slot_positions(twice.data(), c.tokens, c.k); });
  CHECK(unnamed.substr(0, 37) == "hence: position names no slot of row ");
  CHECK(refusal([](auto& in) { in.gate.extent[0] = 2; }) ==
        "hence: gate has shape [2, 4, 5], expected [3, 4, 5]");
  CHECK(refusal([](auto&) {}).empty());
}

}  // namespace
