#include <doctest/doctest.h>

#include <type_traits>

#include "math_oracle.hpp"

using namespace oracle;

namespace {

template <class T> T from(std::uint64_t bits) {
  if constexpr (sizeof(T) == 4) {
    return float_of(static_cast<std::uint32_t>(bits));
  } else {
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
}

template <class T> std::vector<T> values() {
  std::vector<T> all;
  for (const float x : special_floats()) all.push_back(static_cast<T>(x));
  for (const std::uint64_t bits : random_patterns<std::uint64_t>(4000))
    all.push_back(from<T>(bits));
  all.resize(all.size() / 64 * 64);
  return all;
}

/// Lanes in which f on packs differs from f on numbers, over pairs of `values`.
template <class T, class F> int differences(F f) {
  using num = hence::num<T>;
  using pack = hence::pack<T>;
  const std::vector<T> x = values<T>();
  int wrong = 0;
  for (std::size_t shift = 0; shift < 130; ++shift) {
    for (std::size_t i = 0; i < x.size(); i += pack::lanes) {
      T a[pack::lanes], b[pack::lanes], c[pack::lanes], out[pack::lanes];
      for (std::size_t k = 0; k < pack::lanes; ++k) {
        a[k] = x[i + k], b[k] = x[(i + k + shift) % x.size()];
        c[k] = x[(i + k + 7 * shift) % x.size()];
      }
      f(pack::load(a), pack::load(b), pack::load(c)).store(out);
      for (int k = 0; k < pack::lanes; ++k) {
        wrong += !same(out[k], f(num(a[k]), num(b[k]), num(c[k])).v);
      }
    }
  }
  return wrong;
}

template <class T> void compare_all() {
  CHECK(differences<T>([](auto a, auto b, auto) { return a + b; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto) { return a - b; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto) { return a * b; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto) { return a / b; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return a * b + c; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return c - a * b; }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return fma(a, b, c); }) == 0);
  CHECK(differences<T>([](auto a, auto, auto) { return -a; }) == 0);
  CHECK(differences<T>([](auto a, auto, auto) { return abs(a); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto) { return lesser(a, b); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto) { return greater(a, b); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a < b, a, c); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a <= b, a, c); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a > b, a, c); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a >= b, a, c); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a == b, a, c); }) == 0);
  CHECK(differences<T>([](auto a, auto b, auto c) { return select(a != b, a, c); }) == 0);
}

}  // namespace

TEST_CASE("pack<float>: bit by bit what num<float> does") { compare_all<float>(); }
TEST_CASE("pack<double>: bit by bit what num<double> does") { compare_all<double>(); }

TEST_CASE("pack: a product is rounded before it is added") {
  using pack = hence::pack<float>;
  volatile float left = 1 + 0x1p-12f, right = -(1 + 0x1p-11f);  // not known to the compiler
  const pack a(left), c(right);
  float out[pack::lanes];
  (a * a + c).store(out);
  for (const float x : out) CHECK(x == 0);
  fma(a, a, c).store(out);
  for (const float x : out) CHECK(x == 0x1p-24f);
}

TEST_CASE("pack: masks combine lane by lane") {
  using pack = hence::pack<float>;
  float ramp[pack::lanes], out[pack::lanes];
  for (int i = 0; i < pack::lanes; ++i) ramp[i] = static_cast<float>(i);
  const pack x = pack::load(ramp);
  const auto low = x < pack(2), odd = (x == pack(1)) | (x == pack(3));
  select((low & odd) | !(low | odd), pack(1), pack(0)).store(out);
  for (int i = 0; i < pack::lanes; ++i) {
    const bool is_low = i < 2, is_odd = i == 1 || i == 3;
    CHECK(out[i] == (is_low == is_odd ? 1.0f : 0.0f));
  }
}

TEST_CASE("pack: conversions fill every lane, loads need no alignment") {
  using pack = hence::pack<double>;
  double out[pack::lanes + 1];
  (2 * pack(hence::num<double>(1.5)) + 0.5f).store(out + 1);
  for (int i = 0; i < pack::lanes; ++i) CHECK(out[i + 1] == 3.5);
  pack::load(out + 1).store(out);
  for (int i = 0; i < pack::lanes; ++i) CHECK(out[i] == 3.5);
  static_assert(std::is_trivially_copyable_v<pack>);
  static_assert(hence::pack<float>::lanes == 2 * pack::lanes);
  static_assert(sizeof(pack) == hence::detail::register_bytes<hence::native_isa>);
}

TEST_CASE("pack: bits and integers of a lane") {
  using pack = hence::pack<float>;
  const pack x(-1.5f);
  const auto bits = hence::detail::to_bits(x);
  for (int i = 0; i < pack::lanes; ++i) {
    CHECK(static_cast<std::uint32_t>(bits[i]) == 0xbfc00000u);
    CHECK(hence::detail::shift_left(bits, 1)[i] == 0x7f800000);
    CHECK(hence::detail::from_bits(x, bits).v[i] == -1.5f);
  }
}

TEST_CASE("pack: any lane, all lanes below") {
  using hence::detail::all_below;
  using hence::detail::any;
  using pack = hence::pack<float>;
  CHECK(!any(pack(1) < pack(1)));
  CHECK(all_below(pack(1), pack(2)));
  CHECK(!all_below(pack(2), pack(2)));
  for (int k = 0; k < pack::lanes; ++k) {
    pack x(1);
    x.v[k] = 2;
    CHECK(any(x == pack(2)));
    CHECK(!all_below(x, pack(2)));
    x.v[k] = std::numeric_limits<float>::quiet_NaN();
    CHECK(any(x != x));
    CHECK(!all_below(x, pack(2)));
  }
}

TEST_CASE("pack: all lanes within two bounds") {
  using hence::detail::all_within;
  using pack = hence::pack<float>;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(all_within(pack(1), pack(2), pack(3), pack(4)));
  CHECK(all_within(pack(1), pack(5), pack(0), pack(4)));  // each of the two has one bound
  for (int k = 0; k < pack::lanes; ++k)
    for (const float bad : {1.0f, 0.5f, nan}) {
      pack a(2), b(3);
      a.v[k] = bad;
      CHECK(!all_within(pack(1), a, b, pack(4)));
      a.v[k] = 2, b.v[k] = bad == bad ? 5 - bad : bad;
      CHECK(!all_within(pack(1), a, b, pack(4)));
    }
}
