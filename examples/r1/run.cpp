#include "run.hpp"

#include "report.hpp"

#include "rl/run_files.hpp"

#include <optional>

namespace demo {
namespace {

/// A stage: what it begins with, what it depends on, what it does.
struct stage {
  std::string name;
  std::vector<std::string> needs;  ///< the first has the weights to begin with
  json constants;                  ///< its own
  void (*work)(pipeline&, const pipeline_settings&, const trainer* teacher);
  const char* what;  ///< what it begins with and does
  bool is_student = false;
};

/// Constants of one kind, each under its name: what a stage's numbers depend on and nothing else.
json supervised(const pipeline_settings& s, std::int64_t steps, std::int64_t batch) {
  return {{"steps", steps}, {"batch", batch}, {"rate", s.tune_rate}};
}
json pretraining(const pipeline_settings& s, std::int64_t steps) {
  return {{"steps", steps}, {"documents", s.rl.base_documents}, {"rate", s.rl.base_rate}};
}
/// \param epsilon, temperature the recipe's, or what the user gave.
json grpo(const pipeline_settings& s, std::int64_t steps, double epsilon, double temperature) {
  return {{"steps", steps},
          {"questions", s.rl.questions},
          {"group", s.rl.group},
          {"minibatches", s.rl.minibatches},
          {"rate", s.rl.rate},
          {"refresh_reference", s.rl.refresh_reference},
          {"epsilon", epsilon},
          {"temperature", temperature},
          {"format_weight", s.rl.format_weight}};
}
json rejection(const pipeline_settings& s, std::int64_t problems) {
  return {{"problems", problems},
          {"samples_each", s.samples_each},
          {"temperature", s.rl.temperature},
          {"best", s.best},
          {"other_share", s.other_share}};
}

std::vector<stage> plan(const pipeline_settings& s) {
  const auto epsilon = [](const auto& loss) {
    return static_cast<double>(loss.surrogate.high) - 1;
  };
  const double first_epsilon = epsilon(hence::recipe::deepseek_r1_stage1());
  const double last_epsilon = epsilon(hence::recipe::deepseek_r1_stage2());
  const double first_temperature = hence::recipe::deepseek_r1_stage1_schedule.temperature;
  return {
      {"base",
       {},
       {{"pretraining", pretraining(s, s.rl.base_steps)}},
       [](pipeline& p, const auto& c, auto) { p.pretrain(c.rl.base_steps); },
       "Pretraining from random weights on text of all kinds, most of it faulty."},
      {"cold_start",
       {"base"},
       {{"documents", s.cold_documents}, {"supervised", supervised(s, s.cold_steps, s.cold_batch)}},
       [](pipeline& p, const auto&, auto) { p.cold_start(); },
       "Supervised, from the base: full solutions without a fault."},
      {"reasoning_rl",
       {"cold_start"},
       {{"grpo", grpo(s, s.reasoning_steps, first_epsilon, first_temperature)},
        {"language_weight", s.language_weight}},
       [](pipeline& p, const auto&, auto) { p.reason(); },
       "GRPO from there: rewards of accuracy, form and language consistency."},
      {"reject_tune",
       {"base", "reasoning_rl"},
       {{"samples", rejection(s, s.sampled_problems)},
        {"supervised", supervised(s, s.tune_steps, s.tune_batch)}},
       [](pipeline& p, const auto&, const trainer* from) { p.reject_and_tune(*from); },
       "Supervised, from the base again: good samples of the stage before, mixed with other data."},
      {"all_scenarios",
       {"reject_tune"},
       {{"reward_models",
         {{"problems", s.preference_problems},
          {"held_out", s.held_out},
          {"temperature", s.rl.temperature},
          {"flipped", s.flipped},
          {"steps", s.model_steps},
          {"batch", s.model_batch},
          {"rate", s.model_rate}}},
        {"grpo", grpo(s, s.last_steps, last_epsilon, s.last_temperature)},
        {"preference_steps", s.preference_steps},
        {"language_weight", s.language_weight}},
       [](pipeline& p, const auto&, auto) { p.all_scenarios(); },
       "GRPO from there on problems and everyday questions; two reward models, trained on "
       "preference pairs, judge the latter."},
      {"student",
       {},
       {{"pretraining", pretraining(s, s.student_base_steps)}},
       [](pipeline& p, const auto& c, auto) { p.pretrain(c.student_base_steps); },
       "A smaller base, pretrained from random weights.",
       true},
      {"student_rl",
       {"student"},
       {{"grpo", grpo(s, s.student_rl_steps, s.rl.epsilon, s.rl.temperature)}},
       [](pipeline& p, const auto& c, auto) { p.reinforce_student(c.student_rl_steps, 0); },
       "RL directly on the student's base: R1-Zero's rewards.",
       true},
      {"distilled",
       {"student", "all_scenarios"},
       {{"samples", rejection(s, s.distill_problems)},
        {"supervised", supervised(s, s.distill_steps, s.tune_batch)}},
       [](pipeline& p, const auto&, const trainer* from) { p.distill(*from); },
       "Supervised, from the student's base: samples of all_scenarios.",
       true},
      {"distilled_rl",
       {"distilled"},
       {{"grpo", grpo(s, s.student_more_steps, s.rl.epsilon, s.rl.temperature)}},
       [](pipeline& p, const auto& c, auto) { p.reinforce_student(c.student_more_steps, 1); },
       "RL behind the distillation.",
       true},
  };
}

pipeline_settings constants(const run_options& o) {
  auto s = o.constants.scaled(o.steps_scale);
  s.rl.pass_problems = 0;  // the table has one reply a problem
  return s;
}

class session {
 public:
  session(const run_options& o, const std::atomic<bool>& stop)
      : o_(o),
        s_(constants(o)),
        stages_(plan(s_)),
        stop_(stop),
        pool_(o.threads),
        teacher_(s_.rl, world_, pool_),
        student_(student_settings(s_), world_, pool_) {}

