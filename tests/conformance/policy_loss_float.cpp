// policy_loss on one executor; see policy_loss.hpp.

#include "policy_loss.hpp"

namespace conformance {

loss_outputs<float> run_on_reference(const parts<float>& p, arrays<float>& a) {
  return run_layouts(hence::reference<float>{}, "reference", p, a);
}

}  // namespace conformance
