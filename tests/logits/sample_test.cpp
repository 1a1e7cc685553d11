// The sampler against its definition by a full sort in long double; ties; the distribution of its
// draws; refusals.
#include <doctest/doctest.h>
#include <hence/threads/pool.hpp>
#include <refusal.hpp>
#include "sample_drawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
constexpr float inf = std::numeric_limits<float>::infinity();
using real = long double;
using drawing::drawn;
using drawing::run;

/// The definition. `gap`: how far the nearest boundary is, as a share.
struct expected {
  std::vector<std::uint8_t> kept;
  std::int64_t token = -1;
  real logp = 0, full = 0, gap = 1;
  expected(const sample_rule& rule, const std::vector<float>& x, float u) : kept(x.size(), 0) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i] > -inf) order.push_back(i);
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); });
    const auto top = static_cast<real>(x[order[0]]);
    const auto w = [&](std::size_t i) {
      return std::exp((static_cast<real>(x[i]) - top) / static_cast<real>(rule.temperature));
    };
    const auto total = [&] {
      real s = 0;
      for (const std::size_t i : order) s += w(i);
      return s;
    };
    const real all = total();
    if (rule.top_k > 0 && order.size() > static_cast<std::size_t>(rule.top_k))
      order.resize(static_cast<std::size_t>(rule.top_k));
    if (rule.top_p < 1) {
      const real target = static_cast<real>(rule.top_p) * total();
      real sum = 0;
      std::size_t n = 0;
      while (n < order.size() && sum < target) {
        sum += w(order[n++]);
        gap = std::min(gap, std::abs(sum - target) / target);
      }
      order.resize(n);
    }
    if (rule.min_p > 0) {
      std::size_t n = 0;
      for (const std::size_t i : order) {
        n += w(i) >= static_cast<real>(rule.min_p);
        gap = std::min(gap, std::abs(w(i) - static_cast<real>(rule.min_p)));
      }
      order.resize(n);
    }
    if (rule.typical_p < 1) {
      // eq. 9 of the paper: -log p against the entropy
      const real mass = total();
      real entropy = 0;
      for (const std::size_t i : order)
        if (w(i) > 0) entropy -= w(i) / mass * std::log(w(i) / mass);
      const auto distance = [&](std::size_t i) {
        return std::abs(-std::log(w(i) / mass) - entropy);
      };
      std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (x[a] == x[b]) return a < b;
        return distance(a) < distance(b);
      });
      const real target = static_cast<real>(rule.typical_p) * mass;
      real sum = 0;
      std::size_t n = 0;
      while (n < order.size() && sum < target) {
        sum += w(order[n++]);
        gap = std::min(gap, std::abs(sum - target) / target);
      }
      if (n < order.size() && x[order[n]] != x[order[n - 1]])
        gap = std::min(gap, std::abs(distance(order[n]) - distance(order[n - 1])));
      order.resize(n);
    }
    for (const std::size_t i : order) kept[i] = 1;
    const real mass = total();
    real sum = 0;
    for (std::size_t i = 0; i < x.size() && token < 0; ++i) {
      if (!kept[i]) continue;
      sum += w(i);
      gap = std::min(gap, std::abs(sum / mass - static_cast<real>(u)));
      if (sum > static_cast<real>(u) * mass) token = static_cast<std::int64_t>(i);
    }
    if (token < 0) return;
    logp = std::log(w(static_cast<std::size_t>(token)) / mass);
    full = std::log(w(static_cast<std::size_t>(token)) / all);
  }
};

