/// \file
/// `cross_entropy`: supervised fine-tuning from logits, with label smoothing, and its gradient.
///
///     status s = cross_entropy(
///         cpu{}, {.temperature = 1.0, .smoothing = 0.1, .over = smoothing_over::support}, logits,
///         labels, {.cotangent = per_token_weight}, {.per_token = values, .gradient = gradient});
///
/// Labels of packed sequences and their weights are packed_labels.hpp's.
/// per_token = -(1 - e) log p(label) - (e / K) sum log p(i) over K tokens: Szegedy et al.,
/// arXiv:1512.00567 sec. 7, as PyTorch and Hugging Face write it. Without smoothing it is -logp of
/// `token_logprob`, which costs less, and `linear_logprob` needs no logits at all.
///
/// A token that is dead or whose label is negative is not read: 0 and gradient 0. A label out of
/// range or impossible: NaN and `status::label`. A row with a NaN, +infinity or no finite logit:
/// NaN and `status::non_finite`. Bits: a function of the row, the same for `cpu` with any pool and
/// for `reference<float>`. Error about 1e-6 of the largest term.
#pragma once

#include <hence/logits/distill_rows.hpp>

namespace hence::inline v0 {

/// The K tokens that share the smoothing. Without a token of logit -infinity they are the same.
enum class smoothing_over : std::uint8_t {
  vocabulary,  ///< all: a row with a token of probability 0 is `status::non_finite`; PyTorch
  support,     ///< those whose logit is above -infinity
};

/// No member has a default.
struct cross_entropy_rule {
  double temperature;   ///< above 0
  double smoothing;     ///< e, from 0 to below 1
  smoothing_over over;  ///< what K counts
};

namespace detail {

template <class Executor> struct smoothed_rows : distiller<Executor> {
  using base = distiller<Executor>;
  using S = typename base::S;
  using N = typename base::N;
  using W = typename base::W;

  template <class T>
  status row(const cross_entropy_rule& how, const T* x, std::int64_t columns, std::int64_t label,
             std::int64_t t) const {
    const auto fail = [&](status found) {
      return this->clear(t, columns, static_cast<S>(__builtin_nan("")), found);
    };
    if (label >= columns) return fail(status::label);
    const auto s = this->softmax_of(x, columns);
    std::int64_t support = 0;
    for (std::int64_t i = 0; i < columns; ++i) support += S(x[i]) > -__builtin_inf();
    const bool everywhere = how.smoothing == 0 || how.over == smoothing_over::support;
    if (!s.is_number || (!everywhere && support < columns)) return fail(status::non_finite);
    if (!(S(x[label]) > -__builtin_inf())) return fail(status::label);
    const auto share = static_cast<S>((W(how.smoothing) / W(static_cast<double>(support))).v);
    const auto kept = static_cast<S>((W(1.0) - W(how.smoothing)).v);
    const auto term = [](const auto& log_s, const auto& q) { return -(log_s * q); };
    column_sum<typename base::Isa> value, slopes;
    const N at_label = load_as<N>(x + label);
    const auto chosen = term(dual<N, zero, one>{s.log_p(at_label), {}, {}}, N(kept));
    const auto spread = [&]<class U>(U, std::int64_t i) __attribute__((always_inline)) {
      const U log_s = s.log_p(load_as<U>(x + i));
      const U q = select(log_s > U(S(-1e30)), U(share), U(S(0)));
      return term(dual<U, zero, one>{log_s, {}, {}}, q);
    };
    this->for_columns(columns, [&]<class U>(U like, std::int64_t i) __attribute__((always_inline)) {
      const auto f = spread(like, i);
      value.add_lanes(i, U(f.value));
      slopes.add_lanes(i, U(f.own));
    });
    const W loss = W(value.value()) + W(static_cast<double>(chosen.value.v));
    if (this->out.per_token.present()) this->out.per_token[t] = static_cast<S>(loss.v);
    if (!this->out.gradient.present()) return status::ok;
    S* const gradient = this->out.gradient.data + t * this->out.gradient.stride[0];
    const auto total =
        static_cast<S>((W(slopes.value()) + W(static_cast<double>(N(chosen.own).v))).v);
    const S weight = this->weight_of(t);
    this->for_columns(columns, [&]<class U>(U like, std::int64_t i) __attribute__((always_inline)) {
      const U phi = spread(like, i).own, p = exp(s.log_p(load_as<U>(x + i)));
      store_as(gradient + i, fma(fma(p, -U(total), phi), U(weight), U(S(0))));
    });
    const N p = exp(s.log_p(at_label)), phi = N(chosen.own) - N(share);
    gradient[label] = fma(fma(p, N(-total), phi), N(weight), N(S(0))).v;
    return status::ok;
  }
};

}  // namespace detail

/// \param executor `cpu{}`, `cpu{pool}`, `reference<S>{}`.
/// \param rule temperature and smoothing.
/// \param logits `[tokens, vocabulary]` of float, bf16 or f16 (double for `reference<double>`),
/// rows of any stride.
/// \param labels `[tokens]`, int32 or int64; negative: ignored.
/// \param in mask and cotangents, each `[tokens]` or absent: all live, weight 1.
/// \param out `per_token` `[tokens]`, `gradient` `[tokens, vocabulary]`, each may be absent; the
/// gradient may be the logits.
template <class Executor, class T>
status cross_entropy(const Executor& executor, const cross_entropy_rule& rule,
                     view<T, 2> logits,                                    // [tokens, vocabulary]
                     const token_labels& labels,                           // [tokens]
                     const distill_inputs<typename Executor::scalar>& in,  // [tokens] each
                     const distill_results<typename Executor::scalar>& out) {
  if constexpr (detail::check_logits<Executor, T>()) {
    if (!(rule.smoothing >= 0 && rule.smoothing < 1))
      detail::refuse(detail::message() << "hence: cross_entropy_rule.smoothing is "
                                       << rule.smoothing << ", expected a share from 0 to below 1");
    const distill_rule temperature{.temperature = rule.temperature};
    detail::check_distill(temperature, logits, in, out);
    detail::check_rows("labels", labels.present(), labels.size(), 1, logits.extent[0], false);
    detail::check_distill_apart(out, {detail::place_of_labels(labels)});
    const detail::smoothed_rows<Executor> rows{{temperature, in, out}};
    return detail::for_token_rows(executor, logits, [&](std::int64_t t) {
      if (labels[t] < 0 || rows.is_dead(t)) return rows.clear(t, logits.extent[1]);
      return rows.row(rule, logits.data + t * logits.stride[0], logits.extent[1], labels[t], t);
    });
  } else {
    return status::ok;
  }
}

}  // namespace hence::inline v0
