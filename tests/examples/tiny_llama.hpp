/// \file
/// A tiny pretrained model as a GGUF file, for the tests of the program that trains and asks one.
#pragma once

#include "gguf_writer.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace tiny_llama {

using strings = std::vector<std::string>;

struct folder {
  std::string path = (std::filesystem::temp_directory_path() / "hence_XXXXXX").string();
  folder() {
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no folder");
  }
  ~folder() { std::filesystem::remove_all(path); }
};

/// A model of one layer whose tokens are two control tokens and the letters that ChatML needs.
/// \param change "end", "embedding": a part that does not fit the others; "digits": digits and a
/// line's end are likelier than other tokens; "space": there is a token for a
/// space.
inline std::string write_model(const folder& f, const std::string& change = "") {
  constexpr std::int64_t width = 8, ff = 6, head = 4;
  // chr(266) is how GPT-2 writes the byte 10
  strings tokens{"<|im_start|>", "<|im_end|>", "\xc4\x8a"};
  std::vector<std::int32_t> types{3, 3, 1};
  for (char c = '!'; c <= '~'; ++c) {
    tokens.push_back({c});
    types.push_back(1);
  }
  if (change == "space") {
    tokens.push_back("\xc4\xa0");
    types.push_back(1);
  }
  const auto vocabulary = static_cast<std::int64_t>(tokens.size());
  gguf_writer::entries entries{
      {"general.architecture", std::string("llama")},
      {"llama.block_count", std::uint32_t{1}},
      {"llama.context_length", std::uint32_t{256}},
      {"llama.embedding_length", std::uint32_t{width}},
      {"llama.feed_forward_length", std::uint32_t{ff}},
      {"llama.attention.head_count", std::uint32_t{2}},
      {"llama.attention.head_count_kv", std::uint32_t{1}},
      {"llama.attention.layer_norm_rms_epsilon", 1e-5f},
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.pre", std::string("smollm")},
      {"tokenizer.ggml.tokens", lm::gguf_array(tokens)},
      {"tokenizer.ggml.token_type", lm::gguf_array(types)},
      {"tokenizer.ggml.merges", lm::gguf_array(strings{"a s"})},
      {"tokenizer.ggml.eos_token_id",
       change == "end" ? static_cast<std::uint32_t>(vocabulary) + 1 : std::uint32_t{1}}};
  std::get<strings>(std::get<lm::gguf_array>(entries[10].second)).push_back("as");
  std::get<std::vector<std::int32_t>>(std::get<lm::gguf_array>(entries[11].second)).push_back(1);
  std::mt19937 random(2);
  std::vector<gguf_writer::tensor> tensors;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const auto extent : shape) n *= extent;
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float& v : x) v = static_cast<float>(random() % 2001) / 1000 - 1;
    if (change == "digits" && name == "token_embd.weight")
      for (std::int64_t i = 0; i < n; ++i) {
        const auto t = i / width;
        const bool is_likely = t == 2 || (t >= 3 + '0' - '!' && t <= 3 + '9' - '!');
        x[static_cast<std::size_t>(i)] *= is_likely ? 4.0f : 0.0625f;
      }
    tensors.push_back({name, std::move(shape), 0, gguf_writer::raw(x)});
  };
  add("token_embd.weight", {vocabulary + (change == "embedding" ? 0 : 1), width});
  for (const std::string name : {"attn_norm", "ffn_norm"})
    add("blk.0." + name + ".weight", {width});
  add("blk.0.ffn_down.weight", {width, ff});
  add("blk.0.ffn_gate.weight", {ff, width});
  add("blk.0.ffn_up.weight", {ff, width});
  add("blk.0.attn_q.weight", {2 * head, width});
  add("blk.0.attn_k.weight", {head, width});
  add("blk.0.attn_v.weight", {head, width});
  add("blk.0.attn_output.weight", {width, 2 * head});
  add("output_norm.weight", {width});
  const std::string path = f.path + "/tiny.gguf";
  std::ofstream(path, std::ios::binary) << gguf_writer::file_of(entries, tensors).s;
  return path;
}

}  // namespace tiny_llama
