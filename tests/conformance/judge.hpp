/// \file
/// Judges one case's answer as the contract does: a tolerance per output relative to the largest
/// expected element, exact zeros, and cases that must be refused.
#pragma once

#include "safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace conformance {

namespace detail {

inline bool is_floating(const tensor& t) {
  return t.type == dtype::f64 || t.type == dtype::f32 || t.type == dtype::f16 ||
         t.type == dtype::bf16;
}
inline std::vector<double> numbers(const tensor& t) {
  if (is_floating(t)) return t.as<double>();
  const auto integers = t.as<std::int64_t>();
  return {integers.begin(), integers.end()};
}

/// What is wrong with an output, or an empty string.
inline std::string judge_output(const tensor& got_tensor, const tensor& want_tensor,
                                const nlohmann::json& tolerance) {
  if (got_tensor.size() != want_tensor.size() ||
      (got_tensor.shape.size() == want_tensor.shape.size() &&
       got_tensor.shape != want_tensor.shape))
    return "has another shape";
  const auto got = numbers(got_tensor), want = numbers(want_tensor);
  double largest = 0;
  for (const double x : want) largest = std::max(largest, std::abs(x));
  const double bound = is_floating(want_tensor) ? tolerance.at("atol").get<double>() +
                                                      tolerance.at("rtol").get<double>() * largest
                                                : 0.0;
  const bool exact_zero = tolerance.value("exact_zero", false);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool is_near = std::isfinite(got[i]) && std::abs(got[i] - want[i]) <= bound;
    if (is_near && !(exact_zero && want[i] == 0 && got[i] != 0)) continue;
    std::ostringstream text;
    text << '[' << i << "] is " << got[i] << ", expected " << want[i];
    if (is_near)
      text << " exactly";
    else
      text << " +- " << bound;
    return text.str();
  }
  return "";
}

}  // namespace detail

/// What is wrong with a case's answer, or an empty string.
/// \param info the case's entry in the metadata of the expected values.
inline std::string judge(const std::string& id, const nlohmann::json& info,
                         const tensor_file& expected, const std::map<std::string, tensor>& output) {
  const auto find = [&](const std::string& name) {
    const auto it = output.find(id + "/" + name);
    return it == output.end() ? nullptr : &it->second;
  };
  const bool refused = find("error") != nullptr, is_unsupported = find("unsupported") != nullptr;
  const std::string status = info.at("status");
  if (status == "unsupported") return refused || is_unsupported ? "" : "was answered";
  if (is_unsupported) return "is unsupported";
  if (status == "error") return refused ? "" : "should have been refused";
  if (status == "error_or_nan") {
    if (refused) return "";
    const tensor* t = find(info.at("nan_output").get<std::string>());
    if (t != nullptr)
      for (const double x : detail::numbers(*t))
        if (std::isnan(x)) return "";
    return "was neither refused nor answered with NaN";
  }
  if (refused) {
    const auto text = find("error")->as<std::uint8_t>();
    return "was refused: " + std::string(text.begin(), text.end());
  }
  for (const auto& [name, tolerance] : info.at("outputs").items()) {
    const tensor* got = find(name);
    const tensor* want = expected.find(id + "/" + name);
    if (got == nullptr) return name + " is missing";
    if (want == nullptr) return "there is no expected " + name;
    const std::string fault = detail::judge_output(*got, *want, tolerance);
    if (!fault.empty()) return name + fault;
  }
  return "";
}

}  // namespace conformance
