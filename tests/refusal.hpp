// What a call refuses, for the tests.
#pragma once

#include <stdexcept>
#include <string>

/// The text of the refusal, "accepted" without one.
template <class F> std::string refusal(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}
