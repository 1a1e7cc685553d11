#include "report.hpp"

#include "page.hpp"

namespace demo {
namespace {

template <class F>
series line(const std::string& name, const std::vector<step_metrics>& steps, F f) {
  series s{name, {}};
  for (const auto& m : steps) s.values.push_back(f(m));
  return s;
}

std::string text_of(const std::optional<double>& x, int digits) {
  return x ? number(*x, digits) : std::string("–");
}

std::string samples(const char* title, const sample_group& g) {
  std::string s = std::string("<section><h3>") + title + "</h3><p class=\"prompt\"><code>" +
                  escaped(g.prompt) + "</code> answer <code>" + escaped(g.reference) +
                  "</code></p><ul>";
  for (const auto& row : g.rows)
    s += std::string("<li><span class=\"") + (row.judged.strict > 0 ? "good" : "bad") + "\">" +
         (row.judged.strict > 0   ? "right"
          : row.judged.format > 0 ? "wrong"
                                  : "form") +
         "</span> <code>" + escaped(row.text) + "</code></li>";
  return s + "</ul></section>\n";
}

}  // namespace

std::string report(const run_record& r) {
  std::string s = page_begin(r.title, r.build);
  if (!r.is_finished)
    s += "<p class=\"alarm\">The run was interrupted; <code>--resume</code> continues it.</p>\n";
  for (const auto& a : r.alarms) s += "<p class=\"alarm\">" + escaped(a) + "</p>\n";
  s += "<div class=\"big\">";
  for (const figure& f : r.large)
    s += "<div><b>" + text_of(f.before, f.digits) + " → " + text_of(f.after, f.digits) + "</b>" +
         escaped(f.name) + "</div>";
  s += "<div><b>" + number(r.seconds, 0) + " s</b>wall time</div></div>\n";
  s += "<p>" + escaped(r.story) + "</p>\n";

  const auto& m = r.steps;
  s += "<h2>Reinforcement</h2><div class=\"grid-of\">\n";
  using sm = step_metrics;
  s += chart("Accuracy", "share of replies, by step",
             {line("strict", m, [](const sm& x) { return x.strict; }),
              line("format", m, [](const sm& x) { return x.format; })},
             1);
  s += chart("Reward", "mean over rollouts",
             {line("reward", m, [](const sm& x) { return x.reward; })}, 1.5);
  std::vector<series> length{line("reply", m, [](const sm& x) { return x.mean_length; })};
  if (r.has_thought) length.push_back(line("thought", m, [](const sm& x) { return x.thinking; }));
  s +=
      chart("Length", r.has_thought ? "tokens of a reply, and of its thought" : "tokens of a reply",
            length, 4);
  s += chart("KL", "to the base model, per token",
             {line("k3", m, [](const sm& x) { return x.kl; })}, 0.01);
  s += chart("Entropy", "nats a token", {line("H", m, [](const sm& x) { return x.entropy; })}, 0.1);
  s += chart("Clip fraction", "tokens beyond the clip range",
             {line("clip", m, [](const sm& x) { return x.clip_region; })}, 0.01);
  s += chart("Dead groups", "groups with one reward for all",
             {line("dead", m, [](const sm& x) { return x.dead_groups; })}, 1);
  s += chart("Gradient norm", "before clipping",
             {line("norm", m, [](const sm& x) { return x.gradient_norm; })}, 0.1);
  if (!m.empty() && !m.back().load.empty()) {
    std::vector<series> violation;
    for (std::size_t l = 0; l < m.back().max_violation.size() && l < 2; ++l)
      violation.push_back(line("layer " + std::to_string(l + 1), m,
                               [&](const sm& x) { return x.max_violation[l]; }));
    s += chart("MaxVio", "largest load of an expert over the mean, less 1", violation, 0.5);
    s += bars("Expert load", "slots of the last step, all layers", m.back().load);
  }
  s += "</div>\n";
  if (!r.base.empty()) {
    series loss{"loss", {}};
    for (const auto& b : r.base) loss.values.push_back(b.loss);
    s += "<h2>Base model</h2><div class=\"grid-of\">" +
         chart("Pretraining loss", "nats a token, by 10 steps", {loss}, 1) + "</div>\n";
  }
  s += "<h2>Evaluation</h2><table><tr><th></th><th>base</th><th>after</th></tr>\n";
  for (const figure& f : r.judged)
    s += "<tr><th>" + escaped(f.name) + "</th><td>" + text_of(f.before, f.digits) + "</td><td>" +
         text_of(f.after, f.digits) + "</td></tr>\n";
  s += "</table>\n<h2>Replies to one problem</h2><div class=\"grid-of\">\n";
  if (r.has_before) s += samples("Before", r.shown_before);
  if (r.has_after) s += samples("After", r.shown_after);
  s += "</div>\n<h2>Configuration</h2><pre>" + escaped(r.configuration) + "</pre>\n";
  return s + page_end;
}

}  // namespace demo
