"""offline.py FOLDER...: fails if a page, a style or a script there loads anything from a network.

Links that a reader may click are no loads. In a script or a style every address counts, however it may be used
(fetch, import(), setAttribute('src', ...), a variable), but for those of ALLOWED, which name things and load
nothing. Run without folders it tests itself.
"""

import html.parser
import pathlib
import re
import sys

REMOTE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?[\\/]{2}", re.I)
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:|^\s*|:)//[^\s'\"<>)]*", re.I)
ALLOWED = re.compile(r"http://www\.w3\.org/(?:2000/svg|1999/xlink|1999/xhtml|1998/Math/MathML|XML/1998/namespace)\W*$")
LOADS = {"src", "srcset", "poster", "data", "background", "formaction", "action", "manifest", "ping", "xlink:href", "imagesrcset", "codebase"}
NAMES = ("canonical", "license", "author", "help", "search", "index", "next", "prev", "alternate")


def unescaped(text):
    """A literal's value, as far as an address in it may be hidden: \\x2f, \\u002f, \\u{2f}, \\/ of scripts, \\2f of styles."""
    text = re.sub(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]+)\})", lambda m: chr(int(m[1] or m[2] or m[3], 16)), text, flags=re.I)
    text = re.sub(r"\\([0-9a-f]{1,6})\s?", lambda m: chr(int(m[1], 16)) if int(m[1], 16) < 0x110000 else "", text, flags=re.I)
    return text.replace("\\", "")


def addresses(text):
    """Addresses in it, or half of one: a scheme alone is there to be put together with the rest."""
    if re.fullmatch(r"\s*(?:https?|wss?|ftp):\s*", text, re.I):
        return [text]
    return [a for a in ADDRESS.findall(text) if not ALLOWED.match(a) and a.strip() != "//"]


