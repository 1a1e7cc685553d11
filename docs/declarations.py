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
RST = re.compile(r"([\\*`|_])")


def escaped(text):
    return RST.sub(r"\\\1", re.sub(r"\s+", " ", text or ""))


def plain(node):
    return "".join(node.itertext()) if node is not None else ""


def inline(node):
    """The running text of a paragraph, as RST."""
    out = escaped(node.text)
    for child in node:
        if child.tag == "computeroutput":
            code = re.sub(r"\s+", " ", plain(child)).strip()
            out += f"\\ ``{code}``\\ " if code else ""
        elif child.tag in ("ref", "emphasis", "bold", "ulink"):
            out += inline(child)
        elif child.tag == "sp":
            out += " "
        elif child.tag in ("ndash", "mdash"):
            out += "-"
        elif child.tag not in BLOCKS:
            out += inline(child)
        out += escaped(child.tail)
    return out


BLOCKS = {"verbatim", "programlisting", "parameterlist", "simplesect", "itemizedlist", "orderedlist", "table", "sect1", "para", "title"}


def preformatted(text):
    body = textwrap.dedent(text.strip("\n")).rstrip()
    return ".. code-block:: text\n\n" + textwrap.indent(body, "   ") + "\n"


def code_lines(node):
    return "\n".join("".join(" " if part.tag == "sp" else part.text or "" for part in walk(line)) for line in node.iter("codeline"))


def walk(node):
    """Every piece of text below node, as elements with a text, spaces among them."""
    for part in node.iter():
        yield part
        for child in part:
            if child.tail:
                piece = xml.etree.ElementTree.Element("tail")
                piece.text = child.tail
                yield piece


def blocks(node):
    """A description as a list of RST blocks."""
    out = []
    if node is None:
        return out
    if node.tag in ("para", "parameterdescription", "listitem"):
        text = inline(node).strip()
        if text:
            out.append(text + "\n")
    for child in node:
        if child.tag == "verbatim":
            out.append(preformatted(plain(child)))
        elif child.tag == "programlisting":
            out.append(preformatted(code_lines(child)))
        elif child.tag == "parameterlist":
            for item in child.iter("parameteritem"):
                names = ", ".join(plain(n).strip() for n in item.iter("parametername"))
                text = " ".join(b.strip() for b in blocks(item.find("parameterdescription")))
                out.append(f"- ``{names}``: {text}\n")
        elif child.tag == "simplesect":
            text = " ".join(b.strip() for b in sum((blocks(p) for p in child), []))
            out.append(f"*{child.get('kind').capitalize()}*: {text}\n")
        elif child.tag in ("itemizedlist", "orderedlist"):
            for item in child:
                text = " ".join(b.strip() for b in sum((blocks(p) for p in item), []))
                out.append(f"- {text}\n")
        elif child.tag == "table":
            rows = [" | ".join(re.sub(r"\s+", " ", plain(e)).strip() for e in row.iter("entry")) for row in child.iter("row")]
            out.append(preformatted("\n".join(rows)))
        elif child.tag == "title":
            out.append(f"**{escaped(plain(child)).strip()}**\n")
        else:
            out += blocks(child)
    return out


def description(node):
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


def entry(title, code, text, under):
    out = [title, under * len(title), "", ".. code-block:: cpp", "", textwrap.indent(code, "   "), ""]
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
        text = [title, "=" * len(title), "", "Made from the comments of the headers.", "", ".. contents::", "   :local:", "   :depth: 1", ""]
        (out / f"{topic}.rst").write_text("\n".join(text) + "\n" + "\n".join(bodies))
    index = ["Declarations", "=" * 12, "", ".. toctree::", "   :maxdepth: 2", "", *(f"   {topic}" for topic in TITLES if topic in pages), *(f"   {topic}" for topic in pages if topic not in TITLES)]
    (out / "index.rst").write_text("\n".join(index) + "\n")
    print(f"note: {sum(len(e[1]) for e in headers.values())} declarations on {len(pages)} pages")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
