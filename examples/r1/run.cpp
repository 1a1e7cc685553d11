#include "run.hpp"

#include "table.hpp"

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
  bool is_student = false;
};

std::vector<stage> plan(const pipeline_settings& s) {
  const json tune = {{"rate", s.tune_rate}};
  const json grpo = to_json(s.rl);
  return {
      {"base",
       {},
       {{"base", grpo.at("base")}},
       [](pipeline& p, const auto& c, auto) { p.pretrain(c.rl.base_steps); }},
      {"cold_start",
       {"base"},
       {tune, s.cold_documents, s.cold_steps, s.cold_batch},
       [](pipeline& p, const auto&, auto) { p.cold_start(); }},
      {"reasoning_rl",
       {"cold_start"},
       {grpo, s.reasoning_steps, s.language_weight},
       [](pipeline& p, const auto&, auto) { p.reason(); }},
      {"reject_tune",
       {"base", "reasoning_rl"},
       {tune, s.sampled_problems, s.samples_each, s.best, s.other_share, s.tune_steps,
        s.tune_batch},
       [](pipeline& p, const auto&, const trainer* from) { p.reject_and_tune(*from); }},
      {"all_scenarios",
       {"reject_tune"},
       {grpo, s.language_weight, s.preference_problems, s.held_out, s.flipped, s.model_steps,
        s.model_batch, s.model_rate, s.last_steps, s.preference_steps, s.last_temperature},
       [](pipeline& p, const auto&, auto) { p.all_scenarios(); }},
      {"student",
       {},
       {grpo.at("base"), s.student_base_steps},
       [](pipeline& p, const auto& c, auto) { p.pretrain(c.student_base_steps); },
       true},
      {"student_rl",
       {"student"},
       {grpo, s.student_rl_steps},
       [](pipeline& p, const auto& c, auto) { p.reinforce_student(c.student_rl_steps, 0); },
       true},
      {"distilled",
       {"student", "all_scenarios"},
       {tune, s.distill_problems, s.samples_each, s.best, s.other_share, s.distill_steps,
        s.tune_batch},
       [](pipeline& p, const auto&, const trainer* from) { p.distill(*from); },
       true},
      {"distilled_rl",
       {"distilled"},
       {grpo, s.student_more_steps},
       [](pipeline& p, const auto& c, auto) { p.reinforce_student(c.student_more_steps, 1); },
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
    for (const stage& g : stages_) j["stages"][g.name] = g.constants;
    j["student_width"] = s_.student_width;
    return j;
  }

  fs::path path(const stage& g) const { return fs::path(o_.out) / (g.name + ".safetensors"); }
  trainer& model_of(const stage& g) { return g.is_student ? student_ : teacher_; }

  /// What the weights of a stage depend on, those before it included.
  std::string key(const stage& g) const {
    json j{{"stage", g.name}, {"seed", s_.rl.seed}, {"constants", g.constants}};
    if (g.is_student) j["width"] = s_.student_width;
    std::string text = j.dump() + "(";
    for (const auto& n : g.needs) text += key(named(n));
    return text + ")";
  }
  /// The stage's line if its checkpoint is of these settings.
  std::optional<row> find(const stage& g) const {
    if (!fs::exists(path(g))) return {};
    const auto file = lm::read_tensors(path(g));
    if (file.text("key") != key(g)) return {};
    return row_from_json(json::parse(file.text("row")));
  }
  void load(const stage& g, trainer& to) {
    if (!find(g))
      throw std::runtime_error(path(g).string() + ": is not there or of other settings; add " +
                               g.name + " to --stages");
    take(to.model(), lm::read_tensors(path(g)), "", to.state().weights);
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
