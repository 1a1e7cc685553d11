"""declarations.py XML OUT: pages of declarations, one per topic, from what Doxygen read.

Sphinx's own C++ parser refuses attributes and designated initialisers, so signatures are shown as code.
"""

import pathlib
import re
import sys
import textwrap
import xml.etree.ElementTree

TITLES = {
    "core": "Core",
    "policy": "Policy losses",
    "advantage": "Advantages",
    "logits": "Log-probs, sampling, distillation",
    "moe": "Mixture of experts",
    "reward": "Rewards",
    "evaluate": "Evaluation and selection",
    "threads": "Threads",
    "interop": "Interop",
    "cuda": "CUDA",
    "distributed": "Ranks",
}
CUT = re.compile(r"\b(e\.g|i\.e|eq|al|cf|vs|Dr)\.$", re.I)
RST = re.compile(r"([\\*`|_])")


def escaped(text):
    return RST.sub(r"\\\1", re.sub(r"\s+", " ", text or ""))


def plain(node):
    return "".join(node.itertext()) if node is not None else ""


def inline(node):
    """The running text below a node, as RST."""
    if node.tag == "computeroutput":
        code = re.sub(r"\s+", " ", plain(node)).strip()
        return f"\\ ``{code}``\\ " if code else ""
    if node.tag == "sp":
        return " "
    if node.tag in ("ndash", "mdash"):
        return "-"
    return escaped(node.text) + "".join(inline(child) + escaped(child.tail) for child in node)


BLOCKS = {"verbatim", "programlisting", "parameterlist", "simplesect", "itemizedlist", "orderedlist", "table", "sect1", "para", "title"}


def preformatted(text):
    body = textwrap.dedent(text.strip("\n")).rstrip()
    language = "cpp" if re.search(r";( *//.*)?$", body, re.M) else "text"
    return f".. code-block:: {language}\n\n" + textwrap.indent(body, "   ") + "\n"


def code_lines(node):
    return "\n".join(code(line) for line in node.iter("codeline"))


def code(node):
    """The text below node, in its order, with the spaces that Doxygen makes elements of."""
    return (" " if node.tag == "sp" else node.text or "") + "".join(code(child) + (child.tail or "") for child in node)


def blocks(node):
    """A description as a list of RST blocks, in the order of the comment."""
    if node is None:
        return []
    out, running = [], escaped(node.text)
    for child in node:
        if child.tag not in BLOCKS:
            running += inline(child) + escaped(child.tail)
            continue
        out += [running.strip() + "\n"] if running.strip() else []
        out += block(child)
        running = escaped(child.tail)
    return out + ([running.strip() + "\n"] if running.strip() else [])


def block(node):
    """One part of a description that does not run in the text."""
    if node.tag == "verbatim":
        return [preformatted(plain(node))]
    if node.tag == "programlisting":
        return [preformatted(code_lines(node))]
    if node.tag == "parameterlist":
        out = []
        for item in node.iter("parameteritem"):
            names = ", ".join(plain(n).strip() for n in item.iter("parametername"))
            out.append(f"- ``{names}``: {flat(item.find('parameterdescription'))}\n")
        return out
    if node.tag == "simplesect":
        return [f"*{node.get('kind').capitalize()}*: {flat(node)}\n"]
    if node.tag in ("itemizedlist", "orderedlist"):
        return [f"- {flat(item)}\n" for item in node]
    if node.tag == "table":
        rows = [" | ".join(re.sub(r"\s+", " ", plain(e)).strip() for e in row.iter("entry")) for row in node.iter("row")]
        return [preformatted("\n".join(rows))]
    if node.tag == "title":
        return [f"**{escaped(plain(node)).strip()}**\n"]
    return blocks(node)


def flat(node):
    """A description in one paragraph."""
    return " ".join(b.strip() for b in blocks(node))


def description(node):
    if CUT.search(plain(node.find("briefdescription")).strip()):
        raise SystemExit(f"{plain(node.find('name')) or plain(node.find('compoundname'))}: the brief ends with an abbreviation (docs/Doxyfile, INPUT_FILTER)")
    return blocks(node.find("briefdescription")) + blocks(node.find("detaileddescription"))


def template_of(node):
    params = node.find("templateparamlist")
    if params is None:
        return ""
    parts = []
    for p in params:
        text = plain(p.find("type"))
        name = plain(p.find("declname"))
        text += f" {name}" if name and not text.endswith(name) else ""
        text += f" = {plain(p.find('defval'))}" if p.find("defval") is not None else ""
        parts.append(text.strip())
    return f"template <{', '.join(parts)}>\n"


def shown(text):
    text = re.sub(r"\b(HENCE_FN|HENCE_HOST_DEVICE)\s*", "", text)
    text = re.sub(r"\bhence::(?:[a-z_]+::)*(?=[a-z_~]+\b)", lambda m: m[0] if "<" in m[0] else "", text)
    return re.sub(r"<\s+", "<", re.sub(r"\s+>", ">", re.sub(r"[ \t]+", " ", text))).strip()