TEST_CASE("kept set, token and log-probs are those of the definition") {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 1);
  std::uniform_real_distribution<float> uniform(0, 1);
  const sample_rule rules[] = {
      {.temperature = 1.0},
      {.temperature = 0.6, .top_p = 0.95},
      {.temperature = 1.3, .top_k = 50},
      {.temperature = 0.8, .top_k = 20, .top_p = 0.9, .min_p = 0.05},
      {.temperature = 1.0, .min_p = 0.02},
      {.temperature = 0.7, .top_k = 900, .top_p = 0.5},
      {.temperature = 1.0, .top_k = 1},
      {.temperature = 0.05, .top_p = 0.999},
      {.temperature = 1.0, .typical_p = 0.9},
      {.temperature = 1.5, .top_k = 300, .typical_p = 0.2},
      {.temperature = 0.9, .top_p = 0.98, .min_p = 0.001, .typical_p = 0.5}};
  int compared = 0, checked = 0;
  for (int round = 0; round < 550; ++round) {
    const std::size_t columns = round % 7 == 0 ? 1 + random() % 40 : round % 17 == 0 ? 9001 : 1024;
    std::vector<float> x(columns);
    for (std::size_t i = 0; i < columns; ++i) {
      x[i] = static_cast<float>(round % 3 + 1) * normal(random) +
             (round % 2 && i % 100 == 7 ? 9.0f : 0.0f);
      if (round % 5 == 1) x[i] = std::round(x[i]);  // ties
      if (round % 5 == 2 && random() % 3 != 0) x[i] = -inf;
      if (round % 13 == 4) x[i] += static_cast<float>(i) * 0.01f;
      if (round % 13 == 5) x[i] -= static_cast<float>(i) * 0.01f;
    }
    if (*std::max_element(x.begin(), x.end()) == -inf) x[0] = 0;
    const sample_rule& rule = rules[round % 11];
    const float u = round % 17 == 0 ? 0.0f : round % 17 == 1 ? 0x1.fffffep-1f : uniform(random);
    const drawn got = run(cpu{}, rule, x, u), scalar = run(reference<float>{}, rule, x, u);
    const expected want(rule, x, u);
    CHECK(got.found == status::ok);
    CHECK(got.kept == scalar.kept);
    CHECK(got.token == scalar.token);
    CHECK(got.logp == scalar.logp);
    CHECK(got.full == scalar.full);
    CHECK(got.kept[static_cast<std::size_t>(got.token)] == 1);
    ++checked;
    if (want.gap < 0x1p-40L) continue;
    ++compared;
    CHECK(got.kept == want.kept);
    CHECK(got.token == want.token);
    CHECK(got.logp == doctest::Approx(static_cast<double>(want.logp)).epsilon(1e-6));
    CHECK(std::abs(double(got.full) - static_cast<double>(want.full)) <=
          4e-7 + 1.2e-7 * std::abs(double(got.full)));
  }
  CHECK(checked == 550);
  CHECK(compared > 510);
}

TEST_CASE("threads leave no trace") {
  constexpr std::int64_t rows = 23, columns = 700;
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(std::size_t(rows * columns)), u;
  for (float& f : x) f = normal(random);
  x[3 * columns] = NAN;
  for (std::uint32_t i = 0; i < rows; ++i) u.push_back(uniform_of(5, {.token = i}));
  struct results {
    std::vector<std::int64_t> token = std::vector<std::int64_t>(rows, -7);
    std::vector<float> logp = std::vector<float>(rows, -7.0f), full = logp;
    std::vector<std::uint8_t> kept = std::vector<std::uint8_t>(rows * columns, 77);
    status found = status::ok;
  };
  const auto draw_all = [&](const auto& executor, std::int64_t parts) {
    results r;
    std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(columns, parts)));
    r.found = sample(executor, {.temperature = 0.8, .top_k = 200, .top_p = 0.9},
                     view<const float, 2>(x.data(), rows, columns), u,
                     {.token = r.token,
                      .logp = r.logp,
                      .logp_full = r.full,
                      .kept = view<std::uint8_t, 2>(r.kept.data(), rows, columns)},
                     memory);
    return r;
  };
  const results whole = draw_all(cpu{}, 1);
  CHECK(whole.found == status::non_finite);
  for (const int threads : {1, 2, 3, 7})
    for (const std::int64_t parts : {1, 5, 100}) {
      thread_pool pool(threads);
      const results r = draw_all(cpu{pool}, parts);
      CHECK(r.found == whole.found);
      CHECK(r.token == whole.token);
      CHECK(std::memcmp(r.logp.data(), whole.logp.data(), 4 * rows) == 0);
      CHECK(std::memcmp(r.full.data(), whole.full.data(), 4 * rows) == 0);
      CHECK(r.kept == whole.kept);
    }
}

