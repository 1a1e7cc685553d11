// GRPO of a tiny pretrained model: an update makes what was rewarded likelier, a run's files have
// the same bits for one thread and two and after a resumption, what is held out is never trained.
#include "smollm2/grpo.hpp"
#include "smollm2/imitate.hpp"

#include "lm/lora_file.hpp"
#include "lm/pretrained.hpp"
#include "rl/trainer.hpp"
#include "smollm2/r1_sums.hpp"
#include "smollm2/sums.hpp"
#include "tiny_llama.hpp"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include <set>

namespace {

using tiny_llama::folder, tiny_llama::write_model;

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

smollm2::grpo_options short_run(const folder& f, const std::string& name, int threads) {
  smollm2::grpo_options o;
  o.model = f.path + "/tiny.gguf", o.out = f.path + "/" + name;
  o.threads = threads, o.is_quiet = true;
  o.constants.steps = 2, o.constants.rate = 5e-3, o.constants.test_samples = 2;
  return o;
}

}  // namespace

TEST_CASE("sums that are held out, their mirror images and the worked ones are not trained") {
  const folder here;
  const auto file = lm::read_gguf(write_model(here));
  const lm::tokenizer tokenizer(file);
  std::set<std::set<std::int64_t>> first;
  for (const std::uint64_t seed : {0u, 1u}) {
    const smollm2::sums task(tokenizer, seed);
    using pairs = std::set<std::pair<std::int64_t, std::int64_t>>;
    const auto pairs_of = [&](const std::vector<demo::problem>& problems) {
      pairs all;
      for (const auto& p : problems) {
        const auto a = p.numbers[0], b = p.numbers[1];
        CHECK((a >= 1 && a <= 9 && b >= 1 && b <= 9));
        CHECK(p.reference == std::to_string(a + b));
        CHECK(task.text(p.prompt) ==
              "3+4=7\n8+6=14\n2+9=11\n" + std::to_string(a) + "+" + std::to_string(b) + "=");
        CHECK(all.insert({a, b}).second);
      }
      return all;
    };
    const pairs training = pairs_of(task.training()), held_out = pairs_of(task.held_out());
    CHECK(training.size() + held_out.size() == 75);  // 81 less three and their mirror images
    for (const auto& [a, b] : held_out) CHECK(!training.contains({b, a}));
    for (const auto& [a, b] : pairs{{3, 4}, {4, 3}, {8, 6}, {6, 8}, {2, 9}, {9, 2}})
      CHECK((!training.contains({a, b}) && !held_out.contains({a, b})));
    // one epoch has each once, in an order that the next does not have
    std::vector<pairs::value_type> order[2];
    for (std::uint64_t i = 0; i < 2 * training.size(); ++i) {
      const auto p = task.make_problem(7, i);
      order[i / training.size()].emplace_back(p.numbers[0], p.numbers[1]);
    }
    for (const auto& o : order) CHECK(pairs(o.begin(), o.end()) == training);
    CHECK(order[0] != order[1]);
    for (const auto& [a, b] : held_out)
      if (seed == 0) first.insert({a, b});
    if (seed == 1)
      CHECK(!std::ranges::all_of(held_out,
                                 [&](auto p) { return first.contains({p.first, p.second}); }));
  }
}

