// Gather, combine and their transposes against plain loops in double.

#include <hence/core/storage.hpp>
#include <hence/moe/combine.hpp>
#include <hence/moe/permute.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

struct slots {
  std::int64_t tokens, k, experts, rows;
  std::vector<std::int64_t> position;
  slots(std::int64_t t, std::int64_t n, std::int64_t e) : tokens(t), k(n), experts(e) {
    std::mt19937 random(7);
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < t * n; ++i)
      ids.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(e + 1)) - 1);
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(e + 1)), order(ids.size()),
        aligned(offsets), plain(order);
    position.resize(ids.size());
    moe::permute(view<const std::int32_t, 2>(ids.data(), t, n), e, 4,
                 moe::permutation{offsets, order, view<std::int64_t, 2>(plain.data(), t, n),
                                  aligned, view<std::int64_t, 2>(position.data(), t, n)});
    rows = aligned.back();
  }
  moe::slot_positions view_of() const { return {position.data(), tokens, k}; }
};

template <class X> std::vector<X> numbers(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<X> x;
  for (std::int64_t i = 0; i < n; ++i)
    x.push_back(X(static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 512.0f));
  return x;
}

struct backwards {
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = n - 1; i >= 0; --i) f(i);
  }
};

template <class X> void check(std::int64_t width, double unit) {
  const slots s(300, 3, 9);
  const auto x = numbers<X>(s.tokens * width, 1), weights_as_x = numbers<X>(s.tokens * s.k, 2);
  std::vector<float> weights;
  for (std::size_t i = 0; i < weights_as_x.size(); ++i)
    weights.push_back(s.position[i] < 0 ? __builtin_nanf("") : static_cast<float>(weights_as_x[i]));
  const auto rows = numbers<X>(s.rows * width, 3);
  const view<const float, 2> w(weights.data(), s.tokens, s.k);
  const auto at = [&](std::int64_t t, std::int64_t j) {
    return s.position[static_cast<std::size_t>(t * s.k + j)];
  };
  const auto run = [&](const auto& executor) {
    struct all {
      std::vector<X> gathered, spread, combined, summed;
      std::vector<float> dots;
    } out{std::vector<X>(rows.size(), X(77.0f)), std::vector<X>(rows.size(), X(77.0f)),
          std::vector<X>(x.size(), X(77.0f)), std::vector<X>(x.size(), X(77.0f)),
          std::vector<float>(weights.size(), 77.0f)};
    const view<const X, 2> from(x.data(), s.tokens, width), expert(rows.data(), s.rows, width);
    moe::gather(executor, from, s.view_of(), view<X, 2>(out.gathered.data(), s.rows, width));
    moe::spread(executor, from, s.view_of(), w, view<X, 2>(out.spread.data(), s.rows, width));
    moe::combine(executor, expert, s.view_of(), w,
                 view<X, 2>(out.combined.data(), s.tokens, width));
    moe::combine(executor, expert, s.view_of(), {}, view<X, 2>(out.summed.data(), s.tokens, width));
    moe::dot_rows(executor, from, s.view_of(), expert,
                  view<float, 2>(out.dots.data(), s.tokens, s.k));
    return out;
  };
  const auto got = run(hence::cpu{});
  backwards pool;
  const auto same = [&](const auto& other) {
    const auto equal = [](const auto& a, const auto& b) {
      return std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
    };
    CHECK(equal(got.gathered, other.gathered));
    CHECK(equal(got.spread, other.spread));
    CHECK(equal(got.combined, other.combined));
    CHECK(equal(got.summed, other.summed));
    CHECK(equal(got.dots, other.dots));
  };
  same(run(hence::reference<float>{}));
  same(run(hence::cpu(pool)));
  const auto number = [](X v) { return static_cast<double>(static_cast<float>(v)); };
  std::vector<bool> used(static_cast<std::size_t>(s.rows));
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    for (std::int64_t i = 0; i < width; ++i) {
      double weighted = 0, sum = 0, size = 0;
      for (std::int64_t j = 0; j < s.k; ++j) {
        if (at(t, j) < 0) continue;
        const auto row = static_cast<std::size_t>(at(t, j) * width + i);
        const double wide = static_cast<double>(weights[static_cast<std::size_t>(t * s.k + j)]);
        weighted += wide * number(rows[row]);
        sum += number(rows[row]);
        size += std::abs(wide * number(rows[row])) + std::abs(number(rows[row]));
        const X in = x[static_cast<std::size_t>(t * width + i)];
        CHECK(number(got.gathered[row]) == number(in));
        CHECK(std::abs(number(got.spread[row]) - wide * number(in)) <=
              unit * std::abs(wide * number(in)));
        used[static_cast<std::size_t>(at(t, j))] = true;
      }
      const auto out = static_cast<std::size_t>(t * width + i);
      CHECK(std::abs(number(got.combined[out]) - weighted) <=
            unit * std::abs(weighted) + 3e-7 * size);
      CHECK(std::abs(number(got.summed[out]) - sum) <= unit * std::abs(sum) + 3e-7 * size);
    }
    for (std::int64_t j = 0; j < s.k; ++j) {
      double dot = 0, size = 0;
      if (at(t, j) >= 0)
        for (std::int64_t i = 0; i < width; ++i) {
          const double term = number(x[static_cast<std::size_t>(t * width + i)]) *
                              number(rows[static_cast<std::size_t>(at(t, j) * width + i)]);
          dot += term, size += std::abs(term);
        }
      CHECK(std::abs(static_cast<double>(got.dots[static_cast<std::size_t>(t * s.k + j)]) - dot) <=
            1e-6 * size);
    }
  }
  for (std::int64_t r = 0; r < s.rows; ++r)  // padding is left alone
    if (!used[static_cast<std::size_t>(r)] && width > 0)
      CHECK(number(got.gathered[static_cast<std::size_t>(r * width)]) == number(X(77.0f)));
}

