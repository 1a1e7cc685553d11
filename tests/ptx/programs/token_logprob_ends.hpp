// Rows of the log-prob program at the ends of what its steps tell apart: widths, boundaries of 16
// bytes, ties of a gradient's rounding, powers at which terms vanish, labels that outweigh a row.
#pragma once

#include "token_logprob.hpp"

#include <array>
#include <numbers>

namespace logprob_case {

/// A step of 1 is a factor of 2, to the bit.
inline const hence::softmax_rule powers{.temperature = std::numbers::log2e,
                                        .negative = hence::negative_labels::out_of_range};

template <class T>
void add_row(batch<T>& b, const std::vector<float>& x, std::int64_t label, float g, float h) {
  const auto begin = static_cast<std::size_t>(b.offset + b.rows() * b.stride);
  b.logits.resize(begin + static_cast<std::size_t>(b.stride), T(NAN));
  for (std::size_t c = 0; c < x.size(); ++c) b.logits[begin + c] = T(x[c]);
  b.labels.push_back(label), b.g.push_back(g), b.h.push_back(h);
}

/// 64 equal logits at temperature 1/64: the gradient is g with either sign, rounded once.
template <class T> batch<T> rounding_ties(bool has_keep) {
  batch<T> b{"ties",   64,   67, 0, {.temperature = 0x1p-6, .negative = powers.negative},
             has_keep, false};
  constexpr bool is_bf16 = std::is_same_v<T, hence::bf16>;
  const float last = is_bf16 ? 0x1p-7f : 0x1p-10f, least = is_bf16 ? 0x1p-133f : 0x1p-24f;
  std::vector<float> slopes{0,     1,     3e38f, 65503,          65504,   65519.9f,
                            65520, 65536, NAN,   0x1.fefep+127f, INFINITY};
  for (const float at : {1.0f, 1 + last, 2 - last})
    for (const float by : {0.5f, 0.5f - 0x1p-12f, 0.5f + 0x1p-12f})
      slopes.push_back(at + last * by);
  for (const float n : {0.5f, 1.0f, 1.5f, 2.5f, 63.5f, 127.5f, 1022.5f, 1023.5f, 1024.5f})
    for (const float by : {1.0f, 1 - 0x1p-12f, 1 + 0x1p-12f}) slopes.push_back(n * by * least);
  for (std::size_t i = 0; i < slopes.size(); ++i)
    add_row(b, std::vector<float>(64, 0.0f), static_cast<std::int64_t>(i),
            i % 3 < 2 ? slopes[i] : -slopes[i], 0);
  if (has_keep) b.keep.assign(slopes.size() * 64, 1);
  return b;
}

/// Logits around the smallest normal half, a unit of their last place apart.
template <class T> batch<T> subnormal_logits(bool has_keep) {
  const hence::softmax_rule rule{.temperature = 0x1p-17 * std::numbers::log2e,
                                 .negative = powers.negative};
  batch<T> b{"subnormal", 1024, 1024, 0, rule, has_keep, false};
  for (const float unit : {0x1p-24f, -0x1.8p-23f}) {
    std::vector<float> row;
    for (int i = 0; i < 1024; ++i) row.push_back(unit * static_cast<float>((i * 389) % 1024 * 2));
    add_row(b, row, 77, 1.0f, -0.5f);
  }
  if (has_keep) b.keep.assign(2 * 1024, 1);
  return b;
}

/// Labels that weigh less and more than fifteen others of weight 1, to where they are all.
template <class T> batch<T> growing_labels() {
  batch<T> b{"labels", 16, 19, 3, powers, false, false};
  std::int64_t label = 0;
  for (const float x : {0.0f, 3.75f, 4.0f, 4.25f, 5.0f, 5.25f, 5.5f, 6.0f, 24.0f, 59.0f, 60.0f,
                        61.0f, 499.0f, 500.0f, 501.0f, 999.0f, 1000.0f, 1001.0f, 6e4f})
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> row(16, 0.0f);
      row[static_cast<std::size_t>(label)] = sign * x;
      add_row(b, row, label, 1.0f, sign * -0.5f);
      label = (label + 5) % 16;
    }
  return b;
}