TEST_CASE("a sum's reply is one closed line of digits") {
  const folder here;
  const auto file = lm::read_gguf(write_model(here));
  const lm::tokenizer tokenizer(file);
  const smollm2::sums task(tokenizer, 0);
  demo::problem p;
  p.reference = "13";
  struct expected {
    const char* reply;
    double accuracy, format;
  };
  for (const expected& e : {expected{"13\n", 1, 1},
                            {"13\n\n", 1, 1},  // what follows the line does not count
                            {"13\n5", 1, 1},
                            {"12\n", 0, 1},
                            {"3\n", 0, 1},
                            {"131\n", 0, 1},
                            {"13", 0, 0},  // not closed: it may become 131
                            {"\n13\n", 0, 0},
                            {"", 0, 0},
                            {"+13\n", 0, 0},
                            {"13.\n", 0, 0},
                            {"x\n", 0, 0}}) {
    CAPTURE(e.reply);
    const auto tokens =
        tokenizer.encode(e.reply, {lm::control_text::plain, lm::lost_byte::refused});
    const auto v = task.judge(p, tokens, false);
    CHECK(v.accuracy == e.accuracy);
    CHECK(v.format == e.format);
    CHECK(v.strict == e.accuracy);
  }
  const auto right = task.make_document(3, 4);
  p = task.make_problem(3, 4);
  CHECK((right.prompt == p.prompt && task.judge(p, right.reply, true).strict == 1));
  CHECK(right.reply.back() == task.end());
}

TEST_CASE(
    "R1's template with two shots: form and sum are judged apart, what is held out is not "
    "trained") {
  const folder here;
  const auto file = lm::read_gguf(write_model(here, "space"));
  const lm::tokenizer tokenizer(file);
  const smollm2::r1_sums task(tokenizer, 0);
  std::set<std::string> training;
  for (const auto& p : task.training()) CHECK(training.insert(task.text(p.prompt)).second);
  CHECK(training.size() > 100);
  const auto check_apart = [&](const std::vector<demo::problem>& problems, std::int64_t least) {
    CHECK(problems.size() >= 16);
    for (const auto& p : problems) {
      const auto a = p.numbers[0], b = p.numbers[1];
      CHECK((a >= least && b >= least && a < 10 * least && b < 10 * least));
      const std::string prompt = task.text(p.prompt);
      const auto sum = std::to_string(a) + "+" + std::to_string(b);
      CHECK(prompt.ends_with("<|im_end|>\n<|im_start|>user\nWhat is " + sum +
                             "?<|im_end|>\n<|im_start|>assistant\n"));
      CHECK(!training.contains(prompt));
      CHECK(static_cast<std::int64_t>(p.prompt.size()) <= task.longest_prompt());
    }
  };
  check_apart(task.held_out(), 1);
  check_apart(task.harder(), 10);

  demo::problem p;
  p.reference = "13";
  struct expected {
    const char* reply;
    double accuracy, format;
  };
  for (const expected& e : {expected{"<think>5+8=13</think><answer>13</answer>", 1, 1},
                            {"<think>so</think>\n<answer> 13 </answer>", 1, 1},
                            {"<think>5+8=12</think><answer>12</answer>", 0, 1},
                            {"<think></think><answer>13</answer>", 1, 0},
                            {"<answer>13</answer>", 1, 0},
                            {"<think>x</think><answer>13</answer>!", 1, 0},
                            {"<think>5+8=13</think>13", 0, 0},
                            {"13", 0, 0},
                            {"", 0, 0}}) {
    CAPTURE(e.reply);
    auto tokens = tokenizer.encode(e.reply, {lm::control_text::plain, lm::lost_byte::dropped});
    CHECK(task.judge(p, tokens, false).format == 0);  // not closed
    tokens.push_back(task.end());
    const auto v = task.judge(p, tokens, true);
    CHECK(v.accuracy == e.accuracy);
    CHECK(v.format == e.format);
    CHECK(v.strict == e.accuracy * e.format);
  }
  const auto right = task.make_document(3, 4);
  CHECK(task.judge(task.make_problem(3, 4), right.reply, true).strict == 1);
}

