// The experts' MLPs on rows: against plain formulas, finite differences and themselves.

#include "expert_oracle.hpp"

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <array>
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
using hence::view;

template <class S> constexpr S hole = static_cast<S>(__builtin_nan(""));

/// Rows in segments, with NaN wherever nothing may be read.
template <class S> struct problem {
  const layer& model;
  bool gated;
  std::int64_t rows;
  std::vector<std::int64_t> first, count;
  std::vector<S> x, cotangent, weights, gate, up, down;

  problem(const layer& m, bool is_gated, std::vector<std::int64_t> begin,
          std::vector<std::int64_t> counts, std::int64_t n)
      : model(m),
        gated(is_gated),
        rows(n),
        first(std::move(begin)),
        count(std::move(counts)),
        x(as<S>(expert_oracle::normal(n * m.width, 4))),
        cotangent(as<S>(expert_oracle::normal(n * m.width, 5))),
        weights(as<S>(expert_oracle::normal(n, 6))),
        gate(as<S>(m.gate)),
        up(as<S>(m.up)),
        down(as<S>(m.down)) {
    for (std::int64_t r = 0; r < n; ++r)
      if (expert_of(r) < 0) {
        weights[at(r)] = hole<S>;
        for (std::int64_t d = 0; d < m.width; ++d)
          x[at(r * m.width + d)] = cotangent[at(r * m.width + d)] = hole<S>;
      }
    for (std::int64_t e = 0; e < m.experts; ++e)
      for (std::int64_t i = 0; count[at(e)] == 0 && i < m.inner * m.width; ++i) {
        const auto j = at(e * m.inner * m.width + i);
        gate[j] = up[j] = down[j] = hole<S>;
      }
  }
  std::int64_t expert_of(std::int64_t row) const {
    for (std::int64_t e = 0; e < model.experts; ++e)
      if (row >= first[at(e)] && row < first[at(e)] + count[at(e)]) return e;
    return -1;
  }
  moe::expert_inputs<S> inputs(bool weighs) const {
    moe::expert_inputs<S> in;
    in.rows = view<const S, 2>(x.data(), rows, model.width);
    in.segments = {first, count};
    expert_oracle::set_matrices<const S>(in, *this, model);
    if (!gated) in.gate = {};
    if (weighs) in.row_weights = weights;
    return in;
  }
};

template <class Executor, class Gemm, class Activation, class Weights, class S>
outcome<S> run(const Executor& executor, const Gemm& g, Activation activation, Weights place,
               bool saves, const problem<S>& p, hence::update of = hence::update::overwrite,
               view<std::byte> workspace = {}) {
  constexpr bool weighs = std::is_same_v<Weights, moe::before_down>;
  const auto in = p.inputs(weighs);
  const layer& m = p.model;
  outcome<S> o(m, p.rows, p.rows);
  moe::expert_gradients<S> to;
  to.rows = view<S, 2>(o.x.data(), p.rows, m.width);
  if (weighs) to.row_weights = o.weights;
  expert_oracle::set_matrices<S>(to, o, m);
  if (!p.gated) to.gate = {};
  to.of_matrices = of;
  const moe::expert_mlp mlp{g, activation, place};
  const view<S, 2> out(o.out.data(), p.rows, m.width);
  const view<const S, 2> cotangent(p.cotangent.data(), p.rows, m.width);
  const auto both = [&](const auto& kept) {
    moe::expert_rows(executor, mlp, in, kept, out, workspace);
    moe::expert_rows_backward(executor, mlp, in, kept, cotangent, to, workspace);
  };
  if (saves) {
    std::vector<S> gate(at(p.rows * m.inner), S(55)), up(gate);
    moe::saved_activations<S> kept;
    if (p.gated) kept.gate = view<S, 2>(gate.data(), p.rows, m.inner);
    kept.up = view<S, 2>(up.data(), p.rows, m.inner);
    both(kept);
  } else {
    both(moe::recomputed{});
  }
  return o;
}

