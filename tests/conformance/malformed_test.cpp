// Hostile specs and files: every case gets an answer of the contract, no case affects another, and
// nothing is read outside the file (the sanitizer presets run this too).

#include "operation.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace {

using conformance::make_tensor;
using conformance::run_cases;
using conformance::tensor;
using conformance::tensor_file;
using nlohmann::json;
using bytes = std::vector<std::byte>;
using outputs = std::map<std::string, tensor>;

const char* const loss_case = R"({"id": "loss", "op": "policy_loss", "dtype": "float32",
  "inputs": {"logp": "p", "logp_old": "q", "logp_ref": "s", "mask": "m", "advantages": "a"},
  "options": {"ratio": {"level": "token", "anchor": "old", "log_clamp": [null, 20.0]},
              "surrogate": {"type": "two_sided", "low": null, "high": 1.2},
              "kl": {"estimator": "k3", "coef": 0.1, "gradient": "own", "weight": "none",
                     "input_clamp": [null, null], "output_clamp": [null, null],
                     "importance_cap": null},
              "rollout_correction": null, "opsm": null, "entropy_coef": 0.0,
              "aggregation": {"type": "token_mean"}}})";
const char* const advantage_case = R"({"id": "advantage", "op": "advantage", "dtype": "float32",
  "inputs": {"rewards": "r", "group": "g"},
  "options": {"estimator": "group_baseline", "baseline": "group", "scale": "group", "ddof": 1,
              "eps": 1e-6, "singleton": "error"}})";

/// Two rows of three tokens; dead ones hold NaN.
std::map<std::string, tensor> small_tensors() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  return {{"p", make_tensor<float>({2, 3}, {-1, -2, nan, -0.5f, nan, -1.5f})},
          {"q", make_tensor<float>({2, 3}, {-1.25f, -1.5f, nan, -0.75f, nan, -1.5f})},
          {"s", make_tensor<float>({2, 3}, {-1.5f, -2, nan, -0.5f, nan, -1})},
          {"m", make_tensor<std::uint8_t>({2, 3}, {1, 1, 0, 255, 0, 1})},
          {"a", make_tensor<float>({2}, {1, -1})},
          {"r", make_tensor<float>({4}, {1, 0, 3, 0.5f})},
          {"g", make_tensor<std::int64_t>({4}, {7, -2, 7, -2})}};
}

json spec_of(const std::vector<json>& cases) { return {{"cases", cases}}; }

/// "ok", "unsupported", the error's message, or "none"; "both" would break the contract.
std::string answer_of(const outputs& out, const std::string& id) {
  std::string found = "none";
  for (const auto& [name, t] : out) {
    if (name.rfind(id + "/", 0) != 0) continue;
    const std::string output = name.substr(id.size() + 1);
    std::string kind = "ok";
    if (output == "unsupported") kind = output;
    if (output == "error") {
      const auto text = t.as<std::uint8_t>();
      kind = std::string(text.begin(), text.end());
    }
    if (found != "none" && found != kind) return "both";
    found = kind;
  }
  return found;
}

/// The answer to a case that lies between two good ones, which must not notice.
std::string answer_to(const json& test_case, const tensor_file& inputs) {
  json first = json::parse(loss_case), last = json::parse(advantage_case);
  first["id"] = "first", last["id"] = "last";
  const outputs out = run_cases(spec_of({first, test_case, last}).dump(), inputs);
  const tensor_file good(conformance::serialize(small_tensors()));
  const outputs alone = run_cases(spec_of({first, last}).dump(), good);
  for (const auto& [name, t] : alone) {
    const auto it = out.find(name);
    REQUIRE(it != out.end());
    CHECK(it->second.shape == t.shape);
    CHECK(std::equal(it->second.bytes.begin(), it->second.bytes.end(), t.bytes.begin(),
                     t.bytes.end()));
  }
  const bool has_id =
      test_case.is_object() && test_case.contains("id") && test_case["id"].is_string();
  return answer_of(out, has_id ? test_case["id"].get<std::string>() : "cases[1]");
}
std::string answer_to(const json& test_case) {
  return answer_to(test_case, tensor_file(conformance::serialize(small_tensors())));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bytes file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  bytes out(sizeof length + header.size() + data_bytes);
  std::memcpy(out.data(), &length, sizeof length);
  std::memcpy(out.data() + sizeof length, header.data(), header.size());
  return out;
}