def in_style(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return addresses(unescaped(text)) + [m for m in re.findall(r"url\(\s*['\"]?\s*(//[^'\")]*)|@import\s+['\"]\s*(//[^'\"]*)|['\"]\s*(//[^'\"]*)", unescaped(text)) for m in m if m]


def literals(text):
    """The strings, templates and regular expressions of a script; comments are left out."""
    at, end, before = 0, len(text), ""
    while at < end:
        c = text[at]
        if text.startswith("//", at):
            at = text.find("\n", at) if "\n" in text[at:] else end
        elif text.startswith("/*", at):
            at = text.find("*/", at) + 2 if "*/" in text[at:] else end
        elif c in "'\"`":
            close = at + 1
            while close < end and text[close] != c:
                close += 2 if text[close] == "\\" else 1
            yield text[at + 1 : close]
            at, before = close + 1, c
        elif c == "/" and (before in "" or before in "(,=:[!&|?{};+-*%<>~^\n" or re.search(r"\b(?:return|typeof|case|in|of|do|else|void|delete)\s*$", text[max(0, at - 12) : at])):
            close, inside = at + 1, False
            while close < end and text[close] != "\n" and (inside or text[close] != "/"):
                inside = {"[": True, "]": False}.get(text[close], inside)
                close += 2 if text[close] == "\\" else 1
            at, before = close + 1, "/re/"
        else:
            if not c.isspace():
                before = c
            at += 1


def in_script(text):
    return [a for literal in literals(text) for a in addresses(unescaped(literal))]


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.inside, self.data = [], None, False

    def handle_starttag(self, tag, attributes):
        attributes = {name: value or "" for name, value in attributes}
        for name, value in attributes.items():
            loads = name in LOADS or (name == "href" and tag in ("link", "use", "image", "base", "script"))
            if tag == "link" and set(attributes.get("rel", "").split()) <= set(NAMES) and attributes.get("rel"):
                loads = False
            if loads and any(REMOTE.match(part) for part in value.split(",")):
                self.found.append(f"<{tag} {name}={value}>")
            if name == "style":
                self.found += in_style(value)
            if name.startswith("on"):
                self.found += in_script(value)
            if name == "srcdoc":
                self.found += in_page(value)
            if value.lower().lstrip().startswith("javascript:"):
                self.found += in_script(value[value.index(":") + 1 :])
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh" and "//" in attributes.get("content", ""):
            self.found.append(f"<meta refresh {attributes['content']}>")
        self.inside = tag if tag in ("style", "script") else None
        self.data = attributes.get("type", "") in ("application/ld+json", "application/json", "text/plain")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside == "style":
            self.found += in_style(text)
        elif self.inside == "script" and not self.data:
            self.found += in_script(text)


def in_page(text):
    page = Page()
    page.feed(text)
    page.close()
    return page.found


def loads(name, text):
    if name.endswith((".html", ".svg")):
        return in_page(text)
    if name.endswith(".css"):
        return in_style(text)
    if name.endswith((".js", ".mjs")):
        return in_script(text)
    return []


def self_test():
    bad = {
        "a.html": [
            '<script src="https://example.org/a.js"></script>',
            '<img src=//example.org/a.png>',
            '<link rel="stylesheet" href="http://example.org/a.css">',
            '<link rel="preconnect" href="https://example.org">',
            '<link rel="alternate stylesheet" href="https://example.org/a.css">',
            '<style>@import "https://example.org/a.css";</style>',
            '<style>@import url(//example.org/a.css);</style>',
            '<p style="background: url(https://example.org/a.png)">',
            '<script>fetch("https://example.org")</script>',
            '<iframe src="https://example.org"></iframe>',
            '<iframe srcdoc="&lt;img src=https://example.org/a.png&gt;"></iframe>',
            '<img srcset="a.png 1x, https://example.org/b.png 2x">',
            '<script>let s = x.src = "https://example.org/a.js"</script>',
            "<script>s.setAttribute('src', 'https://example.org/a.js')</script>",
            "<script>s.setAttribute(\"href\", `//example.org/a.css`)</script>",
            "<script>const u = 'https:\\/\\/example.org/a.js'; const s = make(); s.src = u</script>",
            '<script>s.src = "https:" + "//example.org/a.js"</script>',
            '<script>s.src = "https:" + "//" + host + "/a.js"</script>',
            '<script>import("https://example.org/a.js").then(f)</script>',
            '<script type="module">import f from "https://example.org/a.js"</script>',
            '<script>new Worker("\\x68ttps:\\u002f/example.org/a.js")</script>',
            '<body onload="fetch(\'https://example.org\')">',
            '<a href="javascript:fetch(\'//example.org\')">',
            '<meta http-equiv="refresh" content="0; url=https://example.org">',
            '<svg><image href="https://example.org/a.png"/></svg>',
        ],
        "a.css": [
            "a { background: url('//example.org/a.png') }",
            "a { background: url( https://example.org/a.png ) }",
            "a { background: image-set('https://example.org/a.png' 1x) }",
            "a { background: url(http\\3a //example.org/a.png) }",
            "@font-face { src: local(x), url(https://example.org/a.woff2) }",
            "@import '//example.org/a.css';",
        ],
        "a.js": [
            "import('https://example.org/a.js')",
            'x.open("GET", "https://example.org")',
            "e.innerHTML = '<img src=https://example.org/a.png>'",
            "var a = b / c; f('https://example.org/a.js')",
            "if (/[/'\"]/.test(a)) f('https://example.org/a.js')",
        ],
    }
    good = {
        "a.html": ['<a href="https://example.org">', '<script src="a.js"></script>', "<p>https://example.org/a.js</p>", '<link rel="canonical" href="https://example.org">'],
        "a.css": ["/* https://example.org/license */ a { background: url(a.png) }", "a { background: url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E\") }"],
        "a.js": ["// https://example.org/license\nf('a.js')", "/* https://example.org */ f()", "if (/^https?:\\/\\//.test(a)) b()", "const n = 'http://www.w3.org/2000/svg'"],
    }
    for name, texts in bad.items():
        for text in texts:
            assert loads(name, text), text
    for name, texts in good.items():
        for text in texts:
            assert not loads(name, text), text


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