/// sum over rows of <cotangent, w expert(x)>, and every gradient of it by differences.
template <class Activation, class Weights>
void against_differences(Activation activation, Weights place, bool gated) {
  constexpr bool weighs = std::is_same_v<Weights, moe::before_down>;
  layer m(3, 4, 5);
  problem<double> p(m, gated, {1, 4, 4}, {2, 0, 3}, 8);  // row 0, 3, 7 in no segment
  const auto got =
      run(hence::reference<double>{}, gemm::chain<double>{}, activation, place, false, p);
  layer model = m;
  numbers x = p.x, w = p.weights;
  const auto value = [&] {
    double total = 0;
    for (std::int64_t r = 0; r < p.rows; ++r) {
      const std::int64_t e = p.expert_of(r);
      if (e < 0) continue;
      const numbers y = model.expert(gated, e, &x[at(r * m.width)]);
      for (std::int64_t d = 0; d < m.width; ++d)
        total += (weighs ? w[at(r)] : 1.0) * y[at(d)] * p.cotangent[at(r * m.width + d)];
    }
    return total;
  };
  const auto near = [](double a, double b) { return std::abs(a - b) <= 2e-8 * (1 + std::abs(b)); };
  for (std::int64_t r = 0; r < p.rows; ++r) {
    const std::int64_t e = p.expert_of(r);
    const numbers y =
        e < 0 ? numbers(at(m.width), 77) : model.expert(gated, e, &x[at(r * m.width)]);
    for (std::int64_t d = 0; d < m.width; ++d) {
      const auto i = at(r * m.width + d);
      const double want = e < 0 ? 77 : (weighs ? w[at(r)] : 1.0) * y[at(d)];
      CHECK(std::abs(got.out[i] - want) <= 1e-13 * (1 + std::abs(want)));
      CHECK(near(got.x[i], e < 0 ? 77 : expert_oracle::slope(x[i], value)));
    }
    if (weighs) CHECK(near(got.weights[at(r)], e < 0 ? 77 : expert_oracle::slope(w[at(r)], value)));
  }
  for (std::size_t i = 0; i < m.up.size(); ++i) {
    CHECK(near(got.up[i], expert_oracle::slope(model.up[i], value)));
    CHECK(near(got.down[i], expert_oracle::slope(model.down[i], value)));
    if (gated) CHECK(near(got.gate[i], expert_oracle::slope(model.gate[i], value)));
  }
}

TEST_CASE("values and all gradients against the formula and its differences") {
  against_differences(moe::swiglu{}, moe::after_down{}, true);
  against_differences(moe::swiglu{}, moe::before_down{}, true);
  against_differences(moe::silu{}, moe::after_down{}, false);
  against_differences(moe::silu{}, moe::before_down{}, false);
}

TEST_CASE("fp32 is near float64") {
  const layer m(4, 40, 24);
  const std::vector<std::int64_t> first{0, 17, 17, 50}, count{17, 0, 33, 20};
  const problem<float> p(m, true, first, count, 70);
  const problem<double> q(m, true, first, count, 70);
  const auto got = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  const auto want = run(hence::reference<double>{}, gemm::chain<double>{}, moe::swiglu{},
                        moe::before_down{}, false, q);
  const auto near = [](const std::vector<float>& a, const numbers& b) {
    double most = 0, apart = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      most = std::max(most, std::abs(b[i]));
      apart = std::max(apart, std::abs(static_cast<double>(a[i]) - b[i]));
    }
    CHECK(apart <= 1e-6 * most);
    CHECK(most > 1);
  };
  near(got.out, want.out);
  near(got.x, want.x);
  near(got.weights, want.weights);
  near(got.gate, want.gate);
  near(got.up, want.up);
  near(got.down, want.down);
}

struct backwards {
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = n - 1; i >= 0; --i) f(i);
  }
};

