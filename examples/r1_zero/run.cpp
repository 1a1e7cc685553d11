#include "run.hpp"

#include "tensorboard.hpp"

#include "rl/report.hpp"
#include "rl/run_files.hpp"

#include "lm/safetensors.hpp"

#include <hence/policy/alarm.hpp>

#include <unistd.h>

#include <cstdio>

namespace demo {
namespace {

constexpr const char* story =
    "A base model, trained on worked steps and on a template that it half keeps, is rewarded for a "
    "right answer and for the form, and for nothing else. It learns to think for as long as the "
    "problem needs.";

/// What the report says of the two evaluations.
void put_figures(run_record& r) {
  const auto add = [&](std::vector<figure>& to, const char* name, int digits, const auto& value) {
    figure f{name, digits, {}, {}};
    if (r.has_before) f.before = value(r.before);
    if (r.has_after) f.after = value(r.after);
    to.push_back(f);
  };
  using e = evaluation;
  r.large.clear(), r.judged.clear();
  add(r.large, "strict accuracy, %", 1, [](const e& x) { return 100 * x.strict; });
  add(r.large, "thinking steps", 1, [](const e& x) { return x.thinking; });
  add(r.large, "cons@64, %", 1, [](const e& x) { return 100 * x.consensus; });
  add(r.judged, "strict accuracy, one reply each", 3, [](const e& x) { return x.strict; });
  add(r.judged, "format", 3, [](const e& x) { return x.format; });
  add(r.judged, "thinking steps", 2, [](const e& x) { return x.thinking; });
  add(r.judged, "tokens of a reply", 2, [](const e& x) { return x.length; });
  add(r.judged, "pass@1", 3, [](const e& x) { return x.pass_1; });
  add(r.judged, "pass@1, lower end of 95%", 3, [](const e& x) { return x.pass_1_low; });
  add(r.judged, "pass@1, upper end of 95%", 3, [](const e& x) { return x.pass_1_high; });
  add(r.judged, "pass@4", 3, [](const e& x) { return x.pass_k[0]; });
  add(r.judged, "pass@16", 3, [](const e& x) { return x.pass_k[1]; });
  add(r.judged, "pass@64", 3, [](const e& x) { return x.pass_k[2]; });
  add(r.judged, "cons@64", 3, [](const e& x) { return x.consensus; });
}

class session {
 public:
  session(const run_options& o, const std::atomic<bool>& stop)
      : o_(o),
        s_(o.constants),
        stop_(stop),
        task_(make_task(s_.task)),
        pool_(o.threads),
        trainer_(s_, *task_, pool_),
        has_colour_(isatty(STDOUT_FILENO) != 0) {}

  int run() {
    print_header();
    if (o_.is_dry) return 0;
    prepare_folder();
    if (o_.resumes) load();
    if (phase_ == "base") pretrain();
    if (!stop_ && !record_.has_before) {
      record_.before = trainer_.evaluate(0), record_.has_before = true;
      record_.shown_before = trainer_.show(0, 6);
      say("base       strict accuracy %.1f%%, thinking steps %.2f, pass@1 %.3f, cons@%lld %.3f\n\n",
          100 * record_.before.strict, record_.before.thinking, record_.before.pass_1,
          static_cast<long long>(s_.pass_samples), record_.before.consensus);
    }
    if (!stop_) reinforce();
    if (!stop_) {
      record_.after = trainer_.evaluate(0), record_.has_after = true;
      record_.shown_after = trainer_.show(0, 6);
      record_.is_finished = true;
      write_text(
          folder() / "evaluation.json",
          json{{"base", to_json(record_.before)}, {"final", to_json(record_.after)}}.dump(2) +
              "\n");
    }
    finish();
    if (stop_) return 130;
    if (record_.after.strict >= o_.at_least) return 0;
    std::fprintf(stderr, "r1_zero: strict accuracy is %.3f, expected at least %.3f\n",
                 record_.after.strict, o_.at_least);
    return 3;
  }

 private:
  fs::path folder() const { return o_.out; }
  template <class... A> void say(const char* format, A... a) const {
    demo::say(o_.is_quiet, format, a...);
  }

