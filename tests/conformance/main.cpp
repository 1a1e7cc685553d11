// hence_conformance SPEC.json INPUT.safetensors OUTPUT.safetensors
//
// Computes the cases of SPEC with the library's components and writes the results. 0: every case
// was answered (perhaps "unsupported" or "error"); 1: so it was, without INPUT, which can't be
// read; 2: no output, the reason is on stderr.

#include "operation.hpp"

#include <cstdio>
#include <exception>

namespace {

int run(const char* spec_path, const char* input_path, const char* output_path) {
  const auto raw = conformance::read_bytes(spec_path);
  const std::string spec(reinterpret_cast<const char*>(raw.data()), raw.size());
  conformance::tensor_file inputs;
  bool has_inputs = true;
  try {
    inputs = conformance::tensor_file(conformance::read_bytes(input_path));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hence_conformance: %s: %s\n", input_path, e.what());
    has_inputs = false;
  }
  conformance::write_bytes(output_path,
                           conformance::serialize(conformance::run_cases(spec, inputs)));
  return has_inputs ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr,
                 "usage: hence_conformance SPEC.json INPUT.safetensors OUTPUT.safetensors\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hence_conformance: %s\n", e.what());
    return 2;
  }
}