TEST_CASE("the same bits: executors, pools, saved or not, own memory") {
  // more rows than a tile, than a parallel block, and an expert with most of them
  const layer m(5, 19, 21);
  const problem<float> p(m, true, {0, 3, 700, 700, 5000}, {3, 600, 0, 4300, 1}, 5004);
  const auto got = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  const auto again = [&](const auto& executor, bool saves) {
    return run(executor, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, saves, p);
  };
  CHECK(same(got, again(hence::cpu{}, true)));
  CHECK(same(got, run(hence::reference<float>{}, gemm::chain<float>{}, moe::swiglu{},
                      moe::before_down{}, true, p)));
  backwards reversed;
  CHECK(same(got, again(hence::cpu(reversed), false)));
  for (const int threads : {1, 2, 3, 8}) {
    hence::thread_pool pool(threads);
    CHECK(same(got, again(hence::cpu(pool), threads == 3)));
  }
  // no more rows than one part has, and none
  for (const std::int64_t n : {0, 5, 200}) {
    const problem<float> few(m, true, {0, 0, 0, 0, 0}, {n, 0, 0, 0, 0}, n);
    hence::thread_pool pool(2);
    const auto of = [&](const auto& executor) {
      return run(executor, gemm::ordered{}, moe::geglu{}, moe::before_down{}, false, few);
    };
    CHECK(same(of(hence::cpu{}), of(hence::cpu(pool))));
  }
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::before_down{}};
  const std::int64_t bytes = moe::expert_workspace_bytes(hence::cpu{}, mlp, p.rows, m.inner);
  std::vector<std::byte> memory(at(bytes + 64), std::byte{255});
  const auto past = reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  CHECK(same(got, run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p,
                      hence::update::overwrite,
                      view<std::byte>(memory.data() + (64 - past) % 64, bytes))));
}

TEST_CASE("a row has the same bits whatever the others are; DeepGEMM's layouts") {
  const layer m(3, 8, 6);
  // contiguous to a block of 4: 3 and 2 rows, then masked with room for 5 each
  const problem<float> aligned(m, true, {0, 4, 4}, {3, 0, 2}, 8);
  problem<float> masked(m, true, {0, 5, 10}, {3, 0, 2}, 15);
  for (const std::int64_t r : {0, 1, 2, 4, 5})
    for (std::int64_t d = 0; d < m.width; ++d) {
      const auto to = at((r < 4 ? r : r + 6) * m.width + d), from = at(r * m.width + d);
      masked.x[to] = aligned.x[from];
      masked.cotangent[to] = aligned.cotangent[from];
    }
  const auto a =
      run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, false, aligned);
  const auto b =
      run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, false, masked);
  for (std::int64_t r = 0; r < 8; ++r)
    for (std::int64_t d = 0; d < m.width; ++d) {
      const auto i = at(r * m.width + d), j = at((r < 4 ? r : r + 6) * m.width + d);
      if (aligned.expert_of(r) < 0) {
        CHECK(a.out[i] == 77);  // padding is left alone, and NaN there is not read
      } else {
        CHECK(a.out[i] == b.out[j]);
        CHECK(a.x[i] == b.x[j]);
      }
    }
  CHECK(same(a.gate, b.gate));
  CHECK(same(a.down, b.down));
}

TEST_CASE("two calls that accumulate have the bits of one; experts without rows") {
  const layer m(3, 8, 6);
  const problem<float> whole(m, true, {0, 9, 9}, {9, 0, 11}, 20);
  auto first = whole, second = whole;
  first.count = {4, 0, 7}, second.first = {4, 9, 16}, second.count = {5, 0, 4};
  const auto want =
      run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, false, whole);
  const auto in_parts = [&](const problem<float>& p, outcome<float>& o, hence::update of) {
    moe::expert_gradients<float> to;
    expert_oracle::set_matrices<float>(to, o, m);
    to.of_matrices = of;
    moe::expert_rows_backward(
        hence::cpu{}, moe::expert_mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}},
        p.inputs(false), moe::recomputed{}, view<const float, 2>(p.cotangent.data(), 20, 6), to);
  };
  outcome<float> got = want;
  for (auto* v : {&got.gate, &got.up, &got.down})
    for (float& g : *v) g = 5;
  in_parts(first, got, hence::update::overwrite);
  in_parts(second, got, hence::update::accumulate);
  CHECK(same(got.gate, want.gate));
  CHECK(same(got.up, want.up));
  CHECK(same(got.down, want.down));
  for (std::size_t i = 48; i < 96; ++i) CHECK(want.gate[i] == 0);  // expert 1, overwritten
  // accumulate does not touch an expert without rows
  for (std::size_t i = 48; i < 96; ++i) got.up[i] = hole<float>;
  in_parts(second, got, hence::update::accumulate);
  for (std::size_t i = 48; i < 96; ++i) CHECK(got.up[i] != got.up[i]);
}

