#include "grpo.hpp"

#include "checked_run.hpp"

#include <algorithm>
#include <optional>

namespace smollm2 {
namespace {

struct held_out_results : held_out_result {
  std::optional<held_out_result> harder;
};
json to_json(const held_out_results& r) {
  json j = to_json(static_cast<const held_out_result&>(r));
  if (r.harder) j["harder"] = to_json(*r.harder);
  return j;
}
held_out_results results_from_json(const json& j) {
  held_out_results r{result_from_json(j), {}};
  if (j.contains("harder")) r.harder = result_from_json(j.at("harder"));
  return r;
}

json to_json(const grpo_settings& s) {
  json j{{"task", s.task},
         {"seed", s.seed},
         {"steps", s.steps},
         {"questions", s.questions},
         {"group", s.group},
         {"rate", s.rate},
         {"format_weight", s.format_weight},
         {"epsilon", s.epsilon},
         {"test_samples", s.test_samples}};
  if (s.lora.rank != 0) j["lora"] = smollm2::to_json(s.lora);
  if (!lm::has_same_bits) j["gemm"] = lm::gemm_name;
  return j;
}

demo::settings trainer_settings(const grpo_settings& s) {
  demo::settings d;
  d.task = s.task, d.seed = s.seed, d.steps = s.steps;
  d.questions = s.questions, d.group = s.group, d.minibatches = 1;
  d.micro_tokens = 512;  // 1.8 MB a token
  d.rate = s.rate, d.format_weight = s.format_weight, d.epsilon = s.epsilon;
  d.lora = s.lora;
  return d;
}

class session {
 public:
  session(const grpo_options& o, const std::atomic<bool>& stop)
      : o_(o), s_(o.constants), stop_(stop), run_(o.model, trainer_settings(s_), o.threads) {
    run_.trainer().begin_reinforcement();
  }

  int run() {
    print_header();
    prepare_folder();
    if (o_.resumes) load();
    if (!before_) {
      before_ = evaluate();
      shown_before_ = run_.show(s_.format_weight);
      say("held out   accuracy %.3f at temperature 1 (%lld samples), %.3f greedy\n\n",
          before_->sampled, static_cast<long long>(before_->samples), before_->greedy);
    }
    reinforce();
    if (stop_) {
      write_report({}, {});
      say("\nstopped; --resume goes on\n");
      return 130;
    }
    const auto after = evaluate();
    demo::write_text(folder() / "evaluation.json",
                     json{{"base", to_json(*before_)}, {"final", to_json(after)}}.dump(2) + "\n");
    say("\nheld out              before   after\n"
        "accuracy, T = 1       %6.3f  %6.3f   (%lld sums, %lld samples)\n"
        "format, T = 1         %6.3f  %6.3f\n"
        "accuracy, greedy      %6.3f  %6.3f\n",
        before_->sampled, after.sampled, static_cast<long long>(after.problems),
        static_cast<long long>(after.samples), before_->format, after.format, before_->greedy,
        after.greedy);
    if (before_->harder && after.harder)
      say("two digits, T = 1     %6.3f  %6.3f   greedy %.3f -> %.3f\n", before_->harder->sampled,
          after.harder->sampled, before_->harder->greedy, after.harder->greedy);
    const auto shown_after = run_.show(s_.format_weight);
    print("before", shown_before_);
    print("after", shown_after);
    write_report(after, shown_after);
    say("%.0f s; %s\n", demo::seconds_since(started_), o_.out.c_str());
    return 0;
  }

 private:
  demo::fs::path folder() const { return o_.out; }
  demo::fs::path checkpoint_path() const { return folder() / "checkpoint.safetensors"; }
  template <class... A> void say(const char* format, A... a) const {
    demo::say(o_.is_quiet, format, a...);
  }

  json configuration() const {
    json j = to_json(s_);
    j["model"] = {{"file", demo::fs::path(o_.model).filename().string()},
                  {"parameters", run_.model().size()}};
    return j;
  }
  /// What every later number depends on; more steps may be asked for.
  std::string run_key() const {
    json j = configuration();
    j.erase("steps");
    return j.dump();
  }

  void print_header() const {
    say("GRPO of a pretrained model\n");
    say("build      %s\n", demo::build_text(run_.threads()).c_str());
    say("model      %s, %lld parameters\n", o_.model.c_str(),
        static_cast<long long>(run_.model().size()));
    say("task       %s, seed %llu: %zu to train on, %zu held out\n", run_.task().name(),
        static_cast<unsigned long long>(s_.seed), run_.task().training().size(),
        run_.task().held_out().size());
    say("recipe     deepseek_r1_zero, %lld steps of %lld questions x %lld replies, rate %g\n",
        static_cast<long long>(s_.steps), static_cast<long long>(s_.questions),
        static_cast<long long>(s_.group), s_.rate);
    if (const auto* const adapters = run_.trainer().adapters())
      say("lora       rank %lld, alpha %g: %lld parameters are trained\n",
          static_cast<long long>(s_.lora.rank), s_.lora.alpha,
          static_cast<long long>(adapters->size()));
    say("folder     %s\n\n", o_.out.c_str());
  }

  void prepare_folder() const {
    make_folder(o_.out);
    demo::write_text(folder() / "config.json", configuration().dump(2) + "\n");
  }

