/// \file
/// The one order of a gate: value descending, index ascending, -0 = +0; -inf is never ranked.
///
/// A `ranking` holds the best so far and is offered index after index, each lane for its own row.
/// Because indices come in ascending order, an offer goes behind its equals, and the result is that
/// of a stable sort, whatever the number of lanes.
#pragma once

#include <hence/moe/score.hpp>

#include <utility>  // index_sequence

namespace hence::inline v0::detail {

/// The best K (value, index) pairs, in registers. Indices are whole numbers in V, -1 where empty.
template <class V, int K> class ranking {
 public:
  HENCE_FN ranking() { clear(std::make_integer_sequence<int, K>()); }
  HENCE_FN void offer(V x, V index) { offer(x, index, std::make_integer_sequence<int, K>()); }
  HENCE_FN V value(std::int64_t j) const { return value_[j]; }
  HENCE_FN V index(std::int64_t j) const { return index_[j]; }

 private:
  template <int... J> HENCE_FN void clear(std::integer_sequence<int, J...>) {
    using T = typename V::scalar;
    ((value_[J] = V(-static_cast<T>(__builtin_inff())), index_[J] = V(T(-1))), ...);
  }
  /// From the last place up, so that each place still sees its upper neighbour.
  template <int... J> HENCE_FN void offer(V x, V index, std::integer_sequence<int, J...>) {
    (place<K - 1 - J>(x, index), ...);
  }
  template <int J> HENCE_FN void place(V x, V index) {
    const auto here = x > value_[J];
    if constexpr (J == 0) {
      index_[0] = select(here, index, index_[0]);
      value_[0] = greater(value_[0], x);
    } else {
      const V mine = select(here, index, index_[J]);
      index_[J] = select(x > value_[J - 1], index_[J - 1], mine);
      value_[J] = greater(value_[J], lesser(x, value_[J - 1]));
    }
  }

  V value_[static_cast<unsigned>(K)], index_[static_cast<unsigned>(K)];
};

/// The same with any number of places, in the caller's memory: 2 n lanes of scalars.
template <class V> class ranking<V, 0> {
 public:
  using T = typename V::scalar;
  HENCE_FN ranking(T* memory, std::int64_t n) : value_(memory), index_(memory + n * lanes), n_(n) {
    for (std::int64_t i = 0; i < n * lanes; ++i)
      value_[i] = -static_cast<T>(__builtin_inff()), index_[i] = T(-1);
  }
  HENCE_FN void offer(V x, V index) {
    // below the last place in every lane: nothing moves
    V below = value(n_ - 1);
    if (!any_lane(x > below)) return;
    for (std::int64_t j = n_ - 1; j > 0; --j) {
      const V above = value(j - 1), mine = select(x > below, index, this->index(j));
      const auto moves = x > above;
      store_as(index_ + j * lanes, select(moves, this->index(j - 1), mine));
      store_as(value_ + j * lanes, greater(below, lesser(x, above)));
      below = above;
      if (!any_lane(moves)) return;
    }
    store_as(index_, select(x > below, index, this->index(0)));
    store_as(value_, greater(below, x));
  }
  HENCE_FN V value(std::int64_t j) const { return load_as<V>(value_ + j * lanes); }
  HENCE_FN V index(std::int64_t j) const { return load_as<V>(index_ + j * lanes); }

 private:
  static constexpr int lanes = lane_count<V>;
  template <class M> static HENCE_FN bool any_lane(M m) {
    if constexpr (lanes == 1)
      return m;
    else
      return any(m);
  }
  T *value_, *index_;
  std::int64_t n_;
};

}  // namespace hence::inline v0::detail