TEST_CASE("an update makes the replies with the larger rewards likelier") {
  const folder here;
  const auto file = lm::read_gguf(write_model(here, "digits"));
  const lm::tokenizer tokenizer(file);
  const smollm2::sums task(tokenizer, 0);
  const auto config = lm::config_of(file, 64);
  hence::thread_pool pool(2);
  demo::settings s;
  s.questions = 4, s.group = 8, s.minibatches = 1, s.rate = 1e-3, s.format_weight = 0.2;
  demo::trainer t(s, task, config, pool);
  const auto weights = lm::load_weights(file, config, t.model().parameters());
  t.begin_from({weights.data(), static_cast<std::size_t>(weights.size())});
  t.begin_reinforcement();

  auto goal = demo::r1_zero_objective(s, task);
  std::vector<demo::problem> asked;
  std::vector<lm::generated> replies;
  std::vector<float> rewards;
  goal.rewards = [&, judge = goal.rewards](const demo::judged_rollout& r, std::span<float> out) {
    judge(r, out);
    asked.assign(r.asked.begin(), r.asked.end());
    replies.assign(r.replies.begin(), r.replies.end());
    rewards.assign(out.begin(), out.end());
  };
  /// sum over rows of (reward - its group's mean) times the mean log-prob of the row's tokens
  const auto weighted = [&] {
    double sum = 0;
    for (std::size_t q = 0; q < asked.size(); ++q) {
      lm::packed_batch b;
      b.begin_group(asked[q].prompt);
      double mean = 0;
      for (std::size_t i = 8 * q; i < 8 * q + 8; ++i) {
        b.add_response(replies[i].tokens);
        mean += static_cast<double>(rewards[i]) / 8;
      }
      b.close();
      const auto logp = t.logprobs(b, 1.0);
      for (std::size_t i = 0; i < 8; ++i) {
        const auto begin = b.cu_responses()[i], end = b.cu_responses()[i + 1];
        double row = 0;
        for (auto k = begin; k < end; ++k)
          row += static_cast<double>(logp[static_cast<std::size_t>(k)]);
        sum += (static_cast<double>(rewards[8 * q + i]) - mean) * row /
               static_cast<double>(end - begin);
      }
    }
    return sum;
  };
  const auto first = t.reinforce(goal, nullptr);
  REQUIRE(first.reward_std > 0);
  CHECK(first.kl == 0);  // the rollout's log-probs have the bits of the reference's
  CHECK(first.clip_region == 0);
  const double after = weighted();
  const auto trained = t.state().weights;
  t.state().weights.assign(weights.data(), weights.data() + weights.size());
  CHECK(after > weighted());
  t.state().weights = trained;
  CHECK(t.reinforce(goal, nullptr).kl > 0);

  // one group at a time, in tiles of one group: the same bits
  s.micro_tokens = 1, s.tile_tokens = 1;
  demo::trainer cut(s, task, config, pool);
  cut.begin_from({weights.data(), static_cast<std::size_t>(weights.size())});
  cut.begin_reinforcement();
  const auto again = cut.reinforce(demo::r1_zero_objective(s, task), nullptr);
  CHECK(cut.state().weights == trained);
  CHECK(again.gradient_norm == first.gradient_norm);
  CHECK(again.loss == doctest::Approx(first.loss).epsilon(1e-6));
  CHECK(again.entropy == doctest::Approx(first.entropy).epsilon(1e-12));
}

TEST_CASE("two updates have the same bits for one thread and two, and after a resumption") {
  const folder here;
  write_model(here, "digits");
  const std::atomic<bool> go = false;
  CHECK(smollm2::train(short_run(here, "one", 1), go) == 0);
  CHECK(smollm2::train(short_run(here, "two", 2), go) == 0);
  auto o = short_run(here, "resumed", 1);
  o.resumes = true;
  const std::atomic<bool> stop = true;
  CHECK(smollm2::train(o, stop) == 130);  // before the first step
  CHECK(bytes_of(o.out + "/report.html").find("The run was interrupted") != std::string::npos);
  o.constants.steps = 1;
  CHECK(smollm2::train(o, go) == 0);
  o.constants.steps = 2;
  CHECK(smollm2::train(o, go) == 0);
  const auto page = bytes_of(o.out + "/report.html");
  CHECK(page.find("The run was interrupted") == std::string::npos);
  CHECK(page.find("accuracy on held-out sums") != std::string::npos);
  for (const std::string name :
       {"metrics.jsonl", "samples.jsonl", "evaluation.json", "checkpoint.safetensors"}) {
    CAPTURE(name);
    const auto whole = bytes_of(here.path + "/one/" + name);
    CHECK(whole.size() > 100);
    CHECK(bytes_of(here.path + "/two/" + name) == whole);
    CHECK(bytes_of(here.path + "/resumed/" + name) == whole);
  }
  std::istringstream lines(bytes_of(here.path + "/one/metrics.jsonl"));
  int steps = 0;
  for (std::string line; std::getline(lines, line); ++steps) {
    const auto j = nlohmann::json::parse(line);
    CHECK(j.at("step") == steps);
    CHECK(j.at("reward_std") > 0.0);
    CHECK(j.at("grad_norm") > 0.0);
  }
  CHECK(steps == 2);

  o.constants.seed = 1;
  CHECK_THROWS_WITH_AS(smollm2::train(o, go), doctest::Contains("is of a run with other settings"),
                       std::runtime_error);
}

