#include "imitate.hpp"

#include "checked_run.hpp"

#include <hence/evaluate/select.hpp>

namespace smollm2 {
namespace {

namespace evaluate = hence::evaluate;

/// The teacher's right replies to the training's sums, in a random order.
std::vector<demo::document> kept_of(const checked_run& run, const std::vector<demo::problem>& asked,
                                    const std::vector<lm::generated>& replies,
                                    const imitate_options& o, std::uint64_t seed) {
  const auto each = static_cast<std::size_t>(o.samples);
  const std::size_t n = replies.size();
  std::vector<std::uint8_t> correct(n), readable(n);
  std::vector<std::uint64_t> key(n);
  std::vector<std::int64_t> cu_groups{0};
  for (std::size_t q = 0; q < asked.size(); ++q) cu_groups.push_back(cu_groups.back() + o.samples);
  for (std::size_t i = 0; i < n; ++i) {
    const auto v = run.task().judge(asked[i / each], replies[i].tokens, replies[i].is_finished);
    correct[i] = v.accuracy > 0, readable[i] = v.format > 0 && replies[i].is_finished;
    key[i] = hence::reward::hash_text(run.task().text(replies[i].tokens));
  }
  std::vector<evaluate::rejection> fates(n);
  evaluate::select({.correct = correct,
                    .readable = readable,
                    .one_language = {},
                    .without_repetition = {},
                    .key = key,
                    .score = {}},
                   cu_groups, o.best, hence::view<evaluate::rejection>(fates));
  std::vector<demo::document> kept;
  for (std::size_t i = 0; i < n; ++i)
    if (fates[i] == evaluate::rejection::kept)
      kept.push_back({asked[i / each].prompt, replies[i].tokens});
  if (kept.empty())
    throw std::runtime_error("rejection sampling: no sample of " + std::to_string(n) +
                             " is kept; the teacher needs more steps");
  demo::dice d(seed, 5, 0);
  for (std::size_t i = kept.size(); i-- > 1;)
    std::swap(kept[i], kept[static_cast<std::size_t>(d.below(static_cast<std::int64_t>(i) + 1))]);
  return kept;
}

}  // namespace

int imitate(const imitate_options& o) {
  const auto started = demo::clock::now();
  const demo::fs::path folder = o.out;
  const auto say = [&](const char* format, auto... a) { demo::say(o.is_quiet, format, a...); };
  auto file = lm::read_tensors((demo::fs::path(o.teacher) / "checkpoint.safetensors").string());
  const json teacher = json::parse(file.text("run"));
  demo::settings s;
  s.seed = teacher.at("seed"), s.task = teacher.at("task"), s.lora = o.lora;
  const std::int64_t test_samples = teacher.at("test_samples");
  checked_run run(o.model, s, o.threads);
  demo::trainer& trainer = run.trainer();
  make_folder(o.out);
  json constants{{"teacher", teacher}, {"samples", o.samples},     {"best", o.best},
                 {"steps", o.steps},   {"documents", o.documents}, {"rate", o.rate}};
  if (o.lora.rank != 0) constants["lora"] = to_json(o.lora);
  demo::write_text(folder / "config.json", constants.dump(2) + "\n");
  const auto base = run.evaluate(run.task().held_out(), test_samples);

  run.answer_as(file);
  file = {};
  const auto taught = run.evaluate(run.task().held_out(), test_samples);
  const auto& asked = run.task().training();
  const auto replies =
      trainer.answer(asked, o.samples, 1.0, demo::seed_of(s.seed, demo::purpose::data), 0);
  const auto documents =
      kept_of(run, asked, replies, o, demo::seed_of(s.seed, demo::purpose::split, 1));
  say("%zu samples of the teacher, %zu kept\n", replies.size(), documents.size());
  const auto all = [](const json&) { return false; };
  const std::string hint = "the run begins anew";
  {
    demo::line_file lines(folder / "documents.jsonl", hint, all);
    for (const auto& d : documents)
      lines.add({{"prompt", run.task().text(d.prompt)}, {"completion", run.task().text(d.reply)}});
  }

  run.begin_from_file(o.model);
  demo::line_file metrics(folder / "metrics.jsonl", hint, all);
  const lm::schedule rate{.rate = o.rate, .steps = o.steps};
  std::size_t next = 0;
  for (std::int64_t step = 0; step < o.steps; ++step) {
    std::vector<demo::document> batch;
    for (std::int64_t i = 0; i < o.documents; ++i)
      batch.push_back(documents[next++ % documents.size()]);
    const auto m = trainer.supervised_step(batch, rate.at(step), step);
    metrics.add(demo::to_json(m, step));
    say("step %3lld  loss %.4f  %6.1f s\n", static_cast<long long>(step), m.loss,
        demo::seconds_since(started));
  }
  const auto student = run.evaluate(run.task().held_out(), test_samples);
  demo::write_text(
      folder / "evaluation.json",
      json{{"base", to_json(base)}, {"teacher", to_json(taught)}, {"final", to_json(student)}}.dump(
          2) +
          "\n");
  lm::tensor_file out;
  run.put_trained(out);
  out.metadata["step"] = std::to_string(o.steps);
  lm::write_tensors(folder / "checkpoint.safetensors", out);
  say("\nheld out          base  teacher  student\n"
      "accuracy, T = 1  %5.3f    %5.3f    %5.3f\n"
      "format, T = 1    %5.3f    %5.3f    %5.3f\n"
      "greedy           %5.3f    %5.3f    %5.3f\n%.0f s\n",
      base.sampled, taught.sampled, student.sampled, base.format, taught.format, student.format,
      base.greedy, taught.greedy, student.greedy, demo::seconds_since(started));
  return 0;
}

}  // namespace smollm2
