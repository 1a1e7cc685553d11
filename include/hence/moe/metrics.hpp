/// \file
/// What a load says about balance: from the integer counts that `route` returns, so that the
/// metrics of micro-batches and ranks are those of their added loads.
#pragma once

#include <hence/moe/scratch.hpp>

namespace hence::inline v0 {

namespace moe {

/// Metrics of one load. Bits: the same on every machine (own logarithm, sums in expert order).
struct load_metrics {
  std::int64_t experts = 0;          ///< of the layer
  std::int64_t slots = 0;            ///< sum of the load
  std::int64_t most = 0, least = 0;  ///< slots of the fullest and the emptiest expert
  std::int64_t dead = 0;             ///< experts without a token
  double entropy = 0;  ///< -sum f ln f, f = load/slots; ln(experts) at balance, 0 without slots

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN load_metrics() {}
  /// Slots of an expert on average.
  HENCE_FN double mean() const {
    return experts > 0 ? static_cast<double>(slots) / static_cast<double>(experts) : 0.0;
  }
  /// MaxVio = max(load)/mean(load) - 1: 0 at balance, experts - 1 at worst. Wang et al.,
  /// arXiv:2408.15664, eq. 4. 0 without slots.
  HENCE_FN double max_violation() const {
    return slots > 0 ? static_cast<double>(most) / mean() - 1.0 : 0.0;
  }
  /// entropy/ln(experts): 1 at balance, 0 if one expert gets all; 1 for a single expert.
  HENCE_FN double normalized_entropy() const {
    return experts > 1
               ? entropy / static_cast<double>(log(num<float>(static_cast<float>(experts))).v)
               : 1.0;
  }
};

/// \param load `[experts]`, each 0 or more. \tparam Isa keeps translation units apart.
template <class Isa = native_isa> load_metrics measure_load(view<const std::int64_t> load) {
  const std::int64_t experts = load.extent[0];
  detail::check_vector("load", load.present(), experts, 1, experts);  // of any stride
  load_metrics m;
  m.experts = experts;
  m.least = experts > 0 ? load[0] : 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t n = load[e];
    if (n < 0)
      detail::refuse(detail::message()
                     << "hence: load[" << e << "] is " << n << ", expected 0 or more");
    m.slots += n;
    m.most = n > m.most ? n : m.most;
    m.least = n < m.least ? n : m.least;
    m.dead += n == 0;
  }
  using F = num<float, Isa>;
  num<double, Isa> entropy = 0.0;
  const num<double, Isa> slots = static_cast<double>(m.slots);
  for (std::int64_t e = 0; e < experts; ++e)
    if (load[e] > 0) {
      const num<double, Isa> f = num<double, Isa>(static_cast<double>(load[e])) / slots;
      entropy =
          entropy - f * num<double, Isa>(static_cast<double>(log(F(static_cast<float>(f.v))).v));
    }
  m.entropy = entropy.v;
  return m;
}

}  // namespace moe

}  // namespace hence::inline v0
