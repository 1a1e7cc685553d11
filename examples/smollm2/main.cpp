// A pretrained language model on the code that hence's miniatures train. See --help.
#include "grpo.hpp"
#include "imitate.hpp"
#include "run.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>

namespace {

std::atomic<bool> stop = false;
extern "C" void on_interrupt(int) {
  if (stop) std::_Exit(130);  // the second time at once
  stop = true;
}

}  // namespace

int main(int argc, char** argv) {
  smollm2::options o;
  smollm2::grpo_options g;
  auto& s = g.constants;
  smollm2::imitate_options t;
  CLI::App app{
      "A pretrained model of the Llama architecture: completes, chats, shows a training's "
      "effect."};
  app.option_defaults()->always_capture_default();
  app.add_option("--model", o.model,
                 "a GGUF file with its tokenizer (scripts/smollm2_weights.sh "
                 "fetches SmolLM2-135M-Instruct), or a folder with config.json, "
                 "tokenizer.json and model.safetensors")
      ->required();
  app.add_option("--trained", o.trained, "a checkpoint of the model: answers before and after");
  auto* const chat = app.add_flag("--chat", o.is_chat, "answer each line of standard input");
  auto* const prompt = app.add_option("--prompt", o.prompt, "complete this text");
  auto* const peer = app.add_option("--peer", o.peer,
                                    "for comparisons: token ids of a text; logits or greedy "
                                    "responses of lines of token ids")
                         ->check(CLI::IsMember({"tokens", "logits", "greedy"}));
  auto* const grpo = app.add_option("--grpo", s.task, "train on a task")
                         ->check(CLI::IsMember({"sums", "r1-sums"}));
  chat->excludes(prompt), prompt->excludes(peer), peer->excludes(chat);
  auto* const imitate = app.add_option(
      "--imitate", t.teacher, "fine-tune on what this run of --grpo answers right: its folder");
  for (auto* other : {chat, prompt, peer}) grpo->excludes(other), imitate->excludes(other);
  grpo->excludes(imitate);
  app.add_option("--samples", o.samples, "completions of the prompt; one thread draws them all")
      ->check(CLI::Range(1, 4096));
  app.add_option("--longest", o.longest, "tokens of an answer, at most")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--context", o.context, "tokens of prompt and answer together, at most")
      ->check(CLI::Range(2, 1 << 20));
  app.add_option("--temperature", o.temperature, "0: the likeliest token")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--seed", o.seed, "of what is drawn");
  app.add_option("--threads", o.threads, "of several prompts (--peer greedy); 0: all cores")
      ->check(CLI::Range(0, 256));
  app.add_option("--out", g.out, "folder of a training");
  auto* const steps = app.add_option("--steps", s.steps, "of GRPO; r1-sums: 30")
                          ->check(CLI::Range(0, 399))
                          ->needs(grpo);
  app.add_option("--questions", s.questions, "of a step")->check(CLI::Range(1, 4096))->needs(grpo);
  app.add_option("--group", s.group, "replies to a question")
      ->check(CLI::Range(2, 4096))
      ->needs(grpo);
  auto* const rate = app.add_option("--rate", s.rate,
                                    "learning rate; r1-sums: 1e-5; ten times as large with --lora")
                         ->check(CLI::PositiveNumber)
                         ->needs(grpo);
  auto* const lora =
      app.add_option("--lora", s.lora.rank, "train adapters of this rank beside frozen weights")
          ->check(CLI::Range(1, 4096));
  app.add_option("--lora-alpha", s.lora.alpha,
                 "adapters count alpha / rank times; 0: twice the rank")
      ->check(CLI::NonNegativeNumber)
      ->needs(lora);
  app.add_option("--lora-targets", s.lora.targets, "the matrices that get one")
      ->delimiter(',')
      ->needs(lora);
  for (auto* other : {chat, prompt, peer}) lora->excludes(other);
  auto* const form =
      app.add_option("--format-weight", s.format_weight, "of the form's reward; r1-sums: 0.5")
          ->check(CLI::NonNegativeNumber)
          ->needs(grpo);
  app.add_option("--test-samples", s.test_samples, "replies to each sum that is held out")
      ->check(CLI::Range(1, 4096))
      ->needs(grpo);
  app.add_option("--show-every", g.show_every, "steps between printed groups; 0: none")
      ->needs(grpo);
  app.add_option("--checkpoint-every", g.checkpoint_every, "steps; 12 bytes a trained weight each")
      ->check(CLI::Range(1, 1000000))
      ->needs(grpo);
  app.add_flag("--resume", g.resumes, "go on from the folder's checkpoint")->needs(grpo);
  app.add_flag("--quiet", g.is_quiet, "a training prints nothing but errors");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto usual = smollm2::usual_settings(s.task);
    if (!*steps) s.steps = usual.steps;
    if (!*rate) s.rate = usual.rate;
    if (!*form) s.format_weight = usual.format_weight;
    if (*lora) {
      if (s.lora.alpha == 0) s.lora.alpha = 2 * static_cast<double>(s.lora.rank);
      if (!*rate) s.rate *= 10;
      t.lora = s.lora, t.rate *= 10;
    }
    if (*grpo) {
      std::signal(SIGINT, on_interrupt);
      std::signal(SIGTERM, on_interrupt);
      g.model = o.model, g.threads = o.threads, s.seed = o.seed;
      return smollm2::train(g, stop);
    }
    if (*imitate) {
      t.model = o.model, t.threads = o.threads, t.out = g.out, t.is_quiet = g.is_quiet;
      return smollm2::imitate(t);
    }
    if (!o.is_chat && o.peer.empty() && o.prompt.empty())
      throw std::invalid_argument("one of --chat, --prompt, --grpo and --imitate is needed");
    return smollm2::run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "smollm2: %s\n", e.what());
    return 1;
  }
}