/// Opens the file and reads every tensor. \return false if it is refused.
bool survives(const bytes& file) {
  try {
    const tensor_file opened(file);
    for (const auto& [name, t] : opened.tensors()) {
      std::uint64_t sum = 0;
      for (const std::byte b : t.bytes) sum += static_cast<std::uint64_t>(b);
      CHECK(sum <= 255 * file.size());
    }
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

TEST_CASE("the small cases are answered") {
  CHECK(answer_to(json::parse(loss_case)) == "ok");
  CHECK(answer_to(json::parse(advantage_case)) == "ok");
}

TEST_CASE("tensors survive the file") {
  const auto tensors = small_tensors();
  const tensor_file file(conformance::serialize(tensors));
  CHECK(file.tensors().size() == tensors.size());
  for (const auto& [name, t] : tensors) {
    REQUIRE(file.find(name) != nullptr);
    CHECK(file.find(name)->type == t.type);
    CHECK(file.find(name)->shape == t.shape);
    CHECK(std::equal(t.bytes.begin(), t.bytes.end(), file.find(name)->bytes.begin(),
                     file.find(name)->bytes.end()));
  }
  CHECK(file.find("nothing") == nullptr);
  CHECK(conformance::serialize({}).size() % 8 == 0);
  CHECK(survives(conformance::serialize({})));
}

TEST_CASE("every float16 and bfloat16 widens exactly") {
  bytes data(2 * 65536);
  for (unsigned i = 0; i < 65536; ++i) {
    data[2 * i] = static_cast<std::byte>(i & 255u);
    data[2 * i + 1] = static_cast<std::byte>(i >> 8);
  }
  const auto values = [&](conformance::dtype type) {
    return tensor{.type = type, .shape = {65536}, .bytes = data, .storage = nullptr}.as<float>();
  };
  const std::vector<float> half = values(conformance::dtype::f16);
  const std::vector<float> brain = values(conformance::dtype::bf16);
  const auto check = [](float x, unsigned bits, int fraction_bits, int bias) {
    const int fraction = static_cast<int>(bits & ((1u << fraction_bits) - 1u));
    const int exponents = 1 << (15 - fraction_bits);
    const int exponent = static_cast<int>(bits >> fraction_bits) & (exponents - 1);
    if (exponent == exponents - 1) return fraction != 0 ? std::isnan(x) : std::isinf(x);
    const int whole = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
    const int power = (exponent == 0 ? 1 : exponent) - bias - fraction_bits;
    return std::abs(x) == std::ldexp(static_cast<float>(whole), power);
  };
  int wrong = 0;
  for (unsigned i = 0; i < 65536; ++i) {
    wrong += !check(half[i], i, 10, 15) || !check(brain[i], i, 7, 127);
    wrong += std::signbit(half[i]) != (i >= 32768) || std::signbit(brain[i]) != (i >= 32768);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a file cut off anywhere") {
  const bytes whole = conformance::serialize(small_tensors());
  const std::string spec = spec_of({json::parse(loss_case), json::parse(advantage_case)}).dump();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    if (!survives(part)) continue;
    const outputs out = run_cases(spec, tensor_file(part));
    for (const char* id : {"loss", "advantage"}) {
      const std::string answer = answer_of(out, id);
      CHECK((answer == "ok" || contains(answer, "data_offsets lie outside the file")));
    }
  }
  CHECK(survives(whole));
}

TEST_CASE("a flipped bit anywhere before the data") {
  const bytes whole = conformance::serialize(small_tensors());
  const std::string spec = spec_of({json::parse(loss_case), json::parse(advantage_case)}).dump();
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  for (std::size_t i = 0; i < sizeof header + header; ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes flipped = whole;
      flipped[i] ^= static_cast<std::byte>(1u << bit);
      if (!survives(flipped)) continue;
      const outputs out = run_cases(spec, tensor_file(flipped));
      for (const char* id : {"loss", "advantage"}) {
        const std::string answer = answer_of(out, id);
        CHECK((answer != "none" && answer != "both" && answer != "unsupported"));
      }
    }
  }
}

TEST_CASE("headers that lie") {
  // the whole file is refused
  for (const std::string header : {"", "[]", "1", "null", "\"x\"", "{", "{\"x\":}", "{} {}",
                                   R"({"__metadata__": 3})", "\xff\xfe"})
    CHECK_MESSAGE(!survives(file_of(header, 8)), header);
  bytes long_header = file_of("{}", 0);
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    std::memcpy(long_header.data(), &length, sizeof length);
    CHECK_FALSE(survives(long_header));
  }
  CHECK_FALSE(survives(file_of(std::string(100000, '['), 0)));
  CHECK(survives(file_of("{}   ", 3)));
  CHECK(survives(file_of(R"({"__metadata__": {"a": "b", "c": 1}})", 0)));

  // one tensor is broken, its neighbour is not
  const std::pair<std::string, std::string> entries[] = {
      {"3", "not an object"},
      {R"({"dtype": "F32", "shape": [2]})", "no data_offsets"},
      {R"({"shape": [2], "data_offsets": [0, 8]})", "no dtype"},
      {R"({"dtype": "F32", "data_offsets": [0, 8]})", "no shape"},
      {R"({"dtype": 32, "shape": [2], "data_offsets": [0, 8]})", "dtype is not a string"},
      {R"({"dtype": "F31", "shape": [2], "data_offsets": [0, 8]})", "dtype F31"},
      {R"({"dtype": "F32", "shape": 2, "data_offsets": [0, 8]})", "shape is not an array"},
      {R"({"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,2], "data_offsets": [0, 8]})", "at most 8"},
      {R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})", "shape holds -2"},
      {R"({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]})", "shape holds 2.0"},
      {R"({"dtype": "F32", "shape": [null], "data_offsets": [0, 8]})", "shape holds null"},
      {R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})", "dtype and shape need 12"},
      {R"({"dtype": "F64", "shape": [2], "data_offsets": [0, 8]})", "dtype and shape need 16"},
      {R"({"dtype": "F32", "shape": [], "data_offsets": [0, 8]})", "dtype and shape need 4"},
      {R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 16]})", "outside the file"},
      {R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]})", "outside the file"},
      {R"({"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]})", "data_offsets holds -8"},
      {R"({"dtype": "F32", "shape": [2], "data_offsets": [0]})", "not a pair"},
      {R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 18446744073709551615]})",
       "data_offsets holds 18446744073709551615"},
      {R"({"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]})",
       "beyond the file's size"},
      {R"({"dtype": "U8", "shape": [1048576, 1048576, 1048576, 1048576], "data_offsets": [0, 0]})",
       "overflows"},
      {R"({"dtype": "F32", "shape": [1152921504606846976, 0], "data_offsets": [0, 0]})",
       "beyond the file's size"}};
  for (const auto& row : entries) {
    const std::string &entry = row.first, &fault = row.second;
    const tensor_file file(file_of(
        R"({"good": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "x": )" + entry + "}",
        8));
    CHECK(file.find("good") != nullptr);
    std::string message = "accepted";
    try {
      file.find("x");
    } catch (const std::invalid_argument& e) {
      message = e.what();
    }
    CHECK_MESSAGE(contains(message, fault), entry << " gives " << message);
  }
}

