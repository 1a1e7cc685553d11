// The lanes of the canonical sums: when a group's reference moves, what it then holds, and packs
// against single numbers.
#include <doctest/doctest.h>
#include <hence/logits/softmax_lanes.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace hence;
using namespace hence::detail;

/// Eight or sixteen lanes as one step of V sees them.
template <class V> struct lanes {
  static constexpr int count = softmax_unit<V>::lanes;
  alignas(64) float sum[16] = {}, moment[16] = {}, reference[16] = {};

  softmax_unit<V> unit() { return {sum, moment, reference}; }
  /// \param x four columns, one after another.
  void add(const float (&x)[4][16], int columns) {
    typename softmax_unit<V>::leaf leaf;
    for (int u = 0; u < 4; ++u)
      for (int j = 0; j < softmax_unit<V>::packs; ++j)
        leaf[u][j] = load_as<V>(x[u] + j * softmax_unit<V>::width);
    unit().add(leaf, columns, V(1.0f),
               [](const softmax_unit<V>& here, typename softmax_unit<V>::maxima& largest, V scale) {
                 here.move(largest, scale);
               });
  }
};

TEST_CASE_TEMPLATE("a group's largest is that of its eight lanes", V, num<float>, pack<float>) {
  constexpr int width = lane_count<V>, count = softmax_unit<V>::lanes;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    float x[16];
    for (float& v : x) v = static_cast<float>(random() % 1000);
    typename softmax_unit<V>::maxima m;
    for (int j = 0; j < softmax_unit<V>::packs; ++j) m[j] = load_as<V>(x + j * width);
    spread_group_maximum(m);
    float got[16];
    for (int j = 0; j < softmax_unit<V>::packs; ++j) store_as(got + j * width, m[j]);
    for (int i = 0; i < count; ++i) {
      const float* group = x + i / softmax_group * softmax_group;
      CHECK(got[i] == *std::max_element(group, group + softmax_group));
    }
  }
}

TEST_CASE_TEMPLATE("a reference moves where a logit stands four powers above it", V, num<float>,
                   pack<float>) {
  for (const float high : {3.75f, 4.0f, 4.25f, 9.0f})
    for (int at = 0; at < softmax_unit<V>::lanes; ++at) {
      lanes<V> l;
      float x[4][16] = {};
      x[2][at] = high;
      l.add(x, 4);
      CAPTURE(high);
      for (int i = 0; i < softmax_unit<V>::lanes; ++i) {
        const bool moved = high >= 4 && i / softmax_group == at / softmax_group;
        const float reference = moved ? std::nearbyint(high) : 0.0f;
        CHECK(l.reference[i] == reference);
        const double each = std::exp2(-double(reference)),
                     top = std::exp2(double(high) - double(reference));
        CHECK(double(l.sum[i]) == doctest::Approx(i == at ? 3 * each + top : 4 * each));
        const double moment =
            3 * each * -double(reference) +
            (i == at ? top * (double(high) - double(reference)) : each * -double(reference));
        CHECK(double(l.moment[i]) == doctest::Approx(moment).scale(1));
      }
    }
}

TEST_CASE("a pack's lanes have the bits of single numbers, over many leaves of any length") {
  using V = pack<float>;
  using N = num<float>;
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    lanes<V> together;
    lanes<N> alone[2];
    for (int step = 0; step < 12; ++step) {
      float x[4][16];
      for (auto& column : x)
        for (float& v : column)
          v = static_cast<float>(random() >> 8) * 0x1p-24f * static_cast<float>(6 * step) - 70 +
              static_cast<float>(random() % 100);
      const int columns = 1 + static_cast<int>(random() % 4);
      together.add(x, columns);
      for (int g = 0; g < 2; ++g) {
        float part[4][16] = {};
        for (int u = 0; u < 4; ++u) std::copy_n(x[u] + 8 * g, 8, part[u]);
        alone[g].add(part, columns);
      }
    }
    for (int i = 0; i < softmax_unit<V>::lanes; ++i) {
      const lanes<N>& one = alone[i / 8];
      REQUIRE(std::memcmp(together.sum + i, one.sum + i % 8, 4) == 0);
      REQUIRE(std::memcmp(together.moment + i, one.moment + i % 8, 4) == 0);
      REQUIRE(together.reference[i] == one.reference[i % 8]);
    }
  }
}

}  // namespace
