// Packs read and write storage as scalars do: every bf16 and f16, and roundings of floats.
#include <doctest/doctest.h>
#include <hence/core/load.hpp>

#include <cstring>

namespace {

using namespace hence;
using V = pack<float>;
using N = num<float>;
constexpr int lanes = V::lanes;

bool same(float a, float b) { return std::memcmp(&a, &b, 4) == 0; }

TEST_CASE_TEMPLATE("every 16-bit number widens as it does alone", T, bf16, f16) {
  bool equal = true;
  for (int first = 0; first < 65536; first += lanes) {
    T x[lanes];
    for (int i = 0; i < lanes; ++i) x[i].bits = static_cast<std::uint16_t>(first + i);
    const V wide = detail::load_as<V>(x);
    for (int i = 0; i < lanes; ++i) {
      equal = equal && same(wide.v[i], float(x[i]));
      equal = equal && same(detail::load_as<N>(x + i).v, float(x[i]));
    }
  }
  CHECK(equal);
}

TEST_CASE_TEMPLATE("floats are rounded as they are alone", T, bf16, f16) {
  bool equal = true;
  std::uint32_t bits = 1;
  for (int round = 0; round < 20000; ++round) {
    float x[lanes];
    T together[lanes], alone;
    for (float& v : x) {
      bits = bits * 1664525u + 1013904223u;
      std::memcpy(&v, &bits, 4);
    }
    if (round % 3 == 0) x[0] = __builtin_nanf(""), x[1] = -__builtin_inff(), x[2] = 1.00390625f;
    detail::store_as(together, V::load(x));
    for (int i = 0; i < lanes; ++i) {
      detail::store_as(&alone, N(x[i]));
      equal = equal && together[i].bits == T(x[i]).bits && alone.bits == T(x[i]).bits;
    }
  }
  CHECK(equal);
}

TEST_CASE("masks of bytes") {
  std::uint8_t bytes[lanes];
  for (int i = 0; i < lanes; ++i)
    bytes[i] = static_cast<std::uint8_t>(i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 255);
  const V chosen = select(detail::load_mask<V>(bytes), V(1.0f), V(0.0f));
  for (int i = 0; i < lanes; ++i) {
    CHECK(chosen.v[i] == (bytes[i] ? 1.0f : 0.0f));
    CHECK(bool(detail::load_mask<N>(bytes + i)) == (bytes[i] != 0));
  }
}

}  // namespace