TEST_CASE("what the library does not have is unsupported") {
  struct change {
    std::string pointer;
    json value;
  };
  const change to_loss[] = {
      {"/op", "no_such_operation"},
      {"/op", 3},
      {"/dtype", "float8"},
      {"/options/colour", "red"},
      {"/options/rollout_correction/level", "batch"},
      {"/options/rollout_correction/mode", "bend"},
      {"/options/rollout_correction/scope", "kl_only"},
      {"/options/rollout_correction/denominator", "grow"},
      {"/options/rollout_correction/high", "1.2"},
      {"/options/opsm/anchor", "self"},
      {"/options/opsm/threshold", nullptr},
      {"/options/entropy_coef", "much"},
      {"/options/ratio/level", "no_such_level"},
      {"/options/ratio/anchor", "no_such_anchor"},
      {"/options/ratio/power", 2},
      {"/options/ratio/log_clamp", nullptr},
      {"/options/ratio/log_clamp", {1, 2, 3}},
      {"/options/ratio/log_clamp", {"low", 2}},
      {"/options/surrogate/type", "no_such_surrogate"},
      {"/options/surrogate/type", nullptr},
      {"/options/surrogate/low", "0.8"},
      {"/options/surrogate/middle", 1},
      {"/options/kl/estimator", "k4"},
      {"/options/kl/coef", nullptr},
      {"/options/kl/gradient", "no_such_gradient"},
      {"/options/kl/weight", "no_such_weight"},
      {"/options/kl/importance_cap", -1},
      {"/options/kl/extra", nullptr},
      {"/options/aggregation/type", "no_such_aggregation"},
      {"/options/aggregation/rows", "all"},
      {"/options/aggregation", {{"type", "sequence_mean_token_mean"}, {"rows", "some"}}},
      {"/options/aggregation", {{"type", "constant"}, {"value", "1"}}}};
  for (const change& c : to_loss) {
    json test_case = json::parse(loss_case);
    test_case["options"]["rollout_correction"] = json::parse(
        R"({"level": "token", "mode": "mask", "low": 0.5, "high": 2, "log_clamp": [null, null],
            "scope": "policy_only", "denominator": "keep"})");
    test_case["options"]["opsm"] = {{"threshold", 0.1}, {"anchor", "old"}};
    test_case["inputs"]["logp_rollout"] = test_case["inputs"]["logp_old"];
    test_case[json::json_pointer(c.pointer)] = c.value;
    CHECK_MESSAGE(answer_to(test_case) == "unsupported", c.pointer << " = " << c.value.dump());
  }
  const change to_advantage[] = {{"/options/estimator", "no_such_estimator"},
                                 {"/options/baseline", "no_such_baseline"},
                                 {"/options/scale", "no_such_scale"},
                                 {"/options/singleton", "keep"},
                                 {"/options/ddof", 0.5},
                                 {"/options/ddof", 18446744073709551615u},
                                 {"/options/eps", "small"},
                                 {"/options/extra", 1}};
  for (const change& c : to_advantage) {
    json test_case = json::parse(advantage_case);
    test_case[json::json_pointer(c.pointer)] = c.value;
    CHECK_MESSAGE(answer_to(test_case) == "unsupported", c.pointer << " = " << c.value.dump());
  }
}

