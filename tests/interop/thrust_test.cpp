// Every function on Thrust's host systems against `hence::cpu`, to the bit; and what is refused.
// The device system of this file is OpenMP's where the compiler has it, else the sequential one.
#include <hence/interop/thrust.hpp>

#include <hence/policy.hpp>

#include <doctest/doctest.h>
#include <thrust/device_vector.h>
#include <thrust/system/cpp/execution_policy.h>
#include <refusal.hpp>
#if defined(_OPENMP)
#  include <thrust/system/omp/execution_policy.h>
#endif

#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

template <class T> using vector = thrust::device_vector<T>;

/// Calls f(executor) for every policy that this compiler has.
template <class F> void for_each_policy(F&& f) {
  f(hence::on_thrust(thrust::seq));
  f(hence::on_thrust(thrust::device));
  f(hence::on_thrust(thrust::cpp::par));
#if defined(_OPENMP)
  f(hence::on_thrust(thrust::omp::par));
#endif
}

template <class A, class B> bool same_bits(const A& a, const B& b) {
  using T = typename A::value_type;
  return a.size() == b.size() &&
         std::memcmp(thrust::raw_pointer_cast(a.data()), thrust::raw_pointer_cast(b.data()),
                     a.size() * sizeof(T)) == 0;
}
std::vector<float> numbers(std::int64_t n, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> out(static_cast<std::size_t>(n));
  for (float& x : out) x = low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
  return out;
}

/// Long enough for several chunks; a row is empty, some tokens are dead.
struct batch {
  std::vector<std::int64_t> cu{0};
  std::vector<std::uint8_t> response;
  std::vector<float> logp, old, ref, advantages;

  batch() {
    std::mt19937 random(5);
    for (int row = 0; row < 40; ++row)
      cu.push_back(cu.back() + (row == 7 ? 0 : static_cast<std::int64_t>(random() % 1200)));
    logp = numbers(cu.back(), -3, 0, 1), old = numbers(cu.back(), -3, 0, 2);
    ref = numbers(cu.back(), -3, 0, 3), advantages = numbers(40, -2, 2, 4);
    for (std::size_t t = 0; t < logp.size(); ++t) {
      response.push_back(t % 7 != 3);
      if (!response[t]) logp[t] = std::numeric_limits<float>::quiet_NaN();  // never read
    }
  }
};

}  // namespace

TEST_CASE("a policy loss has cpu's bits under every policy") {
  const batch b;
  const auto loss = hence::recipe::grpo(0.2f);
  std::vector<float> expected(b.logp.size());
  hence::ragged rows{.cu_seqlens = b.cu};
  rows.mask.response = b.response;
  const auto wanted =
      hence::loss_and_gradient(hence::cpu{}, loss, rows,
                               {.logp = {b.logp, {.temperature = 1.0}},
                                .old = {b.old, {.temperature = 1.0}},
                                .ref = {b.ref, {.temperature = 1.0}},
                                .advantages = b.advantages},
                               hence::over_this_call, expected, hence::with_metrics);
  REQUIRE(hence::detail::chunks_of(rows) > 1);
  const vector<std::int64_t> cu = b.cu;
  const vector<std::uint8_t> response = b.response;
  const vector<float> logp = b.logp, old = b.old, ref = b.ref, advantages = b.advantages;
  for_each_policy([&](const auto& on) {
    vector<float> gradient(b.logp.size(), -7.0f);
    hence::ragged where{.cu_seqlens = on(cu)};
    where.mask.response = on(response);
    const auto result =
        hence::loss_and_gradient(on, loss, where,
                                 {.logp = {on(logp.begin(), logp.end()), {.temperature = 1.0}},
                                  .old = {on(old), {.temperature = 1.0}},
                                  .ref = {on(ref), {.temperature = 1.0}},
                                  .advantages = on(advantages)},
                                 hence::over_this_call, on(gradient), hence::with_metrics);
    CHECK(result.loss() == wanted.loss());
    CHECK(result.counts() == wanted.counts());
    CHECK(result.conditions() == wanted.conditions());
    CHECK(result.metrics().ratio_mean() == wanted.metrics().ratio_mean());
    CHECK(same_bits(gradient, expected));
  });
}