  json configuration() const {
    json j = to_json(s_);
    const auto& c = trainer_.model().config();
    j["model"] = {{"parameters", trainer_.model().size()},
                  {"layers", c.layers},
                  {"width", c.width},
                  {"heads", c.heads},
                  {"kv_heads", c.kv_heads},
                  {"head", c.head},
                  {"ff", c.ff},
                  {"vocabulary", c.vocabulary},
                  {"longest", c.longest},
                  {"rope_base", c.rope_base}};
    if (c.is_moe())
      j["model"]["moe"] = {
          {"experts", c.moe.experts},         {"k", c.moe.k},   {"groups", c.moe.groups},
          {"kept_groups", c.moe.kept_groups}, {"ff", c.moe.ff}, {"shared_ff", c.moe.shared_ff},
          {"bias_speed", s_.bias_speed}};
    return j;
  }
  /// What the base's weights depend on.
  std::string base_key() const {
    const json j = configuration();
    return json{{"task", j["task"]},
                {"seed", j["seed"]},
                {"base", j["base"]},
                {"optimizer", j["optimizer"]},
                {"model", j["model"]}}
        .dump();
  }
  /// What every later number depends on; more steps may be asked for.
  std::string run_key() const {
    json j = configuration();
    j.erase("steps");
    return j.dump();
  }

  void print_header() {
    const auto& c = trainer_.model().config();
    record_.build = build_text(pool_.size());
    record_.title = "R1-Zero in miniature: " + s_.task + ", seed " + std::to_string(s_.seed);
    record_.configuration = configuration().dump(2);
    say("R1-Zero in miniature\n");
    say("build      %s\n", record_.build.c_str());
    say("model      %lld parameters: %lld layers, width %lld, %lld heads, %s\n",
        static_cast<long long>(trainer_.model().size()), static_cast<long long>(c.layers),
        static_cast<long long>(c.width), static_cast<long long>(c.heads),
        c.is_moe() ? "8 experts of which 2, and a shared one" : "dense");
    say("task       %s, seed %llu\n", s_.task.c_str(), static_cast<unsigned long long>(s_.seed));
    say("recipe     %s, %lld steps of %lld questions x %lld replies, %lld "
        "minibatches\n",
        s_.recipe == "grpo" ? "deepseek_r1_zero" : s_.recipe.c_str(),
        static_cast<long long>(s_.steps), static_cast<long long>(s_.questions),
        static_cast<long long>(s_.group), static_cast<long long>(s_.minibatches));
    const auto loss = constants_of(goal_.loss);
    say("loss       ratio in [%g, %g], KL coefficient %g\n", loss.low, loss.high, loss.kl_coef);
    say("folder     %s\n\n", o_.out.c_str());
  }

  void prepare_folder() {
    std::error_code error;
    fs::create_directories(folder(), error);
    if (error) throw std::runtime_error(o_.out + ": the folder cannot be made: " + error.message());
    write_text(folder() / "config.json", record_.configuration + "\n");
  }

  fs::path checkpoint_path() const { return folder() / "checkpoint.safetensors"; }
  fs::path base_path() const { return folder() / "base.safetensors"; }

  void save() {
    const run_state& r = trainer_.state();
    lm::tensor_file file;
    put(trainer_.model(), file, "", r.weights);
    put(trainer_.model(), file, "optimizer.first.", r.optimizer.first);
    put(trainer_.model(), file, "optimizer.second.", r.optimizer.second);
    if (!r.reference.empty()) put(trainer_.model(), file, "reference.", r.reference);
    json base = json::array();
    for (const auto& b : record_.base) base.push_back(b.loss);
    file.metadata = {{"phase", phase_},
                     {"base_step", std::to_string(base_step_)},
                     {"base_losses", base.dump()},
                     {"step", std::to_string(r.step)},
                     {"tokens", std::to_string(r.tokens)},
                     {"optimizer_step", std::to_string(r.optimizer.step)},
                     {"random", "philox, seed " + std::to_string(s_.seed) + ", no other state"},
                     {"run", run_key()}};
    if (record_.has_before) {
      file.metadata["before"] = to_json(record_.before).dump();
      file.metadata["shown_before"] = to_json(record_.shown_before).dump();
    }
    lm::write_tensors(checkpoint_path(), file);
  }
  void load() {
    const auto found = read_checkpoint(checkpoint_path(), run_key(), o_.is_quiet);
    if (!found) return;
    const lm::tensor_file& file = *found;
    run_state& r = trainer_.state();
    take(trainer_.model(), file, "", r.weights);
    r.optimizer = lm::adamw_state(trainer_.model().size());
    take(trainer_.model(), file, "optimizer.first.", r.optimizer.first);
    take(trainer_.model(), file, "optimizer.second.", r.optimizer.second);
    r.optimizer.step = file.integer("optimizer_step");
    phase_ = file.text("phase");
    if (phase_ == "rl") take(trainer_.model(), file, "reference.", r.reference);
    base_step_ = file.integer("base_step");
    r.step = file.integer("step"), r.tokens = file.integer("tokens");
    for (const json& loss : json::parse(file.text("base_losses")))
      record_.base.push_back({.loss = loss});
    if (file.metadata.contains("before")) {
      record_.before = evaluation_from_json(json::parse(file.text("before")));
      record_.shown_before = group_from_json(json::parse(file.text("shown_before")));
      record_.has_before = true;
    }
    is_loaded_ = true;
    say("resume     %s step %lld\n", phase_ == "rl" ? "reinforcement" : "pretraining",
        static_cast<long long>(phase_ == "rl" ? r.step : base_step_));
  }

