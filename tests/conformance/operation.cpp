#include "operation.hpp"

#include <cmath>
#include <cstdlib>
#include <exception>
#include <set>
#include <stdexcept>

namespace conformance {
namespace {

using nlohmann::json;

std::map<std::string, operation::function>& table() {
  static std::map<std::string, operation::function> t;
  return t;
}

const json& member(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) throw std::invalid_argument(std::string("the case has no ") + key);
  return *it;
}

bool read_dtype(const json& test_case) {
  const json& name = member(test_case, "dtype");
  if (name == "float64") return true;
  if (name == "float32") return false;
  throw unsupported("dtype " + shown(name));
}

std::string shown(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t n : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(n));
  return text + "]";
}

answer run_case(const json& test_case, const tensor_file& inputs) {
  if (!test_case.is_object()) throw std::invalid_argument("the case is not an object");
  const json& name = member(test_case, "op");
  const auto op = name.is_string() ? table().find(name.get<std::string>()) : table().end();
  if (op == table().end()) throw unsupported("operation " + conformance::shown(name));
  return op->second(request(test_case, inputs));
}

tensor text_tensor(const std::string& text) {
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  return make_tensor({static_cast<std::int64_t>(bytes.size())}, bytes);
}

/// Puts quotes round NaN, Infinity and numbers beyond double, which the JSON parser would refuse
/// and all other cases with them; as text they spoil one option of one case.
std::string with_finite_numbers(const std::string& spec) {
  const auto in_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
  };
  std::string out;
  out.reserve(spec.size());
  for (std::size_t i = 0; i < spec.size();) {
    std::size_t end = i + 1;
    bool quote = false;
    if (spec[i] == '"') {
      while (end < spec.size() && spec[end] != '"') end += spec[end] == '\\' ? 2u : 1u;
      end = end < spec.size() ? end + 1 : spec.size();
    } else if (in_word(spec[i])) {
      while (end < spec.size() && in_word(spec[end])) ++end;
      const std::string word = spec.substr(i, end - i);
      char* rest = nullptr;
      quote = !std::isfinite(std::strtod(word.c_str(), &rest)) && *rest == '\0';
    }
    if (quote) out += '"';
    out.append(spec, i, end - i);
    if (quote) out += '"';
    i = end;
  }
  return out;
}

}  // namespace

operation::operation(const char* name, function run) { table().emplace(name, run); }

request::request(const json& test_case, const tensor_file& inputs)
    : inputs_(&member(test_case, "inputs")),
      file_(inputs),
      options_(member(test_case, "options")),
      is_double_(read_dtype(test_case)) {
  if (!inputs_->is_object()) throw std::invalid_argument("the case's inputs are not an object");
}

const tensor& request::input(const char* role) const {
  const auto it = inputs_->find(role);
  if (it == inputs_->end())
    throw std::invalid_argument(std::string("input ") + role + " is missing");
  const tensor* t = it->is_string() ? file_.find(it->get<std::string>()) : nullptr;
  if (t == nullptr)
    throw std::invalid_argument(std::string("input ") + role + ": there is no tensor " +
                                conformance::shown(*it));
  return *t;
}

const tensor& request::input(const char* role, const std::vector<std::int64_t>& shape) const {
  const tensor& t = input(role);
  if (t.shape != shape)
    throw std::invalid_argument(std::string("input ") + role + " has shape " + shown(t.shape) +
                                ", expected " + shown(shape));
  return t;
}

std::map<std::string, tensor> run_cases(std::string spec, const tensor_file& inputs) {
  const json document = json::parse(with_finite_numbers(spec), nullptr, false);
  if (!document.is_object() || !document.contains("cases") || !document["cases"].is_array())
    throw std::invalid_argument("the spec is not a JSON object with an array \"cases\"");
  std::map<std::string, tensor> out;
  std::set<std::string> ids;
  std::size_t index = 0;
  for (const json& test_case : document["cases"]) {
    std::string id = std::string("cases[")
                         .append(std::to_string(index++))
                         .append("]");  // for a case that has none
    answer a;
    try {
      const bool has_id =
          test_case.is_object() && test_case.contains("id") && test_case["id"].is_string();
      if (has_id) id = test_case["id"].get<std::string>();
      if (!ids.insert(id).second) continue;  // a second case of an id can't be told from the first
      if (!has_id) throw std::invalid_argument("the case has no id");
      a = run_case(test_case, inputs);
    } catch (const unsupported&) {
      a = {{"unsupported", make_tensor<std::uint8_t>({1}, {1})}};
    } catch (const std::exception& e) {
      a = {{"error", text_tensor(e.what())}};
    }
    for (auto& [name, t] : a) out.insert_or_assign(id + "/" + name, std::move(t));
  }
  return out;
}

}  // namespace conformance
