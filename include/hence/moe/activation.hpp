/// \file
/// Activations of an expert's MLP: functors of numbers, whose slopes come from dual numbers.
///
///     gated    h = f(gate, up)      swiglu, geglu, geglu_tanh; three matrices an expert
///     plain    h = f(up)            silu, gelu, gelu_tanh; two
///
/// A functor of your own is as good: of two numbers for a gated MLP, of one for a plain one. GELU
/// has two formulas that frameworks give one name; here they have two.
#pragma once

#include <hence/core/load.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0 {

namespace moe {

/// x sigmoid(x), within 3 ulp. Elfwing et al., arXiv:1702.03118, eq. 3.
struct silu {
  HENCE_FN auto operator()(const auto& x) const { return x * sigmoid(x); }
};
/// x Phi(x) = x/2 (1 + erf(x/sqrt(2))), within 8 ulp; Phi does not cancel for negative x. Hendrycks
/// and Gimpel, arXiv:1606.08415, section 2; PyTorch's `gelu`.
struct gelu {
  HENCE_FN auto operator()(const auto& x) const { return x * normal_cdf(x); }
};
/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): the approximation of Hendrycks and Gimpel,
/// arXiv:1606.08415, section 2; PyTorch's `gelu(approximate="tanh")`. Apart from x Phi(x) by up to
/// 5e-4.
struct gelu_tanh {
  template <class X> HENCE_FN auto operator()(const X& x) const {
    using V = std::remove_cvref_t<decltype(detail::value_of(x))>;
    using T = typename V::scalar;
    const V a(static_cast<T>(0.044715L)), c(static_cast<T>(0.797884560802865355879892119869L));
    const auto y = c * (x + a * (x * x * x));
    // 1 + tanh(y) = 2 sigmoid(2 y), which does not cancel for negative y
    return x * sigmoid(y + y);
  }
};

/// silu(gate) up. Shazeer, arXiv:2002.05202, eq. 6; the experts of DeepSeek-V3, arXiv:2412.19437.
struct swiglu {
  HENCE_FN auto operator()(const auto& gate, const auto& up) const { return silu{}(gate)*up; }
};
/// gelu(gate) up. Shazeer, arXiv:2002.05202, eq. 5.
struct geglu {
  HENCE_FN auto operator()(const auto& gate, const auto& up) const { return gelu{}(gate)*up; }
};
/// gelu_tanh(gate) up.
struct geglu_tanh {
  HENCE_FN auto operator()(const auto& gate, const auto& up) const { return gelu_tanh{}(gate)*up; }
};

}  // namespace moe

namespace detail {

/// A functor of two numbers: the gate's projection and the other.
template <class F, class V>
concept gated_activation = requires(const F& f, V z, dual<V, one, zero> g, dual<V, zero, one> u) {
  { f(z, z) } -> std::same_as<V>;
  { f(g, u).value } -> std::convertible_to<V>;
};
/// A functor of one number.
template <class F, class V>
concept plain_activation = requires(const F& f, V z, dual<V, one, zero> d) {
  { f(z) } -> std::same_as<V>;
  { f(d).value } -> std::convertible_to<V>;
};

/// h and its slopes by the two projections; `gate` is not looked at by a plain activation.
template <class V> struct activated {
  V h, by_gate, by_up;
};
template <class V, class F> HENCE_FN activated<V> activate(const F& f, V gate, V up) {
  if constexpr (gated_activation<F, V>) {
    const auto d = f(dual<V, one, zero>{gate, {}, {}}, dual<V, zero, one>{up, {}, {}});
    return {value_of(d), as_number<V>(pooled_of(d)), as_number<V>(own_of(d))};
  } else {
    const auto d = f(dual<V, one, zero>{up, {}, {}});
    return {value_of(d), V(typename V::scalar(0)), as_number<V>(pooled_of(d))};
  }
}

}  // namespace detail

}  // namespace hence::inline v0
