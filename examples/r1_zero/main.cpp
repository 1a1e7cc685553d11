// R1-Zero in miniature: a base model is trained, then GRPO with two rewards, right answer and form,
// teaches it to think. See --help.
#include "run.hpp"

#include "rl/interrupt.hpp"
#include "rl/losses.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <stdexcept>

int main(int argc, char** argv) {
  demo::run_options o;
  auto& s = o.constants;
  CLI::App app{"R1-Zero in miniature, from random weights to a model that thinks."};
  app.option_defaults()->always_capture_default();
  app.add_option("--task", s.task, "what is asked")
      ->check(CLI::IsMember({"chain", "long_chain", "countdown", "addition"}));
  app.add_option("--recipe", s.recipe, "the loss")->check(CLI::IsMember(demo::loss_names()));
  auto* model =
      app.add_option("--model", s.model_kind, "the model")->check(CLI::IsMember({"dense", "moe"}));
  app.add_option("--seed", s.seed, "of everything that is drawn");
  app.add_option("--threads", o.threads, "0: all cores")->check(CLI::Range(0, 256));
  app.add_option("--steps", s.steps, "of GRPO")->check(CLI::Range(0, 1000000));
  app.add_option("--base-steps", s.base_steps, "of pretraining")->check(CLI::Range(1, 1000000));
  app.add_option("--rate", s.rate, "learning rate of GRPO")->check(CLI::PositiveNumber);
  // Checked with the loss, whose errors have no range of 300 digits.
  auto* low = app.add_option_function<double>(
      "--epsilon-low", [&](double x) { s.epsilon_low = x; },
      "the ratio is clipped at 1 less this; if not given, the recipe's own");
  auto* high = app.add_option_function<double>(
      "--epsilon-high", [&](double x) { s.epsilon_high = x; },
      "the ratio, or the weight of cispo, is clipped at 1 and this; likewise");
  app.add_option_function<double>(
         "--epsilon", [&](double x) { s.epsilon_low = s.epsilon_high = x; },
         "--epsilon-low and --epsilon-high at once")
      ->excludes(low)
      ->excludes(high);
  app.add_option_function<double>(
      "--kl", [&](double x) { s.kl_coef = x; },
      "coefficient of the KL term k3; if not given, the recipe's own, which is 0 but for grpo");
  app.add_option("--questions", s.questions, "of a rollout")->check(CLI::Range(1, 65536));
  app.add_option("--group", s.group, "replies to a question")->check(CLI::Range(2, 65536));
  app.add_option("--format-weight", s.format_weight, "of the form's reward")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--minibatches", s.minibatches, "optimizer steps per rollout")
      ->check(CLI::Range(1, 256));
  app.add_option("--test-problems", s.test_problems, "of the evaluation")
      ->check(CLI::Range(1, 1000000));
  app.add_flag_callback(
         "--moe", [&] { s.model_kind = "moe"; }, "the same as --model moe")
      ->excludes(model);
  auto* bias_speed =
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
    if (bias_speed->count() > 0 && s.model_kind != "moe")
      throw std::invalid_argument(
          "--bias-speed is given, and the dense model has no experts; "
          "expected --moe beside it");
    return demo::run(o, demo::is_interrupted);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "r1_zero: %s\n", e.what());
    return 1;
  }
}
