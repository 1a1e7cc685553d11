// The batches of the distillation program, for both its halves.
#pragma once

#include <hence/logits/distill.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace distill_case {

/// Rows of `columns` logits, `stride` apart, of a student and a teacher; what lies between rows is
/// never read. In place the gradient's array is the student's. \tparam T, Q their storage.
template <class T, class Q> struct batch {
  std::string name;
  std::int64_t columns, stride, k;
  double temperature;
  bool in_place, with_mask;
  std::vector<T> student{};
  std::vector<Q> teacher{};
  std::vector<std::uint8_t> mask{};
  std::vector<float> cotangent{};
  std::vector<std::int64_t> ids{};
  std::vector<float> teacher_logp{};

  std::int64_t rows() const { return static_cast<std::int64_t>(cotangent.size()); }
  std::size_t at(std::int64_t i, std::int64_t c) const {
    return static_cast<std::size_t>(i * stride + c);
  }
};

/// A row is of one of these kinds.
constexpr std::int64_t kinds = 13;
/// \param x, y logits of student and teacher at column c, nearly normal; made into those of a kind.
inline void make(std::int64_t kind, std::int64_t c, std::int64_t columns, float& x, float& y) {
  const float inf = INFINITY;
  const bool is_last = c == columns - 1;
  if (kind == 1) y = x;                                  // the same distributions
  if (kind == 2) x = 9 * x, y = is_last ? 50.0f : y;     // far apart
  if (kind == 3 && c % 3 == 1) x = y = -inf;             // equal supports
  if (kind == 4 && is_last) x = columns > 1 ? -inf : x;  // another support
  if (kind == 5 && is_last) y = columns > 1 ? -inf : y;  // another support
  if (kind == 6 && c == columns / 2) y = NAN;
  if (kind == 7 && is_last) x = inf;
  if (kind == 8) x = -inf;                              // no support
  if (kind == 9) x = 1e7f + 1e6f * x, y = -3e7f + y;    // beyond the fast range
  if (kind == 10) x = c == 0 ? 0.0f : -200.0f, y = -x;  // certain, of the opposite
  if (kind == 11) x = y = NAN;                          // dead where there is a mask
  if (kind == 12) {  // for `cancelling`, in every order along a chain and across them
    const std::int64_t part = (c + c / 16) % 4;
    x = 0, y = part == 0 ? 10.0f : part == 1 ? -100.0f : y - 10;
  }
}

/// Shapes around the ends of a warp and a tile. The teacher's k ids have its own log-probs, or what
/// else may be given.
template <class T, class Q> std::vector<batch<T, Q>> batches() {
  std::vector<batch<T, Q>> out{{"V=1", 1, 1, 1, 1.0, false, false},
                               {"V=35", 35, 37, 17, 0.7, true, true},
                               {"V=300", 300, 300, 16, 2.0, false, true},
                               {"V=700", 700, 704, 300, 1.5, false, true},  // k beyond a block
                               {"V=2085", 2085, 2088, 40, 1.0, false, false}};
  std::mt19937 random(7);
  for (auto& b : out) {
    const std::int64_t rows = b.columns > 1000 ? (kinds + 1) / 2 : kinds;
    b.student.assign(static_cast<std::size_t>(rows * b.stride), T(0.0f));
    b.teacher.assign(static_cast<std::size_t>(rows * b.stride), Q(0.0f));
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t kind = b.columns > 1000 ? 2 * i : i;
      for (std::int64_t c = 0; c < b.columns; ++c) {
        float noise[2] = {0, 0};
        for (float& v : noise)
          for (int k = 0; k < 4; ++k) v += static_cast<float>(random()) / 2147483648.0f - 1;
        make(kind, c, b.columns, noise[0], noise[1]);
        b.student[b.at(i, c)] = T(noise[0]), b.teacher[b.at(i, c)] = Q(noise[1]);
      }
      b.cotangent.push_back(static_cast<float>(i) - 2.5f);
      if (b.with_mask) b.mask.push_back(kind != 11);
      const auto begin = static_cast<std::int64_t>(random()) % b.columns;
      for (std::int64_t j = 0; j < b.k; ++j) {
        std::int64_t id = (begin + 2 * j) % b.columns;  // odd, or k is at most half
        float logp = -1 - 0.3f * static_cast<float>(j);
        if (kind == 1 && j == b.k - 1) id = j == 0 ? -1 : begin;  // twice
        if (kind == 2 && j == 0) id = b.columns;
        if (kind == 3)
          logp = static_cast<float>(b.student[b.at(i, id)]) > -INFINITY ? logp : -INFINITY;
        if (kind == 4 && j == b.k / 2) logp = -INFINITY;
        if (kind == 5 && j == b.k / 2) logp = NAN;
        if (kind == 10) logp = j == 0 ? 0.0f : -200.0f;  // nothing is left
        b.ids.push_back(id), b.teacher_logp.push_back(logp);
      }
    }
  }
  return out;
}

/// Bounds that no sum meets, and ones that some do.
inline hence::distill_top_k_rule rule_of(double temperature, bool is_bounded) {
  if (!is_bounded) return {.temperature = temperature};
  return {.temperature = temperature, .log_prob_min = -7, .clamp_min = 0.1, .clamp_max = 1.5};
}

/// No divergence: terms of +-10^17 that cancel, and small ones, so that a sum in another order
/// shows in fp32, as that of a divergence hardly does.
struct cancelling {
  static constexpr bool needs_equal_support = false;
  HENCE_FN auto operator()(const auto& log_s, const auto& log_q) const {
    using V = std::remove_cvref_t<decltype(log_q)>;
    return select(log_q > V(-8.0f), log_s * V(1e17f),
                  select(log_q < V(-50.0f), log_s * V(-1e17f), log_s * log_q));
  }
};

struct outcome {
  std::vector<float> per_token, gradient;  // [rows], [rows, columns]
  hence::status found;
};
using jsd = hence::divergence::generalized_jsd<float>;
using forward = hence::divergence::forward_kl;
using reverse = hence::divergence::reverse_kl;
using mixed = hence::divergence::mixed_kl<float>;
using ignored = hence::tail::ignored;
using one_token = hence::tail::one_token;

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
template <class How, class T, class Q> outcome on_cpu(const How& how, const batch<T, Q>& b);
template <class How, class Tail, class T, class Q>
outcome top_k_on_cpu(const How& how, Tail rest, bool is_bounded, const batch<T, Q>& b);

}  // namespace distill_case
