#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace demo {
namespace {

std::string number(double x, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, x);
  return text;
}
std::string escaped(const std::string& s) {
  std::string out;
  for (const char c : s) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

struct series {
  std::string name;
  std::vector<double> values;
};

/// The next of 1, 2, 2.5, 5 times a power of ten that is not below x.
double round_up(double x) {
  if (!(x > 0)) return 1;
  double unit = 1;
  while (unit > x) unit /= 10;
  while (unit * 10 <= x) unit *= 10;
  for (const double k : {1.0, 2.0, 2.5, 5.0, 10.0})
    if (k * unit >= x * 0.9999) return k * unit;
  return 10 * unit;
}
int digits_for(double top) {
  return top >= 100 ? 0 : top >= 10 ? 0 : top >= 2 ? 1 : top >= 0.2 ? 2 : 3;
}

/// A chart with up to two lines, each named at its end.
std::string chart(const std::string& title, const std::string& what,
                  const std::vector<series>& lines, double least_top) {
  constexpr double width = 460, height = 210, left = 46, right = 84, above = 12, below = 26;
  double top = least_top;
  std::size_t n = 0;
  for (const auto& l : lines) {
    n = std::max(n, l.values.size());
    for (const double v : l.values)
      if (v - v == 0) top = std::max(top, v);
  }
  top = least_top == 1 && top <= 1 ? 1 : round_up(top);
  const auto x = [&](std::size_t i) {
    return left + (width - left - right) *
                      (n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0);
  };
  const auto y = [&](double v) { return above + (height - above - below) * (1 - v / top); };
  std::string s = "<figure><figcaption><b>" + title + "</b> <span>" + what +
                  "</span></figcaption><svg viewBox=\"0 0 460 210\" role=\"img\" aria-label=\"" +
                  escaped(title + ": " + what) + "\">";
  for (int k = 0; k <= 4; ++k) {
    const double v = top * k / 4;
    s += "<line class=\"grid\" x1=\"46\" x2=\"376\" y1=\"" + number(y(v), 1) + "\" y2=\"" +
         number(y(v), 1) + "\"/><text class=\"tick end\" x=\"40\" y=\"" + number(y(v) + 4, 1) +
         "\">" + number(v, digits_for(top)) + "</text>";
  }
  for (int k = 0; n > 1 && k <= 4; ++k) {
    const auto i = static_cast<std::size_t>(std::llround(static_cast<double>(n - 1) * k / 4));
    s += "<text class=\"tick mid\" x=\"" + number(x(i), 1) + "\" y=\"203\">" + std::to_string(i) +
         "</text>";
  }
  double label_before = -100;
  for (std::size_t c = 0; c < lines.size(); ++c) {
    const auto& l = lines[c];
    std::string points;
    double last = 0;
    for (std::size_t i = 0; i < l.values.size(); ++i) {
      if (!(l.values[i] - l.values[i] == 0)) continue;
      points += number(x(i), 1) + "," + number(y(l.values[i]), 1) + " ";
      last = l.values[i];
    }
    const std::string colour = " c" + std::to_string(c);
    s += "<polyline class=\"line" + colour + "\" points=\"" + points + "\"/>";
    double at = y(last) + 4;
    if (std::abs(at - label_before) < 13) at = label_before + (at < label_before ? -13 : 13);
    label_before = at;
    s += "<text class=\"name" + colour + "\" x=\"382\" y=\"" + number(at, 1) + "\">" + l.name +
         " " + number(last, std::max(2, digits_for(top))) + "</text>";
  }
  return s + "</svg></figure>\n";
}

/// A bar for each number.
std::string bars(const std::string& title, const std::string& what,
                 const std::vector<std::int64_t>& values) {
  const double top = static_cast<double>(std::max<std::int64_t>(
      1, values.empty() ? 1 : *std::max_element(values.begin(), values.end())));
  std::string s = "<figure><figcaption><b>" + title + "</b> <span>" + what +
                  "</span></figcaption><svg viewBox=\"0 0 460 210\" role=\"img\" aria-label=\"" +
                  escaped(title + ": " + what) + "\">";
  const double step = 400.0 / static_cast<double>(std::max<std::size_t>(values.size(), 1));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double h = 160 * static_cast<double>(values[i]) / top,
                 x = 30 + static_cast<double>(i) * step;
    s += "<rect class=\"bar\" x=\"" + number(x, 1) + "\" y=\"" + number(184 - h, 1) +
         "\" width=\"" + number(step * 0.7, 1) + "\" height=\"" + number(h, 1) +
         "\"/><text class=\"tick mid\" x=\"" + number(x + step * 0.35, 1) + "\" y=\"200\">" +
         std::to_string(i) + "</text><text class=\"tick mid\" x=\"" + number(x + step * 0.35, 1) +
         "\" y=\"" + number(180 - h, 1) + "\">" + std::to_string(values[i]) + "</text>";
  }
  return s + "</svg></figure>\n";
}

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

const char* const style = R"(
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#1c1d1f;--soft:#5d6168;--rule:#e3e4e6;
--a:#1f5fbf;--b:#b4540a;--good:#1d7a3c;--bad:#a8322a}
@media(prefers-color-scheme:dark){:root{--page:#151618;--card:#1d1f22;--ink:#e8e9ea;--soft:#9ea3aa;
--rule:#33363a;--a:#7fb0ff;--b:#f0a35e;--good:#6fcf8b;--bad:#f08c84}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 60px}
h1{font-size:26px;margin:0 0 4px;text-wrap:balance}h2{font-size:18px;margin:34px 0 10px}
h3{font-size:15px;margin:0 0 6px}p{margin:0 0 8px;max-width:70ch}.soft,figcaption span{color:var(--soft)}
.big{display:flex;flex-wrap:wrap;gap:10px 40px;margin:22px 0}
.big div{min-width:120px}.big b{display:block;font-size:26px;font-variant-numeric:tabular-nums}
.grid-of{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:14px}
figure,section{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px;min-width:0}
svg{width:100%;height:auto;display:block}figcaption{margin-bottom:4px}
.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:11px}.end{text-anchor:end}.mid{text-anchor:middle}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line.c0{stroke:var(--a)}.line.c1{stroke:var(--b)}
.bar{fill:var(--a)}.name{font-size:12px;font-weight:600}.name.c0{fill:var(--a)}.name.c1{fill:var(--b)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:4px 14px 4px 0;border-bottom:1px solid var(--rule)}th:first-child{text-align:left;font-weight:400}
ul{list-style:none;margin:0;padding:0}li{padding:3px 0;border-top:1px solid var(--rule);overflow-wrap:anywhere}
code{font:13px ui-monospace,monospace}.good,.bad{display:inline-block;min-width:46px;font-size:12px;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.alarm{border-left:4px solid var(--bad);padding:6px 12px;background:var(--card)}
pre{overflow-x:auto;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px;font-size:13px}
)";

}  // namespace

std::string report(const run_record& r) {
  std::string s =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
      escaped(r.title) + "</title><style>" + style + "</style></head><body><main>\n<h1>" +
      escaped(r.title) + "</h1>\n<p class=\"soft\">" + escaped(r.build) + "</p>\n";
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
  return s + "</main></body></html>\n";
}

}  // namespace demo