/// Every quarter of a power down to where terms vanish, ties of the nearest integer among them.
template <class T> batch<T> vanishing_terms(bool has_keep) {
  batch<T> b{"powers", 272, 275, 2, powers, has_keep, false};
  for (const float top : {0.0f, 100.25f, -30.5f}) {
    std::vector<float> row;
    for (int i = 0; i < 272; ++i) row.push_back(top - 0.25f * static_cast<float>(i));
    for (const std::int64_t label : {0, 100, 271}) add_row(b, row, label, -1.5f, -0.75f);
  }
  if (has_keep) b.keep.assign(9 * 272, 1);
  return b;
}

/// The largest logit at the end of the fast range, in the first leaf and behind it.
template <class T> std::vector<batch<T>> fast_range() {
  const hence::softmax_rule rule{.temperature = 0x1p-8 * std::numbers::log2e,
                                 .negative = powers.negative};
  batch<T> b{"range", 9, 9, 0, rule, false, false};
  for (const float top : {0x1p+13f, 0x1p+14f - 0x1p+7f, 0x1p+14f, 0x1.3p+14f, 0x1p+15f})
    for (const float sign : {1.0f, -1.0f})
      for (const std::int64_t label : {0, 8}) {
        std::vector<float> row(9, sign * top);
        row[4] = -INFINITY, row[8] = sign * top - 1;
        add_row(b, row, label, 1.0f, 0.5f);
        row[static_cast<std::size_t>(label)] = 0;  // it does not leave the range itself
        add_row(b, row, label, 1.0f, 0.5f);
      }
  batch<T> behind{"range, second leaf", 4104, 4104, 0, rule, false, false};
  for (const float top : {0x1.fp+13f, 0x1p+14f, 0x1.3p+14f}) {
    std::vector<float> row(4104, 0.0f);
    row[4102] = top;
    add_row(behind, row, 1, 1.0f, 0.5f);
  }
  return {b, behind};
}

/// Logits of 2^23 and little more: beyond the fast range, and near each other in spite of that.
inline batch<float> close_and_large() {
  batch<float> b{"close", 24, 27, 0, {.temperature = 1, .negative = powers.negative}, false, false};
  for (int i = 0; i < 20; ++i) {
    std::vector<float> row;
    for (int c = 0; c < 24; ++c)
      row.push_back(0x1p+23f + static_cast<float>((5 * c + 7 * i) % 19 / (1 + i / 4)));
    add_row(b, row, (7 * i) % 24, 1.0f, 0.5f);
  }
  return b;
}

/// Widths at the end of a group, a warp's share and a leaf; rows off their boundary in every way;
/// each of a leaf's last columns is the label once.
template <class T> std::vector<batch<T>> widths() {
  std::vector<batch<T>> out;
  std::mt19937 random(6);
  const auto add = [&](std::int64_t columns, std::initializer_list<int> row_kinds, bool has_keep) {
    batch<T> b{"V=" + std::to_string(columns), columns, columns + 3, 2, powers, has_keep, false};
    std::int64_t label = columns - 1;
    for (const int kind : row_kinds) {
      add_row(b, row_of(kind, columns, label, random), label, 1.0f, label % 2 == 0 ? -0.5f : 1);
      label = columns / 2 - label / 2;
    }
    if (has_keep) b.keep.assign(row_kinds.size() * static_cast<std::size_t>(columns), 1);
    for (std::size_t i = 3; i < b.keep.size(); i += 5) b.keep[i] = 0;
    out.push_back(std::move(b));
  };
  for (std::int64_t left = 1; left <= 8; ++left) {
    for (std::int64_t unit = 0; unit < 4; ++unit) add(256 * unit + 8 * left + left, {0, 0}, false);
    add(16 + left, {0, 2, 4, 6, 0, 13, 9, 10}, left % 2 == 0);
    add(32 + left, {0, 0, 0}, left % 2 == 1);
  }
  for (const std::int64_t columns : {255, 256, 257, 1023, 1024}) add(columns, {0, 3, 10}, false);
  for (const std::int64_t columns : {4095, 4096, 4097}) add(columns, {4, 0, 3}, columns == 4097);
  return out;
}

/// A second leaf that asks for a higher reference by a hair, or not.
template <class T> batch<T> moving_references() {
  batch<T> b{"moves", 4640, 4648, 0, powers, false, false};
  for (const float step : {3.75f, 4.0f, 4.25f, 59.5f, 60.0f, 61.0f}) {
    std::vector<float> row(4640, 0.0f);
    for (std::size_t c = 4096; c < row.size(); c += 9) row[c] = step;
    add_row(b, row, 4100, 1.0f, -0.25f);
  }
  return b;
}