TEST_CASE("greedy, ties and a single token") {
  const std::vector<float> x{1, 3, -inf, 3, -0.0f, 0.0f};
  const drawn greedy = run(cpu{}, {.temperature = 0.0}, x, 0.9f);
  CHECK(greedy.token == 1);
  CHECK(greedy.logp == 0);
  CHECK(greedy.kept == std::vector<std::uint8_t>{0, 1, 0, 0, 0, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .top_k = 1}, x, 0.9f).token == 1);
  CHECK(run(cpu{}, {.temperature = 1.0, .top_k = 2}, x, 0.9f).kept ==
        std::vector<std::uint8_t>{0, 1, 0, 1, 0, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .top_k = 4}, x, 0.9f).kept ==
        std::vector<std::uint8_t>{1, 1, 0, 1, 1, 0});  // -0 ties with 0
  // of equal weights top-p keeps the lowest indices: 0.5 of 4 equal ones is 2
  const std::vector<float> equal(4, 2.5f);
  CHECK(run(cpu{}, {.temperature = 1.0, .top_p = 0.5}, equal, 0).kept ==
        std::vector<std::uint8_t>{1, 1, 0, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .top_p = 0.75}, equal, 0).kept ==
        std::vector<std::uint8_t>{1, 1, 1, 0});
  CHECK(run(cpu{}, {.temperature = 1.0}, equal, 0.5f).token == 2);
  CHECK(run(cpu{}, {.temperature = 1.0}, equal, 0x1.fffffep-1f).token == 3);
  // typical_p leaves the likeliest token out where it is too likely: of 0.5, 0.25, 0.125, 0.125 the
  // entropy is 1.75 bits, and 2 bits are nearest to it
  const float ln2 = 0.693147180559945309f;
  const std::vector<float> halves{3 * ln2, 2 * ln2, ln2, ln2};
  CHECK(run(cpu{}, {.temperature = 1.0, .typical_p = 0.24}, halves, 0).kept ==
        std::vector<std::uint8_t>{0, 1, 0, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .typical_p = 0.6}, halves, 0).kept ==
        std::vector<std::uint8_t>{1, 1, 0, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .typical_p = 0.8}, halves, 0).kept ==
        std::vector<std::uint8_t>{1, 1, 1, 0});
  CHECK(run(cpu{}, {.temperature = 1.0, .typical_p = 0.5}, equal, 0).kept ==
        std::vector<std::uint8_t>{1, 1, 0, 0});
  // a token without weight is never drawn, be it first or last
  const std::vector<float> lonely{-200, -inf, 0, -inf, -200};
  for (const float u : {0.0f, 0.5f, 0x1.fffffep-1f})
    CHECK(run(cpu{}, {.temperature = 1.0}, lonely, u).token == 2);
  const std::vector<bf16> narrow{bf16(1.0f), bf16(5.0f)};
  CHECK(run(cpu{}, {.temperature = 1.0}, narrow, 0.5f).token == 1);
}

TEST_CASE("what weighs as much as the bound is kept; ties up to half of the row") {
  CHECK(drawing::run(cpu{}, {.temperature = 1.0, .min_p = 1.0}, std::vector<float>{2, 1, 2}, 0.6f)
            .kept == std::vector<std::uint8_t>{1, 0, 1});
  std::vector<float> x(4096, -1.0f);
  std::vector<std::uint8_t> first(4096, 0);
  int ties = 0;
  for (std::size_t i = 0; i < 4096; ++i)
    if (i % 5 < 2) x[i] = 3, first[i] = ++ties <= 200;
  CHECK(ties == 1639);
  for (const float u : {0.0f, 0.5f, 0.999f}) {
    const auto found = drawing::run(cpu{}, {.temperature = 1.0, .top_k = 200}, x, u);
    CHECK(found.kept == first);
    CHECK(found == drawing::run(reference<float>{}, {.temperature = 1.0, .top_k = 200}, x, u));
  }
}

TEST_CASE("greedy needs no uniforms; what draws does") {
  const std::vector<float> x{1, 3, 3, 2};
  std::int64_t token = -7;
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(4)));
  const view<const float, 2> logits(x.data(), 1, 4);
  const sample_results out{.token = view<std::int64_t>(&token, 1)};
  CHECK_THROWS_AS(sample(cpu{}, {.temperature = 1.0}, logits, {}, out, memory),
                  std::invalid_argument);
  CHECK(token == -7);
  CHECK(sample(cpu{}, {.temperature = 0.0}, logits, {}, out, memory) == status::ok);
  CHECK(token == 1);
  const view<const float> null(nullptr, 1);
  CHECK_THROWS_AS(sample(cpu{}, {.temperature = 0.0}, logits, null, out, memory),
                  std::invalid_argument);
}

