/// \file
/// Where the executors get a row's sums from and how they write its gradient: `cpu` with packs,
/// `reference<float>` with scalars of the same bits, `reference<double>` in float64 throughout.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/sum.hpp>
#include <hence/logits/softmax_finish.hpp>
#include <hence/logits/softmax_row.hpp>

namespace hence::inline v0::detail {

/// Where a row's sums come from and how its gradient is written. \tparam V `num` or `pack` of
/// float.
template <class V> struct softmax_engine {
  using scalar = float;
  using numbers = softmax_numbers<float>;

  template <class T>
  static HENCE_FN mapped_row<T> mapped(const numbers& n, const T* x, std::int64_t columns,
                                       const std::uint8_t* keep, double shift) {
    return {x, columns, keep, n.cap, n.inverse_cap, static_cast<float>(shift)};
  }
  template <class T>
  static HENCE_FN softmax_state sum(const numbers& n, const T* x, std::int64_t columns,
                                    std::int64_t label, const std::uint8_t* keep) {
    const auto row = mapped(n, x, columns, keep, 0);
    const bool is_plain = keep == nullptr && !(n.cap > 0);
    const softmax_state s = is_plain ? sum_row<V>(plain_row<T>{x, columns}, label, n.scale)
                                     : sum_row<V>(row, label, n.scale);
    const bool is_label_nan = label >= 0 && !(s.label == s.label);
    if (__builtin_expect(is_label_nan || leaves_fast_range(s, n.scale), 0))
      return sum_row_shifted<V>(row, label, n.scale);
    return s;
  }
  template <class T, class Out>
  static HENCE_FN void gradient(const numbers& n, const T* x, std::int64_t columns,
                                std::int64_t label, const std::uint8_t* keep,
                                const softmax_state& s, const gradient_factors& f, Out* out) {
    const auto reference = static_cast<float>(s.reference), c0 = static_cast<float>(f.c0),
               c1 = static_cast<float>(f.c1), at_label = static_cast<float>(f.at_label);
    if (keep == nullptr && !(n.cap > 0) && s.shift == 0)
      row_gradient<V>(plain_row<T>{x, columns}, label, n.scale, reference, c0, c1, at_label, out);
    else
      row_gradient<V>(mapped(n, x, columns, keep, s.shift), label, n.scale, reference, c0, c1,
                      at_label, out);
  }
};

/// The same in float64 by plain loops: two passes, compensated sums.
template <class Isa> struct softmax_engine<num<double, Isa>> {
  using scalar = double;
  using numbers = softmax_numbers<double>;
  using N = num<double, Isa>;

  template <class T>
  static HENCE_FN N logit(const numbers& n, const T* x, std::int64_t i, const std::uint8_t* keep) {
    if (keep != nullptr && keep[i] == 0) return N(-__builtin_inf());
    const N v(static_cast<double>(x[i]));
    return n.cap > 0 && abs(v) < __builtin_inf() ? N(n.cap) * tanh(v * N(n.inverse_cap)) : v;
  }
  template <class T>
  static softmax_state sum(const numbers& n, const T* x, std::int64_t columns, std::int64_t label,
                           const std::uint8_t* keep) {
    double top = -__builtin_inf(), nan = __builtin_nan("");
    softmax_state s{0, 0, 0, 0, nan};
    bool is_number = true;
    for (std::int64_t i = 0; i < columns; ++i) {
      const double v = logit(n, x, i, keep).v;
      is_number &= v < __builtin_inf();
      if (i == label)
        s.label = v;
      else
        top = v > top ? v : top;
    }
    if (!is_number) return without_numbers();
    if (!(top > -__builtin_inf() || s.label > -__builtin_inf())) return without_support();
    s.reference = (N(top > -__builtin_inf() ? top : s.label) * N(n.scale)).v;
    plain_sum<double> others, moment;
    for (std::int64_t i = 0; i < columns; ++i) {
      const auto t = term(n, logit(n, x, i, keep), s);
      if (i == label || t.w == 0) continue;
      others.add(t.w.v);
      moment.add((t.w * t.z).v);
    }
    s.others = others.value(), s.moment = moment.value();
    return s;
  }
  template <class T, class Out>
  static void gradient(const numbers& n, const T* x, std::int64_t columns, std::int64_t label,
                       const std::uint8_t* keep, const softmax_state& s, const gradient_factors& f,
                       Out* out) {
    for (std::int64_t i = 0; i < columns; ++i) {
      const N logit_here = logit(n, x, i, keep);
      N g = i == label ? N(f.at_label) : gradient_term(term(n, logit_here, s), N(f.c0), N(f.c1));
      if (n.cap > 0 && logit_here > -__builtin_inf())
        g = g * tanh_and_slope(N(static_cast<double>(x[i])) * N(n.inverse_cap)).slope;
      out[i] = static_cast<Out>(
          static_cast<std::conditional_t<std::same_as<Out, double>, double, float>>(g.v));
    }
  }

 private:
  static HENCE_FN power_term<N> term(const numbers& n, N x, const softmax_state& s) {
    if (!(x > -__builtin_inf())) return {N(0.0), N(0.0)};
    const N z = fma(x, N(n.scale), -N(s.reference));
    return {wide_exp2(z), z};
  }
};

template <class Executor> struct engine_of;
template <class Pool, class Isa> struct engine_of<cpu<Pool, Isa>> {
  using type = softmax_engine<pack<float, Isa>>;
  using isa = Isa;
};
template <class S, class Isa> struct engine_of<reference<S, Isa>> {
  using type = softmax_engine<num<S, Isa>>;
  using isa = Isa;
};

}  // namespace hence::inline v0::detail
