// GGUF files: one that is read can be written again, byte for byte, and its tensors lie within it.

#include "../../examples/lm/file_bytes.cpp"
#include "../../examples/lm/gguf.cpp"
#include "../examples/gguf_writer.hpp"
#include "demand.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  try {
    const auto file = lm::parse_gguf(std::span(s.data(), s.size()));
    demand(gguf_writer::again(file).s == s, "the file says what was read");
    for (const auto& t : file.tensors) {
      demand(inside({t.data.data(), t.data.size()}, s), "tensors lie in the file");
      std::vector<float> x(static_cast<std::size_t>(t.size()));
      t.copy(x);
    }
  } catch (const std::runtime_error&) {
  }
  return 0;
}
