/// \file
/// Reward models for R1's last RL stage, by callback: the helpfulness model scores "only the final
/// summary", the safety model "the entire response" (arXiv:2501.12948, 2.3.4).
#pragma once

#include <hence/reward/format.hpp>

namespace hence::inline v0::reward {

/// What a reward model is shown.
enum class shown : std::uint8_t {
  summary,         ///< the answer part: helpfulness
  whole_response,  ///< thought and answer: harmlessness
};

/// The model's score of a response.
/// \param what the part that the model sees.
/// \param how the template. A response that does not keep to it has no summary and is not shown.
/// \param prompt handed on to the model.
/// \param whole the whole response.
/// \param unreadable the reward in that case; with `whole_response` the model sees it all the same.
/// \param model callable (text prompt, text part) -> double.
template <class Isa = native_isa, class Format, class Model>
constexpr double model_reward(shown what, const Format& how, text prompt, text whole,
                              double unreadable, Model&& model) {
  if (what == shown::whole_response) return static_cast<double>(model(prompt, whole));
  const response r = parse(how, whole);
  return r.ok() ? static_cast<double>(model(prompt, r.answer)) : unreadable;
}

}  // namespace hence::inline v0::reward