  void pretrain() {
    if (!is_loaded_ && fs::exists(base_path())) {
      const auto file = lm::read_tensors(base_path());
      if (file.text("base") == base_key()) {
        take(trainer_.model(), file, "", trainer_.state().weights);
        for (const json& loss : json::parse(file.text("base_losses")))
          record_.base.push_back({.loss = loss});
        say("base       read from %s\n", base_path().c_str());
        return begin_reinforcement();
      }
    }
    if (!is_loaded_) trainer_.initialise();
    line_file log(folder() / "base.jsonl", full_disk_,
                  [&](const json& j) { return j.value("step", std::int64_t{-1}) < base_step_; });
    const auto started = clock::now();
    std::int64_t tokens = 0;
    for (; base_step_ < s_.base_steps && !stop_;) {
      const auto m = trainer_.base_step(base_step_);
      tokens += m.tokens;
      if (base_step_ % 10 == 0) {
        record_.base.push_back(m);
        log.add(to_json(m, base_step_));
      }
      ++base_step_;
      if (base_step_ % 100 == 0 || base_step_ == s_.base_steps)
        say("base %5lld  loss %.4f  %7.0f tokens/s\n", static_cast<long long>(base_step_), m.loss,
            static_cast<double>(tokens) / seconds_since(started));
      if (base_step_ % (10 * o_.checkpoint_every) == 0 && base_step_ < s_.base_steps) save();
    }
    if (stop_) return save();
    lm::tensor_file file;
    put(trainer_.model(), file, "", trainer_.state().weights);
    json base = json::array();
    for (const auto& b : record_.base) base.push_back(b.loss);
    file.metadata = {{"base", base_key()}, {"base_losses", base.dump()}};
    lm::write_tensors(base_path(), file);
    begin_reinforcement();
  }
  void begin_reinforcement() {
    trainer_.begin_reinforcement();
    phase_ = "rl";
  }

  void reinforce() {
    run_state& r = trainer_.state();
    const auto is_done = [&](const json& j) { return j.value("step", std::int64_t{-1}) < r.step; };
    line_file metrics(folder() / "metrics.jsonl", full_disk_, [&](const json& j) {
      if (!is_done(j)) return false;
      record_.steps.push_back(step_from_json(j));
      return true;
    });
    line_file shown(folder() / "samples.jsonl", full_disk_, is_done);
    if (static_cast<std::int64_t>(record_.steps.size()) != r.step)
      throw std::runtime_error((folder() / "metrics.jsonl").string() + ": has " +
                               std::to_string(record_.steps.size()) + " of the " +
                               std::to_string(r.step) + " steps of the checkpoint");
    for (const auto& m : record_.steps) watch(m, true);
    save();
    say(" step  reward  strict  format      KL    clip  entropy  length  think   tok/s    ETA\n");
    const auto started = clock::now();
    const std::int64_t first = r.step;
    while (r.step < s_.steps && !stop_) {
      const auto begun = clock::now();
      const std::int64_t tokens = r.tokens;
      sample_group group;
      const bool shows = o_.show_every > 0 && r.step % o_.show_every == 0;
      const auto m = trainer_.reinforce(goal_, shows ? &group : nullptr);
      const double step_seconds = seconds_since(begun);
      metrics.add(to_json(m));
      record_.steps.push_back(m);
      if (shows) {
        json j{{"step", m.step}};
        j.update(to_json(group));
        shown.add(j);
      }
      const double left = seconds_since(started) / static_cast<double>(r.step - first) *
                          static_cast<double>(s_.steps - r.step);
      if (!o_.is_quiet)
        std::printf(
            "%5lld  %6.3f  %s%6.3f%s  %6.3f  %6.4f  %6.4f  %7.3f  %6.2f  %5.2f  %6.0f  %4.0fs\n",
            static_cast<long long>(m.step), m.reward,
            has_colour_ && m.strict >= 0.9 ? "\033[32m" : "", m.strict,
            has_colour_ && m.strict >= 0.9 ? "\033[0m" : "", m.format, m.kl, m.clip_region,
            m.entropy, m.mean_length, m.thinking,
            static_cast<double>(m.tokens - tokens) / step_seconds, left);
      watch(m, false);
      if (shows && !o_.is_quiet) print(group);
      std::fflush(stdout);
      if (r.step % o_.checkpoint_every == 0 || r.step == s_.steps) save();
    }
    if (stop_) save();
  }

