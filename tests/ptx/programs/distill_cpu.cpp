// The half of the distillation program that the CPU executor runs.
#include "distill.hpp"

namespace distill_case {
namespace {

using hence::cpu, hence::view;

template <class T, class Q> hence::distill_inputs<float> inputs_of(const batch<T, Q>& b) {
  if (b.with_mask) return {.mask = b.mask, .cotangent = b.cotangent};
  return {.cotangent = b.cotangent};
}
template <class T, class Q> view<const T, 2> student_of(const batch<T, Q>& b) {
  return {b.student.data(), b.rows(), b.columns, b.stride};
}

}  // namespace

template <class How, class T, class Q> outcome on_cpu(const How& how, const batch<T, Q>& b) {
  outcome o;
  o.per_token.assign(b.cotangent.size(), -7.0f);
  o.gradient.assign(b.cotangent.size() * static_cast<std::size_t>(b.columns), -7.0f);
  o.found = hence::distill(cpu<>{}, how, {.temperature = b.temperature}, student_of(b),
                           view<const Q, 2>(b.teacher.data(), b.rows(), b.columns, b.stride),
                           inputs_of(b),
                           {.per_token = o.per_token,
                            .gradient = view<float, 2>(o.gradient.data(), b.rows(), b.columns)});
  return o;
}
template <class How, class Tail, class T, class Q>
outcome top_k_on_cpu(const How& how, Tail rest, bool is_bounded, const batch<T, Q>& b) {
  outcome o;
  o.per_token.assign(b.cotangent.size(), -7.0f);
  o.gradient.assign(b.cotangent.size() * static_cast<std::size_t>(b.columns), -7.0f);
  o.found =
      hence::distill_top_k(cpu<>{}, how, rest, rule_of(b.temperature, is_bounded), student_of(b),
                           view<const std::int64_t, 2>(b.ids.data(), b.rows(), b.k),
                           view<const float, 2>(b.teacher_logp.data(), b.rows(), b.k), inputs_of(b),
                           {.per_token = o.per_token,
                            .gradient = view<float, 2>(o.gradient.data(), b.rows(), b.columns)});
  return o;
}

template outcome on_cpu(const jsd&, const batch<float, float>&);
template outcome on_cpu(const forward&, const batch<float, float>&);
template outcome on_cpu(const cancelling&, const batch<float, float>&);
template outcome on_cpu(const mixed&, const batch<hence::bf16, float>&);
template outcome top_k_on_cpu(const forward&, ignored, bool, const batch<float, float>&);
template outcome top_k_on_cpu(const jsd&, one_token, bool, const batch<float, float>&);
template outcome top_k_on_cpu(const reverse&, one_token, bool, const batch<hence::bf16, float>&);

}  // namespace distill_case
