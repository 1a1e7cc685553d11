/// \file
/// `sample`: draws a token per row after temperature, top-k, top-p, min-p and typical_p.
///
///     for (std::uint64_t i = 0; i < uniforms.size(); ++i)
///       uniforms[i] = hence::uniform_of(seed, {.token = 7, .step = 3, .sequence = i});
///     hence::sample(cpu{}, {.temperature = 0.6, .top_p = 0.95}, logits, uniforms,
///                   {.token = token, .logp = logp, .kept = kept}, memory);
///
/// Filters apply in this order, each to what the one before kept, renormalised: top_k (Fan et al.,
/// arXiv:1805.04833): the k largest; top_p (Holtzman et al., arXiv:1904.09751): in descending order
/// the shortest prefix with probability >= top_p; min_p (arXiv:2407.01082): p >= min_p max p;
/// typical_p (Meister et al., arXiv:2202.00666): in the order of |-log p - H|, H the entropy, the
/// shortest prefix with probability >= typical_p. Ties go to the lowest index. The token is the
/// first kept one, in index order, whose cumulative probability exceeds the uniform.
///
/// Weights are integers (multiples of 2^-56 of the largest, from float64 exponentials), sums are
/// exact: the kept set is that of the exact distribution wherever the boundary is further than
/// 2^-40 away, the token is always in the kept set, and nothing depends on the executor, the
/// batch or the machine. A token of weight 0 (below 2^-57 of the largest) is never drawn.
#pragma once

#include <hence/core/random.hpp>
#include <hence/logits/linear_arrays.hpp>
#include <hence/logits/sample_row.hpp>