TEST_CASE("no rows at all, one row, more experts than rows") {
  const layer m(3, 4, 5);
  const problem<float> none(m, true, {0, 0, 0}, {0, 0, 0}, 0);
  const auto o = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, none);
  for (const float g : o.gate) CHECK(g == 0);
  for (const float g : o.down) CHECK(g == 0);
  const problem<float> one(m, true, {0, 0, 0}, {0, 1, 0}, 1);
  const problem<double> wide(m, true, {0, 0, 0}, {0, 1, 0}, 1);
  const auto y = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, true, one);
  const numbers want = m.expert(true, 1, wide.x.data());
  for (std::size_t d = 0; d < 5; ++d)
    CHECK(static_cast<double>(y.out[d]) == doctest::Approx(want[d]).epsilon(1e-5));
}

TEST_CASE("one expert, one inner number, one column") {
  for (const auto& [experts, inner, width] : {std::array{1, 4, 5}, {3, 1, 5}, {3, 4, 1}}) {
    const layer m(experts, inner, width);
    const std::vector<std::int64_t> first(at(experts), 0);
    std::vector<std::int64_t> count(at(experts), 0);
    count[0] = 2;
    const problem<float> p(m, true, first, count, 2);
    const problem<double> wide(m, true, first, count, 2);
    const auto y = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, true, p);
    for (std::int64_t r = 0; r < 2; ++r) {
      const numbers want = m.expert(true, 0, &wide.x[at(r * width)]);
      for (std::int64_t d = 0; d < width; ++d)
        CHECK(static_cast<double>(y.out[at(r * width + d)]) ==
              doctest::Approx(want[at(d)]).epsilon(1e-5));
    }
  }
}

/// A pool of one thread that tells how often it was asked, and for how many parts.
struct counting_pool {
  mutable std::vector<std::int64_t> asked;
  template <class F> void parallel_for(std::int64_t n, F&& f) const {
    asked.push_back(n);
    for (std::int64_t i = n; i > 0; --i) f(i - 1);  // any order will do
  }
};

TEST_CASE("a pool is asked where there is more than one part; its workspace holds all parts") {
  const layer m(2, 3, 4);
  const auto asked = [&](std::int64_t rows) {
    const counting_pool pool;
    const problem<float> p(m, true, {0, 5}, {5, rows - 5}, rows);
    CHECK(same(run(hence::cpu(pool), gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p),
               run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p)));
    return pool.asked;
  };
  CHECK(asked(64).empty());
  // forward; then backward the rows and the matrices
  CHECK(asked(65) == std::vector<std::int64_t>(3, 2));
  CHECK(asked(200) == std::vector<std::int64_t>(3, 4));
  const counting_pool idle;  // rows, but none in a segment
  const problem<float> none(m, true, {0, 0}, {0, 0}, 200);
  run(hence::cpu(idle), gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, none);
  CHECK(idle.asked.empty());
  // 16 parts with a tile of 512 rows, of two arrays, each; in fewer rows the gradient needs most
  const counting_pool pool;
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  const auto bytes = [&](std::int64_t rows) {
    return moe::expert_workspace_bytes(hence::cpu(pool), mlp, rows, 16);
  };
  const std::int64_t scratch = 16 * gemm::ordered::scratch_floats * 4, row = 16 * 4;
  CHECK(bytes(1 << 20) == scratch + 16 * 512 * 2 * row);
  CHECK(bytes(4096) == scratch + 4096 * 3 * row);
}