  void print(const sample_group& g) const {
    std::printf("       %s   (answer %s)\n", g.prompt.c_str(), g.reference.c_str());
    for (const auto& row : g.rows)
      std::printf("       %5.2f %+6.2f  %s\n", row.reward, row.advantage, row.text.c_str());
  }

  /// The two ways that a run of this kind goes wrong.
  void watch(const step_metrics& m, bool is_old) {
    const auto alarm = [&](bool& told, const std::string& text) {
      if (told) return;
      told = true;
      record_.alarms.push_back("step " + std::to_string(m.step) + ": " + text);
      if (!is_old) say("       ! %s\n", text.c_str());
    };
    if (form_.update(m.format, m.mean_length))
      alarm(told_form_,
            "the format rises while replies grow short: the policy learns the form and "
            "stops to think");
    if (m.step >= 10 && m.has_think < 0.1)
      alarm(told_think_, "the replies have dropped <think>: right answers, but not in the form");
  }

  /// All steps of the run, those before a resumption too. The wall time is the step's number: the
  /// file depends on the metrics alone.
  void write_events() const {
    std::string bytes = event_header(0);
    for (const auto& m : record_.steps) {
      const json all = to_json(m);
      for (const auto& [name, value] : all.items())
        if (value.is_number() && name != "step")
          bytes += event_scalar(static_cast<double>(m.step), m.step, name, value.get<double>());
    }
    write_text(folder() / "events.out.tfevents.0.r1_zero", bytes);
  }

  void finish() {
    record_.seconds = seconds_since(started_);
    record_.story = story;
    put_figures(record_);
    write_text(folder() / "report.html", report(record_));
    if (o_.has_tensorboard) write_events();
    if (stop_) {
      say("\nstopped; the checkpoint and the report are written, --resume goes on\n");
    } else {
      const evaluation &a = record_.before, &b = record_.after;
      say("\nstrict accuracy   %5.1f%% -> %5.1f%%   (%lld problems, one reply each)\n",
          100 * a.strict, 100 * b.strict, static_cast<long long>(b.problems));
      say("thinking steps    %6.2f -> %6.2f\n", a.thinking, b.thinking);
      say("pass@1            %6.3f -> %6.3f   [%.3f, %.3f]\n", a.pass_1, b.pass_1, b.pass_1_low,
          b.pass_1_high);
      say("cons@%-3lld          %6.3f -> %6.3f\n", static_cast<long long>(s_.pass_samples),
          a.consensus, b.consensus);
      for (const auto& x : record_.alarms) say("alarm             %s\n", x.c_str());
    }
    say("%.0f s; report: %s\n", record_.seconds, (folder() / "report.html").c_str());
  }

  static constexpr const char* full_disk_ = "--resume goes on from the last checkpoint";
  run_options o_;
  settings s_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<word_task> task_;
  hence::thread_pool pool_;
  trainer trainer_;
  objective goal_ = r1_zero_objective(s_, *task_);
  bool has_colour_, is_loaded_ = false;
  std::string phase_ = "base";
  std::int64_t base_step_ = 0;
  run_record record_;
  hence::format_alarm<8> form_{0.05, 0.1};
  bool told_form_ = false, told_think_ = false;
  clock::time_point started_ = clock::now();
};

}  // namespace

int run(const run_options& o, const std::atomic<bool>& stop) { return session(o, stop).run(); }

}  // namespace demo
