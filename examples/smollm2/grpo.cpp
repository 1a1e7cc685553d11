#include "grpo.hpp"

#include "sums.hpp"

#include "lm/pretrained.hpp"
#include "rl/report.hpp"
#include "rl/run_files.hpp"

#include <algorithm>
#include <optional>

namespace smollm2 {
namespace {

using demo::json;

/// On the sums that are held out.
struct held_out_result {
  double sampled = 0;  ///< accuracy at temperature 1
  double format = 0;   ///< at temperature 1
  double greedy = 0;   ///< accuracy of the likeliest reply
  std::int64_t samples = 0, problems = 0;
};

json to_json(const held_out_result& r) {
  return {{"accuracy", r.sampled},
          {"format", r.format},
          {"greedy_accuracy", r.greedy},
          {"samples", r.samples},
          {"problems", r.problems}};
}
held_out_result result_from_json(const json& j) {
  return {.sampled = j.at("accuracy"),
          .format = j.at("format"),
          .greedy = j.at("greedy_accuracy"),
          .samples = j.at("samples"),
          .problems = j.at("problems")};
}

json to_json(const grpo_settings& s) {
  return {{"task", s.task},
          {"seed", s.seed},
          {"steps", s.steps},
          {"questions", s.questions},
          {"group", s.group},
          {"rate", s.rate},
          {"format_weight", s.format_weight},
          {"epsilon", s.epsilon},
          {"test_samples", s.test_samples}};
}

demo::settings trainer_settings(const grpo_settings& s) {
  demo::settings d;
  d.task = s.task, d.seed = s.seed, d.steps = s.steps;
  d.questions = s.questions, d.group = s.group, d.minibatches = 1;
  d.rate = s.rate, d.format_weight = s.format_weight, d.epsilon = s.epsilon;
  return d;
}

class session {
 public:
  session(const grpo_options& o, const std::atomic<bool>& stop)
      : session(o, stop, lm::read_gguf(o.model)) {}

