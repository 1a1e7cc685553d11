"""documented.py WARNINGS XML ALLOWED: fails for every public name of the headers without a comment.

WARNINGS is what Doxygen says with WARN_IF_UNDOCUMENTED; anything else in it is an error. A name needs no comment
of its own if it is

- a deduction guide, a constructor, a destructor, an operator: what they do, their type says;
- an overload of a function, or a specialisation, of one that has one;
- a data member that is named in its type's comment, or declared on one line with one that has a comment;
- a member of a protocol: a name that many types have in one meaning, which the page ALLOWED says once for all, in the
  first column of its tables.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

LINE = re.compile(r"^(?P<file>.*?):(?P<line>\d+): warning: (?P<what>Member|Compound) (?P<text>.*) is not documented\.$")
MEMBER = re.compile(r"^(?P<signature>.*) \((?P<kind>[a-z ]+)\) of (?P<within>[a-z]+) (?P<scope>.*)$")


def words(text):
    return set(re.findall(r"\w+", text))


def plain(node):
    return " ".join(node.itertext()) if node is not None else ""


def bare(name):
    """A qualified name without template arguments, spaces and the version."""
    previous = None
    while name != previous:
        previous, name = name, re.sub(r"<[^<>]*>", "", name)
    return name.replace(" ", "").replace("::v0", "")


def said(node):
    return (plain(node.find("briefdescription")) + " " + plain(node.find("detaileddescription")) + " " + plain(node.find("inbodydescription"))).strip()


class Headers:
    def __init__(self, folder):
        self.about = {}  # scope -> the words of its comment
        self.commented = set()  # (scope, name) of members with a comment
        self.on_line = set()  # (file, line) of data members with a comment
        for file in folder.glob("*.xml"):
            for compound in xml.etree.ElementTree.parse(file).getroot().findall("compounddef"):
                scope = bare(plain(compound.find("compoundname")))
                self.about.setdefault(scope, set()).update(words(said(compound)))
                for member in compound.iter("memberdef"):
                    if said(member):
                        where = member.find("location")
                        self.commented.add((scope, plain(member.find("name"))))
                        if member.get("kind") == "variable":
                            self.on_line.add((pathlib.PurePath(where.get("file")).name, where.get("line")))


def name_of(signature):
    if " -> " in signature:
        return "->"
    found = re.match(r"(operator\s*(?:\(\)|[^\w\s(]+|\w+.*?(?=\()|.*)|~?\w+)", signature)
    return found[0] if found else signature


def needs_comment(headers, allowed, file, line, text):
    member = MEMBER.match(text)
    if not member:
        return True
    name, scope = name_of(member["signature"]), bare(member["scope"])
    name = re.sub(r"[\[<].*", "", name)
    own = scope.rsplit("::", 1)[-1]
    if name == "->" or name.startswith("operator") or name.lstrip("~") == own or member["kind"] == "friend":
        return False
    if member["within"] in ("namespace", "file"):
        return (scope, name) not in headers.commented
    if name in allowed or (scope, name) in headers.commented:
        return False
    if member["kind"] == "variable":
        return not (name in headers.about.get(scope, ()) or (pathlib.PurePath(file).name, line) in headers.on_line)
    return True


def main(warnings, folder, allowed):
    headers = Headers(folder)
    names = {name for row in re.findall(r"^\| (`.*?) \|", allowed.read_text(), re.M) for name in re.findall(r"`(\w+|operator\(\))`", row)}
    bad, used = [], set()
    for text in warnings.read_text().splitlines():
        found = LINE.match(text)
        if not found:
            bad += [text] if text.strip() else []
            continue
        member = MEMBER.match(found["text"])
        if found["what"] == "Member" and member:
            used.add(name_of(member["signature"]))
        if found["what"] == "Compound":
            wanted = not ("<" in found["text"] and headers.about.get(bare(found["text"].removesuffix(" "))))
        else:
            wanted = needs_comment(headers, names, found["file"], found["line"], found["text"])
        if wanted:
            place = f"{found['file']}:{found['line']}: {found['text']} has no comment"
            bad += [place] if place not in bad else []
    bad += [f"{allowed}: no member is called {name}" for name in sorted(names - used)]
    print("\n".join(bad) if bad else f"note: every public name has a comment, {len(names)} protocol members excepted")
    return bool(bad)


sys.exit(main(*map(pathlib.Path, sys.argv[1:])))
