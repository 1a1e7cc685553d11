// The pretrained example on a tiny model: what is said stays text, logits are those of training.
#include "smollm2/language_model.hpp"

#include "gguf_writer.hpp"
#include "lm/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace {

using strings = std::vector<std::string>;

struct folder {
  std::string path = (std::filesystem::temp_directory_path() / "hence_XXXXXX").string();
  folder() {
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no folder");
  }
  ~folder() { std::filesystem::remove_all(path); }
};

/// A model of one layer whose tokens are two control tokens and the letters that ChatML needs.
std::string write_model(const folder& f, const std::string& change = "") {
  constexpr std::int64_t width = 8, ff = 6, head = 4;
  // chr(266) is how GPT-2 writes the byte 10
  strings tokens{"<|im_start|>", "<|im_end|>", "\xc4\x8a"};
  std::vector<std::int32_t> types{3, 3, 1};
  for (char c = '!'; c <= '~'; ++c) {
    tokens.push_back({c});
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

}  // namespace

TEST_CASE("what is said in a chat becomes no control token") {
  const folder here;
  const smollm2::language_model m(write_model(here), 64);
  const auto prompt = m.chat({{"user", "hi<|im_end|>"}});
  CHECK(m.tokens().decode(prompt) ==
        "<|im_start|>user\nhi<|im_end|><|im_end|>\n<|im_start|>assistant\n");
  CHECK(std::count(prompt.begin(), prompt.end(), 0) == 2);
  CHECK(std::count(prompt.begin(), prompt.end(), 1) == 1);
  CHECK(m.end() == 1);
  CHECK(m.text({.tokens = {3, 4, 1}, .logp = {}, .is_finished = true}) == "!\"");
  CHECK(m.text({.tokens = {3, 4}, .logp = {}, .is_finished = false}) == "!\"");
}

TEST_CASE("a chat forgets what the model has no room for") {
  const folder here;
  const smollm2::language_model m(write_model(here), 1024);  // the file's context is shorter: 256
  const std::string x(90, 'x');
  const std::vector<smollm2::turn> all{
      {"system", "as"}, {"user", x}, {"assistant", x}, {"user", "hi"}};
  const std::vector<smollm2::turn> last{all[0], all[3]};
  const std::int64_t room = 256 - static_cast<std::int64_t>(m.chat(all).size());
  REQUIRE(room > 0);
  auto turns = all;
  CHECK(m.fitting(turns, room) == m.chat(all));
  CHECK(turns.size() == 4);
  CHECK(m.fitting(turns, room + 1) == m.chat(last));
  REQUIRE(turns.size() == 2);
  CHECK(turns[0].text == "as");
  CHECK(turns[1].text == "hi");
  turns = all;
  turns.back().text = x + x + x;
  CHECK(m.fitting(turns, 1).empty());
  CHECK(turns.size() == 4);  // what was said before is still there
}

TEST_CASE("a line of token ids is numbers and nothing else") {
  using tokens = std::vector<lm::token>;
  CHECK(smollm2::token_ids("1 0  96\t4 ") == tokens{1, 0, 96, 4});
  CHECK(smollm2::token_ids("") == tokens{});
  for (const std::string word : {"x", "2,3", "4294967296", "1.5", "-"})
    CHECK_THROWS_WITH_AS(
        smollm2::token_ids("7 " + word + " 8"),
        ("token ids: \"" + word + "\" in a line, expected numbers apart by spaces").c_str(),
        std::invalid_argument);
  const folder here;
  const smollm2::language_model m(write_model(here), 64);
  CHECK_THROWS_WITH_AS(m.logits({}), "logits: there are no tokens", std::invalid_argument);
}

TEST_CASE("logits are those that generation draws from, and a checkpoint replaces the weights") {
  const folder here;
  const auto path = write_model(here);
  smollm2::language_model m(path, 64);
  const auto v = m.network().config().vocabulary;
  const auto prompt = m.chat({{"user", "as"}});
  hence::serial pool;
  const auto write = [&] {
    const std::vector<std::vector<lm::token>> prompts{prompt};
    return lm::generate(pool, m.network(), m.weights(), prompts, 4,
                        {.end = m.end(), .longest = 9, .seed = 1});
  };
  const auto responses = write();
  for (const auto& r : responses) {
    auto all = prompt;
    all.insert(all.end(), r.tokens.begin(), r.tokens.end());
    const auto logits = m.logits(all);
    REQUIRE(logits.size() == all.size() * static_cast<std::size_t>(v));
    for (std::size_t i = 0; i < r.tokens.size(); ++i) {
      const float* row = logits.data() + (prompt.size() - 1 + i) * static_cast<std::size_t>(v);
      double sum = 0;
      for (std::int64_t k = 0; k < v; ++k) sum += std::exp(static_cast<double>(row[k]));
      CHECK(static_cast<double>(r.logp[i]) ==
            doctest::Approx(static_cast<double>(row[r.tokens[i]]) - std::log(sum)).epsilon(1e-5));
    }
  }

  lm::tensor_file file;
  std::vector<float> other(static_cast<std::size_t>(m.network().size()));
  for (std::size_t i = 0; i < other.size(); ++i) other[i] = m.weights()[i] / 2;
  for (const auto& p : m.network().parameters().layout.parameters())
    file.tensors[p.name] = {p.shape, std::span(other).subspan(static_cast<std::size_t>(p.first),
                                                              static_cast<std::size_t>(p.size))};
  const std::string checkpoint = here.path + "/a.safetensors";
  lm::write_tensors(checkpoint, file);
  m.load_checkpoint(checkpoint);
  CHECK(std::equal(other.begin(), other.end(), m.weights()));
  CHECK(write()[0].logp != responses[0].logp);
}

TEST_CASE("a file whose parts do not fit each other is refused") {
  const folder here;
  const auto path = write_model(here, "embedding");
  CHECK_THROWS_WITH(smollm2::language_model(path, 64),
                    (path + ": has 98 tokens and an embedding of 97").c_str());
  write_model(here, "end");
  CHECK_THROWS_WITH(smollm2::language_model(path, 64),
                    "tokenizer: eos_token_id is 98, expected 0 to 97");
}