TEST_CASE("NaN in a row stays in that row and its expert") {
  const layer m(2, 4, 5);
  problem<float> p(m, true, {0, 3}, {3, 3}, 6);
  const auto clean =
      run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  p.x[2] = hole<float>;
  const auto got = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  CHECK(got.out[0] != got.out[0]);
  for (std::size_t i = 5; i < 30; ++i) CHECK(got.out[i] == clean.out[i]);
  for (std::size_t i = 5; i < 30; ++i) CHECK(got.x[i] == clean.x[i]);
  for (std::size_t i = 20; i < 40; ++i) CHECK(got.gate[i] == clean.gate[i]);
}

/// Rows of X and matrices of W against the same numbers in fp32.
template <class X, class W> void narrow_storage() {
  const layer m(2, 24, 16);
  problem<float> p(m, true, {0, 3}, {3, 4}, 7);
  const auto narrow = [](std::vector<float>& v, auto number) {
    std::vector<decltype(number)> n;
    for (float& f : v) n.emplace_back(f), f = n.back();  // what p holds is rounded too
    return n;
  };
  const auto x = narrow(p.x, X());
  const auto gate = narrow(p.gate, W()), up = narrow(p.up, W()), down = narrow(p.down, W());
  const auto want = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  moe::expert_inputs<float, X, W> in;
  in.rows = view<const X, 2>(x.data(), 7, 16);
  in.segments = {p.first, p.count};
  struct {
    const std::vector<W>&gate, &up, &down;
  } const matrices{gate, up, down};
  expert_oracle::set_matrices<const W>(in, matrices, m);
  in.row_weights = p.weights;
  outcome<float> got(m, 7, 7);
  moe::expert_gradients<float> to;
  to.rows = view<float, 2>(got.x.data(), 7, 16);
  to.row_weights = got.weights;
  expert_oracle::set_matrices<float>(to, got, m);
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::before_down{}};
  moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, view<float, 2>(got.out.data(), 7, 16));
  moe::expert_rows_backward(hence::cpu{}, mlp, in, moe::recomputed{},
                            view<const float, 2>(p.cotangent.data(), 7, 16), to);
  CHECK(same(got, want));
}

TEST_CASE("bf16 and f16 rows and matrices are widened exactly, forward and backward") {
  narrow_storage<hence::bf16, hence::bf16>();
  narrow_storage<hence::f16, hence::f16>();
  narrow_storage<hence::f16, float>();
}

