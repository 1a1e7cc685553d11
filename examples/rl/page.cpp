#include "page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace demo {
namespace {

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
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:4px 14px 4px 0;border-bottom:1px solid var(--rule)}th:first-child{text-align:left;font-weight:400}
ul{list-style:none;margin:0;padding:0}li{padding:3px 0;border-top:1px solid var(--rule);overflow-wrap:anywhere}
code{font:13px ui-monospace,monospace}.good,.bad{display:inline-block;min-width:46px;font-size:12px;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.alarm{border-left:4px solid var(--bad);padding:6px 12px;background:var(--card)}
pre{overflow-x:auto;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px;font-size:13px}
)";

}  // namespace

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
                  "</span></figcaption><svg viewBox=\"0 -6 480 219\" role=\"img\" aria-label=\"" +
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

std::string bars(const std::string& title, const std::string& what,
                 const std::vector<std::int64_t>& values) {
  const double top = static_cast<double>(std::max<std::int64_t>(
      1, values.empty() ? 1 : *std::max_element(values.begin(), values.end())));
  std::string s = "<figure><figcaption><b>" + title + "</b> <span>" + what +
                  "</span></figcaption><svg viewBox=\"0 -6 480 219\" role=\"img\" aria-label=\"" +
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

std::string page_begin(const std::string& title, const std::string& below) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
         escaped(title) + "</title><style>" + style + "</style></head><body><main>\n<h1>" +
         escaped(title) + "</h1>\n<p class=\"soft\">" + escaped(below) + "</p>\n";
}

}  // namespace demo