TEST_CASE("what is missing or does not fit is an error") {
  for (const std::string pointer : {"/op",
                                    "/dtype",
                                    "/inputs",
                                    "/options",
                                    "/inputs/logp",
                                    "/inputs/logp_old",
                                    "/inputs/logp_ref",
                                    "/inputs/mask",
                                    "/inputs/advantages",
                                    "/options/ratio",
                                    "/options/ratio/level",
                                    "/options/ratio/anchor",
                                    "/options/ratio/log_clamp",
                                    "/options/surrogate",
                                    "/options/surrogate/type",
                                    "/options/surrogate/low",
                                    "/options/kl",
                                    "/options/kl/coef",
                                    "/options/kl/importance_cap",
                                    "/options/opsm",
                                    "/options/aggregation",
                                    "/options/aggregation/type"}) {
    const json::json_pointer at(pointer);
    json test_case = json::parse(loss_case);
    test_case[at.parent_pointer()].erase(at.back());
    const std::string answer = answer_to(test_case);
    CHECK_MESSAGE((contains(answer, "missing") || contains(answer, "has no")),
                  pointer << ": " << answer);
  }
  struct change {
    std::string pointer;
    json value;
    std::string fault;
  };
  const change changes[] = {
      {"/inputs", 3, "not an object"},
      {"/inputs/logp", "nothing", "no tensor \"nothing\""},
      {"/inputs/logp", nullptr, "no tensor null"},
      {"/inputs/logp", "a", "does not have the shape [B, T]"},
      {"/inputs/logp_old", "a", "has shape [2], expected [2, 3]"},
      {"/inputs/mask", "p", "is F32, expected U8"},
      {"/inputs/logp_ref", "m", "is U8, expected F32"},
      {"/inputs/advantages", "r", "has shape [4], expected [2]"},
      {"/inputs/advantages", "g", "has shape [4], expected [2]"},
      {"/dtype", "float64", "is F32, expected F64"},
      {"/options", json::array(), "expected an object"},
      {"/options", nullptr, "expected an object"},
      {"/options/ratio", "token", "expected an object"},
      {"/options/surrogate", 3, "expected an object"},
      {"/options/kl", "k3", "expected an object"},
      {"/options/opsm", 1, "expected an object"},
      {"/options/rollout_correction", json::object(), "missing"},
      {"/options/surrogate",
       {{"type", "gmpo"}, {"log_low", -0.4}, {"log_high", 0.4}},
       "needs the ratio level sequence"},
      {"/options/aggregation", nullptr, "expected an object"},
      {"/options/aggregation", {{"type", "constant"}}, "missing"},
      {"/options/aggregation", {{"type", "constant"}, {"value", 0}}, "expected a positive number"},
      {"/options/aggregation", {{"type", "constant"}, {"value", -1e308}}, "positive number"},
      {"/options/aggregation",
       {{"type", "sequence_mean_token_mean"}, {"rows", -2}},
       "positive number"}};
  for (const change& c : changes) {
    json test_case = json::parse(loss_case);
    test_case[json::json_pointer(c.pointer)] = c.value;
    const std::string answer = answer_to(test_case);
    CHECK_MESSAGE(contains(answer, c.fault),
                  c.pointer << " = " << c.value.dump() << ": " << answer);
  }
  const change to_advantage[] = {{"/inputs/group", "r", "is F32, expected I64"},
                                 {"/inputs/group", "a", "has shape [2], expected [4]"},
                                 {"/inputs/rewards", "p", "does not have the shape [N]"},
                                 {"/inputs/rewards", "g", "is I64, expected F32"},
                                 {"/options/ddof", -1, "ddof is -1"},
                                 {"/options/eps", -1, "eps is -1"}};
  for (const change& c : to_advantage) {
    json test_case = json::parse(advantage_case);
    test_case[json::json_pointer(c.pointer)] = c.value;
    const std::string answer = answer_to(test_case);
    CHECK_MESSAGE(contains(answer, c.fault),
                  c.pointer << " = " << c.value.dump() << ": " << answer);
  }
}

