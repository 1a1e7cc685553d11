// The half of the sampling program that the CPU executor runs.
#include "sample.hpp"

#include <hence/logits/sample.hpp>

namespace sample_case {

template <class T> outcome on_cpu(const batch<T>& b) {
  const auto rows = b.uniforms.size(), columns = static_cast<std::size_t>(b.columns);
  outcome o{std::vector<std::int64_t>(rows),
            std::vector<float>(rows),
            std::vector<float>(rows),
            std::vector<std::uint8_t>(rows * columns),
            {}};
  hence::view<const T, 2> logits(b.logits.data(), b.rows(), b.columns);
  logits.stride[0] = b.stride;
  std::vector<std::byte> memory(static_cast<std::size_t>(hence::sample_bytes(b.columns)));
  o.found = hence::sample(hence::cpu<>{}, b.rule, logits, b.uniforms,
                          {.token = o.token,
                           .logp = o.logp,
                           .logp_full = o.logp_full,
                           .kept = {o.kept.data(), b.rows(), b.columns}},
                          memory);
  return o;
}
template outcome on_cpu(const batch<float>&);
template outcome on_cpu(const batch<hence::bf16>&);

}  // namespace sample_case