  int run() {
    say("DeepSeek-R1 in miniature\nbuild      %s\nmodel      %lld parameters, the student %lld\n"
        "seed       %llu\nfolder     %s\n",
        build_text(pool_.size()).c_str(), static_cast<long long>(teacher_.model().size()),
        static_cast<long long>(student_.model().size()),
        static_cast<unsigned long long>(s_.rl.seed), o_.out.c_str());
    check_folder();
    std::error_code error;
    fs::create_directories(o_.out, error);
    if (error) throw std::runtime_error(o_.out + ": the folder cannot be made: " + error.message());
    write_text(fs::path(o_.out) / "config.json", configuration().dump(2) + "\n");
    std::vector<table_row> rows;
    row last;
    for (const stage& g : stages_) {
      auto found = find(g);
      if (!found) {
        if (!is_wanted(g.name)) continue;
        try {
          found = carry_out(g);
        } catch (const pipeline::stopped&) {
          write_report(rows, g.name);
          say("\nstopped in %s; the stages before it are in the folder\n", g.name.c_str());
          return 130;
        }
      }
      if (!g.is_student) last = *found;
      rows.push_back({g.name, *found});
    }
    say("\n%s", table(rows).c_str());
    json all = json::array();
    for (const auto& r : rows) all.push_back(to_json(r));
    write_text(fs::path(o_.out) / "table.json", all.dump(2) + "\n");
    write_report(rows, "");
    say("%.0f s; report: %s\n", seconds_since(started_),
        (fs::path(o_.out) / "report.html").c_str());
    bool is_enough = true;
    const auto expect = [&](const char* name, double value, double bar) {
      if (value >= bar) return;
      is_enough = false;
      std::fprintf(stderr, "r1: %s is %.3f, expected at least %.3f\n", name, value, bar);
    };
    expect("strict accuracy", last.reasoning.strict, o_.at_least);
    expect("helpfulness", last.helpful, o_.helpful_at_least);
    expect("harmlessness", last.harmless, o_.harmless_at_least);
    return is_enough ? 0 : 3;
  }

 private:
  static settings student_settings(const pipeline_settings& s) {
    settings r = s.rl;
    r.width = s.student_width, r.heads = std::max<std::int64_t>(1, (r.width + 8) / 16);
    r.ff = 3 * r.width;
    r.base_steps = s.student_base_steps;
    return r;
  }
  template <class... A> void say(const char* format, A... a) const {
    demo::say(o_.is_quiet, format, a...);
  }
  bool is_wanted(const std::string& name) const {
    return o_.stages.empty() ||
           std::find(o_.stages.begin(), o_.stages.end(), name) != o_.stages.end();
  }
  const stage& named(const std::string& name) const {
    return *std::find_if(stages_.begin(), stages_.end(),
                         [&](const stage& g) { return g.name == name; });
  }
  json configuration() const {
    json j{{"seed", s_.rl.seed}, {"steps_scale", o_.steps_scale}};
    j["optimizer"] = to_json(s_.rl).at("optimizer");
    j["evaluation"] = evaluated();
    j["student_width"] = s_.student_width;
    for (const stage& g : stages_) j["stages"][g.name] = g.constants;
    return j;
  }

  /// What the line of a stage depends on beside its weights.
  json evaluated() const {
    return {{"problems", s_.rl.test_problems},
            {"questions", s_.test_questions},
            {"temperature", s_.rl.temperature}};
  }

  fs::path path(const stage& g) const { return fs::path(o_.out) / (g.name + ".safetensors"); }
  trainer& model_of(const stage& g) { return g.is_student ? student_ : teacher_; }