TEST_CASE("cases that are no cases") {
  for (const json& test_case : {json(nullptr), json(3), json("loss"), json::array(), json::object(),
                                json{{"id", 3}}, json{{"id", nullptr}, {"op", "policy_loss"}}})
    CHECK(contains(answer_to(test_case), "no id"));
  CHECK(contains(answer_to(json{{"id", ""}}), "no op"));
  CHECK(contains(answer_to(json{{"id", "a\"/\n\\b"}}), "no op"));

  // the second of two cases of one id is not told from the first
  const tensor_file inputs(conformance::serialize(small_tensors()));
  json second = json::parse(advantage_case);
  second["id"] = "loss";
  CHECK(answer_of(run_cases(spec_of({json::parse(loss_case), second}).dump(), inputs), "loss") ==
        "ok");
}

TEST_CASE("numbers that JSON does not have spoil one case") {
  const tensor_file inputs(conformance::serialize(small_tensors()));
  for (const char* number : {"NaN", "Infinity", "-Infinity", "1e999", "-1e999"}) {
    std::string text = loss_case;
    text.replace(text.find("0.1,"), 3, number);
    json good = json::parse(loss_case);
    good["id"] = "NaN, \\\" Infinity";  // text stays text
    const outputs out = run_cases(R"({"cases": [)" + text + "," + good.dump() + "]}", inputs);
    CHECK(answer_of(out, "loss") == "unsupported");
    CHECK(answer_of(out, good["id"]) == "ok");
  }
}

