// Model files: a GGUF file that is read can be written again, byte for byte; tensors lie within
// their file and cover it.
//
// with: examples/lm/file_bytes.cpp
// with: examples/lm/gguf.cpp
// with: examples/lm/safetensors.cpp

#include "../examples/gguf_writer.hpp"
#include "demand.hpp"
#include "lm/safetensors.hpp"

namespace {

void read_gguf(std::string_view s) {
  const auto file = lm::parse_gguf(std::span(s.data(), s.size()));
  demand(gguf_writer::again(file).s == s, "the file says what was read");
  for (const auto& t : file.tensors) {
    demand(inside({t.data.data(), t.data.size()}, s), "tensors lie in the file");
    std::vector<float> x(static_cast<std::size_t>(t.size()));
    t.copy(x);
  }
}

void read_safetensors(std::string_view s) {
  const auto file = lm::parse_tensors(std::span(s.data(), s.size()), lm::written_by::anybody);
  std::size_t elements = 0;
  for (const auto& [name, t] : file.tensors) {
    std::int64_t size = 1;
    for (const std::int64_t n : t.shape) size *= n;
    demand(size == static_cast<std::int64_t>(t.data.size()), "shapes count the elements");
    elements += t.data.size();
  }
  demand(elements == file.storage.size() && 2 * elements <= s.size(), "elements lie in the file");
  try {
    lm::parse_tensors(std::span(s.data(), s.size()), lm::written_by::hence);
  } catch (const std::runtime_error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  for (const auto read : {read_gguf, read_safetensors}) {
    try {
      read(s);
    } catch (const std::runtime_error&) {
    }
  }
  return 0;
}
