#!/usr/bin/env python3
"""Compares hence's verifier with those of reasoning-gym and math-verify, verdicts and rates.

    cmake -S . -B build/verify -DHENCE_BUILD_TESTS=OFF -DHENCE_BUILD_EXAMPLES=ON && cmake --build build/verify
    pip install reasoning-gym math-verify        # either may be missing: its part is left out
    scripts/verifiers.py build/verify/examples/07_verify/verify [entries of each data set]

Every entry of a reasoning-gym data set is judged with its own answer, with another entry's and with a
changed one; a verdict of reasoning-gym counts as right if it is 1. math-verify judges the hand-decided
pairs of tests/reward/answer_cases.hpp and answer_attacks.hpp. Rates are of processor time. Not part of
CI: the peers change.
"""
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

VERIFY = sys.argv[1]
ENTRIES = int(sys.argv[2]) if len(sys.argv) > 2 else 20
TABLES = [Path(__file__).parent.parent / "tests" / "reward" / f"answer_{name}.hpp" for name in ("cases", "attacks")]


def hence(pairs):
    """Verdicts of (answer, reference) pairs."""
    lines = "".join(json.dumps({"response": a, "reference": b}) + "\n" for a, b in pairs)
    out = subprocess.run([VERIFY, "--template", "none", "-"], input=lines, capture_output=True, text=True,
                         check=True)
    return [json.loads(line)["accuracy"] == 1 for line in out.stdout.splitlines()]


def changed(answer):
    """A wrong answer that looks like the right one."""
    digits = [m.start() for m in re.finditer(r"\d", answer)]
    if digits:
        i = digits[len(answer) % len(digits)]
        return answer[:i] + str((int(answer[i]) + 1) % 10) + answer[i + 1:]
    return answer[:-1] if len(answer) > 1 else answer + "x"


def compare_reasoning_gym():
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError:
        print("reasoning-gym is not installed: left out")
        return
    judged = agreed = 0
    spent = {}  # seconds a verdict, by data set
    for name in sorted(DATASETS):
        try:
            data = reasoning_gym.create_dataset(name, size=ENTRIES, seed=42)
            entries = [data[i] for i in range(ENTRIES)]
        except Exception as e:  # some need other packages
            print(f"{name:32} left out: {str(e)[:60]}")
            continue
        entries = [e for e in entries if isinstance(e["answer"], str) and e["answer"].strip()]
        trials = []
        for i, entry in enumerate(entries):
            other = entries[(i + 1) % len(entries)]["answer"]
            trials += [(entry, a) for a in (entry["answer"], other, changed(entry["answer"]))]
        if not trials:
            print(f"{name:32} left out: no entry has a reference answer")
            continue
        verdicts = hence([(a, e["answer"]) for e, a in trials])
        started = time.process_time()
        theirs = []
        for entry, answer in trials:
            try:
                theirs.append(data.score_answer(answer, entry) == 1.0)
            except Exception:
                theirs.append(False)
        spent[name] = (time.process_time() - started) / len(trials)
        both = [v == t for v, t in zip(verdicts, theirs)]
        judged, agreed = judged + len(both), agreed + sum(both)
        text = ""
        if not all(both):
            i = both.index(False)
            text = f"  e.g. {trials[i][1]!r:.40} for {trials[i][0]['answer']!r:.40}: hence {verdicts[i]}"
        print(f"{name:32} {sum(both):4} of {len(both):4}{text}")
    slowest = max(spent, key=spent.get)
    print(f"reasoning-gym: {agreed} of {judged} verdicts agree; its rate {1 / statistics.median(spent.values()):.0f} "
          f"a second in the median data set, {1 / statistics.mean(spent.values()):.0f} over all, "
          f"{1 / spent[slowest]:.1f} in {slowest}")


def read_cases(table):
    """The pairs of a C++ table; names of its escapes are Python's, but for \\x and braces."""
    text = table.read_text()
    text = text[text.index(f"{table.stem}[] = {{"):]
    string = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
    for a, b, equal in re.findall(rf"\{{({string}),\s*({string}),\s*(yes|no)", text):
        if "\\x" in a + b:
            continue
        def plain(s):
            return "".join(json.loads('"' + t + '"') for t in re.findall(r'"((?:[^"\\]|\\.)*)"', s))
        yield plain(a), plain(b), equal == "yes"


def compare_math_verify():
    try:
        from math_verify import parse, verify
    except ImportError:
        print("math-verify is not installed: left out")
        return
    for table in TABLES:
        compare_table(table, parse, verify)


def compare_table(table, parse, verify):
    pairs = [c for c in read_cases(table) if c[1]]
    mine = hence([(a, b) for a, b, _ in pairs])
    started = time.process_time()
    theirs = [verify(parse(f"${b}$"), parse(f"${a}$")) for a, b, _ in pairs]
    spent = time.process_time() - started
    wrong = [p for p, t in zip(pairs, theirs) if t != p[2]]
    print(f"{table.stem}: hence decides {sum(m == p[2] for m, p in zip(mine, pairs))} of {len(pairs)} so, "
          f"math-verify {len(pairs) - len(wrong)}; its rate {len(pairs) / spent:.0f} a second")
    for a, b, equal in wrong[:20]:
        print(f"  math-verify: {a!r} and {b!r} are {'different' if equal else 'equal'}")


compare_reasoning_gym()
compare_math_verify()
