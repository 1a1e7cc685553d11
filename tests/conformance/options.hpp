/// \file
/// Strict reading of a case's options: what the library does not have is `unsupported`, a missing
/// or malformed option is an error.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace conformance {

/// The library has no such operation, option or option value. Any other exception is an error.
struct unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// JSON text for a message, at most about a line of it.
inline std::string shown(const nlohmann::json& value) {
  std::string text = value.is_structured()
                         ? (value.is_object() ? "an object" : "an array")
                         : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text.resize(60);
  return text;
}

/// One object of options. Names in messages are dotted: "surrogate.low".
class options {
 public:
  explicit options(const nlohmann::json& object, std::string name = "options")
      : object_(object), name_(std::move(name)) {
    if (!object_.is_object())
      throw std::invalid_argument(name_ + " is " + shown(object_) + ", expected an object");
  }

  /// These keys and no others: an unknown one is unsupported, a missing one an error.
  void expect(std::initializer_list<const char*> keys) const {
    for (const auto& [key, value] : object_.items()) {
      bool known = false;
      for (const char* expected : keys) known |= key == expected;
      if (!known) throw unsupported("unknown option " + path(key));
    }
    for (const char* key : keys) value_of(key);
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> out;
    for (const auto& [key, value] : object_.items()) out.push_back(key);
    return out;
  }
  bool is_null(const char* key) const { return value_of(key).is_null(); }
  /// Unsupported unless the option is null.
  void expect_null(const char* key) const {
    if (!is_null(key)) reject(key);
  }

  double number(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_number()) reject(key);
    return value.get<double>();
  }
  /// `absent` if the option is null.
  double number_or(const char* key, double absent) const {
    return is_null(key) ? absent : number(key);
  }
  std::int64_t integer(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() &&
         value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}))
      reject(key);
    return value.get<std::int64_t>();
  }
  bool boolean(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_boolean()) reject(key);
    return value.get<bool>();
  }
  std::string text(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_string()) reject(key);
    return value.get<std::string>();
  }
  bool flag(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_boolean()) reject(key);
    return value.get<bool>();
  }
  bool is_text(const char* key) const { return value_of(key).is_string(); }

  std::vector<double> numbers(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_array()) reject(key);
    std::vector<double> out;
    for (const nlohmann::json& x : value) {
      if (!x.is_number()) reject(key);
      out.push_back(x.get<double>());
    }
    return out;
  }

  /// [low, high], in which null is an infinity.
  std::pair<double, double> interval(const char* key) const {
    const nlohmann::json& value = value_of(key);
    const auto bound = [](const nlohmann::json& x) { return x.is_null() || x.is_number(); };
    if (!value.is_array() || value.size() != 2 || !bound(value[0]) || !bound(value[1])) reject(key);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {value[0].is_null() ? -infinity : value[0].get<double>(),
            value[1].is_null() ? infinity : value[1].get<double>()};
  }

  /// The choice that the option's text names; any other text is unsupported.
  template <class T>
  T choice(const char* key, std::initializer_list<std::pair<const char*, T>> choices) const {
    const std::string name = text(key);
    for (const auto& [text, value] : choices)
      if (name == text) return value;
    reject(key);
  }

  options object(const char* key) const { return options(value_of(key), path(key)); }

  [[noreturn]] void reject(const char* key) const {
    throw unsupported("option " + path(key) + ": " + shown(value_of(key)));
  }

 private:
  std::string path(const std::string& key) const { return name_ + "." + key; }

  const nlohmann::json& value_of(const char* key) const {
    const auto it = object_.find(key);
    if (it == object_.end()) throw std::invalid_argument("option " + path(key) + " is missing");
    return *it;
  }

  const nlohmann::json& object_;
  std::string name_;
};

}  // namespace conformance
