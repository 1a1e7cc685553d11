#!/usr/bin/env python3
"""The table of scripts/coverage.sh: lines from llvm-cov's lcov export, branches from its JSON export.

    coverage.py LCOV JSON LEAST_LINES LEAST_BRANCHES      percentages, of all headers together

A branch is a place in the source: taken if any instance of the template took it.
"""
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

lcov, exported = Path(sys.argv[1]).read_text(), json.loads(Path(sys.argv[2]).read_text())
least = [float(x) for x in sys.argv[3:5]]
lines, branches = defaultdict(dict), defaultdict(lambda: defaultdict(lambda: [0, 0]))
name = ""
for record in lcov.splitlines():
    if record.startswith("SF:"):
        name = record[3:]
    elif record.startswith("DA:"):
        line, count = record[3:].split(",")[:2]
        lines[name][int(line)] = int(count)
for file in exported["data"][0]["files"]:
    for branch in file["branches"]:
        place = branches[file["filename"]][branch[0], branch[1]]
        place[0] += branch[4]
        place[1] += branch[5]

# Selects between the lanes of vectors, which are no branches.
LANES = ("a < b ? a : b", "a > b ? a : b", "m.m ? a.v : b.v", "is_nan ? (bits", "m > largest ? m", "m < smallest ? m")
# A function of types alone, such as the ones that word what does not compile: it runs in the compiler.
OF_TYPES = re.compile(r"constexpr bool \w+\((const \w+\*|const \w+<\w+\.\.\.>\*)?\) \{$")


def of_types(text):
    """The lines of such functions."""
    found, inside = set(), False
    for n, line in enumerate(text):
        inside = inside or bool(OF_TYPES.search(line))
        if inside:
            found.add(n)
        inside = inside and line != "}"
    return found


total = [0, 0, 0, 0]
for name in sorted(lines):
    text = [""] + Path(name).read_text().splitlines()
    skipped = of_types(text)
    lines[name] = {n: count for n, count in lines[name].items() if n not in skipped}
    # the end of a block that every path leaves before is no line of its own
    missed = [n for n, count in lines[name].items() if count == 0 and text[n].strip() != "}" and not text[n].startswith("#") and "// no test: " not in text[n]]
    # a condition that no instance tests, on a line that runs, is a constant of the compiler's
    tested = {place: taken for place, taken in branches[name].items()
              if place[0] not in skipped and not text[place[0]][place[1] - 1:].startswith(LANES) and (any(taken) or not lines[name].get(place[0], 0))}
    sides = [(n, column, side) for (n, column), taken in sorted(tested.items()) for side in (0, 1) if not taken[side]]
    row = [len(lines[name]), len(missed), 2 * len(tested), len(sides)]
    total = [a + b for a, b in zip(total, row)]
    short = name[name.find("include/hence/") + 14:]
    print(f"{short:36} lines {row[0]:5} missed {row[1]:3}   branches {row[2]:5} missed {row[3]:3}")
    for n in missed:
        print(f"    {n}: {text[n].strip()}")
    for n, column, side in sides:
        print(f"    {n}:{column} never {('true', 'false')[side]}: {text[n][column - 1:column + 60]}")
shares = [100 * (1 - total[1] / max(total[0], 1)), 100 * (1 - total[3] / max(total[2], 1))]
print(f"all: {shares[0]:.2f} % of {total[0]} lines, {shares[1]:.2f} % of {total[2]} branches")
sys.exit(0 if shares[0] >= least[0] and shares[1] >= least[1] else 1)
