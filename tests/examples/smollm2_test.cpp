// The pretrained example on a tiny model: what is said stays text, logits are those of training.
#include "smollm2/language_model.hpp"

#include "lm/safetensors.hpp"
#include "tiny_llama.hpp"

#include <doctest/doctest.h>

#include <cmath>

using tiny_llama::folder, tiny_llama::write_model;

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