TEST_CASE("what is not asked for changes nothing; a uniform outside [0, 1) draws nothing") {
  std::mt19937 random(21);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(2000);
  for (float& v : x) v = normal(random);
  const view<const float, 2> logits(x.data(), 1, 2000);
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(2000)));
  const sample_rule rules[] = {{.temperature = 0},
                               {.temperature = 1.0},
                               {.temperature = 1.0, .top_k = 40},
                               {.temperature = 1.0, .top_p = 0.9},
                               {.temperature = 1.0, .top_p = 0.9, .min_p = 0.01},
                               {.temperature = 1e-4, .top_p = 0.9},
                               {.temperature = 1e4, .top_p = 0.9}};
  for (const sample_rule& rule : rules) {
    const float u = 0.3f;
    const drawn whole = run(cpu{}, rule, x, u);
    CHECK(whole == run(reference<float>{}, rule, x, u));
    const auto only = [&](const sample_results& out) {
      CHECK(sample(cpu{}, rule, logits, view<const float>(&u, 1), out, memory) == status::ok);
    };
    std::int64_t token = -7;
    float logp = -7, full = -7;
    std::vector<std::uint8_t> kept(2000, 77);
    only({.token = view<std::int64_t>(&token, 1)});
    only({.logp = view<float>(&logp, 1)});
    only({.logp_full = view<float>(&full, 1)});
    only({.kept = view<std::uint8_t, 2>(kept.data(), 1, 2000)});
    CHECK(token == whole.token);
    CHECK(logp == whole.logp);
    CHECK(full == whole.full);
    CHECK(kept == whole.kept);
    for (const float outside : {-0.5f, 1.0f, NAN}) {
      const drawn none = run(cpu{}, rule, x, outside);
      CHECK(none == run(reference<float>{}, rule, x, outside));
      CHECK(none.found == status::non_finite);
      CHECK(none.token == -1);
      CHECK(std::count(none.kept.begin(), none.kept.end(), 0) == 2000);
    }
  }
}

TEST_CASE("wide integers round and divide as the compiler's own") {
  using detail::wide_integer;
  std::mt19937_64 random(9);
  for (int k = 0; k < 4000; ++k) {
    const wide_integer x = ((wide_integer{random()} << 64) | random()) >> (random() % 128);
    // halfway between two doubles, and next to it
    const wide_integer tie = (wide_integer{random() | 1} >> 11 << 60) + (wide_integer{1} << 59);
    for (const wide_integer y : {x, tie, tie + 1, tie - 1})
      REQUIRE(detail::double_of(y) == static_cast<double>(y));
    const wide_integer b = (x >> 60) + 1 + random() % 3;
    REQUIRE(detail::quotient_of(x, b) == static_cast<std::uint64_t>(x / b));
  }
}

TEST_CASE("draws follow the distribution") {
  // chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand; the seed is fixed.
  // HENCE_DRAWS=10000000 for the long run (scripts/sample_chi_square.sh).
  const char* wanted = std::getenv("HENCE_DRAWS");
  const std::int64_t draws = wanted != nullptr ? std::atoll(wanted) : 200000;
  std::vector<float> x(64);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 37) % 64) * 0.07f;
  const sample_rule rule{.temperature = 0.9, .top_k = 20};
  std::vector<std::int64_t> counts(x.size(), 0);
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(64)));
  std::vector<std::uint8_t> kept(64);
  for (std::int64_t i = 0; i < draws; ++i) {
    const float u = uniform_of(7, {.token = static_cast<std::uint32_t>(i % 1000),
                                   .step = 3,
                                   .sequence = static_cast<std::uint64_t>(i / 1000)});
    std::int64_t token = 0;
    sample(
        cpu{}, rule, view<const float, 2>(x.data(), 1, 64), view<const float>(&u, 1),
        {.token = view<std::int64_t>(&token, 1), .kept = view<std::uint8_t, 2>(kept.data(), 1, 64)},
        memory);
    ++counts[static_cast<std::size_t>(token)];
  }
  double mass = 0, chi_square = 0;
  for (std::size_t i = 0; i < 64; ++i) mass += kept[i] ? std::exp(double(x[i]) / 0.9) : 0;
  for (std::size_t i = 0; i < 64; ++i) {
    if (!kept[i]) {
      CHECK(counts[i] == 0);
      continue;
    }
    const double want = static_cast<double>(draws) * std::exp(double(x[i]) / 0.9) / mass;
    chi_square +=
        (static_cast<double>(counts[i]) - want) * (static_cast<double>(counts[i]) - want) / want;
  }
  MESSAGE(draws << " draws, chi-square " << chi_square);
  CHECK(chi_square < 43.8);
}