  /// What the weights and the line of a stage depend on, those before it included.
  std::string key(const stage& g) const {
    json j{{"stage", g.name},
           {"seed", s_.rl.seed},
           {"optimizer", to_json(s_.rl).at("optimizer")},
           {"evaluation", evaluated()},
           {"constants", g.constants}};
    if (g.is_student) j["width"] = s_.student_width;
    std::string text = j.dump() + "(";
    for (const auto& n : g.needs) text += key(named(n));
    return text + ")";
  }
  /// Before anything is written: no result of other settings lies in the folder, and each stage
  /// that is to run finds or follows those that it needs.
  void check_folder() const {
    for (const stage& g : stages_) find(g);
    for (const stage& g : stages_) {
      if (fs::exists(path(g)) || !is_wanted(g.name)) continue;
      for (const auto& n : g.needs)
        if (!fs::exists(path(named(n))) && !is_wanted(n))
          throw std::runtime_error(path(named(n)).string() + ": is not there; add " + n +
                                   " to --stages");
    }
  }
  /// The stage's line if the folder has its checkpoint. Throws if that is of other settings.
  std::optional<row> find(const stage& g) const {
    if (!fs::exists(path(g))) return {};
    const auto file = lm::read_tensors(path(g));
    const auto made = file.metadata.find("key");
    if (made == file.metadata.end() || made->second != key(g))
      throw std::runtime_error(
          path(g).string() +
          ": is of a run with other settings; give the same flags, or another --out. It was made "
          "with " +
          (made == file.metadata.end() ? "another program" : made->second));
    return row_from_json(json::parse(file.text("row")));
  }
  void load(const stage& g, trainer& to) {
    take(to.model(), lm::read_tensors(path(g)), "", to.state().weights);
  }

  /// With the logs of stages that were found too.
  void write_report(const std::vector<table_row>& rows, const std::string& stopped_in) const {
    pipeline_record r{.title = "DeepSeek-R1 in miniature, seed " + std::to_string(s_.rl.seed),
                      .build = build_text(pool_.size()),
                      .configuration = configuration().dump(2),
                      .stopped_in = stopped_in,
                      .seconds = seconds_since(started_),
                      .stages = {}};
    for (const table_row& line : rows) {
      const stage& g = named(line.name);
      r.stages.push_back({line, g.what, read_lines(fs::path(o_.out) / (g.name + ".jsonl"))});
      if (!g.is_student) r.students_from = r.stages.size();
    }
    write_text(fs::path(o_.out) / "report.html", report(r));
  }

  row carry_out(const stage& g) {
    say("\n%s\n", g.name.c_str());
    trainer& model = model_of(g);
    std::optional<trainer> teacher;
    if (!g.needs.empty()) load(named(g.needs[0]), model);
    if (g.needs.size() > 1) {
      const stage& from = named(g.needs[1]);
      teacher.emplace(from.is_student ? student_settings(s_) : s_.rl, world_, pool_);
      load(from, *teacher);
    }
    const auto started = clock::now();
    line_file log(fs::path(o_.out) / (g.name + ".jsonl"),
                  "the next run begins with this stage, those before it are in the folder",
                  [](const json&) { return false; });
    pipeline p(
        s_, world_, pool_, model, [this] { return stop_.load(); },
        [&](std::int64_t step, std::int64_t steps, const auto& numbers) {
          json j{{"step", step}};
          for (const auto& [name, value] : numbers) j[name] = value;
          log.add(j);
          if (step % std::max<std::int64_t>(1, steps / 8) != 0 && step + 1 != steps) return;
          std::string line;
          for (const auto& [name, value] : numbers) {
            char text[64];
            std::snprintf(text, sizeof text, "  %s %.3f", name, value);
            line += text;
          }
          say("%7lld%s\n", static_cast<long long>(step), line.c_str());
        },
        [&](const std::string& text) {
          log.add({{"remark", text}});
          say("        %s\n", text.c_str());
        });
    g.work(p, s_, teacher ? &*teacher : nullptr);
    row r = p.evaluate();
    const double seconds = seconds_since(started);
    lm::tensor_file file;
    put(model.model(), file, "", model.state().weights);
    file.metadata = {{"key", key(g)}, {"row", to_json(r).dump()}};
    lm::write_tensors(path(g), file);
    say("        strict %.3f, language %.3f, %.1f s\n", r.reasoning.strict, r.reasoning.consistency,
        seconds);
    return r;
  }

  const run_options& o_;
  pipeline_settings s_;
  std::vector<stage> stages_;
  const std::atomic<bool>& stop_;
  scenarios world_;
  hence::thread_pool pool_;
  trainer teacher_, student_;
  clock::time_point started_ = clock::now();
};

}  // namespace

const std::vector<std::string>& stage_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const stage& g : plan({})) all.push_back(g.name);
    return all;
  }();
  return names;
}

int run(const run_options& o, const std::atomic<bool>& stop) { return session(o, stop).run(); }

}  // namespace demo
