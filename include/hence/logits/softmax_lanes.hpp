/// \file
/// The canonical sums over a row of fp32 logits: sum of 2^z and of 2^z z in one pass, with the same
/// bits whatever the register width, the storage type or the executor.
///
/// Column i belongs to lane 256 ((i >> 10) & 3) + (i & 255) of 1024. A leaf of a lane is its four
/// columns of 4096; a group is 8 neighbouring lanes and has one power-of-two reference. Before a
/// leaf is added the group's reference moves up if a logit of the leaf exceeds it by 4 (in powers
/// of two): a rule of the data alone. At the end all lanes move to the largest reference and a
/// fixed tree adds them, the last five levels in float64. Lanes without a column add exactly
/// nothing, so they are skipped.
#pragma once

#include <hence/logits/softmax_term.hpp>

namespace hence::inline v0::detail {

constexpr int softmax_lane_count = 1024, softmax_group = 8;
/// Where references start if nothing tells better; logits beyond its negative leave the fast range.
constexpr float lowest_reference = -0x1p+22f;

/// Every lane gets the largest of its group of 8; m holds at least one whole group.
template <class V, decltype(sizeof(int)) Count> HENCE_FN void spread_group_maximum(V (&m)[Count]) {
  if constexpr (lane_count<V> == 1) {
    for (auto i = Count - 1; i > 0; --i) m[0] = greater(m[0], m[i]);
    for (auto i = Count - 1; i > 0; --i) m[i] = m[0];
  } else if constexpr (lane_count<V> == 4) {
    const auto a = m[0].v, b = m[1].v;
    V x = greater(V(a), V(b));
    x = greater(x, V(__builtin_shufflevector(x.v, x.v, 2, 3, 0, 1)));
    m[0] = m[1] = greater(x, V(__builtin_shufflevector(x.v, x.v, 1, 0, 3, 2)));
  } else if constexpr (lane_count<V> == 8) {
    V x = m[0];
    x = greater(x, V(__builtin_shufflevector(x.v, x.v, 4, 5, 6, 7, 0, 1, 2, 3)));
    x = greater(x, V(__builtin_shufflevector(x.v, x.v, 2, 3, 0, 1, 6, 7, 4, 5)));
    m[0] = greater(x, V(__builtin_shufflevector(x.v, x.v, 1, 0, 3, 2, 5, 4, 7, 6)));
  } else {
    V x = m[0];
    x = greater(x, V(__builtin_shufflevector(x.v, x.v, 4, 5, 6, 7, 0, 1, 2, 3,  //
                                             12, 13, 14, 15, 8, 9, 10, 11)));
    x = greater(x, V(__builtin_shufflevector(x.v, x.v, 2, 3, 0, 1, 6, 7, 4, 5,  //
                                             10, 11, 8, 9, 14, 15, 12, 13)));
    m[0] = greater(x, V(__builtin_shufflevector(x.v, x.v, 1, 0, 3, 2, 5, 4, 7, 6,  //
                                                9, 8, 11, 10, 13, 12, 15, 14)));
  }
}

/// A group of 8 lanes that one unit holds whole. (On a GPU a group may have a thread a lane.)
template <class V> struct whole_group {
  static constexpr int packs = lane_count<V> < softmax_group ? softmax_group / lane_count<V> : 1;
  /// Every lane gets the largest of its group.
  template <decltype(sizeof(int)) Count> static HENCE_FN void spread(V (&m)[Count]) {
    spread_group_maximum(m);
  }
  /// Whether it holds for all lanes; x already speaks for those of the unit.
  static HENCE_FN bool all(bool x) { return x; }
};

/// What one step handles: a group of 8 lanes with numbers, the groups of a register or two with
/// packs, or one lane of a group that lies on 8 threads. Lanes lie in memory one after another:
/// sum, moment, reference. \tparam V `num<float>` or `pack<float>`. \tparam Group says how many
/// `packs` a unit has, and how the lanes of a group meet: `spread` and `all`, as `whole_group` has
/// them.
template <class V, class Group = whole_group<V>> struct softmax_unit {
  static constexpr int width = lane_count<V>;
  static constexpr int packs = Group::packs;
  static constexpr int lanes = width * packs;
  using leaf = V[4][static_cast<unsigned>(packs)];
  using maxima = V[static_cast<unsigned>(packs)];

  float *sum, *moment, *reference;

  /// Adds one leaf: its first `count` of four columns. Where references move, it calls
  /// move(unit, largest of the leaf by lane, scale), which does as `move` of this.
  template <class Move> HENCE_FN void add(const leaf& x, int count, V scale, Move&& move) const {
    maxima largest, k;
    bool is_ordinary = true;  // no reference moves and no term is dropped
    for (int j = 0; j < packs; ++j) {
      V low = x[0][j], high = x[0][j];
      for (int u = 1; u < count; ++u) low = lesser(low, x[u][j]), high = greater(high, x[u][j]);
      largest[j] = high;
      k[j] = load_as<V>(reference + j * width);
      is_ordinary &= all_within(V(below_lowest_power), fma(low, scale, -k[j]),
                                fma(high, scale, -k[j]), V(4.0f));
    }
    if (__builtin_expect(Group::all(is_ordinary), 1)) {
      for (int j = 0; j < packs; ++j)
        add_terms(x, j, count, [&](V y) __attribute__((always_inline)) {
          return term_in_range(y, scale, k[j]);
        });
    } else {
      move(*this, largest, scale);
      for (int j = 0; j < packs; ++j) k[j] = load_as<V>(reference + j * width);
      for (int j = 0; j < packs; ++j)
        add_terms(x, j, count,
                  [&](V y) __attribute__((always_inline)) { return softmax_term(y, scale, k[j]); });
    }
  }

  /// Moves the groups whose leaf asks for it, if any. A logit beyond the fast range makes the group
  /// NaN, which the row's end finds. \param largest of the leaf by lane; then of the groups.
  HENCE_FN void move(maxima& largest, V scale) const {
    Group::spread(largest);
    for (int j = 0; j < packs; ++j) {
      const int l = j * width;
      const V k = load_as<V>(reference + l), s = load_as<V>(sum + l);
      const auto moves = fma(largest[j], scale, -k) >= V(4.0f);
      const V next = select(moves, fma(largest[j], scale, V(0x1.8p+23f)) - V(0x1.8p+23f), k);
      const V d = k - next;
      const V factor = select(next < V(-lowest_reference), power_below(d), V(__builtin_nanf("")));
      store_as(moment + l, fma(d, s, load_as<V>(moment + l)) * factor);
      store_as(sum + l, s * factor);
      store_as(reference + l, next);
    }
  }

  /// At a row's end: the lanes [l, l + width) relative to the largest reference of all.
  HENCE_FN void settle(int l, V top) const {
    const V s = load_as<V>(sum + l), e = load_as<V>(moment + l);
    const V d = load_as<V>(reference + l) - top, factor = power_below(d);
    store_as(moment + l, fma(d, s, e) * factor);
    store_as(sum + l, s * factor);
  }

 private:
  template <class Term> HENCE_FN void add_terms(const leaf& x, int j, int count, Term term) const {
    const auto first = term(x[0][j]);
    V s = first.w, e = first.w * first.z;
    for (int u = 1; u < count; ++u) {
      const auto t = term(x[u][j]);
      s = s + t.w;
      e = fma(t.w, t.z, e);
    }
    const int l = j * width;
    store_as(sum + l, load_as<V>(sum + l) + s);
    store_as(moment + l, load_as<V>(moment + l) + e);
  }
};

/// The lanes of one row. \tparam V `num<float>` or `pack<float>`.
template <class V> struct softmax_lanes {
  using at = softmax_unit<V>;
  static constexpr int width = at::width, packs = at::packs;
  static constexpr int unit = at::lanes;  ///< lanes that one step handles
  using leaf = typename at::leaf;

  alignas(64) float sum[softmax_lane_count];
  alignas(64) float moment[softmax_lane_count];
  alignas(64) float reference[softmax_lane_count];
  int active;  ///< lanes that columns fall on, a multiple of `unit`

  /// \param columns of the row. \param first the reference that every group starts from.
  HENCE_FN void start(std::int64_t columns, float first) {
    const std::int64_t blocks = (columns + 1023) / 1024;
    active = columns <= 256 ? static_cast<int>((columns + unit - 1) / unit) * unit
                            : static_cast<int>(blocks < 4 ? blocks : 4) * 256;
    const int size = tree_size();
    for (int l = 0; l < size; l += width) {
      put(sum + l, V(0.0f));
      put(moment + l, V(0.0f));
      put(reference + l, V(first));
    }
  }

  /// Adds one leaf of the lanes [lane, lane + unit): its first `count` of four columns.
  HENCE_FN void add(int lane, const leaf& x, int count, V scale) {
    const at here{sum + lane, moment + lane, reference + lane};
    here.add(x, count, scale, [&](const at&, const typename at::maxima& largest, V by) {
      move(*this, lane, largest, by);
    });
  }

  /// The sums of all lanes relative to the largest reference, which is returned.
  HENCE_FN float finish(double& total, double& total_moment) {
    V largest = load_as<V>(reference);
    for (int l = width; l < active; l += width)
      largest = greater(largest, load_as<V>(reference + l));
    float lanes[static_cast<unsigned>(width)];
    put(lanes, largest);
    float top = lanes[0];
    for (int i = 1; i < width; ++i) top = lanes[i] > top ? lanes[i] : top;
    for (int l = 0; l < active; l += width) at{sum, moment, reference}.settle(l, V(top));
    total = tree(sum);
    total_moment = tree(moment);
    return top;
  }

 private:
  static HENCE_FN void put(float* p, V x) { store_as(p, x); }

  /// Lanes that the tree starts from: the power of two that holds all active ones, 32 at least.
  HENCE_FN int tree_size() const {
    int size = 32;
    while (size < active) size *= 2;
    return size;
  }

  HENCE_FN double tree(float* a) const {
    for (int h = tree_size() / 2; h >= 32; h /= 2)
      for (int l = 0; l < h; l += width) put(a + l, load_as<V>(a + l) + load_as<V>(a + l + h));
    double b[32];
    for (int l = 0; l < 32; ++l) b[l] = static_cast<double>(a[l]);
    for (int h = 16; h >= 1; h /= 2)
      for (int l = 0; l < h; ++l) b[l] = b[l] + b[l + h];
    return b[0];
  }

  /// Out of line, since it is rare.
  [[gnu::noinline]] static void move(softmax_lanes& all, int lane,
                                     const typename at::maxima& leaf_maximum, const V& scale) {
    typename at::maxima largest;
    for (int j = 0; j < packs; ++j) largest[j] = leaf_maximum[j];
    at{all.sum + lane, all.moment + lane, all.reference + lane}.move(largest, scale);
  }
};

}  // namespace hence::inline v0::detail