TEST_CASE("against plain loops, every storage") {
  for (const std::int64_t width : {1, 16, 37}) {
    check<float>(width, 1.2e-7);
    check<hence::bf16>(width, 0x1p-8);
    check<hence::f16>(width, 0x1p-11);
  }
}

TEST_CASE("backward is the exact transpose: <gather(x), r> = <x, combine(r)>") {
  const slots s(40, 2, 5);
  constexpr std::int64_t width = 8;
  const auto x = numbers<float>(s.tokens * width, 4), r = numbers<float>(s.rows * width, 5);
  std::vector<float> gathered(r.size(), 0.0f), back(x.size());
  moe::gather(hence::cpu{}, view<const float, 2>(x.data(), s.tokens, width), s.view_of(),
              view<float, 2>(gathered.data(), s.rows, width));
  moe::combine(hence::cpu{}, view<const float, 2>(r.data(), s.rows, width), s.view_of(), {},
               view<float, 2>(back.data(), s.tokens, width));
  double a = 0, b = 0;  // multiples of 2^-18: exact
  for (std::size_t i = 0; i < r.size(); ++i)
    a += static_cast<double>(gathered[i]) * static_cast<double>(r[i]);
  for (std::size_t i = 0; i < x.size(); ++i)
    b += static_cast<double>(x[i]) * static_cast<double>(back[i]);
  CHECK(a == b);
}

TEST_CASE("no token, one token without a slot") {
  const slots none(0, 3, 2);
  const view<const float, 2> nothing(nullptr, 0, 5);
  moe::gather(hence::cpu{}, nothing, none.view_of(), view<float, 2>(nullptr, 0, 5));
  moe::combine(hence::cpu{}, nothing, none.view_of(), {}, view<float, 2>(nullptr, 0, 5));
  const std::vector<std::int64_t> empty{-1, -1};
  const moe::slot_positions at(empty.data(), 1, 2);
  const std::vector<float> weights(2, __builtin_nanf(""));
  const view<const float, 2> w(weights.data(), 1, 2);
  std::vector<float> y(5, 77.0f), dots(2, 77.0f);
  moe::combine(hence::cpu{}, nothing, at, w, view<float, 2>(y.data(), 1, 5));
  CHECK(y == std::vector<float>(5, 0.0f));
  moe::dot_rows(hence::cpu{}, view<const float, 2>(y.data(), 1, 5), at, nothing,
                view<float, 2>(dots.data(), 1, 2));
  CHECK(dots == std::vector<float>(2, 0.0f));
}

TEST_CASE("spread without weights is gather") {
  const slots s(20, 2, 5);
  const auto x = numbers<float>(s.tokens * 6, 4);
  std::vector<float> a(static_cast<std::size_t>(s.rows * 6), 7.0f), b = a;
  const view<const float, 2> from(x.data(), s.tokens, 6);
  moe::gather(hence::cpu{}, from, s.view_of(), view<float, 2>(a.data(), s.rows, 6));
  moe::spread(hence::cpu{}, from, s.view_of(), {}, view<float, 2>(b.data(), s.rows, 6));
  CHECK(a == b);
}

TEST_CASE("positions out of range are refused") {
  std::vector<float> x(4), rows(4, 77.0f);
  for (const std::int64_t bad : {2, -2}) {
    const std::vector<std::int64_t> position{0, bad};
    try {
      moe::gather(hence::cpu{}, view<const float, 2>(x.data(), 2, 2),
                  moe::slot_positions(position.data(), 2, 1), view<float, 2>(rows.data(), 2, 2));
      FAIL("was not refused");
    } catch (const std::invalid_argument& e) {
      CHECK(std::string(e.what()) ==
            "hence: position[1, 0] is " + std::to_string(bad) + ", expected -1 to 1");
      CHECK(rows[0] == 77.0f);
    }
  }
}

}  // namespace
