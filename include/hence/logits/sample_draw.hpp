/// \file
/// What `sample` draws from and writes, and one row of it: the filters in their order, then the
/// draw.
#pragma once

#include <hence/logits/sample_nucleus.hpp>
#include <hence/logits/sample_rule.hpp>
#include <hence/logits/token_rows.hpp>

namespace hence::inline v0 {

namespace detail {

template <class Executor, class T> struct sampler {
  using Isa = typename engine_of<Executor>::isa;
  using N = num<double, Isa>;
  using V = std::conditional_t<std::same_as<Executor, reference<float, Isa>>, num<float, Isa>,
                               pack<float, Isa>>;

  const sample_rule& rule;
  candidate* memory;
  std::int64_t columns;

  /// \param x the row. \param u in [0, 1). \param kept or null.
  status draw(const T* x, double u, std::int64_t row, const sample_results& out,
              std::uint8_t* kept) const {
    if constexpr (lane_count<V> > 1) {
      nucleus<V, T> search(x, columns, memory, rule.temperature, rule.top_p);
      if (rule.temperature > 0 && rule.top_p < 1 && rule.top_k == 0 && u >= 0 && u < 1 &&
          search.keep()) {
        if (rule.min_p > 0 || rule.typical_p < 1)
          return finish(x, search.top, u, row, out, kept, {search.list(), search.total});
        const candidate token = search.first_beyond(share_below(u, search.total));
        clear(kept);
        for (std::int64_t j = 0; kept != nullptr && j < search.n; ++j)
          kept[search.index[j]] = search.weights[j] != 0;
        return write_drawn(x, search.top, row, out, token, search.total);
      }
    }
    const row_top all = largest(x);
    if (!all.is_number || !(all.top > -__builtin_inff()) || !(u >= 0 && u < 1)) {
      write_drawn_row(out, row, -1, __builtin_nan(""), __builtin_nan(""));
      clear(kept);
      return status::non_finite;
    }
    if (rule.temperature == 0) {
      std::int64_t best = 0;
      while (static_cast<float>(x[best]) != all.top) ++best;
      write_drawn_row(out, row, best, 0, 0);
      clear(kept);
      if (kept != nullptr) kept[best] = 1;
      return status::ok;
    }
    if constexpr (lane_count<V> > 1) {
      if (rule.top_k == 0 && rule.top_p == 1 && rule.min_p == 0 && rule.typical_p == 1) {
        auto* const weights = reinterpret_cast<std::uint64_t*>(memory);
        const wide_integer total = weigh_row<V>(weigher<Isa>{all.top, scale()}, x, columns, weights,
                                                [](const auto& v) { return v; });
        const std::int64_t j = place_beyond<Isa>(weights, columns, share_below(u, total));
        for (std::int64_t i = 0; kept != nullptr && i < columns; ++i)
          kept[i] = static_cast<float>(x[i]) > -__builtin_inff();
        return write_drawn(x, all.top, row, out, {0, static_cast<std::int32_t>(j), weights[j]},
                           total);
      }
    }
    return finish(x, all.top, u, row, out, kept, keep(x, all.top));
  }

 private:
  /// Kept candidates at the front of the memory, and the sum of their weights.
  struct choice {
    std::int64_t n;
    wide_integer total;
  };

  double scale() const { return (N(log2e) / N(rule.temperature)).v; }
  void clear(std::uint8_t* kept) const {
    for (std::int64_t i = 0; kept != nullptr && i < columns; ++i) kept[i] = 0;
  }
  /// Applies the filters after top-p, and draws.
  status finish(const T* x, float top, double u, std::int64_t row, const sample_results& out,
                std::uint8_t* kept, const choice& before) const {
    const choice listed = keep_more(x, top, before);
    clear(kept);
    for (std::int64_t j = 0; kept != nullptr && j < listed.n; ++j) kept[memory[j].index] = 1;
    const candidate token = first_beyond(listed.n, share_below(u, listed.total));
    return write_drawn(x, top, row, out, token, listed.total);
  }
  status write_drawn(const T* x, float top, std::int64_t row, const sample_results& out,
                     const candidate& token, wide_integer total) const {
    const auto logit = static_cast<float>(x[token.index]);
    write_drawn_row(out, row, token.index, drawn_logp<N>(logit, top, scale(), total),
                    out.logp_full.present() ? full(x, token.index) : 0);
    return status::ok;
  }

  row_top largest(const T* x) const {
    if constexpr (lane_count<V> > 1) {
      return top_of<V>(x, columns);
    } else {
      row_top all{-__builtin_inff(), true};
      for (std::int64_t i = 0; i < columns; ++i) {
        const auto v = static_cast<float>(x[i]);
        all.is_number &= v < __builtin_inff();
        if (v > all.top) all.top = v;
      }
      return all;
    }
  }
  /// Puts what top-k and top-p leave, weighed, to the front of the memory.
  choice keep(const T* x, float top) const {
    candidate* const c = memory;
    std::int64_t n = candidates(x);
    for (std::int64_t j = 0; j < n; ++j)
      c[j].weight = sample_weight<Isa>(static_cast<float>(x[c[j].index]), top, scale());
    const wide_integer total = weight_of(n);
    if (!(rule.top_p < 1)) return {n, total};
    n = select_prefix<Isa>(c, n, n, at_least_one(share_of(rule.top_p, total)));
    return {n, weight_of(n)};
  }
  /// Of these, what min-p and typicality leave.
  choice keep_more(const T* x, float top, choice kept) const {
    candidate* const c = memory;
    if (rule.min_p > 0) {  // the largest weighs 2^56
      const auto least = static_cast<std::uint64_t>(rule.min_p * 0x1p+56);
      std::int64_t m = 0;
      for (std::int64_t j = 0; j < kept.n; ++j)
        if (c[j].weight >= least) c[m++] = c[j];
      kept = {m, weight_of(m)};
    }
    if (rule.typical_p < 1) {
      by_typicality<Isa, T> order{x, top, scale()};
      order.expect(c, kept.n, kept.total);
      const std::int64_t m = select_prefix<Isa>(
          c, kept.n, kept.n, at_least_one(share_of(rule.typical_p, kept.total)), order);
      kept = {m, weight_of(m)};
    }
    return kept;
  }
  wide_integer weight_of(std::int64_t n) const {
    wide_integer total = 0;
    for (std::int64_t j = 0; j < n; ++j) total += memory[j].weight;
    return total;
  }

  /// Those that top-k leaves, not weighed yet.
  std::int64_t candidates(const T* x) const {
    candidate* const c = memory;
    if (rule.top_k > 0 && rule.top_k < columns / 2) {
      if constexpr (lane_count<V> > 1) {
        float* const values = reinterpret_cast<float*>(c) + 2 * columns;
        auto* const index = reinterpret_cast<std::int32_t*>(values + columns + 16);
        const float bound = bound_of_largest<V>(x, columns, rule.top_k, c);
        if (bound > -__builtin_inff()) {
          const std::int64_t n =
              gather_from<V>(x, columns, bound, values, index, [](const auto&, const auto&) {});
          if (n <= columns / 2) {  // written from the front, they end before the values begin
            for (std::int64_t j = 0; j < n; ++j) c[j] = {key_of(values[j]), index[j], 1};
            return select_prefix<Isa>(c, n, rule.top_k, ~wide_integer{0});
          }
        }
      }
      return gather_largest<V>(x, columns, rule.top_k, c);
    }
    std::int64_t n = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      const auto v = static_cast<float>(x[i]);
      if (v > -__builtin_inff()) c[n++] = {key_of(v), static_cast<std::int32_t>(i), 0};
    }
    return rule.top_k > 0 && n > rule.top_k ? select_prefix<Isa>(c, n, rule.top_k, ~wide_integer{0})
                                            : n;
  }

