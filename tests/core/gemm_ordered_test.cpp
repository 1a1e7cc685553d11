// The ordered product: every element is the chain of fused multiply-adds in the order of k, and
// close to the product in float64; splits and layouts leave no trace.
#include <doctest/doctest.h>
#include <hence/core/gemm/ordered.hpp>

#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;

std::vector<float> numbers(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

struct scratch {
  std::vector<float> memory = std::vector<float>(gemm::ordered::scratch_floats + 16);
  float* aligned() {
    const auto p = reinterpret_cast<std::uintptr_t>(memory.data());
    return memory.data() + (64 - p % 64) % 64 / 4;
  }
};

std::vector<float> chain(const std::vector<float>& a, const std::vector<float>& b,
                         std::vector<float> c, std::int64_t m, std::int64_t n, std::int64_t k) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      float s = c[static_cast<std::size_t>(i * n + j)];
      for (std::int64_t p = 0; p < k; ++p)
        s = std::fma(a[static_cast<std::size_t>(i * k + p)], b[static_cast<std::size_t>(p * n + j)],
                     s);
      c[static_cast<std::size_t>(i * n + j)] = s;
    }
  return c;
}

std::vector<float> swapped(const std::vector<float>& x, std::int64_t rows, std::int64_t columns) {
  std::vector<float> t(x.size());
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      t[static_cast<std::size_t>(j * rows + i)] = x[static_cast<std::size_t>(i * columns + j)];
  return t;
}

TEST_CASE("each element is its chain, in every layout and split") {
  scratch memory;
  const gemm::ordered product;
  const std::int64_t shapes[][3] = {{1, 1, 1},    {3, 5, 7},     {8, 48, 256},
                                    {9, 49, 257}, {4, 12, 300},  {130, 70, 33},
                                    {1, 800, 3},  {600, 3, 600}, {5, 50, 2100}};
  for (const auto& shape : shapes) {
    const std::int64_t m = shape[0], n = shape[1], k = shape[2];
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    const auto a = numbers(m * k, 1), b = numbers(k * n, 2), c = numbers(m * n, 3);
    const auto at = swapped(a, m, k), bt = swapped(b, k, n);
    const std::vector<float> zeros(c.size());
    const auto fresh = chain(a, b, zeros, m, n, k), added = chain(a, b, c, m, n, k);
    const view<const float, 2> av(a.data(), m, k), bv(b.data(), k, n);
    const view<const float, 2> as_columns = transposed(view<const float, 2>(at.data(), k, m)),
                               bs_columns = transposed(view<const float, 2>(bt.data(), n, k));
    for (const auto& left : {av, as_columns})
      for (const auto& right : {bv, bs_columns}) {
        std::vector<float> out(c.size(), NAN);
        const view<float, 2> cv(out.data(), m, n);
        product(left, right, cv, update::overwrite, memory.aligned());
        CHECK(out == fresh);
        out = c;
        product(left, right, cv, update::accumulate, memory.aligned());
        CHECK(out == added);
        // k in two calls
        if (k < 2) continue;
        view<const float, 2> l1 = left, l2 = left, r1 = right, r2 = right;
        l1.extent[1] = r1.extent[0] = k / 3;
        l2.extent[1] = r2.extent[0] = k - k / 3;
        l2.data += k / 3 * left.stride[1], r2.data += k / 3 * right.stride[0];
        product(l1, r1, cv, update::overwrite, memory.aligned());
        product(l2, r2, cv, update::accumulate, memory.aligned());
        CHECK(out == fresh);
      }
  }
}

TEST_CASE("bf16 operands are their float values; close to float64") {
  scratch memory;
  const std::int64_t m = 37, n = 101, k = 700;
  const auto a = numbers(m * k, 4), b = numbers(k * n, 5);
  std::vector<bf16> narrow;
  std::vector<float> wide;
  for (const float x : b) narrow.push_back(bf16(x)), wide.push_back(float(narrow.back()));
  std::vector<float> c(static_cast<std::size_t>(m * n)), d(c.size());
  const view<const float, 2> av(a.data(), m, k);
  gemm::ordered{}(av, view<const bf16, 2>(narrow.data(), k, n), view<float, 2>(c.data(), m, n),
                  update::overwrite, memory.aligned());
  gemm::ordered{}(av, view<const float, 2>(wide.data(), k, n), view<float, 2>(d.data(), m, n),
                  update::overwrite, memory.aligned());
  CHECK(c == d);
  double worst = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double s = 0, size = 0;
      for (std::int64_t p = 0; p < k; ++p) {
        const double t = double(a[static_cast<std::size_t>(i * k + p)]) *
                         double(wide[static_cast<std::size_t>(p * n + j)]);
        s += t, size += std::abs(t);
      }
      worst = std::max(worst, std::abs(double(c[static_cast<std::size_t>(i * n + j)]) - s) / size);
    }
  CHECK(worst < 1e-6);
}