def signature(member, in_class=False):
    requires = plain(member.find("requiresclause"))
    head = template_of(member) + (f"  requires {requires}\n" if requires else "")
    kind = member.get("kind")
    if kind == "enum":
        values = ", ".join(plain(v.find("name")) for v in member.iter("enumvalue"))
        name = plain(member.find("name"))
        return f"enum {'' if name.startswith('@') else name + ' '}{{ {values} }}"
    text = plain(member.find("definition")) + plain(member.find("argsstring"))
    if in_class and kind in ("variable", "function"):
        static = "static " if member.get("static") == "yes" else ""
        text = f"{static}{plain(member.find('type'))} {plain(member.find('name'))}{plain(member.find('argsstring'))}"
    if kind == "variable":
        text += " " + plain(member.find("initializer")).strip()
    return shown(head) + ("\n" if head else "") + shown(text)


def members_of(compound):
    """The public members of a class as code, with what is said of each."""
    lines = []
    for section in compound.findall("sectiondef"):
        if not section.get("kind", "").startswith("public"):
            continue
        for member in section.findall("memberdef"):
            said = re.sub(r"\s+", " ", plain(member.find("briefdescription")) + plain(member.find("detaileddescription"))).strip()
            if member.get("kind") == "function" and not said:
                continue
            line = signature(member, in_class=True) + ";"
            lines.append("\n".join(textwrap.wrap(f"// {said}", 96, subsequent_indent="// ")) + "\n" + line if said else line)
    return "\n".join(lines)


def lines_of(text):
    """A declaration's line, if it is long with a parameter on each."""
    if len(text) <= 96 or text.lstrip().startswith("//") or "(" not in text:
        return [text]
    start = next((m.end() for m in re.finditer(r"\w\(", text)), 0)
    parts, depth, at = [], 0, start
    for i in range(start, len(text)):
        depth += text[i] in "(<[{"
        depth -= text[i] in ")>]}"
        if depth < 0:
            break
        if depth == 0 and text[i] == ",":
            parts.append(text[at : i + 1].strip())
            at = i + 1
    if not parts:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    return [text[:start], *(indent + part for part in parts), indent + text[at:].strip()]


def entry(title, code, text, under):
    out = [title, under * len(title), "", ".. code-block:: cpp", "", textwrap.indent("\n".join(line for text in code.split("\n") for line in lines_of(text)), "   "), ""]
    return "\n".join(out) + "\n" + "\n".join(text) + "\n"


def main(folder, out):
    headers = {}  # path -> (description, [(line, rst)])
    for file in sorted(folder.glob("*.xml")):
        for compound in xml.etree.ElementTree.parse(file).getroot().findall("compounddef"):
            place = compound.find("location")
            kind = compound.get("kind")
            if kind == "file" and place is not None:
                headers.setdefault(place.get("file"), [[], []])[0] = description(compound)
            elif kind in ("class", "struct", "concept") and place is not None:
                name = plain(compound.find("compoundname"))
                if "detail" in name.split("::") or compound.get("prot") == "private":
                    continue
                if kind == "concept":
                    code = shown(plain(compound.find("initializer")))
                else:
                    members = members_of(compound)
                    code = shown(template_of(compound)) + ("\n" if compound.find("templateparamlist") is not None else "")
                    code += f"{kind} {name.rsplit('::', 1)[-1]} {{\n{textwrap.indent(members, '  ')}\n}};" if members else f"{kind} {name.rsplit('::', 1)[-1]};"
                headers.setdefault(place.get("file"), [[], []])[1].append((int(place.get("line")), entry(name.removeprefix("hence::"), code, description(compound), "~")))
            elif kind == "namespace":
                for member in compound.iter("memberdef"):
                    text = description(member)
                    name = plain(member.find("qualifiedname")) or plain(member.find("name"))
                    if not text or "detail" in name.split("::") or name.startswith("@"):
                        continue
                    where = member.find("location")
                    headers.setdefault(where.get("file"), [[], []])[1].append(
                        (int(where.get("line")), entry(re.sub(r"@\d+$", "constants", name.removeprefix("hence::")), signature(member), text, "~"))
                    )
    pages = {}
    for path, (said, entries) in sorted(headers.items()):
        parts = pathlib.PurePosixPath(path).parts
        if len(parts) < 3 or not entries:
            continue
        topic = "advantage" if parts[1] == "policy" and parts[2].startswith("advantage") else parts[1]
        title = "/".join(parts)
        body = [title, "-" * len(title), "", *said]
        pages.setdefault(topic, []).append("\n".join(body) + "\n" + "\n".join(text for _, text in sorted(entries)))
    out.mkdir(parents=True)
    for topic, bodies in pages.items():
        title = TITLES.get(topic, topic)
        text = [title, "=" * len(title), "", "Made from the comments of the headers.", ""]
        (out / f"{topic}.rst").write_text("\n".join(text) + "\n" + "\n".join(bodies))
    index = ["Declarations", "=" * 12, "", ".. toctree::", "   :maxdepth: 2", "", *(f"   {topic}" for topic in TITLES if topic in pages), *(f"   {topic}" for topic in pages if topic not in TITLES)]
    (out / "index.rst").write_text("\n".join(index) + "\n")
    print(f"note: {sum(len(e[1]) for e in headers.values())} declarations on {len(pages)} pages")


def self_test():
    para = xml.etree.ElementTree.fromstring(
        "<detaileddescription><para>before <computeroutput>a</computeroutput> it"
        "<programlisting><codeline><highlight>f(<sp/><ref>x</ref>, y)</highlight>;</codeline></programlisting>behind"
        "</para><para>last</para></detaileddescription>"
    )
    assert [b.strip() for b in blocks(para)] == ["before \\ ``a``\\  it", ".. code-block:: cpp\n\n   f( x, y);", "behind", "last"], blocks(para)


self_test()
main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