  int run() {
    print_header();
    prepare_folder();
    if (o_.resumes) load();
    if (!before_) {
      before_ = evaluate();
      shown_before_ = show();
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
    const auto shown_after = show();
    print("before", shown_before_);
    print("after", shown_after);
    write_report(after, shown_after);
    say("%.0f s; %s\n", demo::seconds_since(started_), o_.out.c_str());
    return 0;
  }

 private:
  session(const grpo_options& o, const std::atomic<bool>& stop, const lm::gguf_file& file)
      : o_(o),
        s_(o.constants),
        stop_(stop),
        tokenizer_(file),
        task_(tokenizer_, s_.seed),
        pool_(o.threads),
        trainer_(trainer_settings(s_), task_,
                 lm::config_of(file, task_.longest_prompt() + task_.longest_reply()), pool_) {
    if (tokenizer_.size() != trainer_.model().config().vocabulary)
      throw std::runtime_error(o.model + ": has " + std::to_string(tokenizer_.size()) +
                               " tokens and an embedding of " +
                               std::to_string(trainer_.model().config().vocabulary));
    const auto weights =
        lm::load_weights(file, trainer_.model().config(), trainer_.model().parameters());
    trainer_.begin_from({weights.data(), static_cast<std::size_t>(weights.size())});
    trainer_.begin_reinforcement();
  }

  demo::fs::path folder() const { return o_.out; }
  demo::fs::path checkpoint_path() const { return folder() / "checkpoint.safetensors"; }
  template <class... A> void say(const char* format, A... a) const {
    demo::say(o_.is_quiet, format, a...);
  }

  json configuration() const {
    json j = to_json(s_);
    j["model"] = {{"file", demo::fs::path(o_.model).filename().string()},
                  {"parameters", trainer_.model().size()}};
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
    say("build      %s\n", demo::build_text(pool_.size()).c_str());
    say("model      %s, %lld parameters\n", o_.model.c_str(),
        static_cast<long long>(trainer_.model().size()));
    say("task       %s, seed %llu: %zu to train on, %zu held out\n", task_.name(),
        static_cast<unsigned long long>(s_.seed), task_.training().size(), task_.held_out().size());
    say("recipe     deepseek_r1_zero, %lld steps of %lld questions x %lld replies, rate %g\n",
        static_cast<long long>(s_.steps), static_cast<long long>(s_.questions),
        static_cast<long long>(s_.group), s_.rate);
    say("folder     %s\n\n", o_.out.c_str());
  }

  void prepare_folder() const {
    std::error_code error;
    demo::fs::create_directories(folder(), error);
    if (error) throw std::runtime_error(o_.out + ": the folder cannot be made: " + error.message());
    demo::write_text(folder() / "config.json", configuration().dump(2) + "\n");
  }

  void save() {
    const demo::run_state& r = trainer_.state();
    lm::tensor_file file;
    demo::put(trainer_.model(), file, "", r.weights);
    demo::put(trainer_.model(), file, "optimizer.first.", r.optimizer.first);
    demo::put(trainer_.model(), file, "optimizer.second.", r.optimizer.second);
    file.metadata = {{"step", std::to_string(r.step)},
                     {"tokens", std::to_string(r.tokens)},
                     {"optimizer_step", std::to_string(r.optimizer.step)},
                     {"before", to_json(*before_).dump()},
                     {"shown_before", demo::to_json(shown_before_).dump()},
                     {"run", run_key()}};
    lm::write_tensors(checkpoint_path(), file);
  }
  void load() {
    if (!demo::fs::exists(checkpoint_path())) {
      say("resume     there is no checkpoint yet, the run begins\n");
      return;
    }
    const auto file = lm::read_tensors(checkpoint_path());
    if (file.text("run") != run_key())
      throw std::runtime_error(checkpoint_path().string() +
                               ": is of a run with other settings; give the same flags, or another "
                               "--out. It was made with " +
                               file.text("run"));
    demo::run_state& r = trainer_.state();
    demo::take(trainer_.model(), file, "", r.weights);
    demo::take(trainer_.model(), file, "optimizer.first.", r.optimizer.first);
    demo::take(trainer_.model(), file, "optimizer.second.", r.optimizer.second);
    r.optimizer.step = file.integer("optimizer_step");
    r.step = file.integer("step"), r.tokens = file.integer("tokens");
    before_ = result_from_json(json::parse(file.text("before")));
    shown_before_ = demo::group_from_json(json::parse(file.text("shown_before")));
    say("resume     step %lld\n", static_cast<long long>(r.step));
  }

  void reinforce() {
    demo::run_state& r = trainer_.state();
    const auto goal = demo::r1_zero_objective(trainer_settings(s_));
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
      const auto m = trainer_.reinforce(goal, shows ? &group : nullptr);
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

  held_out_result evaluate() const {
    const auto& asked = task_.held_out();
    held_out_result r;
    const auto seed = demo::seed_of(s_.seed, demo::purpose::tests);
    const auto sampled = trainer_.answer(asked, s_.test_samples, 1.0, seed, 1);
    const auto greedy = trainer_.answer(asked, 1, 0.0, seed, 2);
    r.problems = static_cast<std::int64_t>(asked.size());
    r.samples = static_cast<std::int64_t>(sampled.size());
    const auto judged = [&](const lm::generated& g, std::size_t problem) {
      return task_.judge(asked[problem], g.tokens, g.is_finished);
    };
    for (std::size_t i = 0; i < sampled.size(); ++i) {
      const auto v = judged(sampled[i], i / static_cast<std::size_t>(s_.test_samples));
      r.sampled += v.strict, r.format += v.format;
    }
    for (std::size_t i = 0; i < greedy.size(); ++i) r.greedy += judged(greedy[i], i).strict;
    r.sampled /= static_cast<double>(r.samples), r.format /= static_cast<double>(r.samples);
    r.greedy /= static_cast<double>(r.problems);
    return r;
  }
  void write_report(const std::optional<held_out_result>& after,
                    const demo::sample_group& shown_after) const {
    demo::run_record r;
    r.title = "GRPO on " + demo::fs::path(o_.model).stem().string() + ": " + s_.task + ", seed " +
              std::to_string(s_.seed);
    r.configuration = configuration().dump(2);
    r.build = demo::build_text(pool_.size());
    r.story =
        "A pretrained model completes sums of two digits behind three worked ones. It is rewarded "
        "for the right number and, a little, for a line of digits; the evaluation is on sums that "
        "it was never asked in training.";
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
    using result = held_out_result;
    add(r.large, "accuracy on held-out sums, %", 1,
        [](const result& x) { return 100 * x.sampled; });
    add(r.large, "the same, likeliest reply, %", 1, [](const result& x) { return 100 * x.greedy; });
    add(r.judged, "accuracy, temperature 1", 3, [](const result& x) { return x.sampled; });
    add(r.judged, "format, temperature 1", 3, [](const result& x) { return x.format; });
    add(r.judged, "accuracy, greedy", 3, [](const result& x) { return x.greedy; });
    demo::write_text(folder() / "report.html", demo::report(r));
  }
  /// Replies to the first sum that is held out.
  demo::sample_group show() const {
    const demo::problem& p = task_.held_out()[0];
    demo::sample_group g{task_.text(p.prompt), p.reference, {}};
    for (const auto& reply :
         trainer_.answer({&p, 1}, 8, 1.0, demo::seed_of(s_.seed, demo::purpose::tests), 3)) {
      demo::sample_row row;
      row.text = task_.text(reply.tokens);
      row.judged = task_.judge(p, reply.tokens, reply.is_finished);
      row.reward = row.judged.accuracy + s_.format_weight * row.judged.format;
      g.rows.push_back(row);
    }
    return g;
  }

  grpo_options o_;
  grpo_settings s_;
  const std::atomic<bool>& stop_;
  lm::tokenizer tokenizer_;
  sums task_;
  hence::thread_pool pool_;
  demo::trainer trainer_;
  std::optional<held_out_result> before_;
  demo::sample_group shown_before_;
  std::vector<demo::step_metrics> steps_;
  demo::clock::time_point started_ = demo::clock::now();
};

}  // namespace

int train(const grpo_options& o, const std::atomic<bool>& stop) { return session(o, stop).run(); }

}  // namespace smollm2
