#!/usr/bin/env python3
"""The first charts of a report.html as one picture, light and dark, for a page that shows images alone.

    scripts/report_picture.py REPORT PICTURE.svg [CHART...]    titles; Accuracy, Reward, Length and KL where none is given
"""
import re
import sys

STYLE = """
svg{--page:#fbfbfa;--card:#fff;--ink:#1c1d1f;--soft:#5d6168;--rule:#e3e4e6;--a:#1f5fbf;--b:#b4540a}
@media(prefers-color-scheme:dark){svg{--page:#151618;--card:#1d1f22;--ink:#e8e9ea;--soft:#9ea3aa;--rule:#33363a;--a:#7fb0ff;--b:#f0a35e}}
text{font-family:system-ui,sans-serif}.card{fill:var(--card);stroke:var(--rule)}.title{fill:var(--ink);font-size:14px}
.title tspan{fill:var(--soft)}
"""


def main(report, picture, *titles):
    page = open(report, encoding="utf-8").read()
    # the report's own rules of its charts
    style = STYLE + "".join(re.findall(r"^\.(?:grid\{|line\{|bar\{).*\n", page, re.M))
    charts = re.findall(r"<figure><figcaption><b>(.*?)</b> <span>(.*?)</span></figcaption><svg [^>]*>(.*?)</svg>", page, re.S)
    charts = {title: (what, body) for title, what, body in charts}
    titles = titles or ("Accuracy", "Reward", "Length", "KL")
    width, height = 490, 256
    rows = (len(titles) + 1) // 2
    heading = re.search(r"<h1>(.*?)</h1>", page).group(1)
    out = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width + 10} {rows * height + 10}" role="img" '
        f'aria-label="{heading}"><style>{style}</style><rect width="100%" height="100%" fill="var(--page)"/>\n'
    )
    for i, title in enumerate(titles):
        what, body = charts[title]
        x, y = 10 + i % 2 * width, 10 + i // 2 * height
        out += f'<rect class="card" x="{x}" y="{y}" width="{width - 10}" height="{height - 10}" rx="8"/>\n'
        out += f'<text class="title" x="{x + 14}" y="{y + 22}" font-weight="600">{title} <tspan font-weight="400">{what}</tspan></text>\n'
        out += f'<svg x="{x + 10}" y="{y + 30}" width="460" height="210" viewBox="0 -6 480 219">{body}</svg>\n'
    open(picture, "w", encoding="utf-8").write(out + "</svg>\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