TEST_CASE("what is refused, before anything is written") {
  const layer m(3, 4, 5);
  const problem<float> p(m, true, {0, 3, 3}, {3, 0, 2}, 5);
  std::vector<float> out(25, 77.0f);
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  const auto refusal = [&](auto change) -> std::string {
    auto in = p.inputs(false);
    view<float, 2> to(out.data(), 5, 5);
    change(in, to);
    try {
      moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, to);
    } catch (const std::invalid_argument& e) {
      CHECK(out[0] == 77);
      return e.what();
    }
    return "";
  };
  std::vector<std::int64_t> counts;
  const auto with_counts = [&](std::vector<std::int64_t> c) {
    counts = std::move(c);
    return refusal([&](auto& in, auto&) { in.segments.count = counts; });
  };
  CHECK(with_counts({3, 1, 2}) ==
        "hence: segments: expert 2 has 2 rows from row 3 on, expected them within [4, 5)");
  CHECK(with_counts({3, 0, 3}) ==
        "hence: segments: expert 2 has 3 rows from row 3 on, expected them within [3, 5)");
  CHECK(with_counts({3, -1, 2}) == "hence: segments.count[1] is -1, expected 0 or more");
  CHECK(with_counts({3, 2}) == "hence: segments.count has 2 entries, expected 3");
  CHECK(refusal([](auto& in, auto&) { in.segments.first.extent[0] = 2; }) ==
        "hence: segments.first has 2 entries, expected at least the 3 experts");
  CHECK(refusal([](auto& in, auto&) { in.gate = {}; }) ==
        "hence: gate has shape [0, 0, 0], expected [3, 4, 5]");
  CHECK(refusal([](auto& in, auto&) { in.down.extent[1] = 4; }) ==
        "hence: down has shape [3, 4, 4], expected [3, 5, 4]");
  CHECK(refusal([](auto& in, auto&) { in.up.extent[1] = 0; }) ==
        "hence: up has shape [3, 0, 5], expected [experts, ff, width]");
  CHECK(refusal([&](auto& in, auto&) { in.row_weights = p.weights; }) ==
        "hence: row_weights is given, expected none: with after_down combine weighs");
  CHECK(refusal([](auto&, auto& to) { to.extent[0] = 4; }) ==
        "hence: out has shape [4, 5], expected [5, 5]");
  CHECK(refusal([&](auto& in, auto& to) {
          to = view<float, 2>(const_cast<float*>(in.rows.data), 5, 5);
        }) == "hence: out overlaps rows, expected separate arrays");
  CHECK(refusal([](auto& in, auto&) { in.gate.data = nullptr; }) ==
        "hence: gate is null, expected [3, 4, 5]");
  CHECK(refusal([](auto& in, auto&) { in.up.extent[0] = 0; }) ==
        "hence: up has shape [0, 4, 5], expected [experts, ff, width]");
  CHECK(refusal([](auto& in, auto&) { in.up.extent[2] = 0; }) ==
        "hence: up has shape [3, 4, 0], expected [experts, ff, width]");
  CHECK(refusal([](auto& in, auto&) { in.down.extent[2] = 3; }) ==
        "hence: down has shape [3, 5, 3], expected [3, 5, 4]");
  const std::vector<std::int64_t> beyond{0, 3, 9}, late{0, 3, 4};
  CHECK(refusal([&](auto& in, auto&) { in.segments.first = beyond; }) ==
        "hence: segments: expert 2 has 2 rows from row 9 on, expected them within [3, 5)");
  CHECK(refusal([&](auto& in, auto&) { in.segments.first = late; }) ==
        "hence: segments: expert 2 has 2 rows from row 4 on, expected them within [3, 5)");
  CHECK(refusal([](auto&, auto&) {}).empty());
}

TEST_CASE("what the backward pass and a plain activation refuse") {
  const layer m(3, 4, 5);
  const problem<float> p(m, true, {0, 3, 3}, {3, 0, 2}, 5);
  std::vector<float> gate(60, 77.0f), up(60, 77.0f), weights(5, 77.0f);
  const auto refusal = [&](auto activation, auto place, auto change) -> std::string {
    auto in = p.inputs(false);
    if (std::is_same_v<decltype(place), moe::before_down>) in.row_weights = p.weights;
    if (std::is_same_v<decltype(activation), moe::silu>) in.gate = {};
    moe::expert_gradients<float> to;
    to.up = view<float, 3>(up.data(), 3, 4, 5);
    moe::saved_activations<float> kept{{}, view<float, 2>(gate.data(), 5, 4)};
    const moe::expert_mlp mlp{gemm::ordered{}, activation, place};
    const view<const float, 2> cotangent(p.cotangent.data(), 5, 5);
    try {
      if (change(in, to, kept))
        moe::expert_rows_backward(hence::cpu{}, mlp, in, kept, cotangent, to);
      else
        moe::expert_rows_backward(hence::cpu{}, mlp, in, moe::recomputed{}, cotangent, to);
    } catch (const std::invalid_argument& e) {
      CHECK(up[0] == 77);
      return e.what();
    }
    return "";
  };
  const auto gated = [&](auto change) { return refusal(moe::swiglu{}, moe::after_down{}, change); };
  const auto plain = [&](auto change) { return refusal(moe::silu{}, moe::before_down{}, change); };
  CHECK(gated([&](auto&, auto& to, auto&) { return to.row_weights = weights, false; }) ==
        "hence: gradients.row_weights is given, expected none: with after_down dot_rows gives it");
  CHECK(gated([](auto&, auto& to, auto&) { return to.up.stride[2] = 2, false; }) ==
        "hence: gradients.up has stride 2 within a row, expected 1");
  CHECK(gated([](auto&, auto& to, auto&) { return to.up.stride[1] = 4, false; }) ==
        "hence: gradients.up has strides [20, 4], expected rows and matrices one after the other");
  CHECK(gated([](auto&, auto& to, auto&) { return to.up.stride[0] = 19, false; }) ==
        "hence: gradients.up has strides [19, 5], expected rows and matrices one after the other");
  CHECK(gated([](auto&, auto&, auto&) { return true; }) ==
        "hence: saved.gate has shape [0, 0], expected [5, 4]");
  CHECK(plain([&](auto& in, auto&, auto&) {
          in.gate = view<const float, 3>(p.gate.data(), 3, 4, 5);
          return false;
        }) == "hence: gate is given, expected none: the activation is a plain one");
  CHECK(plain([&](auto&, auto& to, auto&) {
          to.gate = view<float, 3>(gate.data(), 3, 4, 5);
          return false;
        }) == "hence: gradients.gate is given, expected none: the activation is a plain one");
  CHECK(plain([&](auto&, auto&, auto& kept) {
          kept.gate = kept.up;
          return true;
        }) == "hence: saved.gate is given, expected none: the activation is a plain one");
}

