// The public cases of the mixture of experts, with values computed by the peers.

#include "judge.hpp"
#include "operation.hpp"

#include <doctest/doctest.h>

namespace {

using conformance::tensor_file;
using nlohmann::json;

TEST_CASE("public cases of the mixture of experts") {
  const std::string folder = CONFORMANCE_PUBLIC "_moe";
  const auto raw = conformance::read_bytes(folder + "/spec.json");
  const std::string spec(reinterpret_cast<const char*>(raw.data()), raw.size());
  const tensor_file inputs(conformance::read_bytes(folder + "/input.safetensors"));
  const tensor_file expected(conformance::read_bytes(folder + "/expected.safetensors"));
  const json cases = json::parse(spec).at("cases"), info = json::parse(expected.metadata("cases"));

  const tensor_file written(conformance::serialize(conformance::run_cases(spec, inputs)));
  std::map<std::string, int> passed;
  for (const json& test_case : cases) {
    const std::string id = test_case.at("id");
    const std::string fault = conformance::judge(id, info.at(id), expected, written.tensors());
    CHECK_MESSAGE(fault.empty(),
                  id << ": " << fault << " [" << info.at(id).value("source", "") << "]");
    passed[test_case.at("op")] += fault.empty();
  }
  CHECK(passed["moe_route"] == 95);
  CHECK(passed["moe_experts"] == 3);
  CHECK(passed["permute"] == 3);
}

}  // namespace