  /// The candidate at which the sum of weights in index order first exceeds `below`: the selection
  /// of a prefix again, with the index as the order.
  candidate first_beyond(std::int64_t n, wide_integer below) const {
    candidate* const c = memory;
    std::int64_t begin = 0, end = n;
    wide_integer taken = 0;
    while (end - begin > 1) {
      // the indices' middle: candidates lie in index order or scattered over the row
      std::int64_t low = c[begin].index, high = low;
      for (std::int64_t j = begin; j < end; ++j) {
        low = c[j].index < low ? c[j].index : low;
        high = c[j].index > high ? c[j].index : high;
      }
      const std::int64_t middle = low + (high - low) / 2;  // low is in the first part, high is not
      wide_integer ahead = 0;
      std::int64_t i = begin;
      for (std::int64_t j = begin; j < end; ++j)
        if (c[j].index <= middle) {
          const candidate t = c[j];
          c[j] = c[i];
          c[i++] = t;
          ahead += t.weight;
        }
      if (taken + ahead > below)
        end = i;
      else
        taken += ahead, begin = i;
    }
    return c[begin];
  }

  double full(const T* x, std::int64_t token) const {
    float logp;
    token_row<cpu<serial, Isa>>::forward(
        {.temperature = rule.temperature, .negative = negative_labels::out_of_range}, x, columns,
        token, nullptr, {.logp = view<float>(&logp, 1)}, 0);
    return static_cast<double>(logp);
  }
};

}  // namespace detail

}  // namespace hence::inline v0