TEST_CASE("products that share A have the bits of each alone, whatever is fetched for the next") {
  scratch memory;
  const std::int64_t m = 21, k = 1100,
                     n[] = {64, 113};  // a depth of two blocks; edges of both kinds
  const auto a = numbers(m * k, 6), b = numbers(k * n[0], 7), d = numbers(k * n[1], 8);
  const view<const float, 2> left(a.data(), m, k), first(b.data(), k, n[0]);
  const auto second = transposed(view<const float, 2>(d.data(), n[1], k));
  for (const update u : {update::overwrite, update::accumulate}) {
    auto c = numbers(m * n[0], 9), e = numbers(m * n[1], 10), alone_c = c, alone_e = e;
    const auto at = [&](std::vector<float>& x, int i) { return view<float, 2>(x.data(), m, n[i]); };
    gemm::ordered{}(left, first, at(alone_c, 0), u, memory.aligned());
    gemm::ordered{}(left, second, at(alone_e, 1), u, memory.aligned());
    gemm::ordered{}.share<2>(left, {first, second}, {at(c, 0), at(e, 1)}, u, memory.aligned(),
                             gemm::ordered::begin_of(first));
    CHECK(c == alone_c);
    CHECK(e == alone_e);
  }
  // what is read first: one panel of B, at most a block of k deep
  auto lines = gemm::ordered::begin_of(second);
  const auto begin = reinterpret_cast<std::uintptr_t>(d.data());
  std::int64_t taken = 0;
  for (; !lines.is_done(); ++taken) {
    const std::uintptr_t line = lines.take();
    CHECK(line + 64 > begin);
    CHECK(line < begin + sizeof(float) * d.size());
  }
  CHECK(taken >= 550 * pack<float>::lanes * 3 / 16);
  CHECK(gemm::ordered::begin_of(view<const float, 2>(a.data(), 0, 5)).is_done());
}

TEST_CASE("wrong shapes are refused; an empty depth gives zeros") {
  scratch memory;
  std::vector<float> x(64, 1.0f), c(16, 7.0f);
  const auto refusal = [&](view<const float, 2> a, view<const float, 2> b, view<float, 2> out) {
    try {
      gemm::ordered{}(a, b, out, update::overwrite, memory.aligned());
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const view<const float, 2> a(x.data(), 4, 5), b(x.data(), 5, 4), short_b(x.data(), 4, 4);
  const view<float, 2> out(c.data(), 4, 4);
  CHECK(refusal(a, short_b, out) ==
        "hence: gemm: A is [4, 5], B [4, 4], C [4, 4], expected [m, k], [k, n], [m, n]");
  CHECK(refusal(a, b, transposed(out)) == "hence: gemm: C has column stride 4, expected 1");
  for (const float v : c) CHECK(v == 7);
  const std::string shapes = ", expected [m, k], [k, n], [m, n]";
  CHECK(refusal(a, b, view<float, 2>(c.data(), 3, 4)) ==
        "hence: gemm: A is [4, 5], B [5, 4], C [3, 4]" + shapes);
  CHECK(refusal(a, b, view<float, 2>(c.data(), 4, 3)) ==
        "hence: gemm: A is [4, 5], B [5, 4], C [4, 3]" + shapes);
  gemm::ordered{}(view<const float, 2>(x.data(), 4, 0), view<const float, 2>(x.data(), 0, 4), out,
                  update::accumulate, memory.aligned());
  for (const float v : c) CHECK(v == 7);
  CHECK(refusal(view<const float, 2>(x.data(), 4, 0), view<const float, 2>(x.data(), 0, 4), out)
            .empty());
  for (const float v : c) CHECK(v == 0);
}

}  // namespace
