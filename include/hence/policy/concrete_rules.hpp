/// \file
/// A `std::variant` of rules is a rule: the loops see its alternative, chosen once per call.
#pragma once

#include <hence/policy/term.hpp>

namespace hence::inline v0::detail {

/// Calls f with a variant's alternative, or with what is none.
template <class Part, class F> void with_alternative(const Part& part, F&& f) {
  if constexpr (variant_like<Part>)
    visit(f, part);
  else
    f(part);
}

template <class... Parts> constexpr bool any_variant = (variant_like<Parts> || ...);

/// Calls f with the loss's alternatives in place of its variants: one visit per rule and call.
template <class Loss, class F> void with_concrete_rules(const Loss& l, F&& f) {
  using part = facts<Loss>;
  if constexpr (!any_variant<typename part::ratio, typename part::surrogate, typename part::kl,
                             typename part::correction, typename part::gate,
                             typename part::entropy>) {
    f(l);
  } else {
    with_alternative(l.ratio, [&](const auto& r) {
      with_alternative(l.surrogate, [&](const auto& s) {
        with_alternative(l.kl, [&](const auto& k) {
          with_alternative(l.correction, [&](const auto& c) {
            with_alternative(l.gate, [&](const auto& g) {
              with_alternative(l.entropy, [&](const auto& e) {
                f(policy_loss{r, s, k, l.aggregation, c, g, e});
              });
            });
          });
        });
      });
    });
  }
}

}  // namespace hence::inline v0::detail