TEST_CASE("what is drawn shares no memory with what is read or drawn beside it") {
  alignas(64) std::byte room[512] = {};
  struct place {
    std::int64_t logits = 0, uniforms = 64, token = 128, logp = 192, logp_full = 256, kept = 320;
  };
  const auto call = [&](const place& p) -> std::string {
    const auto at = [&](std::int64_t i) { return static_cast<void*>(room + i); };
    std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(3)));
    try {
      sample(cpu{}, {.temperature = 1.0},
             view<const float, 2>(static_cast<const float*>(at(p.logits)), 4, 3),
             view<const float>(static_cast<const float*>(at(p.uniforms)), 4),
             {.token = view<std::int64_t>(static_cast<std::int64_t*>(at(p.token)), 4),
              .logp = view<float>(static_cast<float*>(at(p.logp)), 4),
              .logp_full = view<float>(static_cast<float*>(at(p.logp_full)), 4),
              .kept = view<std::uint8_t, 2>(static_cast<std::uint8_t*>(at(p.kept)), 4, 3)},
             memory);
    } catch (const std::invalid_argument& e) {
      for (const std::byte b : room) CHECK(b == std::byte{0});
      return e.what();
    }
    return "";
  };
  const auto says = [](const char* a, const char* b) {
    return std::string("hence: ") + a + " overlaps " + b + ", expected separate arrays";
  };
  CHECK(call({.token = 40}) == says("out.token", "logits"));
  CHECK(call({.token = 72}) == says("out.token", "uniforms"));
  CHECK(call({.logp = 44}) == says("out.logp", "logits"));
  CHECK(call({.logp = 64}) == says("out.logp", "uniforms"));
  CHECK(call({.logp_full = 44}) == says("out.logp_full", "logits"));
  CHECK(call({.logp_full = 76}) == says("out.logp_full", "uniforms"));
  CHECK(call({.kept = 47}) == says("out.kept", "logits"));
  CHECK(call({.kept = 79}) == says("out.kept", "uniforms"));
  CHECK(call({.logp = 156}) == says("out.logp", "out.token"));
  CHECK(call({.logp_full = 204}) == says("out.logp_full", "out.logp"));
  CHECK(call({.kept = 271}) == says("out.kept", "out.logp_full"));
  CHECK(call({}).empty());
}

TEST_CASE("a row's memory may be as small as it says, to the byte") {
  const std::vector<float> x{1, 2, 3};
  std::vector<std::int64_t> token(1);
  alignas(64) std::byte room[2048];
  const std::int64_t least = detail::candidates_of_row(3) * std::int64_t{sizeof(detail::candidate)};
  const auto call = [&](std::int64_t bytes) {
    return refusal([&] {
      sample(cpu{}, {.temperature = 0.0}, view<const float, 2>(x.data(), 1, 3), {},
             {.token = token}, view<std::byte>(room, bytes));
    });
  };
  CHECK(call(least) == "accepted");
  CHECK(call(least - 1).find("hence: memory has ") == 0);
}