/// Soft-capped logits beyond the fast range.
template <class T> batch<T> cold_caps() {
  const hence::softmax_rule rule{.temperature = 1e-6, .negative = powers.negative, .soft_cap = 30};
  batch<T> b{"cold caps", 24, 25, 0, rule, false, false};
  for (int i = 0; i < 40; ++i) {
    std::vector<float> row;
    for (int c = 0; c < 24; ++c)
      row.push_back(static_cast<float>((5 * c + 7 * i) % 24) * (1.5f + static_cast<float>(i) / 16) -
                    20);
    if (i < 3) row[20] = 32 + static_cast<float>(i), row[5] = row[20] + (i == 2 ? 0x1p-4f : 0);
    add_row(b, row, i % 2 == 0 ? 20 : 5, 1.0f, 0.5f);
  }
  return b;
}

/// So hot that -65536 in place of an infinity would count.
template <class T> batch<T> hot_infinities(bool has_keep, double cap) {
  const hence::softmax_rule rule{
      .temperature = cap > 0 ? 1 : 1e6, .negative = powers.negative, .soft_cap = cap};
  batch<T> b{"hot", 64, 64, 0, rule, has_keep, false};
  for (const float end : {INFINITY, -INFINITY, NAN}) {
    for (int i = 0; i < 9; ++i) {
      std::vector<float> row(64, -1.5f);
      for (std::size_t c = 0; c < 64; ++c)
        if (c % 9 == static_cast<std::size_t>(i)) row[c] = i == 8 && end < 0 ? -end : end;
      add_row(b, row, (i + 1) % 9, 1.0f, 0.5f);
    }
  }
  if (has_keep) b.keep.assign(27 * 64, 1);
  return b;
}

/// Slopes beside a tie of the gradient's rounding, so that their last bits show: g is made from the
/// slope in float64, for another column in each row. \param cap the soft-cap, or 0.
template <class T> batch<T> ties_of_slopes(double cap) {
  constexpr double last = std::is_same_v<T, hence::bf16> ? 0x1p-7 : 0x1p-10;
  const hence::softmax_rule rule{.temperature = 1, .negative = powers.negative, .soft_cap = cap};
  batch<T> b{"ties of slopes", 12, 13, 0, rule, false, false};
  std::mt19937 random(8);
  for (int i = 0; i < 96; ++i) {
    std::vector<float> row;
    for (int c = 0; c < 12; ++c)
      row.push_back(static_cast<float>(T(static_cast<float>(random() % 4096) / 512.0f - 4.0f)));
    const auto column = static_cast<std::size_t>(i % 12);
    const auto tanh = [&](double x) { return cap > 0 ? std::tanh(x / cap) : 0; };
    const auto weight = [&](double x) { return std::exp(cap > 0 ? cap * tanh(x) : x); };
    double total = 0;
    for (const float x : row) total += weight(x);
    const double t = tanh(row[column]), slope = weight(row[column]) / total * (1 - t * t);
    const double wanted = 1 + last * (i + 0.5);
    add_row(b, row, (i + 5) % 12, static_cast<float>(wanted / slope), 0);
  }
  return b;
}

template <class T> std::vector<batch<T>> ends() {
  std::vector<batch<T>> out = widths<T>();
  for (const bool has_keep : {false, true}) {
    out.push_back(rounding_ties<T>(has_keep));
    out.push_back(subnormal_logits<T>(has_keep));
    out.push_back(hot_infinities<T>(has_keep, 0));
    out.push_back(vanishing_terms<T>(has_keep));
    out.push_back(ties_of_slopes<T>(has_keep ? 3 : 0));
  }
  out.push_back(hot_infinities<T>(false, 0.5));
  out.push_back(growing_labels<T>());
  for (auto& b : fast_range<T>()) out.push_back(std::move(b));
  out.push_back(moving_references<T>());
  out.push_back(cold_caps<T>());
  if constexpr (sizeof(T) == 4) out.push_back(close_and_large());
  // Nothing behind the last row: who reads on is seen.
  for (auto& b : out)
    b.logits.resize(b.logits.size() - static_cast<std::size_t>(b.stride - b.columns));
  return out;
}

}  // namespace logprob_case