TEST_CASE("the original learns what the trained model answers right") {
  const folder here;
  write_model(here, "digits");
  const std::atomic<bool> go = false;
  CHECK(smollm2::train(short_run(here, "teacher", 2), go) == 0);
  smollm2::imitate_options o;
  o.model = here.path + "/tiny.gguf", o.teacher = here.path + "/teacher", o.is_quiet = true;
  o.samples = 64, o.steps = 12, o.documents = 4, o.rate = 5e-3;
  for (const int threads : {1, 2}) {
    o.threads = threads, o.out = here.path + "/" + std::to_string(threads);
    CHECK(smollm2::imitate(o) == 0);
  }
  for (const std::string name :
       {"documents.jsonl", "metrics.jsonl", "evaluation.json", "checkpoint.safetensors"}) {
    CAPTURE(name);
    const auto one = bytes_of(here.path + "/1/" + name);
    CHECK(one.size() > 50);
    CHECK(bytes_of(here.path + "/2/" + name) == one);
  }
  const auto read = [&](const std::string& name) {
    std::istringstream lines(bytes_of(o.out + "/" + name));
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  };
  const auto documents = read("documents.jsonl");
  const lm::tokenizer tokenizer(lm::read_gguf(o.model));
  const smollm2::sums task(tokenizer, 0);
  std::set<std::string> prompts;
  for (const auto& p : task.training()) prompts.insert(task.text(p.prompt));
  for (const auto& d : documents) {
    const std::string prompt = d.at("prompt"), reply = d.at("completion");
    CHECK(prompts.erase(prompt) == 1);  // a sum of the training, and once
    const auto n = prompt.size();
    CHECK(reply == std::to_string((prompt[n - 4] - '0') + (prompt[n - 2] - '0')) + "\n");
  }
  const auto steps = read("metrics.jsonl");
  REQUIRE(steps.size() == 12);
  const double first = steps.front().at("loss"), last = steps.back().at("loss");
  CHECK(last < first);
}