namespace hence::inline v0 {

/// What to draw from. Temperature has no default; filters are off unless given.
struct sample_rule {
  double temperature;      ///< 0: greedy, the largest logit with the lowest index
  std::int64_t top_k = 0;  ///< 0: off
  double top_p = 1;        ///< 1: off
  double min_p = 0;        ///< 0: off
  double typical_p = 1;    ///< 1: off
};

/// Where results go, each absent or of the rows' number.
struct sample_results {
  view<std::int64_t> token{};    ///< `[rows]`; -1 in a row without a distribution
  view<float> logp{};            ///< `[rows]`: log of its probability among the kept
  view<float> logp_full{};       ///< `[rows]`: as `token_logprob` at this temperature gives it
  view<std::uint8_t, 2> kept{};  ///< `[rows, vocabulary]`: the kept set, for the trainer
};

namespace detail {

/// Candidates of one row, cache lines of its own.
HENCE_FN constexpr std::int64_t candidates_of_row(std::int64_t vocabulary) {
  return (vocabulary + 4) / 4 * 4;
}

}  // namespace detail

/// Bytes of memory that `sample` needs. \param parts rows at a time, where the executor has a pool.
HENCE_FN constexpr std::int64_t sample_bytes(std::int64_t vocabulary, std::int64_t parts = 1) {
  return 64 + static_cast<std::int64_t>(sizeof(detail::candidate)) * parts *
                  detail::candidates_of_row(vocabulary);
}

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
    float top = -__builtin_inff();
    std::int64_t best = -1;
    bool is_number = u >= 0 && u < 1;
    for (std::int64_t i = 0; i < columns; ++i) {
      const auto v = static_cast<float>(x[i]);
      is_number &= v < __builtin_inff();
      if (v > top) top = v, best = i;
    }
    if (!is_number || best < 0) {
      write(out, row, -1, __builtin_nan(""), __builtin_nan(""));
      for (std::int64_t i = 0; kept != nullptr && i < columns; ++i) kept[i] = 0;
      return status::non_finite;
    }
    if (rule.temperature == 0) {
      write(out, row, best, 0, 0);
      for (std::int64_t i = 0; kept != nullptr && i < columns; ++i) kept[i] = i == best;
      return status::ok;
    }
    const double scale = (N(log2e) / N(rule.temperature)).v;
    const std::int64_t n = keep(x, top, scale);
    wide_integer total = 0;
    for (std::int64_t j = 0; j < n; ++j) total += memory[j].weight;
    const candidate token = first_beyond(n, share_below(u, total));
    const N z =
        (N(static_cast<double>(static_cast<float>(x[token.index]))) - N(static_cast<double>(top))) *
        N(scale);
    const N mass = N(static_cast<double>(total)) * N(0x1p-56);
    write(out, row, token.index, fma(z, N(ln2), -wide_log(mass)).v,
          out.logp_full.present() ? full(x, token.index) : 0);
    for (std::int64_t i = 0; kept != nullptr && i < columns; ++i) kept[i] = 0;
    for (std::int64_t j = 0; kept != nullptr && j < n; ++j) kept[memory[j].index] = 1;
    return status::ok;
  }

 private:
  static void write(const sample_results& out, std::int64_t row, std::int64_t token, double logp,
                    double logp_full) {
    if (out.token.present()) out.token[row] = token;
    if (out.logp.present()) out.logp[row] = static_cast<float>(logp < 0 || logp != logp ? logp : 0);
    if (out.logp_full.present()) out.logp_full[row] = static_cast<float>(logp_full);
  }

  /// Puts the kept candidates, weighed, to the front of the memory.
  std::int64_t keep(const T* x, float top, double scale) const {
    candidate* const c = memory;
    std::int64_t n = 0;
    if (rule.top_k > 0 && rule.top_k < columns / 2) {
      n = gather_largest<V>(x, columns, rule.top_k, c);
    } else {
      for (std::int64_t i = 0; i < columns; ++i) {
        const auto v = static_cast<float>(x[i]);
        if (v > -__builtin_inff()) c[n++] = {key_of(v), static_cast<std::int32_t>(i), 0};
      }
      if (rule.top_k > 0 && n > rule.top_k)
        n = select_prefix<Isa>(c, n, rule.top_k, ~wide_integer{0});
    }
    wide_integer total = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      c[j].weight = sample_weight<Isa>(static_cast<float>(x[c[j].index]), top, scale);
      total += c[j].weight;
    }
    if (rule.top_p < 1) n = select_prefix<Isa>(c, n, n, at_least_one(share_of(rule.top_p, total)));
    if (rule.min_p > 0) {  // the largest weighs 2^56
      const auto least = static_cast<std::uint64_t>(rule.min_p * 0x1p+56);
      std::int64_t m = 0;
      for (std::int64_t j = 0; j < n; ++j)
        if (c[j].weight >= least) c[m++] = c[j];
      n = m;
    }
    if (rule.typical_p < 1) {
      total = 0;
      for (std::int64_t j = 0; j < n; ++j) total += c[j].weight;
      by_typicality<Isa, T> order{x, top, scale};
      order.expect(c, n, total);
      n = select_prefix<Isa>(c, n, n, at_least_one(share_of(rule.typical_p, total)), order);
    }
    return n;
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

  static HENCE_FN wide_integer at_least_one(wide_integer x) { return x > 0 ? x : 1; }
  /// floor(u total), u < 1 to 2^-48: below the total.
  static HENCE_FN wide_integer share_below(double u, wide_integer total) {
    return (static_cast<wide_integer>(static_cast<std::uint64_t>(u * 0x1p+48)) * total) >> 48;
  }
  double full(const T* x, std::int64_t token) const {
    float logp;
    token_row<cpu<serial, Isa>>::forward(
        {.temperature = rule.temperature, .negative = negative_labels::out_of_range}, x, columns,
        token, nullptr, {.logp = view<float>(&logp, 1)}, 0);
    return static_cast<double>(logp);
  }
};