TEST_CASE("specs that are no specs") {
  const tensor_file inputs(conformance::serialize(small_tensors()));
  const auto refused = [&](const std::string& spec) {
    try {
      run_cases(spec, inputs);
      return false;
    } catch (const std::invalid_argument&) {
      return true;
    }
  };
  for (const std::string spec :
       {"", " ", "[]", "{}", "3", "\"", "\"\\", "{\"cases\": 3}", "{\"cases\": {}}",
        "{\"cases\": [}", "{\"cases\": []} x", "nul", "NaN", "\xff"})
    CHECK_MESSAGE(refused(spec), spec);
  CHECK_FALSE(refused("{\"cases\": []}"));
  CHECK(refused("{\"cases\": " + std::string(200000, '[')));

  // cut off anywhere, or with any byte replaced
  const std::string spec = spec_of({json::parse(loss_case), json::parse(advantage_case)}).dump();
  for (std::size_t n = 0; n < spec.size(); ++n) CHECK(refused(spec.substr(0, n)));
  for (std::size_t i = 0; i < spec.size(); ++i) {
    for (const char replacement : {'"', '0', '-', '{', ']', ',', ' ', '\0', '\x80'}) {
      std::string changed = spec;
      changed[i] = replacement;
      refused(changed);  // or answered: either way it returns
    }
  }
}

TEST_CASE("batches without tokens") {
  const auto answer_with = [](std::int64_t rows, std::int64_t width, bool per_token) {
    const auto n = static_cast<std::size_t>(rows * width);
    auto tensors = small_tensors();
    for (const char* name : {"p", "q", "s"})
      tensors[name] = make_tensor({rows, width}, std::vector<float>(n));
    tensors["m"] = make_tensor({rows, width}, std::vector<std::uint8_t>(n));
    tensors["a"] = per_token
                       ? tensors["p"]
                       : make_tensor({rows}, std::vector<float>(static_cast<std::size_t>(rows)));
    const tensor_file inputs(conformance::serialize(tensors));
    const outputs out = run_cases(spec_of({json::parse(loss_case)}).dump(), inputs);
    REQUIRE(answer_of(out, "loss") == "ok");
    for (const auto& [name, t] : out)
      for (const double x :
           t.type == conformance::dtype::i64 ? std::vector<double>{} : t.as<double>())
        CHECK(x == 0);
    return out.at("loss/grad_logp").shape;
  };
  for (const bool per_token : {false, true}) {
    CHECK(answer_with(0, 0, per_token) == std::vector<std::int64_t>{0, 0});
    CHECK(answer_with(0, 3, per_token) == std::vector<std::int64_t>{0, 3});
    CHECK(answer_with(3, 0, per_token) == std::vector<std::int64_t>{3, 0});
    CHECK(answer_with(2, 3, per_token) == std::vector<std::int64_t>{2, 3});
  }
  auto tensors = small_tensors();
  tensors["r"] = make_tensor<float>({0}, {});
  tensors["g"] = make_tensor<std::int64_t>({0}, {});
  const outputs out = run_cases(spec_of({json::parse(advantage_case)}).dump(),
                                tensor_file(conformance::serialize(tensors)));
  CHECK(answer_of(out, "advantage") == "ok");
}

}  // namespace
