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
  constexpr bool is_format = requires { static_cast<bool>(parse(how, whole).ok()); };
  constexpr bool is_model = requires { static_cast<double>(model(prompt, whole)); };
  static_assert(is_format,
                "hence: a format is one of reward::format with its matching, e.g. "
                "format::r1{matching::lenient}, or a type with a parse(format, text) of its own");
  static_assert(is_model, "hence: a reward model is a callable (text prompt, text part) -> double");
  if constexpr (is_format && is_model) {
    if (what == shown::whole_response) return static_cast<double>(model(prompt, whole));
    const auto r = parse(how, whole);
    return r.ok() ? static_cast<double>(model(prompt, r.answer)) : unreadable;
  } else {
    return unreadable;
  }
}

}  // namespace hence::inline v0::reward
