/// \file
/// What an operation is. A new one is a new file with a function of a `request` and one object of
/// type `operation`; nothing else has to know it.
#pragma once

#include "options.hpp"
#include "safetensors.hpp"

#include <map>
#include <stdexcept>
#include <string>

namespace conformance {

/// One case, as an operation sees it.
class request {
 public:
  request(const nlohmann::json& test_case, const tensor_file& inputs);

  const options& options_of_case() const { return options_; }
  /// Whether the case computes in float64, else float32.
  bool is_double() const { return is_double_; }
  /// Whether the case lists the role.
  bool has(const char* role) const { return inputs_->contains(role); }
  /// The tensor of a role. Throws std::invalid_argument if the role or the tensor is missing.
  const tensor& input(const char* role) const;
  /// The same, of the given shape.
  const tensor& input(const char* role, const std::vector<std::int64_t>& shape) const;

  /// The values of a role whose dtype is the case's. \tparam S float or double.
  template <class S>
  std::vector<S> floats(const char* role, const std::vector<std::int64_t>& shape) const {
    return exactly<S>(role, shape, std::is_same_v<S, double> ? dtype::f64 : dtype::f32);
  }
  std::vector<std::uint8_t> mask(const char* role, const std::vector<std::int64_t>& shape) const {
    return exactly<std::uint8_t>(role, shape, dtype::u8);
  }
  std::vector<std::int64_t> ids(const char* role, const std::vector<std::int64_t>& shape) const {
    return exactly<std::int64_t>(role, shape, dtype::i64);
  }

 private:
  template <class T>
  std::vector<T> exactly(const char* role, const std::vector<std::int64_t>& shape,
                         dtype type) const {
    const tensor& t = input(role, shape);
    if (t.type != type)
      throw std::invalid_argument(std::string("input ") + role + " is " + name_of(t.type) +
                                  ", expected " + name_of(type));
    return t.as<T>();
  }

  const nlohmann::json* inputs_;  // role -> tensor name
  const tensor_file& file_;
  options options_;
  bool is_double_;
};

/// The outputs of one case by name.
using answer = std::map<std::string, tensor>;

/// Registers a function under the name of an operation, for the life of the program.
/// The function throws `unsupported`, or any other exception to refuse the case.
struct operation {
  using function = answer (*)(const request&);
  operation(const char* name, function run);
};

/// Answers every case of a spec; a case that can't be answered spoils no other.
/// \param spec the JSON text. Throws std::invalid_argument if it is no list of cases at all.
/// \return "<id>/<output>", "<id>/unsupported" or "<id>/error" -> tensor.
std::map<std::string, tensor> run_cases(std::string spec, const tensor_file& inputs);

/// [1]
inline tensor scalar(double x) { return make_tensor<double>({1}, {x}); }
inline tensor scalar(std::int64_t x) { return make_tensor<std::int64_t>({1}, {x}); }

}  // namespace conformance