template <class Isa = native_isa> void check_sample_rule(const sample_rule& r) {
  if (!(r.temperature == 0 || (r.temperature >= 1e-20 && r.temperature <= 1e20)))
    refuse(message() << "hence: sample_rule.temperature is " << r.temperature
                     << ", expected 0 (greedy) or a number above 0");
  if (r.top_k < 0)
    refuse(message() << "hence: sample_rule.top_k is " << r.top_k << ", expected 0 (off) or more");
  if (!(r.top_p > 0 && r.top_p <= 1))
    refuse(message() << "hence: sample_rule.top_p is " << r.top_p
                     << ", expected a number above 0, at most 1 (off)");
  if (!(r.min_p >= 0 && r.min_p <= 1))
    refuse(message() << "hence: sample_rule.min_p is " << r.min_p << ", expected 0 (off) to 1");
  if (!(r.typical_p > 0 && r.typical_p <= 1))
    refuse(message() << "hence: sample_rule.typical_p is " << r.typical_p
                     << ", expected a number above 0, at most 1 (off)");
}

}  // namespace detail

/// Draws a token per row.
/// \param rule temperature and filters.
/// \param logits `[rows, vocabulary]` of float, bf16 or f16; -infinity is never drawn. NaN,
/// +infinity or no finite logit: token -1, NaN and `status::non_finite`.
/// \param uniforms `[rows]` in [0, 1); see `uniform_of` for numbers that depend on the place alone.
/// Another number: as a NaN in the row.
/// \param out what to write; each member may be absent.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`.
/// \param memory at least `sample_bytes(vocabulary)` bytes, whatever the number of rows. A pool
/// works on as many rows at a time as there is memory for: `sample_bytes(vocabulary, parts)`.
template <class Executor, class T>
status sample(const Executor& executor, const sample_rule& rule,
              view<T, 2> logits,           // [rows, vocabulary]
              view<const float> uniforms,  // [rows]
              const sample_results& out, view<std::byte> memory) {
  if constexpr (detail::check_logits<Executor, T>()) {
    const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
    detail::check_sample_rule(rule);
    if (rows < 0 || columns < 1 || columns > 0xffffff)
      detail::refuse(detail::message() << "hence: logits has shape [" << rows << ", " << columns
                                       << "], expected [rows, vocabulary], a vocabulary of 1 to "
                                          "2^24 - 1");
    const view<const T, 2> read = logits;
    detail::check_matrix("logits", read, rows, columns);
    detail::check_rows("uniforms", uniforms, rows);
    if (!uniforms.present() && rows > 0)
      detail::refuse(detail::message() << "hence: uniforms is null, expected " << rows << " rows");
    detail::check_rows("out.token", out.token, rows);
    detail::check_rows("out.logp", out.logp, rows);
    detail::check_rows("out.logp_full", out.logp_full, rows);
    if (out.kept.present()) detail::check_matrix("out.kept", out.kept, rows, columns);
    const auto space = detail::aligned_floats<detail::candidate>(memory);
    const std::int64_t candidates = detail::candidates_of_row(columns);
    if (space.extent[0] < candidates)
      detail::refuse(detail::message()
                     << "hence: memory has " << memory.extent[0] << " bytes, expected "
                     << sample_bytes(columns) << " (sample_bytes)");
    const std::int64_t room = Executor::is_parallel ? space.extent[0] / candidates : 1;
    const std::int64_t parts = room < rows ? room : rows;
    return detail::for_parts_of(executor, parts, [&](std::int64_t part) {
      const detail::sampler<Executor, std::remove_const_t<T>> draws{
          rule, space.data + part * candidates, columns};
      status found = status::ok;
      const std::int64_t end = detail::begin_of_part(rows, part + 1, parts);
      for (std::int64_t i = detail::begin_of_part(rows, part, parts); i < end; ++i)
        found |=
            draws.draw(logits.data + i * logits.stride[0], static_cast<double>(uniforms[i]), i, out,
                       out.kept.present() ? out.kept.data + i * out.kept.stride[0] : nullptr);
      return found;
    });
  } else {
    return status::ok;
  }
}

/// The uniform of a place: the first word of Philox there. A draw depends on nothing else, so any
/// split over rows, threads or machines gives the same tokens.
HENCE_FN constexpr float uniform_of(std::uint64_t seed, draw place) {
  return uniform(philox(seed, place).word[0]);
}

}  // namespace hence::inline v0
