/// \file
/// One row of logits as the sums see it: storage widened, masked columns -infinity, soft-capped,
/// shifted; and the passes over it.
#pragma once

#include <hence/logits/softmax_lanes.hpp>
#include <hence/logits/softmax_rule.hpp>

namespace hence::inline v0::detail {

/// A row that is summed as it is stored.
template <class T> struct plain_row {
  const T* data;
  std::int64_t columns;
  static constexpr bool has_slope = false;

  template <class V> HENCE_FN V load(std::int64_t i) const { return load_as<V>(data + i); }
  HENCE_FN void prefetch(std::int64_t i) const {
    __builtin_prefetch(data + i + 16384 / static_cast<int>(sizeof(T)));
  }
};

/// A row with a keep mask, a soft-cap, a shift or several of them.
template <class T> struct mapped_row {
  const T* data;
  std::int64_t columns;
  const std::uint8_t* keep;  // nonzero: in the support; null: all are
  float cap, inverse_cap;    // 0: none
  float shift;               // subtracted last
  static constexpr bool has_slope = true;

  template <class V> HENCE_FN V load(std::int64_t i) const {
    V x = load_as<V>(data + i);
    if (keep != nullptr) x = select(load_mask<V>(keep + i), x, V(-__builtin_inff()));
    if (cap > 0) x = capped(x, V(cap), V(inverse_cap));
    return x - V(shift);
  }
  template <class V> HENCE_FN V slope(std::int64_t i) const {
    return cap > 0 ? cap_slope(load_as<V>(data + i), V(inverse_cap)) : V(1.0f);
  }
  HENCE_FN void prefetch(std::int64_t i) const { plain_row<T>{data, columns}.prefetch(i); }
};

template <class Row, class Isa> HENCE_FN float logit_at(const Row& row, std::int64_t i, Isa) {
  return row.template load<num<float, Isa>>(i).v;
}
template <class V> struct isa_of;
template <class T, class Isa> struct isa_of<num<T, Isa>> {
  using type = Isa;
};
template <class T, class Isa> struct isa_of<pack<T, Isa>> {
  using type = Isa;
};

/// Columns [i, i + lanes); those that are absent, and the label, are -infinity.
template <class V, class Row>
HENCE_FN V load_without(const Row& row, std::int64_t i, std::int64_t label) {
  const bool has_label = label >= i && label < i + lane_count<V>;
  if (i + lane_count<V> <= row.columns && !has_label) return row.template load<V>(i);
  float x[static_cast<unsigned>(lane_count<V>)];
  for (int j = 0; j < lane_count<V>; ++j) {
    const std::int64_t c = i + j;
    x[j] = c < row.columns && c != label ? logit_at(row, c, typename isa_of<V>::type())
                                         : -__builtin_inff();
  }
  return load_as<V>(x);
}

/// The largest of columns [0, end), the label left out. NaN is overlooked.
template <class V, class Row>
HENCE_FN float largest_logit(const Row& row, std::int64_t end, std::int64_t label) {
  constexpr int width = lane_count<V>;
  V m[4] = {V(-__builtin_inff()), V(-__builtin_inff()), V(-__builtin_inff()), V(-__builtin_inff())};
  for (std::int64_t i = 0; i < end; i += 4 * width) {  // end is the row's or a multiple of that
    const bool has_label = label >= i && label < i + 4 * width;
    if (i + 4 * width <= row.columns && !has_label)
      for (int u = 0; u < 4; ++u) m[u] = greater(row.template load<V>(i + u * width), m[u]);
    else
      for (int u = 0; u < 4; ++u) m[u] = greater(load_without<V>(row, i + u * width, label), m[u]);
  }
  m[0] = greater(greater(m[0], m[1]), greater(m[2], m[3]));
  float lanes[static_cast<unsigned>(width)];
  store_as(lanes, m[0]);
  float top = lanes[0];
  for (int i = 1; i < width; ++i) top = lanes[i] > top ? lanes[i] : top;
  return top;
}

/// Where the references of a row start from. \param largest of its first 4096 columns.
template <class N> HENCE_FN N first_reference(N largest, N scale) {
  const N first = fma(largest, scale, N(0x1.8p+23f)) - N(0x1.8p+23f);
  const bool in_range = first > N(lowest_reference) && first < N(-lowest_reference);
  return in_range ? first : N(lowest_reference);
}

/// The canonical sums of a row; the label and columns beyond the row count as -infinity.
/// \param label a column, or negative for none.
template <class V, class Row>
[[gnu::noinline]] softmax_state sum_row(const Row& row, std::int64_t label, float scale) {
  using lanes = softmax_lanes<V>;
  using leaf = typename lanes::leaf;
  using N = num<float, typename isa_of<V>::type>;
  constexpr int width = lanes::width, unit = lanes::unit;
  lanes sums;
  const std::int64_t columns = row.columns;
  const N largest = largest_logit<V>(row, columns < 4096 ? columns : 4096, label);
  sums.start(columns, first_reference(largest, N(scale)).v);
  // all columns are there and none is the label
  const auto add_whole = [&](int lane, std::int64_t i, int from, int to)
                             __attribute__((always_inline)) {
                               for (int l = from; l < to; l += unit) {
                                 leaf x;
                                 for (int u = 0; u < 4; ++u)
                                   for (int j = 0; j < lanes::packs; ++j) {
                                     const std::int64_t c = i + l + 256 * u + j * width;
                                     row.prefetch(c);
                                     x[u][j] = row.template load<V>(c);
                                   }
                                 sums.add(lane + l, x, 4, V(scale));
                               }
                             };
  const auto add_partly = [&](int lane, std::int64_t i) __attribute__((always_inline)) {
    leaf x;
    int count = 0;
    do
      for (int j = 0; j < lanes::packs; ++j)
        x[count][j] = load_without<V>(row, i + 256 * count + j * width, label);
    while (++count < 4 && i + 256 * count < columns);
    sums.add(lane, x, count, V(scale));
  };
  for (std::int64_t i = 0; i < columns; i += 1024) {
    const int lane = static_cast<int>(i >> 10 & 3) * 256;
    const std::int64_t left = columns - i;
    if (left < 1024) {
      for (int l = 0; l < 256 && l < left; l += unit) add_partly(lane + l, i + l);
    } else if (label >= i && label < i + 1024) {
      const int l = static_cast<int>(label & 255) / unit * unit;
      add_whole(lane, i, 0, l);
      add_partly(lane + l, i + l);
      add_whole(lane, i, l + unit, 256);
    } else {
      add_whole(lane, i, 0, 256);
    }
  }
  softmax_state s{};
  s.reference = static_cast<double>(sums.finish(s.others, s.moment));
  s.label = label >= 0 ? static_cast<double>(logit_at(row, label, typename isa_of<V>::type()))
                       : __builtin_nan("");
  return s;
}

/// Whether the sums left the fast range, |x scale| < 2^22, or met a NaN or an infinity.
HENCE_FN bool leaves_fast_range(const softmax_state& s, float scale) {
  const num<double> y = num<double>(s.label) * num<double>(static_cast<double>(scale));
  return !(s.others == s.others) || s.reference <= static_cast<double>(lowest_reference) ||
         y >= 0x1p+22;
}

/// The sums once more for such a row, with its largest logit subtracted first: exact where it
/// counts. A row with a NaN or +infinity, and one without a finite logit, gets NaN.
template <class V, class T>
[[gnu::noinline, gnu::cold]] softmax_state sum_row_shifted(mapped_row<T> row, std::int64_t label,
                                                           float scale) {
  using Isa = typename isa_of<V>::type;
  float top = -__builtin_inff();
  bool is_number = true;
  for (std::int64_t i = 0; i < row.columns; ++i) {
    const float x = logit_at(row, i, Isa());
    is_number &= x < __builtin_inff();
    top = x > top ? x : top;
  }
  if (!is_number || top == -__builtin_inff())
    return is_number ? without_support() : without_numbers();
  row.shift = top;
  softmax_state s = sum_row<V>(row, label, scale);
  s.shift = static_cast<double>(top);
  row.shift = 0;
  if (label >= 0)  // in float64, since the difference of a far label is not exact in fp32
    s.label = static_cast<double>(logit_at(row, label, Isa())) - s.shift;
  return s;
}

/// The gradient at columns [i, i + lanes), where the label is not.
template <class V, class Row>
HENCE_FN V gradient_at(const Row& row, std::int64_t i, V scale, V reference, V c0, V c1) {
  const V g = gradient_term(softmax_term(row.template load<V>(i), scale, reference), c0, c1);
  if constexpr (Row::has_slope)
    return fma(g, row.template slope<V>(i), V(0.0f));
  else
    return g;
}
/// The gradient at the label. \param at_label that of the logit as it is summed.
template <class N, class Row>
HENCE_FN N gradient_at_label(const Row& row, std::int64_t label, N at_label) {
  if constexpr (Row::has_slope)
    return at_label * row.template slope<N>(label);
  else
    return at_label;
}

/// The gradient of a row: w (c0 + c1 z), `at_label` at the label. In place where `out` is the row.
/// \param row by value, so that no store to `out` may change it.
template <class V, class Row, class Out>
[[gnu::noinline]] void row_gradient(const Row row, std::int64_t label, float scale, float reference,
                                    float c0, float c1, float at_label, Out* out) {
  constexpr int width = lane_count<V>;
  using N = num<float, typename isa_of<V>::type>;
  const auto at = [&]<class W>(W, std::int64_t i) __attribute__((always_inline)) {
    return gradient_at(row, i, W(scale), W(reference), W(c0), W(c1));
  };
  const N for_label = label >= 0 ? gradient_at_label(row, label, N(at_label)) : N(0.0f);
  std::int64_t i = 0;
  for (; i + width <= row.columns; i += width) store_as(out + i, at(V(), i));
  for (; i < row.columns; ++i) store_as(out + i, at(N(), i));
  if (label >= 0) store_as(out + label, for_label);
}

}  // namespace hence::inline v0::detail