TEST_CASE("advantages have cpu's bits under every policy") {
  std::vector<std::int64_t> boundaries{0};
  for (int g = 0; g < 3000; ++g) boundaries.push_back(boundaries.back() + (g * 7) % 17);
  const auto values = numbers(boundaries.back(), -1, 1, 9);
  const auto rule = hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{});
  std::vector<float> expected(values.size());
  const auto found = hence::advantages(hence::cpu{}, rule, {boundaries}, values, expected);
  const vector<std::int64_t> cu = boundaries;
  const vector<float> rewards = values;
  for_each_policy([&](const auto& on) {
    vector<float> out(values.size(), -7.0f);
    CHECK(hence::advantages(on, rule, {on(cu)}, on(rewards), on(out)) == found);
    CHECK(same_bits(out, expected));
  });
}

TEST_CASE("routing and the permutation of its slots have cpu's results under every policy") {
  constexpr std::int64_t tokens = 300, experts = 48, k = 6, align = 16;
  using namespace hence;
  const auto gate = moe::gate{moe::score::sigmoid{}, k, moe::grouped{8, 4, moe::top2_sum{}},
                              moe::normalized{1e-20, moe::single_raw{}}, 2.5};
  const auto values = numbers(tokens * experts, -4, 4, 11), biases = numbers(experts, 0, 1, 12);
  std::vector<std::int32_t> ids(tokens * k);
  std::vector<float> weights(tokens * k);
  std::vector<std::int64_t> load(experts), offsets(experts + 1), order(tokens * k),
      position(tokens * k);
  const auto wanted = moe::route(
      cpu{}, gate, {.logits = {values.data(), tokens, experts}, .bias = biases},
      {.ids = {ids.data(), tokens, k}, .weights = {weights.data(), tokens, k}, .load = load});
  const std::int64_t filled =
      moe::permute(view<const std::int32_t, 2>(ids.data(), tokens, k), experts, align,
                   {.offsets = offsets, .order = order, .position = {position.data(), tokens, k}});
  const vector<float> logits = values, bias = biases;
  for_each_policy([&](const auto& on) {
    vector<std::int32_t> their_ids(ids.size(), -7);
    vector<float> their_weights(weights.size(), -7.0f);
    vector<std::int64_t> their_load(experts, -7), their_offsets(experts + 1, -7),
        their_order(order.size(), -7), their_position(position.size(), -7);
    const auto counts = moe::route(
        on, gate, {.logits = on(logits, experts), .bias = on(bias)},
        {.ids = on(their_ids, k), .weights = on(their_weights, k), .load = on(their_load)});
    CHECK(counts.rows == wanted.rows);
    CHECK(counts.conditions() == wanted.conditions());
    CHECK(same_bits(their_ids, ids));
    CHECK(same_bits(their_weights, weights));
    CHECK(same_bits(their_load, load));
    CHECK(moe::permute(on, on(their_ids, k), experts, align,
                       {.offsets = on(their_offsets),
                        .order = on(their_order),
                        .position = on(their_position, k)}) == filled);
    CHECK(same_bits(their_offsets, offsets));
    CHECK(same_bits(their_order, order));
    CHECK(same_bits(their_position, position));
  });
}

TEST_CASE("sizes are refused before anything is written") {
  const hence::on_thrust on(thrust::device);
  const vector<std::int64_t> cu(std::vector<std::int64_t>{0, 2, 4});
  const vector<float> rewards(4), logp(4), advantages(1);
  vector<float> out(3, -7.0f), gradient(4, -7.0f);
  const auto rule = hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{});
  CHECK(refusal([&] { hence::advantages(on, rule, {on(cu)}, on(rewards), on(out)); }) ==
        "hence: out has 3 entries, cu_groups describes 4 rows");
  CHECK(refusal([&] {
          hence::loss_and_gradient(on, hence::recipe::dapo(), hence::ragged{.cu_seqlens = on(cu)},
                                   {.logp = {on(logp), {.temperature = 1.0}},
                                    .old = {on(logp), {.temperature = 1.0}},
                                    .advantages = on(advantages)},
                                   hence::over_this_call, on(gradient));
        }) == "hence: advantages has 1 entries, the batch has 2 rows");
  for (const float x : std::vector<float>(out.begin(), out.end())) CHECK(x == -7.0f);
  for (const float x : std::vector<float>(gradient.begin(), gradient.end())) CHECK(x == -7.0f);
  vector<std::int32_t> ids(2, 5);
  vector<std::int64_t> offsets(4, -7), order(2, -7);
  CHECK(refusal([&] {
          hence::moe::permute(on, on(ids, 1), 3, 1, {.offsets = on(offsets), .order = on(order)});
        }) == "hence: ids[0, 0] is 5, expected -1 to 2");
  CHECK(offsets[0] == -7);
}
