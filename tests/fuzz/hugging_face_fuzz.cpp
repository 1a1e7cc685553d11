// Hugging Face's folder: a config.json fits its tensors or is refused; a tokenizer.json is refused,
// or its tokenizer gives back what it was given. The first byte says which; a tokenizer's text
// follows the byte 31.
//
// with: examples/lm/file_bytes.cpp
// with: examples/lm/gguf.cpp
// with: examples/lm/hugging_face.cpp
// with: examples/lm/safetensors.cpp
// with: examples/lm/tokenizer.cpp
// with: examples/lm/tokenizer_json.cpp

#include "demand.hpp"
#include "lm/hugging_face.hpp"
#include "lm/layout.hpp"
#include "lm/tokenizer.hpp"

#include <new>

namespace {

/// The tensors of this model, so that a config.json of its sizes is read to the end.
lm::hugging_face_model with_tensors(const lm::model_config& c) {
  lm::hugging_face_model model;
  model.shards.resize(1);
  auto& file = model.shards[0];
  const lm::model_parameters p(c);
  file.storage.assign(static_cast<std::size_t>(p.layout.size()), 0.5f);
  for (const auto& x : p.layout.parameters()) {
    std::int64_t size = 1;
    for (const auto extent : x.shape) size *= extent;
    file.tensors[x.name] = {
        x.shape, std::span<const float>(file.storage)
                     .subspan(static_cast<std::size_t>(x.first), static_cast<std::size_t>(size))};
  }
  return model;
}

void read_config(std::string_view s) {
  static lm::hugging_face_model model = with_tensors({.vocabulary = 9,
                                                      .width = 8,
                                                      .layers = 1,
                                                      .heads = 2,
                                                      .kv_heads = 1,
                                                      .head = 4,
                                                      .ff = 6,
                                                      .longest = 16,
                                                      .tied = true});
  model.config = lm::parse_strange_json(s);
  if (!model.config.is_object()) return;  // refused where the file is read
  const auto c = lm::config_of(model, 16);
  demand(c.vocabulary == 9 && c.width == 8 && c.layers == 1 && c.ff == 6, "sizes are the tensors'");
  demand(c.query_width() == 8 && c.kv_heads * c.head == 4 && c.tied, "heads are the tensors'");
  demand(c.longest >= 1 && c.longest <= 16, "no longer than was asked for");
  demand(c.rope_base > 1 && c.norm_eps > 0, "numbers are in their range");
  const auto weights = lm::load_weights(model, c, lm::model_parameters(c));
  demand(weights.size() == static_cast<std::int64_t>(model.shards[0].storage.size()),
         "every weight is read");
  const auto end = lm::end_of(model);
  demand(end >= 0 && end < 9, "the end is a token");
}

void read_tokenizer(std::string_view s) {
  const auto cut = s.rfind('\x1f');
  const std::string_view text = cut == s.npos ? "a a12\n" : s.substr(cut + 1);
  lm::hugging_face_model model;
  model.tokenizer = lm::parse_strange_json(s.substr(0, cut));
  if (!model.tokenizer.is_object()) return;
  const lm::tokenizer t(lm::vocabulary_of(model));
  for (const auto control : {lm::control_text::recognised, lm::control_text::plain}) {
    for (const auto id : t.encode(text, {control, lm::lost_byte::dropped}))
      demand(id >= 0 && id < t.size(), "every id is a token");
    try {
      demand(t.decode(t.encode(text, {control, lm::lost_byte::refused})) == text, "round trip");
    } catch (const std::invalid_argument&) {  // a byte without a token
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view s = as_text(data, size).substr(1);
  try {
    data[0] % 2 != 0 ? read_config(s) : read_tokenizer(s);
  } catch (const std::runtime_error&) {
  }
  return 0;
}
