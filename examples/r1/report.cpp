#include "report.hpp"

#include "rl/page.hpp"

namespace demo {
namespace {

/// The numbers of one name, by step.
series line(const char* name, const char* key, const std::vector<json>& log) {
  series s{name, {}};
  for (const json& j : log)
    if (j.contains(key) && j.at(key).is_number()) s.values.push_back(j.at(key));
  return s;
}

std::string curves(const std::vector<json>& log) {
  std::string s;
  /// Nothing where no line has a value.
  const auto add = [&](const char* title, const char* what, std::vector<series> lines, double top) {
    std::erase_if(lines, [](const series& l) { return l.values.empty(); });
    if (!lines.empty()) s += chart(title, what, lines, top);
  };
  add("Loss", "nats a token, by step", {line("loss", "loss", log)}, 1);
  add("Accuracy", "share of replies, by step",
      {line("strict", "strict", log), line("format", "format", log)}, 1);
  add("Reward", "mean over rollouts", {line("reward", "reward", log)}, 1.5);
  add("Language", "share of the thought's words in the question's language",
      {line("language", "language", log)}, 1);
  add("Length", "tokens of a reply, and of its thought",
      {line("reply", "length", log), line("thought", "think", log)}, 4);
  add("KL", "to the stage's beginning, per token", {line("k3", "kl", log)}, 0.01);
  return s;
}

std::string remarks(const std::vector<json>& log) {
  std::string s;
  for (const json& j : log)
    if (j.contains("remark"))
      s += "<li><code>" + escaped(j.at("remark").get<std::string>()) + "</code></li>";
  if (s.empty()) return s;
  return "<section><h3>Remarks, and replies to everyday questions with their worth</h3><ul>" + s +
         "</ul></section>\n";
}

std::string row_of_table(const table_row& line) {
  const auto& [name, r] = line;
  const auto& e = r.reasoning;
  const auto around = hence::evaluate::wilson(e.correct, e.problems, hence::evaluate::z95);
  std::string s = "<tr><th>" + escaped(name) + "</th><td>" + number(e.strict, 3) +
                  "</td><td class=\"soft\">" + number(around.low, 3) + " to " +
                  number(around.high, 3) + "</td>";
  for (const double x : {e.format, e.consistency}) s += "<td>" + number(x, 3) + "</td>";
  for (const double x : {e.length, e.thinking}) s += "<td>" + number(x, 2) + "</td>";
  for (const double x : {r.helpful, r.harmless}) s += "<td>" + number(x, 3) + "</td>";
  return s + "</tr>\n";
}

}  // namespace

std::string report(const pipeline_record& r) {
  std::string s = page_begin(r.title, r.build);
  if (!r.stopped_in.empty())
    s += "<p class=\"alarm\">The run was interrupted in " + escaped(r.stopped_in) +
         "; the same command goes on with that stage.</p>\n";
  s += "<div class=\"big\">";
  if (r.students_from > 0) {
    const row &first = r.stages.front().line.numbers,
              &last = r.stages[r.students_from - 1].line.numbers;
    const auto headline = [&](const char* name, double before, double after) {
      s += "<div><b>" + number(100 * before, 1) + " → " + number(100 * after, 1) + "</b>" + name +
           ", %</div>";
    };
    headline("strict accuracy", first.reasoning.strict, last.reasoning.strict);
    headline("thoughts in the question's language", first.reasoning.consistency,
             last.reasoning.consistency);
    headline("helpful", first.helpful, last.helpful);
    headline("harmless", first.harmless, last.harmless);
  }
  s += "<div><b>" + number(r.seconds, 0) + " s</b>wall time of the last run</div></div>\n";
  s += "<h2>Stages</h2><div class=\"wide\"><table><tr><th>stage</th><th>accuracy</th><th>95%</th>"
       "<th>format</th><th>language</th><th>length</th><th>steps</th><th>helpful</th>"
       "<th>harmless</th></tr>\n";
  for (const stage_record& g : r.stages) s += row_of_table(g.line);
  s +=
      "</table></div><p class=\"soft\">Accuracy: right and in the form, one reply to each problem; "
      "language: share of the thought's words in the question's language; helpful, harmless: what "
      "replies to everyday questions are worth in truth.</p>\n";
  for (const stage_record& g : r.stages) {
    s += "<h2>" + escaped(g.line.name) + "</h2><p>" + escaped(g.what) + "</p>";
    const std::string body = curves(g.log) + remarks(g.log);
    s += body.empty() ? "<p class=\"soft\">Its steps are not in the folder.</p>\n"
                      : "<div class=\"grid-of\">\n" + body + "</div>\n";
  }
  s += "<h2>Configuration</h2><pre>" + escaped(r.configuration) + "</pre>\n";
  return s + page_end;
}

}  // namespace demo
