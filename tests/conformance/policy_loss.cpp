// The operation policy_loss; see policy_loss.hpp.

#include "policy_loss.hpp"

namespace conformance {
namespace {

template <class S> answer policy_loss(const request& r) {
  const parts<S> p = read_parts<S>(r.options_of_case());
  arrays<S> a = read_arrays<S>(r, p);
  loss_outputs<S> o = run_on_reference(p, a);
  if constexpr (std::is_same_v<S, float>) demand_same(run_on_cpu(p, a), o, "cpu and reference");
  answer out{{"loss", scalar(o.loss)},
             {"grad_logp", make_tensor({a.rows, a.width}, o.gradient)},
             {"tokens", scalar(o.tokens)},
             {"ratio_mean", scalar(o.ratio_mean)},
             {"ratio_max", scalar(o.ratio_max)},
             {"clip_fraction_low", scalar(o.clip_fraction_low)},
             {"clip_fraction_high", scalar(o.clip_fraction_high)},
             {"kl_mean", scalar(o.kl_mean)}};
  if (p.entropy.coef != S(0))
    out.emplace("grad_entropy", make_tensor({a.rows, a.width}, o.entropy_gradient));
  return out;
}

const operation registered("policy_loss", [](const request& r) {
  return r.is_double() ? policy_loss<double>(r) : policy_loss<float>(r);
});

}  // namespace
}  // namespace conformance
