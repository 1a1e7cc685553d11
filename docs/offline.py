"""offline.py FOLDER...: fails if a page, a style or a script there loads anything from a network.

Links that a reader may click are no loads. Run without folders it tests itself.
"""

import html.parser
import pathlib
import re
import sys

REMOTE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)
LOADS = {"src", "srcset", "poster", "data", "background", "formaction", "action", "manifest", "ping", "xlink:href"}
STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:[a-z]+:)?//[^'\")\s]*)", re.I)
SCRIPT = re.compile(
    r"(?:fetch|import|importScripts|open|sendBeacon|WebSocket|EventSource|Worker)\s*\(\s*(?:['\"]\w+['\"]\s*,\s*)?['\"`]((?:[a-z]+:)?//[^'\"`]*)"
    r"|\.(?:src|href)\s*=\s*['\"`]((?:[a-z]+:)?//[^'\"`]*)"
    r"|(?:import|from)\s*['\"]((?:[a-z]+:)?//[^'\"]*)",
    re.I,
)


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.inside = [], None

    def handle_starttag(self, tag, attributes):
        attributes = {name: value or "" for name, value in attributes}
        for name, value in attributes.items():
            loads = name in LOADS or (name == "href" and tag in ("link", "use", "image", "base"))
            if tag == "link" and attributes.get("rel") in ("canonical", "license", "author", "help"):
                loads = False
            if loads and any(REMOTE.match(part) for part in value.split(",")):
                self.found.append(f"<{tag} {name}={value}>")
            if name == "style":
                self.found += STYLE.findall(value)
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh" and "//" in attributes.get("content", ""):
            self.found.append(f"<meta refresh {attributes['content']}>")
        self.inside = tag if tag in ("style", "script") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside == "style":
            self.found += STYLE.findall(text)
        elif self.inside == "script":
            self.found += ["".join(match) for match in SCRIPT.findall(text)]


def loads(name, text):
    if name.endswith((".html", ".svg")):
        page = Page()
        page.feed(text)
        return page.found
    if name.endswith(".css"):
        return STYLE.findall(text)
    if name.endswith((".js", ".mjs")):
        return ["".join(match) for match in SCRIPT.findall(text)]
    return []


def self_test():
    bad = {
        "a.html": [
            '<script src="https://example.org/a.js"></script>',
            '<img src=//example.org/a.png>',
            '<link rel="stylesheet" href="http://example.org/a.css">',
            '<link rel="preconnect" href="https://example.org">',
            '<style>@import "https://example.org/a.css";</style>',
            '<p style="background: url(https://example.org/a.png)">',
            '<script>fetch("https://example.org")</script>',
            '<iframe src="https://example.org"></iframe>',
            '<img srcset="a.png 1x, https://example.org/b.png 2x">',
            '<script>let s = x.src = "https://example.org/a.js"</script>',
            '<meta http-equiv="refresh" content="0; url=https://example.org">',
        ],
        "a.css": ["a { background: url('//example.org/a.png') }"],
        "a.js": ["import('https://example.org/a.js')", 'x.open("GET", "https://example.org")'],
    }
    good = ['<a href="https://example.org">', '<script src="a.js"></script>', "<p>https://example.org/a.js</p>", '<link rel="canonical" href="https://example.org">']
    for name, texts in bad.items():
        for text in texts:
            assert loads(name, text), text
    for text in good:
        assert not loads("a.html", text), text


self_test()
pages, found = 0, []
for folder in map(pathlib.Path, sys.argv[1:]):
    before = pages
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".html", ".css", ".js", ".mjs", ".svg"):
            pages += file.suffix == ".html"
            found += [f"{file}: {what}" for what in loads(file.name, file.read_text(errors="replace"))]
    if pages == before:
        found.append(f"{folder} has no page")
print("\n".join(found) if found else f"note: {pages} pages load nothing from a network")
sys.exit(bool(found))
