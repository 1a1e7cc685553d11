#include <hence/policy/aggregate.hpp>
#include <hence/policy/row_lanes.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <vector>

namespace {

using hence::native_isa;
using hence::detail::lane_inputs;
using hence::detail::lane_outputs;
using V = hence::num<float>;
constexpr int n = 64;

const hence::policy_loss token{hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.25f},
                               hence::kl::k3{0.125f}, hence::aggregate::token_mean{}};
const hence::policy_loss sequence{hence::ratio::sequence{}, hence::clip::two_sided{0.8f, 1.25f},
                                  hence::kl::none{}, hence::aggregate::token_mean{}};

struct arrays {
  alignas(64) float logp[n], old[n], ref[n], advantage[n];
  alignas(64) float gradient[n], term[n], pooled[n], ratio[n], kl[n];

  explicit arrays(float size) {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int i = 0; i < n; ++i) {
      logp[i] = -1 + uniform(random), old[i] = logp[i] + 0.3f * uniform(random);
      ref[i] = logp[i] + 0.8f * uniform(random), advantage[i] = size * uniform(random);
    }
  }
};

/// One block against `token_step`, token by token; `guess` must not matter.
template <class Loss> void check(const Loss& loss, arrays& a, int guess) {
  const float mean = 0.125f, scale = 0.01f;
  const lane_inputs in{a.logp,  a.old, a.ref, a.advantage, nullptr,        nullptr,
                       nullptr, 1,     0.0f,  scale,       {mean, 0, 0, 0}};
  const lane_outputs out{a.gradient, a.term, a.pooled, a.ratio, a.kl};
  hence::exact_sum sum, pooled, expected_sum, expected_pooled;
  hence::detail::policy_lanes<native_isa, false, true>(loss, in, out, n, sum, pooled, guess);
  int wrong = 0;
  const auto differ = [](float x, float y) { return x != y && (x == x || y == y); };
  for (int i = 0; i < n; ++i) {
    const hence::detail::token_values<V> x{a.logp[i], a.old[i], a.ref[i], a.advantage[i],
                                           0.0f,      true,     true};
    const hence::detail::row_numbers<V> numbers{V(mean), V(0.0f), V(0.0f), V(0.0f)};
    const auto y = hence::detail::token_step(loss, x, V(0.0f), numbers, V(scale));
    expected_sum.add(y.term.v);
    if (y.shares) expected_pooled.add(y.pooled.v);
    wrong += differ(a.gradient[i], y.gradient.v) + differ(a.ratio[i], y.ratio.v) +
             differ(a.kl[i], y.kl.v);
  }
  CHECK(wrong == 0);
  CHECK(!differ(static_cast<float>(sum.value()), static_cast<float>(expected_sum.value())));
  CHECK(pooled.value() == expected_pooled.value());
}

}  // namespace

TEST_CASE("a block gives what its tokens give one by one, whatever the guess") {
  for (const float size : {1.0f, 1e-6f, 1e6f, 0.0f})
    for (const int guess : {-140, -3, 2, 9, 127}) {
      arrays a(size);
      check(token, a, guess);
      check(sequence, a, guess);
    }
}

TEST_CASE("an input that is not finite makes its term NaN, though the clip hides it") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()})
    for (const int at : {0, 37, n - 1}) {
      arrays a(1.0f);
      a.old[at] = bad;
      check(token, a, 2);
      arrays b(1.0f);
      b.advantage[at] = bad;
      hence::exact_sum sum, pooled;
      int guess = 2;
      hence::detail::policy_lanes<native_isa, false, true>(
          token,
          {b.logp,
           b.old,
           b.ref,
           b.advantage,
           nullptr,
           nullptr,
           nullptr,
           1,
           0.0f,
           1.0f,
           {0, 0, 0, 0}},
          {b.gradient, b.term, b.pooled, b.ratio, b.kl}, n, sum, pooled, guess);
      CHECK(sum.value() != sum.value());
      for (int i = 0; i < n; ++i) CHECK((b.term[i] != b.term[i]) == (i == at));
    }
}