TEST_CASE("the memory of a call is of its own") {
  alignas(64) std::byte room[1024] = {};
  const auto call = [&](std::int64_t logits, std::int64_t uniforms, std::int64_t token,
                        std::int64_t stride = 1) -> std::string {
    const auto at = [&](std::int64_t i) { return static_cast<void*>(room + i); };
    view<std::byte> memory(room, sample_bytes(3));
    memory.stride[0] = stride;
    try {
      sample(cpu{}, {.temperature = 1.0, .top_p = 0.9},
             view<const float, 2>(static_cast<const float*>(at(logits)), 1, 3),
             view<const float>(static_cast<const float*>(at(uniforms)), 1),
             {.token = view<std::int64_t>(static_cast<std::int64_t*>(at(token)), 1)}, memory);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(sample_bytes(3) < 800);
  CHECK(call(16, 960, 968) == "hence: memory overlaps logits, expected separate arrays");
  CHECK(call(900, 16, 968) == "hence: memory overlaps uniforms, expected separate arrays");
  CHECK(call(900, 960, 16) == "hence: memory overlaps out.token, expected separate arrays");
  CHECK(call(900, 960, 968, 2) == "hence: memory has stride 2, expected 1");
  CHECK(call(900, 960, 968) == "accepted");
}

TEST_CASE("bad rows tell and spoil no other; wrong arguments are refused") {
  std::vector<float> x{1, 2, 3, 1, NAN, 3, 1, inf, 3, -inf, -inf, -inf, 1, 2, 3};
  const std::vector<float> u{0.99f, 0.5f, 0.5f, 0.5f, 1.0f};
  std::vector<std::int64_t> token(5, -7);
  std::vector<float> logp(5);
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(3)));
  const view<const float, 2> logits(x.data(), 5, 3);
  CHECK(sample(cpu{}, {.temperature = 1.0}, logits, u, {.token = token, .logp = logp}, memory) ==
        status::non_finite);
  CHECK(token == std::vector<std::int64_t>{2, -1, -1, -1, -1});
  CHECK(std::isfinite(logp[0]));
  CHECK(std::isnan(logp[1]));
  token.assign(5, -7);
  const auto refusal = [&](const sample_rule& rule, view<const float> uniforms,
                           const sample_results& out, view<std::byte> m) {
    try {
      sample(cpu{}, rule, logits, uniforms, out, m);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const sample_results out{.token = token};
  CHECK(refusal({.temperature = -1.0}, u, out, memory) ==
        "hence: sample_rule.temperature is -1, expected 0 (greedy) or a number from 1e-20 to 1e20");
  for (const double t : {1e-30, 2e20, std::nan("")})
    CHECK(refusal({.temperature = t}, u, out, memory).find("hence: sample_rule.temperature is ") ==
          0);
  CHECK(refusal({.temperature = 1.0, .top_p = 1.5}, u, out, memory)
            .find("hence: sample_rule.top_p is 1.5") == 0);
  CHECK(refusal({.temperature = 1.0, .min_p = -0.5}, u, out, memory)
            .find("hence: sample_rule.min_p is -0.5") == 0);
  CHECK(refusal({.temperature = 1.0, .typical_p = 1.5}, u, out, memory)
            .find("hence: sample_rule.typical_p is 1.5") == 0);
  CHECK(refusal({.temperature = 1.0}, {}, out, memory) ==
        "hence: uniforms is null, expected 5 rows");
  const auto of_logits = [&](view<const float, 2> of) {
    try {
      sample(cpu{}, {.temperature = 1.0}, of, u, out, memory);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const view<const float, 2> negative(x.data(), -1, 3), empty(x.data(), 5, 0),
      wide(x.data(), 5, std::int64_t{1} << 24);
  CHECK(of_logits(negative).find("hence: logits has shape [-1, 3]") == 0);
  CHECK(of_logits(empty).find("hence: logits has shape [5, 0]") == 0);
  CHECK(of_logits(wide).find("hence: logits has shape [5, 16777216]") == 0);
  CHECK(refusal({.temperature = 1.0, .top_k = -2}, u, out, memory) ==
        "hence: sample_rule.top_k is -2, expected 0 (off) or more");
  CHECK(refusal({.temperature = 1.0, .top_p = 0.0}, u, out, memory)
            .find("hence: sample_rule.top_p is 0") == 0);
  CHECK(refusal({.temperature = 1.0, .min_p = 1.5}, u, out, memory)
            .find("hence: sample_rule.min_p is 1.5") == 0);
  CHECK(refusal({.temperature = 1.0, .typical_p = 0.0}, u, out, memory) ==
        "hence: sample_rule.typical_p is 0, expected a number above 0, at most 1 (off)");
  CHECK(refusal({.temperature = 1.0}, view<const float>(u.data(), 4), out, memory) ==
        "hence: uniforms has 4 entries, logits has 5 rows");
  CHECK(refusal({.temperature = 1.0}, u, out, view<std::byte>(memory.data(), 50))
            .find("hence: memory has 50 bytes, expected ") == 0);
  CHECK(token == std::vector<std::int64_t>(5, -7));
}

}  // namespace
