// DeepSeek-R1's pipeline in miniature: cold start, reasoning RL, rejection sampling with
// fine-tuning, RL over all scenarios, distillation. See --help.
#include "run.hpp"

#include "rl/interrupt.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  demo::run_options o;
  auto& s = o.constants;
  CLI::App app{"DeepSeek-R1's pipeline in miniature, from random weights to a distilled student."};
  app.option_defaults()->always_capture_default();
  app.add_option("--seed", s.rl.seed, "of everything that is drawn");
  app.add_option("--threads", o.threads, "0: all cores")->check(CLI::Range(0, 256));
  app.add_option("--out", o.out, "folder of the run; stages that are in it are not run again")
      ->take_last();
  app.add_option("--stages", o.stages, "which to run, by commas; the others must be in the folder")
      ->delimiter(',')
      ->check(CLI::IsMember(demo::stage_names()));
  app.add_option("--steps-scale", o.steps_scale,
                 "of all steps and samples but the cold start's documents, for a short run")
      ->check(CLI::Range(0.001, 100.0));
  app.add_option("--base-steps", s.rl.base_steps, "of pretraining, before the scale")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--language-weight", s.language_weight, "of the language-consistency reward")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--preference-steps", s.preference_steps,
                 "the last steps of the last RL, with everyday questions")
      ->check(CLI::Range(0, 1000000));
  app.add_option("--last-temperature", s.last_temperature, "of the last RL's replies")
      ->check(CLI::PositiveNumber);
  app.add_option("--student-width", s.student_width, "of the distilled model")
      ->check(CLI::Range(8, 256));
  app.add_option("--student-base-steps", s.student_base_steps,
                 "of the student's pretraining, before the scale")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--student-rl-steps", s.student_rl_steps, "of RL directly, before the scale")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--test-problems", s.rl.test_problems, "of each evaluation")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--at-least", o.at_least,
                 "exit with 3 if the accuracy of the last stage before the student is lower")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--helpful-at-least", o.helpful_at_least, "the same for helpfulness")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--harmless-at-least", o.harmless_at_least, "the same for harmlessness")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--quiet", o.is_quiet, "print nothing but errors");
  CLI11_PARSE(app, argc, argv);
  demo::catch_interrupts();
  try {
    return demo::run(o, demo::is_interrupted);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "r1: %s\n", e.what());
    return 1;
  }
}
