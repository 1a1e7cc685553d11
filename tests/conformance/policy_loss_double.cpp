// policy_loss on one executor; see policy_loss.hpp.

#include "policy_loss.hpp"

namespace conformance {

loss_outputs<double> run_on_reference(const parts<double>& p, arrays<double>& a) {
  return run_layouts(hence::reference<double>{}, "reference", p, a);
}

}  // namespace conformance