TEST_CASE(
    "adapters are trained beside frozen weights: files, resumption, another base, a student") {
  const folder here;
  const auto path = write_model(here, "digits");
  const std::atomic<bool> go = false;
  const auto with_adapters = [&](const std::string& name, int threads) {
    auto o = short_run(here, name, threads);
    o.constants.lora = {.rank = 2, .alpha = 4, .targets = {"q_proj", "v_proj", "down_proj"}};
    o.constants.rate = 5e-2;
    return o;
  };
  CHECK(smollm2::train(with_adapters("one", 1), go) == 0);
  CHECK(smollm2::train(with_adapters("two", 2), go) == 0);
  auto o = with_adapters("resumed", 2);
  o.constants.steps = 1;
  CHECK(smollm2::train(o, go) == 0);
  o.constants.steps = 2, o.resumes = true;
  CHECK(smollm2::train(o, go) == 0);
  for (const std::string name :
       {"metrics.jsonl", "samples.jsonl", "evaluation.json", "checkpoint.safetensors"}) {
    CAPTURE(name);
    const auto whole = bytes_of(here.path + "/one/" + name);
    CHECK(whole.size() > 100);
    CHECK(bytes_of(here.path + "/two/" + name) == whole);
    CHECK(bytes_of(here.path + "/resumed/" + name) == whole);
  }
  // the rollout's log-probs have the bits of training, so the first step's KL is 0 and no later
  std::istringstream lines(bytes_of(here.path + "/one/metrics.jsonl"));
  std::string line;
  std::getline(lines, line);
  CHECK(nlohmann::json::parse(line).at("kl") == 0.0);
  std::getline(lines, line);
  CHECK(nlohmann::json::parse(line).at("kl") > 0.0);

  // of three matrices A and B, each with two moments, and nothing of the base's size
  const auto file = lm::read_tensors(here.path + "/one/checkpoint.safetensors");
  CHECK(file.tensors.size() == 3 * 2 * 3);
  std::vector<float> b(2 * 8);
  file.copy("model.layers.0.self_attn.q_proj.lora_B.weight", b);
  CHECK(std::ranges::any_of(b, [](float x) { return x != 0; }));

  // a checkpoint's weights are the base's and the adapters, as whoever answers with it sees them
  const auto model = lm::read_gguf(path);
  const auto config = lm::config_of(model, 64);
  const lm::transformer<float> network(config);
  const auto base = lm::load_weights(model, config, network.parameters());
  const std::span<const float> original(base.data(), static_cast<std::size_t>(base.size()));
  std::vector<float> weights(original.begin(), original.end());
  hence::thread_pool pool(2);
  lm::apply_checkpoint(pool, network, file, weights);
  for (const auto& p : network.parameters().layout.parameters()) {
    CAPTURE(p.name);
    const auto first = static_cast<std::size_t>(p.first), size = static_cast<std::size_t>(p.size);
    const bool is_adapted = p.name.find("q_proj") != p.name.npos ||
                            p.name.find("v_proj") != p.name.npos ||
                            p.name.find("down_proj") != p.name.npos;
    CHECK(std::ranges::equal(std::span(weights).subspan(first, size),
                             original.subspan(first, size)) == !is_adapted);
  }

  // a student with adapters of its own, of a teacher with adapters
  smollm2::imitate_options t;
  t.model = path, t.teacher = here.path + "/one", t.is_quiet = true;
  t.samples = 64, t.steps = 8, t.documents = 4, t.rate = 5e-2;
  t.lora = {.rank = 1, .alpha = 2};
  for (const int threads : {1, 2}) {
    t.threads = threads, t.out = here.path + "/student" + std::to_string(threads);
    CHECK(smollm2::imitate(t) == 0);
  }
  const auto student = bytes_of(here.path + "/student1/checkpoint.safetensors");
  CHECK(bytes_of(here.path + "/student2/checkpoint.safetensors") == student);
  CHECK(lm::read_tensors(t.out + "/checkpoint.safetensors").tensors.size() == 7 * 2);
  std::istringstream steps(bytes_of(t.out + "/metrics.jsonl"));
  std::vector<double> losses;
  while (std::getline(steps, line)) losses.push_back(nlohmann::json::parse(line).at("loss"));
  REQUIRE(losses.size() == 8);
  CHECK(losses.back() < losses.front());

  // one weight of the base is another: neither a run nor an answer takes the adapters
  weights.assign(original.begin(), original.end());
  weights[3] += 1;
  CHECK_THROWS_WITH_AS(lm::apply_checkpoint(pool, network, file, weights),
                       doctest::Contains("the adapters were made for a base whose weights have"),
                       std::runtime_error);
  {
    // the same sizes, one bit of the last norm's gains flipped
    std::string bytes = bytes_of(path);
    const std::size_t at = bytes.size() - 6;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(path, std::ios::binary) << bytes;
  }
  o.constants.steps = 3;
  CHECK_THROWS_WITH_AS(smollm2::train(o, go), doctest::Contains("the adapters were made for"),
                       std::runtime_error);
}
