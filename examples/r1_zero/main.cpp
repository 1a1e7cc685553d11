// R1-Zero in miniature: a base model is trained, then GRPO with two rewards, right answer and form,
// teaches it to think. See --help.
#include "run.hpp"

#include "rl/interrupt.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  demo::run_options o;
  auto& s = o.constants;
  CLI::App app{"R1-Zero in miniature, from random weights to a model that thinks."};
  app.option_defaults()->always_capture_default();
  app.add_option("--task", s.task, "what is asked")
      ->check(CLI::IsMember({"chain", "countdown", "addition"}));
  app.add_option("--recipe", s.recipe, "the loss")->check(CLI::IsMember({"grpo"}));
  app.add_option("--model", s.model_kind, "the model")->check(CLI::IsMember({"dense", "moe"}));
  app.add_option("--seed", s.seed, "of everything that is drawn");
  app.add_option("--threads", o.threads, "0: all cores")->check(CLI::Range(0, 256));
  app.add_option("--steps", s.steps, "of GRPO")->check(CLI::Range(0, 1000000));
  app.add_option("--base-steps", s.base_steps, "of pretraining")->check(CLI::Range(1, 1000000));
  app.add_option("--rate", s.rate, "learning rate of GRPO")->check(CLI::PositiveNumber);
  app.add_option("--epsilon", s.epsilon, "clip range")->check(CLI::PositiveNumber);
  app.add_option("--format-weight", s.format_weight, "of the form's reward")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--minibatches", s.minibatches, "optimizer steps per rollout")
      ->check(CLI::Range(1, 256));
  app.add_option("--test-problems", s.test_problems, "of the evaluation")
      ->check(CLI::Range(1, 1000000));
  app.add_flag_callback("--moe", [&] { s.model_kind = "moe"; }, "the same as --model moe");
  app.add_option("--bias-speed", s.bias_speed, "of the experts' balance; 0: none")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--out", o.out, "folder of the run")->take_last();
  app.add_option("--show-every", o.show_every, "steps between printed groups; 0: none");
  app.add_option("--checkpoint-every", o.checkpoint_every, "steps between checkpoints")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--at-least", o.at_least, "exit with 3 if the final strict accuracy is lower")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--resume", o.resumes, "go on from the folder's checkpoint");
  app.add_flag("--tensorboard", o.has_tensorboard, "write event files for TensorBoard too");
  app.add_flag("--dry-run", o.is_dry, "say what would be run");
  app.add_flag("--quiet", o.is_quiet, "print nothing but errors");
  CLI11_PARSE(app, argc, argv);
  demo::catch_interrupts();
  try {
    return demo::run(o, demo::is_interrupted);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "r1_zero: %s\n", e.what());
    return 1;
  }
}
