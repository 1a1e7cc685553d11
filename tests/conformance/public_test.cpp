// The public cases of the operations that are finished, with values computed by the peers (each
// names its source), and the judge that compares them.

#include "judge.hpp"
#include "operation.hpp"

#include <doctest/doctest.h>
#include <limits>

namespace {

using conformance::judge;
using conformance::make_tensor;
using conformance::tensor_file;
using nlohmann::json;

std::string folder() { return CONFORMANCE_PUBLIC; }

TEST_CASE("public cases") {
  const auto raw = conformance::read_bytes(folder() + "/spec.json");
  const std::string spec(reinterpret_cast<const char*>(raw.data()), raw.size());
  const tensor_file inputs(conformance::read_bytes(folder() + "/input.safetensors"));
  const tensor_file expected(conformance::read_bytes(folder() + "/expected.safetensors"));
  const json cases = json::parse(spec).at("cases"), info = json::parse(expected.metadata("cases"));

  // through a file's bytes, as the program writes them
  const tensor_file written(conformance::serialize(conformance::run_cases(spec, inputs)));
  std::map<std::string, int> passed;
  for (const json& test_case : cases) {
    const std::string id = test_case.at("id");
    const std::string fault = judge(id, info.at(id), expected, written.tensors());
    CHECK_MESSAGE(fault.empty(),
                  id << ": " << fault << " [" << info.at(id).value("source", "") << "]");
    passed[test_case.at("op")] += fault.empty();
  }
  CHECK(passed["policy_loss"] == 154);
  CHECK(passed["advantage"] == 73);
  CHECK(passed["pass_at_k"] == 6);
  CHECK(passed["majority_vote"] == 6);
  CHECK(passed["token_logprob"] == 15);
  CHECK(passed["no_such_operation"] == 1);
}

TEST_CASE("the judge refuses what is wrong") {
  const tensor_file expected(
      conformance::serialize({{"a/x", make_tensor<double>({3}, {0, 2, -4})},
                              {"a/n", make_tensor<std::int64_t>({1}, {7})}}));
  const json ok = json::parse(R"({"status": "ok", "outputs": {
      "x": {"atol": 0.1, "rtol": 0.1, "exact_zero": true}, "n": {"atol": 0, "rtol": 0}}})");
  const auto with_x = [](std::vector<std::int64_t> shape, std::vector<double> x) {
    return std::map<std::string, conformance::tensor>{{"a/x", make_tensor(std::move(shape), x)},
                                                      {"a/n", make_tensor<std::int64_t>({1}, {7})}};
  };
  const auto verdict = [&](const auto& output) { return judge("a", ok, expected, output); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(verdict(with_x({3}, {0, 2, -4})).empty());
  CHECK(verdict(with_x({3, 1}, {0, 2, -4})).empty());
  CHECK(verdict(with_x({3}, {0, 2.49, -4})).empty());  // 0.1 + 0.1 x 4
  CHECK_FALSE(verdict(with_x({3}, {0, 2.51, -4})).empty());
  CHECK_FALSE(verdict(with_x({3}, {0, 2, -3.49})).empty());
  CHECK_FALSE(verdict(with_x({3}, {1e-9, 2, -4})).empty());  // must be exactly 0
  CHECK_FALSE(verdict(with_x({3}, {0, nan, -4})).empty());
  CHECK_FALSE(verdict(with_x({2}, {0, 2})).empty());
  CHECK_FALSE(verdict(with_x({4}, {0, 2, -4, 0})).empty());
  auto output = with_x({3}, {0, 2, -4});
  output.insert_or_assign("a/n", make_tensor<std::int32_t>({1}, {7}));
  CHECK(verdict(output).empty());
  output.insert_or_assign("a/n", make_tensor<std::int64_t>({1}, {8}));
  CHECK_FALSE(verdict(output).empty());
  output.erase("a/n");
  CHECK_FALSE(verdict(output).empty());

  const std::map<std::string, conformance::tensor> nothing;
  const auto said = [](const char* name) {
    return std::map<std::string, conformance::tensor>{
        {std::string("a/") + name, make_tensor<std::uint8_t>({1}, {1})}};
  };
  const json error{{"status", "error"}}, unknown{{"status", "unsupported"}},
      error_or_nan{{"status", "error_or_nan"}, {"nan_output", "x"}};
  CHECK_FALSE(verdict(nothing).empty());
  CHECK_FALSE(verdict(said("error")).empty());
  CHECK_FALSE(verdict(said("unsupported")).empty());
  CHECK(judge("a", error, expected, said("error")).empty());
  CHECK_FALSE(judge("a", error, expected, with_x({3}, {0, 2, -4})).empty());
  CHECK_FALSE(judge("a", error, expected, said("unsupported")).empty());
  CHECK(judge("a", unknown, expected, said("unsupported")).empty());
  CHECK_FALSE(judge("a", unknown, expected, with_x({3}, {0, 2, -4})).empty());
  CHECK(judge("a", error_or_nan, expected, said("error")).empty());
  CHECK(judge("a", error_or_nan, expected, with_x({3}, {0, nan, -4})).empty());
  CHECK_FALSE(judge("a", error_or_nan, expected, with_x({3}, {0, 2, -4})).empty());
  CHECK_FALSE(judge("a", error_or_nan, expected, nothing).empty());
}

}  // namespace