  void save() {
    const demo::run_state& r = run_.trainer().state();
    lm::tensor_file file;
    file.metadata = {{"step", std::to_string(r.step)},
                     {"tokens", std::to_string(r.tokens)},
                     {"before", to_json(*before_).dump()},
                     {"shown_before", demo::to_json(shown_before_).dump()},
                     {"run", run_key()}};
    run_.put_state(file);
    lm::write_tensors(checkpoint_path(), file);
  }
  void load() {
    const auto found = demo::read_checkpoint(checkpoint_path(), run_key(), o_.is_quiet);
    if (!found) return;
    const lm::tensor_file& file = *found;
    demo::run_state& r = run_.trainer().state();
    run_.take_state(file);
    r.step = file.integer("step"), r.tokens = file.integer("tokens");
    before_ = results_from_json(json::parse(file.text("before")));
    shown_before_ = demo::group_from_json(json::parse(file.text("shown_before")));
    say("resume     step %lld\n", static_cast<long long>(r.step));
  }

  void reinforce() {
    demo::run_state& r = run_.trainer().state();
    const auto goal = demo::r1_zero_objective(trainer_settings(s_), run_.task());
    const auto is_done = [&](const json& j) { return j.value("step", std::int64_t{-1}) < r.step; };
    const std::string hint = "--resume goes on from the last checkpoint";
    demo::line_file metrics(folder() / "metrics.jsonl", hint, [&](const json& j) {
      if (!is_done(j)) return false;
      steps_.push_back(demo::step_from_json(j));
      return true;
    });
    demo::line_file shown(folder() / "samples.jsonl", hint, is_done);
    say(" step  reward  strict  format      KL  entropy  length    dead    norm   tok/s  "
        "seconds\n");
    while (r.step < s_.steps && !stop_) {
      const auto begun = demo::clock::now();
      const std::int64_t tokens = r.tokens;
      demo::sample_group group;
      const bool shows = o_.show_every > 0 && r.step % o_.show_every == 0;
      const auto m = run_.trainer().reinforce(goal, shows ? &group : nullptr);
      json line = demo::to_json(m);
      for (const char* not_ours : {"thinking_steps", "has_think"}) line.erase(not_ours);
      metrics.add(line);
      steps_.push_back(m);
      if (shows) {
        json j{{"step", m.step}};
        j.update(demo::to_json(group));
        shown.add(j);
      }
      const double seconds = demo::seconds_since(begun);
      say("%5lld  %6.3f  %6.3f  %6.3f  %6.3f  %7.3f  %6.2f  %6.2f  %6.2f  %6.0f  %7.1f\n",
          static_cast<long long>(m.step), m.reward, m.strict, m.format, m.kl, m.entropy,
          m.mean_length, m.dead_groups, m.gradient_norm,
          static_cast<double>(m.tokens - tokens) / seconds, seconds);
      if (shows) print("", group);
      if (r.step % o_.checkpoint_every == 0 && r.step < s_.steps) save();
    }
    save();
  }

  void print(const char* when, const demo::sample_group& g) const {
    const auto one_line = [](std::string s) {
      std::replace(s.begin(), s.end(), '\n', '|');
      return s;
    };
    std::string text = std::string("       ") + when + " " + one_line(g.prompt) + " :";
    for (const auto& row : g.rows) text += " " + one_line(row.text);
    say("%s\n", text.c_str());
  }

  held_out_results evaluate() const {
    const auto& task = run_.task();
    held_out_results r{run_.evaluate(task.held_out(), s_.test_samples), {}};
    if (!task.harder().empty()) r.harder = run_.evaluate(task.harder(), s_.test_samples);
    return r;
  }

  void write_report(const std::optional<held_out_results>& after,
                    const demo::sample_group& shown_after) const {
    demo::run_record r;
    r.title = "GRPO on " + demo::fs::path(o_.model).stem().string() + ": " + s_.task + ", seed " +
              std::to_string(s_.seed);
    r.configuration = configuration().dump(2);
    r.build = demo::build_text(run_.threads());
    r.story =
        "A pretrained model adds two numbers, behind some worked sums. It is rewarded for the "
        "right "
        "number and, less, for the form; the evaluation is on sums that it was never asked in "
        "training.";
    r.has_thought = false;
    r.is_finished = after.has_value();
    r.seconds = demo::seconds_since(started_);
    r.steps = steps_;
    r.has_before = true, r.shown_before = shown_before_;
    r.has_after = after.has_value(), r.shown_after = shown_after;
    const auto add = [&](std::vector<demo::figure>& to, const char* name, int digits,
                         const auto& value) {
      to.push_back({name, digits, value(*before_), {}});
      if (after) to.back().after = value(*after);
    };
    using result = held_out_results;
    if (before_->harder)
      add(r.large, "accuracy on harder ones, %", 1,
          [](const result& x) { return 100 * x.harder.value_or(held_out_result{}).sampled; });
    add(r.large, "accuracy on held-out sums, %", 1,
        [](const result& x) { return 100 * x.sampled; });
    add(r.large, "the same, likeliest reply, %", 1, [](const result& x) { return 100 * x.greedy; });
    add(r.judged, "accuracy, temperature 1", 3, [](const result& x) { return x.sampled; });
    add(r.judged, "format, temperature 1", 3, [](const result& x) { return x.format; });
    add(r.judged, "accuracy, greedy", 3, [](const result& x) { return x.greedy; });
    demo::write_text(folder() / "report.html", demo::report(r));
  }

  grpo_options o_;
  grpo_settings s_;
  const std::atomic<bool>& stop_;
  checked_run run_;
  std::optional<held_out_results> before_;
  demo::sample_group shown_before_;
  std::vector<demo::step_metrics> steps_;
  demo::clock::time_point started_ = demo::clock::now();
};

}  // namespace

grpo_settings usual_settings(const std::string& task) {
  grpo_settings s;
  s.task = task;
  // replies ten times as long, most of them in the right form before long
  if (task == "r1-sums") s.steps = 30, s.rate = 1e-5, s.format_weight = 0.5;
  return s;
}

int train(const grpo_options& o, const std::atomic<bool>& stop) { return session(o, stop).run(); }

}  // namespace smollm2
