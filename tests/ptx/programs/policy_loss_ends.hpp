// Batches at the ends of the policy loss's ranges.
#pragma once

#include <hence/core/math_exp.hpp>

#include "policy_loss_batch.hpp"

namespace policy_case {

struct token_numbers {
  float logp, old, ref, advantage, rollout;
};

/// Ragged rows of the numbers that `of` gives, without garbage.
template <class F>
batch filled(const std::vector<std::int64_t>& lengths, int kind, unsigned seed, F&& of) {
  batch b = make(lengths, false, kind, seed);
  std::mt19937 random(seed);
  for (std::size_t t = 0; t < b.tokens(); ++t) {
    const auto [logp, old, ref, advantage, rollout] = of(random, t);
    b.logp[t] = logp, b.old[t] = old, b.rollout[t] = rollout, b.ref[t] = ref;
    b.token_advantages[t] = advantage;
  }
  for (float& a : b.advantages) a = of(random, random()).advantage;
  return b;
}

/// A number of a random sign and of a magnitude from 2^low to 2^high.
inline float any_of(std::mt19937& random, int low, int high) {
  const float x = 0.5f + static_cast<float>(random()) / 8589934592.0f;
  const int exponent = low + 1 + static_cast<int>(random() % static_cast<unsigned>(high - low));
  return std::ldexp(random() % 2 == 0 ? x : -x, exponent);
}

/// Ratios and KL terms that end the fast range of the exponential and of the exact sum.
inline token_numbers far_token(std::mt19937& random, std::size_t t) {
  const auto between = [&](float a, float b) {
    return a + (b - a) * static_cast<float>(random()) / 4294967296.0f;
  };
  const float old = -between(0.0f, 1.0f);
  const float spread = t % 3 == 0 ? between(-119.0f, -87.0f) : between(-87.5f, -40.0f);
  const float other = t % 4 == 0 ? between(40.0f, 87.0f) : spread;
  const float sign = random() % 2 == 0 ? 1.0f : -1.0f;
  return {old + (t % 5 == 4 ? -0.5f * spread : spread), old, old + spread + other,
          sign * std::ldexp(1.0f, static_cast<int>(t % 41) - 20), old};
}

/// Log-ratios of all magnitudes, the large ones in pairs that cancel over a row.
inline token_numbers cancelling_token(std::mt19937& random, std::size_t t) {
  const float large =
      std::ldexp(1.0f + static_cast<float>(t / 8 % 8) / 8.0f, 90 + static_cast<int>(t / 8 % 37));
  const float tiny = any_of(random, -148, -20);
  const float d = t % 5 < 2 ? any_of(random, -4, 1) : tiny;
  if (t % 4 == 1) return {0.0f, 0.0f, d, any_of(random, -148, 100), tiny};
  return {d,
          t % 8 == 4   ? large
          : t % 8 == 6 ? -large
                       : 0.0f,
          d + tiny, any_of(random, -148, 30), tiny};
}

/// Ratios that are a bound of a rule to the bit or next to it, advantages that are next to 0.
inline token_numbers bound_token(std::mt19937& random, std::size_t) {
  const auto log_of_bound = [&] {
    const float bounds[] = {1.0f - 0.2f, 1.0f + 0.2f, 0.8f, 1.28f, 2.0f, 3.0f, 0.9f, 1.1f};
    const float bound = bounds[random() % 8];
    float log = std::log(bound) - 8e-7f;
    while (hence::num<float>(hence::exp(hence::num<float>(log))).v < bound)
      log = std::nextafter(log, 9.0f);
    if (random() % 4 == 0) log = std::nextafter(log, random() % 2 == 0 ? -9.0f : 9.0f);
    return log;
  };
  const float log = log_of_bound();
  const float references[] = {log, -0.0f, log + 10.0f, log - 10.0f};
  const float advantages[] = {1.0f, -1.0f, 1e-39f, -1e-39f, 5e-39f, -5e-39f, 0.0f, -0.0f};
  return {log, 0.0f, references[random() % 4], advantages[random() % 8], -log_of_bound()};
}

/// One row of these tokens, without masks.
inline batch one_row(const std::vector<token_numbers>& tokens) {
  batch b = filled({static_cast<std::int64_t>(tokens.size())}, 0, 1,
                   [&](std::mt19937&, std::size_t t) { return tokens[t % tokens.size()]; });
  b.by_token = true;
  return b;
}

/// One row whose ratios are 1, so that the terms are the advantages times +-1, for `sapo` +-2.
inline batch summed(const std::vector<float>& advantages, float sign = 1.0f) {
  std::vector<token_numbers> tokens;
  for (const float a : advantages) tokens.push_back({0.0f, 0.0f, 0.0f, sign * a, 0.0f});
  return one_row(tokens);
}

/// Rows whose exact sum leads in each word of it, at its first or last bit: ties between two
/// numbers, a little more and less, and carries from the lowest word up to the highest.
inline void add_rounded_sums(std::vector<batch>& out) {
  const float least = std::ldexp(1.0f, -149);
  float sign = 1.0f;
  const auto add = [&](const std::vector<float>& row) { out.push_back(summed(row, sign = -sign)); };
  for (int word = 2; word < 11; ++word, sign = -sign) {
    const int e = 32 * word - 224 + (word == 10 ? 30 : word % 2 == 0 ? 31 : 0);
    const float one = std::ldexp(1.0f, e), last = std::ldexp(1.0f, e - 52), tie = last / 2.0f;
    add({one, -least, 0.0f, 0.0f});
    if (word < 4) {
      add({-0.0f, 3.0f * least, one, 0.0f});
      continue;
    }
    const float little = std::ldexp(1.0f, std::max(-149, e - 54 - 32 * (word % 5)));
    add({one, tie, little, 0.0f});
    if (word % 2 == 0) add({word % 4 == 0 ? last : 0.0f, one, 0.0f, tie});
    if (word % 2 == 1) add({-least, last, tie, one});
  }
  for (int word = 2; word < 11; ++word) {  // two warps' words sum to 2^32
    std::vector<float> row(160);
    row[5] = row[150] = std::ldexp(1.0f, 32 * word + 31 - 224);
    add(row);
  }
  const float most = std::ldexp(1.0f, 127);
  add(std::vector<float>(8, most));
  add({most, most, -least, most, most});
  add({2e30f, -2e30f, 3.0f * least, -least});  // little is left
  add({2e30f, -3e-30f, -2e30f, 3e-30f});       // nothing is left
  add({least, 0.0f, 0.0f});                    // a mean below all floats
  add({least, 5.0f * least, least, 0.0f, least, least, 0.0f});
  const float small = std::ldexp(1.0f, -127), half = small / 2.0f;  // sapo doubles them
  add({small, small, small, small, half, half, half, half});
}

/// Rows of terms beyond the fast range of the exact sum, in every place.
inline void add_far_sums(std::vector<batch>& out) {
  std::mt19937 random(7);
  const auto add = [&](auto&& of) {
    std::vector<float> row;
    for (std::size_t t = 0; t < 64; ++t) row.push_back(of(t));
    out.push_back(summed(row));
  };
  add([&](std::size_t) { return any_of(random, -149, -112); });
  add([&](std::size_t) { return any_of(random, -112, -80); });
  add([&](std::size_t) { return any_of(random, 121, 126); });
  for (const int large : {60, 123})  // in pairs that cancel
    add([&](std::size_t t) {
      return t % 4 > 1 ? any_of(random, -149, -112)
                       : std::ldexp(t % 4 == 0 ? 1.5f : -1.5f, large + static_cast<int>(t / 4 % 3));
    });
}

/// Ratios and KL terms that are all beyond it; and log-ratios, which cancel between two warps.
inline void add_far_ratios(std::vector<batch>& out) {
  std::vector<token_numbers> tokens(64);
  std::mt19937 random(8);
  const auto between = [&](float a, float b) {
    return a + (b - a) * static_cast<float>(random()) / 4294967296.0f;
  };
  for (auto& t : tokens)
    t = {0.0f, between(56.0f, 87.3f), -std::fabs(any_of(random, 121, 126)), 1.0f, 0.0f};
  out.push_back(one_row(tokens));
  for (auto& t : tokens) t = {0.0f, -between(84.0f, 88.7f), any_of(random, -72, -41), 1.0f, 0.0f};
  out.push_back(one_row(tokens));
  for (const float sign : {1.0f, -1.0f}) {
    const auto set = [&](std::size_t t, float d) { tokens[t] = {d, 0.0f, d, -1.0f, -d}; };
    tokens.assign(256, {0.25f, 0.0f, 0.25f, -1.0f, -0.01f});
    for (std::size_t k = 0; k < 4; ++k) {
      const float large = sign * std::ldexp(1.0f + 0.25f * static_cast<float>(k), 121);
      set(20 + 5 * k, large), set(150 + 9 * k, -0.5f * large), set(155 + 9 * k, -0.5f * large);
    }
    out.push_back(one_row(tokens));
  }
}

/// Rows whose mean log-ratio lies between two floats that the outcome tells apart, to the last bit
/// of the sum and by less.
inline void add_tied_means(std::vector<batch>& out) {
  const auto exp_of = [](float x) { return hence::exp(hence::num<float>(x)).v; };
  const auto after = [](float x) { return std::nextafter(x, 9.0f); };
  std::vector<float> before;  // the lower of the two floats
  for (const float bound : {0.9f, 1.1f}) {
    float x = std::log(bound) - 8e-7f;
    while (bound < 1.0f ? exp_of(after(x)) < bound : exp_of(after(x)) <= bound) x = after(x);
    before.push_back(x);
  }
  for (float x : {0.3f, 5.0f}) {
    while (exp_of(x) == exp_of(after(x))) x = after(x);
    before.push_back(x);
  }
  std::vector<token_numbers> tokens;
  for (const float x : before) {
    const float last = std::ldexp(1.0f, std::ilogb(x) + 2 - 53);
    const float ends[][2] = {{0.0f, 0.0f},      {last, 0.0f},       {last, 0x1p-149f},
                             {last, 0x1p-120f}, {-last, -0x1p-80f}, {-last, -0x1p-149f}};
    for (const auto& [a, b] : ends)
      for (const float d : {4.0f * x, 2.0f * (after(x) - x), a, b})
        tokens.push_back({d, 0.0f, d, -1.0f, -d});
  }
  batch b = filled(std::vector<std::int64_t>(tokens.size() / 4, 4), 0, 1,
                   [&](std::mt19937&, std::size_t t) { return tokens[t % tokens.size()]; });
  b.by_token = true;
  out.push_back(b);
}

/// One kind of infinity or NaN in one sum at a time.
inline void add_odd_sums(std::vector<batch>& out) {
  const float inf = INFINITY;
  out.push_back(summed({1.0f, inf, 1.0f}));
  out.push_back(summed({-inf, 1.0f, 1.0f}));
  out.push_back(summed({1.0f, 1.0f, inf, -inf}));
  out.push_back(summed({1.0f, NAN, 1.0f, 1.0f}));
  const token_numbers usual{0.0f, 0.0f, 0.0f, 1.0f, 0.0f};
  for (const float odd : {-inf, static_cast<float>(NAN)}) {
    out.push_back(one_row({usual, {0.0f, odd, 0.0f, 1.0f, 0.0f}}));
    out.push_back(one_row({{0.0f, 0.0f, odd, 1.0f, 0.0f}, usual}));
  }
}

/// All of these: what a random batch does not meet.
inline void add_ends(std::vector<batch>& out, unsigned seed) {
  for (const int kind : {0, 3}) {
    out.push_back(filled({40, 3, 9}, kind, seed++, far_token));
    out.push_back(filled({8, 16, 40, 24, 8}, kind, seed++, cancelling_token));
    out.push_back(filled({33, 31, 64}, kind, seed++, bound_token));
  }
  add_rounded_sums(out), add_far_sums(out), add_far_ratios(out), add_tied_means(out);
  add_odd_sums(out);
}

}  // namespace policy_case
