/// \file
/// One row of logits, or one shard of it, from its label to its numbers and its gradient.
#pragma once

#include <hence/logits/softmax_engine.hpp>
#include <hence/logits/token_arrays.hpp>

namespace hence::inline v0::detail {

/// What a label asks of its row.
struct label_place {
  std::int64_t column;  ///< negative: none
  bool is_ignored;
  bool is_bad;
};
HENCE_FN label_place place_of(std::int64_t label, std::int64_t columns, bool ignores_negative) {
  const bool inside = label >= 0 && label < columns;
  return {inside ? label : -1, ignores_negative && label < 0, !inside};
}
/// The same in a shard of the vocabulary that begins at column `first`: another shard's label is
/// not bad.
HENCE_FN label_place place_in_shard(std::int64_t label, std::int64_t first, std::int64_t columns,
                                    bool ignores_negative) {
  const bool here = label >= first && label < first + columns;
  return {here ? label - first : -1, ignores_negative && label < 0, false};
}

/// A label that outweighs the rest by more than 2^500 becomes the reference.
HENCE_FN softmax_state with_bounded_label(softmax_state s, double scale) {
  if (!(s.label > -__builtin_inf())) return s;
  const num<double> y = num<double>(s.label) * num<double>(scale);
  if ((y - num<double>(s.reference)).v > 500.0 || s.others == 0) {
    s.reference = ((y + 0x1.8p+52) - 0x1.8p+52).v;
    s.others = s.moment = 0;
  }
  return s;
}

template <class Executor> struct token_row {
  using engine = typename engine_of<Executor>::type;
  using S = typename Executor::scalar;
  using N = num<double, typename engine_of<Executor>::isa>;

  template <class T> static HENCE_FN T* row_of(const view<T, 2>& v, std::int64_t i) {
    return v.data == nullptr ? nullptr : v.data + i * v.stride[0];
  }
  static HENCE_FN void write(const view<S>& v, std::int64_t i, double x) {
    if (v.present()) v[i] = static_cast<S>(x);
  }

  /// \param x the row's logits. \param i where its results go.
  template <class T>
  static status forward(const softmax_rule& rule, const T* x, std::int64_t columns,
                        std::int64_t label_id, const std::uint8_t* keep,
                        const token_results<S>& out, std::int64_t i,
                        softmax_state* kept_state = nullptr) {
    const auto n = numbers_of<S>(rule);
    const label_place label = place_of(label_id, columns, n.ignores_negative);
    softmax_state s{};
    status found = status::ok;
    if (label.is_ignored) {
      write_zeros(out, i);
    } else {
      s = with_bounded_label(engine::sum(n, x, columns, label.column, keep),
                             static_cast<double>(n.scale));
      found = write_values(n, s, columns, label.is_bad, out, i);
    }
    if (out.states.present()) out.states[i] = s;
    if (kept_state != nullptr) *kept_state = s;
    return found;
  }

  static HENCE_FN void write_zeros(const token_results<S>& out, std::int64_t i) {
    const view<S> written[] = {out.logp, out.entropy, out.anchor, out.log_sum, out.expected_logit};
    for (const auto& v : written) write(v, i, 0);
  }

  static HENCE_FN status write_values(const softmax_numbers<S>& n, const softmax_state& s,
                                      std::int64_t columns, bool is_bad_label,
                                      const token_results<S>& out, std::int64_t i) {
    const softmax_values<N> v = finished<N>(s, static_cast<double>(n.scale), n.lost);
    const bool is_number = s.others == s.others;
    write(out.logp, i, v.logp.v);
    write(out.entropy, i, bounded_entropy(v.entropy, columns));
    const N base = fma(N(s.shift), N(n.inverse), N(s.reference) * N(ln2));
    const auto anchor = static_cast<S>(base.v);
    write(out.anchor, i, is_number ? static_cast<double>(anchor) : s.others);
    write(out.log_sum, i, ((base - N(static_cast<double>(anchor))) + v.log_sum).v);
    write(out.expected_logit, i, (v.expected + base).v);
    const bool is_impossible = is_bad_label || s.label == -__builtin_inf();
    return (is_number ? status::ok : status::non_finite) |
           (is_impossible ? status::label : status::ok);
  }

  /// \param g, h the cotangents of log-prob and entropy. \param out the row's gradient; may be x.
  template <class T, class Out>
  static status backward(const softmax_rule& rule, const T* x, std::int64_t columns,
                         std::int64_t label_id, const std::uint8_t* keep, const softmax_state& s,
                         double g, double h, Out* out) {
    const auto n = numbers_of<S>(rule);
    const label_place label = place_of(label_id, columns, n.ignores_negative);
    return backward_at(n, x, columns, label, keep, s, g, h, out);
  }
  /// The sums and the gradient of a shard of the vocabulary that begins at column `first`.
  template <class T>
  static softmax_state shard_sums(const softmax_numbers<S>& n, const T* x, std::int64_t columns,
                                  std::int64_t label_id, std::int64_t first,
                                  const std::uint8_t* keep) {
    const label_place label = place_in_shard(label_id, first, columns, n.ignores_negative);
    return label.is_ignored ? softmax_state{} : engine::sum(n, x, columns, label.column, keep);
  }
  /// \param s of the whole row.
  template <class T, class Out>
  static status shard_backward(const softmax_numbers<S>& n, const T* x, std::int64_t columns,
                               std::int64_t label_id, std::int64_t first, const std::uint8_t* keep,
                               const softmax_state& s, double g, double h, Out* out) {
    return backward_at(n, x, columns, place_in_shard(label_id, first, columns, n.ignores_negative),
                       keep, s, g, h, out);
  }
  /// What a row's gradient is made of: `fill` everywhere or the factors.
  struct row_plan {
    gradient_factors factors;
    float fill;
    bool is_filled;
    status found;
  };
  static HENCE_FN row_plan plan_of(const softmax_numbers<S>& n, const label_place& label,
                                   const softmax_state& s, double g, double h) {
    const bool is_number = s.others == s.others;
    const bool is_bad = label.is_bad || !(s.label > -__builtin_inf());
    if (label.is_ignored) return {{}, 0.0f, true, status::ok};
    if (is_bad || !is_number)
      return {{}, __builtin_nanf(""), true, is_number ? status::label : status::non_finite};
    return {factors_of(finished<N>(s, static_cast<double>(n.scale), n.lost), g, h, n.inverse), 0.0f,
            false, status::ok};
  }
  static HENCE_FN double cotangent(const view<const S>& v, std::int64_t i) {
    return v.present() ? static_cast<double>(v[i]) : 0.0;
  }

 private:
  template <class T, class Out>
  static status backward_at(const softmax_numbers<S>& n, const T* x, std::int64_t columns,
                            const label_place& label, const std::uint8_t* keep,
                            const softmax_state& s, double g, double h, Out* out) {
    const row_plan plan = plan_of(n, label, s, g, h);
    if (plan.is_filled) {
      const Out fill = static_cast<Out>(plan.fill);
      for (std::int64_t c = 0; c < columns; ++c) out[c] = fill;
      return plan.found;
    }
    engine::gradient(n, x, columns, label.column, keep, s, plan.factors, out);
    return status::ok;
  }
  static HENCE_FN double bounded_entropy(N entropy, std::int64_t columns) {
    if constexpr (std::same_as<S, float>) {
      const auto most = static_cast<double>(largest_entropy<N>(columns));
      return entropy.v > most ? most : entropy.v;
    } else {
      return entropy.v;
    }
  }
};

/// Calls f(0) ... f(parts - 1), on the executor's pool if it has one, and joins what they return.
template <class Executor, class F>
status for_parts_of(const Executor& executor, std::int64_t parts, F&& f) {
  if constexpr (Executor::is_parallel) {
    std::uint32_t found = 0;
    executor.pool->parallel_for(parts, [&](std::int64_t part) {
      const status s = f(part);
      if (s != status::ok)
        __atomic_fetch_or(&found, static_cast<std::uint32_t>(s), __ATOMIC_RELAXED);
    });
    return static_cast<status>(found);
  } else {
    status s = status::ok;
    for (std::int64_t part = 0; part < parts; ++part) s |= f(part);
    return s;
  }
}
/// Where part i of n begins.
HENCE_FN constexpr std::int64_t begin_of_part(std::int64_t n, std::int64_t i, std::int64_t parts) {
  return n / parts * i + n % parts * i / parts;
}

/// Calls f for each row; a pool gets chunks whose size is decided by the shape alone.
template <class Executor, class T, class F>
status for_token_rows(const Executor& executor, const view<T, 2>& logits, F&& f) {
  const std::int64_t rows = logits.extent[0];
  const std::int64_t per_chunk = Executor::is_parallel ? 1 + 65535 / logits.extent[1] : rows;
  const std::int64_t chunks = rows == 0 ? 0 : (rows + per_chunk - 1) / per_chunk;
  return for_parts_of(executor, chunks, [&](std::int64_t chunk) {
    status s = status::ok;
    const std::int64_t end = (chunk + 1) * per_chunk < rows ? (chunk + 1) * per_chunk : rows;
    for (std::int64_t i = chunk * per_chunk; i < end; ++i) s |= f(i);
    return s;
  });
}

}  // namespace hence::inline v0::detail
