/// \file
/// One token of a distillation loss on a CPU: two softmaxes, the divergence's terms, the gradient.
#pragma once

#include <hence/logits/distill_terms.hpp>
#include <hence/logits/divergence.hpp>
#include <hence/logits/token_rows.hpp>

namespace hence::inline v0 {

namespace detail {

/// Sixteen float64 sums by column, so that the order does not depend on the register width.
template <class Isa> struct column_sum {
  double lane[16] = {};
  HENCE_FN void add(std::int64_t column, double x) { lane[column & 15] = lane[column & 15] + x; }
  /// The columns from `column` on, as many as U has lanes.
  template <class U> HENCE_FN void add_lanes(std::int64_t column, const U& x) {
    typename U::scalar values[static_cast<unsigned>(lane_count<U>)];
    store_as(values, x);
    for (int j = 0; j < lane_count<U>; ++j) add(column + j, static_cast<double>(values[j]));
  }
  HENCE_FN double value() const {
    double a[16];
    for (int i = 0; i < 16; ++i) a[i] = lane[i];
    for (int h = 8; h >= 1; h /= 2)
      for (int i = 0; i < h; ++i) a[i] = a[i] + a[i + h];
    return a[0];
  }
};

template <class Executor> struct number_of {
  using type = num<typename Executor::scalar, typename engine_of<Executor>::isa>;
};
template <class Pool, class Isa> struct number_of<cpu<Pool, Isa>> {
  using type = pack<float, Isa>;
};

template <class Executor> struct distiller {
  using S = typename Executor::scalar;
  using engine = typename engine_of<Executor>::type;
  using Isa = typename engine_of<Executor>::isa;
  using W = num<double, Isa>;
  using V = typename number_of<Executor>::type;
  using N = num<S, Isa>;

  const distill_rule& rule;
  const distill_inputs<S>& in;
  const distill_results<S>& out;

  HENCE_FN bool is_dead(std::int64_t t) const { return in.mask.present() && in.mask[t] == 0; }
  status clear(std::int64_t t, std::int64_t columns, S fill = S(0),
               status found = status::ok) const {
    if (out.per_token.present()) out.per_token[t] = fill;
    for (std::int64_t i = 0; out.gradient.present() && i < columns; ++i) out.gradient(t, i) = fill;
    return found;
  }

  using distribution = row_distribution<S>;
  template <class T> distribution softmax_of(const T* x, std::int64_t columns) const {
    const auto n = numbers_of_distill<S>(rule);
    return distribution_of<W>(n, engine::sum(n, x, columns, -1, nullptr));
  }

  template <class Divergence, class T, class Q>
  status full(const Divergence& how, const T* student, const Q* teacher, std::int64_t columns,
              std::int64_t t) const {
    const distribution s = softmax_of(student, columns), q = softmax_of(teacher, columns);
    bool is_sound = s.is_number && q.is_number;
    for (std::int64_t i = 0; Divergence::needs_equal_support && is_sound && i < columns; ++i)
      is_sound = (S(student[i]) > -__builtin_inf()) == (S(teacher[i]) > -__builtin_inf());
    if (!is_sound) return clear(t, columns, static_cast<S>(__builtin_nan("")), status::non_finite);
    const std::int64_t stride = out.gradient.stride[0];
    S* const gradient = out.gradient.present() ? out.gradient.data + t * stride : nullptr;
    column_sum<Isa> value, slopes;
    // in place of the logits the slopes can not be kept, since S is needed once more
    const bool in_place = static_cast<const void*>(gradient) == static_cast<const void*>(student);
    const auto term = [&]<class U>(U, std::int64_t i) __attribute__((always_inline)) {
      return divergence_at(how, s, q, load_as<U>(student + i), load_as<U>(teacher + i));
    };
    const auto sum = [&]<class U>(U like, std::int64_t i) __attribute__((always_inline)) {
      const auto f = term(like, i);
      value.add_lanes(i, U(f.value));
      slopes.add_lanes(i, U(f.own));
      if (gradient != nullptr && !in_place) store_as(gradient + i, f.own);
    };
    for_columns(columns, sum);
    if (out.per_token.present()) out.per_token[t] = static_cast<S>(value.value());
    if (gradient == nullptr) return status::ok;
    const auto total = static_cast<S>(slopes.value());
    const S weight = weight_of(t);
    for_columns(columns, [&]<class U>(U like, std::int64_t i) __attribute__((always_inline)) {
      const U phi = in_place ? U(term(like, i).own) : load_as<U>(gradient + i);
      store_as(gradient + i, gradient_of_logit(s, load_as<U>(student + i), phi, total, weight));
    });
    return status::ok;
  }

  template <class Divergence, class Tail, class T>
  status top_k(const Divergence& how, Tail, const distill_top_k_rule& r, const T* student,
               std::int64_t columns, const std::int64_t* ids, const S* teacher_logp, std::int64_t k,
               std::int64_t t) const {
    const distribution s = softmax_of(student, columns);
    const N least(bounded_log<S>(r.log_prob_min));
    bool in_range = true, is_sound = s.is_number;  // in range, and no id twice
    for (std::int64_t j = 0; j < k; ++j) {
      in_range &= ids[j] >= 0 && ids[j] < columns;
      for (std::int64_t i = 0; i < j; ++i) in_range &= ids[i] != ids[j];
      is_sound &= teacher_logp[j] < __builtin_inf();  // no NaN
      if (Divergence::needs_equal_support && in_range && !(least > N(S(-1e30))))
        is_sound &= (S(student[ids[j]]) > -__builtin_inf()) == (teacher_logp[j] > -__builtin_inf());
    }
    if (!is_sound || !in_range)
      return clear(t, columns, static_cast<S>(__builtin_nan("")),
                   in_range ? status::non_finite : status::label);
    const auto term = [&](N x, std::int64_t j) __attribute__((always_inline)) {
      return shown_term(how, s.log_p(x), N(teacher_logp[j]), least);
    };
    column_sum<Isa> value, slopes;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto f = term(load_as<N>(student + ids[j]), j);
      value.add(j, static_cast<double>(f.value.v));
      slopes.add(j, static_cast<double>(f.own.v));
    }
    S rest_slope(0);  // of a token outside, per its share of the student
    if constexpr (std::same_as<Tail, tail::one_token>) {
      const auto [log_s, log_q, share] = rest_of(s, student, columns, ids, teacher_logp, k);
      const auto f = shown_term(how, N(log_s), N(log_q), least);
      value.add(k, static_cast<double>(f.value.v));
      slopes.add(k, static_cast<double>(f.own.v));
      rest_slope = rest_slope_of<W>(f.own.v, share);
    }
    const auto clamped = clamped_sum<N>(static_cast<S>(value.value()), r);
    if (out.per_token.present()) out.per_token[t] = clamped.value.v;
    if (!out.gradient.present()) return status::ok;
    S* const gradient = out.gradient.data + t * out.gradient.stride[0];
    const S weight = (N(weight_of(t)) * clamped.own).v;
    const S slope = (N(rest_slope) - N(static_cast<S>(slopes.value()))).v;
    for_columns(columns, [&]<class U>(U, std::int64_t i) __attribute__((always_inline)) {
      store_as(gradient + i, gradient_of_rest(s, load_as<U>(student + i), slope, weight));
    });
    for (std::int64_t j = 0; j < k; ++j) {
      const N x = load_as<N>(student + ids[j]);
      gradient[ids[j]] =
          gradient_of_shown(s, x, N(term(x, j).own), rest_slope, weight, N(gradient[ids[j]])).v;
    }
    return status::ok;
  }

  template <class T>
  remainder<S> rest_of(const distribution& s, const T* student, std::int64_t columns,
                       const std::int64_t* ids, const S* teacher_logp, std::int64_t k) const {
    column_sum<Isa> all, shown, taught;
    for_columns(columns, [&]<class U>(U, std::int64_t i) __attribute__((always_inline)) {
      all.add_lanes(i, exp(s.log_p(load_as<U>(student + i))));
    });
    for (std::int64_t j = 0; j < k; ++j) {
      shown.add(j, static_cast<double>(exp(s.log_p(load_as<N>(student + ids[j]))).v));
      taught.add(j, probability_of<W>(teacher_logp[j]));
    }
    return remainder_of<S>(W(all.value()), W(shown.value()), W(taught.value()));
  }

  S weight_of(std::int64_t t) const {
    return weight_of_token<W>(in.cotangent, rule.temperature, t);
  }
  template <class F> static HENCE_FN void for_columns(std::int64_t columns, F&& f) {
    std::int64_t i = 0;
    for (; i + lane_count<V> <= columns; i += lane_count<V>) f(V(S(0)), i);
    for (; i < columns; ++i) f(N(S(0)), i);
  }
};

}  // namespace detail

}  // namespace hence::inline v0
