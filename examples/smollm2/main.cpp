// A pretrained language model on the code that hence's miniatures train. See --help.
#include "run.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  smollm2::options o;
  CLI::App app{
      "A pretrained model of the Llama architecture: completes, chats, shows a training's "
      "effect."};
  app.option_defaults()->always_capture_default();
  app.add_option("--model", o.model,
                 "a GGUF file with its tokenizer (scripts/smollm2_weights.sh "
                 "fetches SmolLM2-135M-Instruct)")
      ->required();
  app.add_option("--trained", o.trained, "a checkpoint of the model: answers before and after");
  auto* const chat = app.add_flag("--chat", o.is_chat, "answer each line of standard input");
  auto* const prompt = app.add_option("--prompt", o.prompt, "complete this text");
  auto* const peer = app.add_option("--peer", o.peer,
                                    "for comparisons: token ids of a text; logits or greedy "
                                    "responses of lines of token ids")
                         ->check(CLI::IsMember({"tokens", "logits", "greedy"}));
  chat->excludes(prompt), prompt->excludes(peer), peer->excludes(chat);
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
  CLI11_PARSE(app, argc, argv);
  try {
    if (!o.is_chat && o.peer.empty() && o.prompt.empty())
      throw std::invalid_argument("one of --chat and --prompt is needed");
    return smollm2::run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "smollm2: %s\n", e.what());
    return 1;
  }
}