template <class Executor> void each_alone(const Executor& executor) {
  const layer m(3, 4, 5);
  constexpr std::int64_t n = 130;
  const problem<float> p(m, true, {0, 60, 60}, {60, 0, 70}, n);
  const auto all = run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::before_down{}, false, p);
  const auto alone = [&](auto choose) {
    outcome<float> o(m, n, n);
    moe::expert_gradients<float> to;
    choose(to, o);
    moe::expert_rows_backward(
        executor, moe::expert_mlp{gemm::ordered{}, moe::swiglu{}, moe::before_down{}},
        p.inputs(true), moe::recomputed{}, view<const float, 2>(p.cotangent.data(), n, 5), to);
    return o;
  };
  const std::vector<float> untouched(60, 77.0f);
  const auto gate =
      alone([](auto& to, auto& o) { to.gate = view<float, 3>(o.gate.data(), 3, 4, 5); });
  CHECK(same(gate.gate, all.gate));
  CHECK(same(gate.up, untouched));
  const auto up = alone([](auto& to, auto& o) { to.up = view<float, 3>(o.up.data(), 3, 4, 5); });
  CHECK(same(up.up, all.up));
  CHECK(same(up.down, untouched));
  const auto down =
      alone([](auto& to, auto& o) { to.down = view<float, 3>(o.down.data(), 3, 5, 4); });
  CHECK(same(down.down, all.down));
  CHECK(same(down.gate, untouched));
  const auto weights = alone([](auto& to, auto& o) { to.row_weights = o.weights; });
  CHECK(same(weights.weights, all.weights));
  const auto rows = alone([](auto& to, auto& o) { to.rows = view<float, 2>(o.x.data(), n, 5); });
  CHECK(same(rows.x, all.x));
}

TEST_CASE("each gradient alone has the bits that it has among all") {
  each_alone(hence::cpu{});
  const counting_pool pool;
  each_alone(hence::cpu(pool));
}

TEST_CASE("an expert is added once, where a part ends and in the last block") {
  const layer m(3, 2, 3);
  const auto once = [&](std::vector<std::int64_t> first, std::vector<std::int64_t> count) {
    const counting_pool pool;
    const problem<float> p(m, true, first, count, first[2] + count[2]);
    const auto of = hence::update::accumulate;
    CHECK(
        same(run(hence::cpu(pool), gemm::ordered{}, moe::swiglu{}, moe::after_down{}, false, p, of),
             run(hence::cpu{}, gemm::ordered{}, moe::swiglu{}, moe::after_down{}, false, p, of)));
  };
  once({0, 64, 64}, {64, 0, 64});           // two parts of 64 rows
  once({0, 4100, 4200}, {4100, 100, 100});  // blocks of 4096 and 204 rows
}

}  // namespace
