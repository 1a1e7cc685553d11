/// \file
/// The dense feed-forward block's activation, silu(gate) up, with `moe::swiglu` as the formula: its
/// slopes come from dual numbers. Shazeer, arXiv:2002.05202.
#pragma once

#include "lanes.hpp"

#include <hence/moe/activation.hpp>

namespace lm {

/// h = silu(gate) up. \param gate_up `[2 ff]`, the gate's part first. \param h `[ff]`.
template <class S> void swiglu(const S* gate_up, std::int64_t ff, S* h) {
  for_lanes(ff, [&](std::int64_t i, std::int64_t n) {
    const auto g = lanes<S>::load(gate_up + i, n), u = lanes<S>::load(gate_up + ff + i, n);
    lanes<S>::each([&](int k) {
      return hence::moe::swiglu{}(g.part[k], u.part[k]);
    }).store(h + i, n);
  });
}

/// \param d_gate_up `[2 ff]`, written.
template <class S>
void swiglu_backward(const S* gate_up, const S* dh, std::int64_t ff, S* d_gate_up) {
  using V = typename engine<S>::vector;
  for_lanes(ff, [&](std::int64_t i, std::int64_t n) {
    const auto g = lanes<S>::load(gate_up + i, n), u = lanes<S>::load(gate_up + ff + i, n);
    const auto d = lanes<S>::load(dh + i, n);
    lanes<S> by_gate, by_up;
    for (int k = 0; k < lanes<S>::parts; ++k) {
      const auto h =
          hence::moe::swiglu{}(hence::dual<V, hence::one, hence::zero>{g.part[k], {}, {}},
                               hence::dual<V, hence::zero, hence::one>{u.part[k], {}, {}});
      by_gate.part[k] = d.part[k] * h.pooled;
      by_up.part[k] = d.part[k] * h.own;
    }
    by_gate.store(d_gate_up + i, n);
    by_up.store(d_gate_up + ff + i, n);
  });
}

}  // namespace lm
