#!/usr/bin/env python3
"""Damages one instruction of a kernel's PTX at a time and sees whether its program notices.

    scripts/ptx_mutants.py BUILD PROGRAM [--count 200] [--seed 1] [--target sm_80] [--kernel route] [--jobs 2]

BUILD is a build folder in which the test ptx/PROGRAM has run: its program and the stand-in for the CUDA
runtime are taken from there. Only instructions that the program runs are damaged; the rest are counted. A mutant is
noticed if the program fails, by a wrong result or by a finding. It is equivalent if ptxas makes the same machine code
of it as of the original, or if ptx_equivalence.py proves it from the bits that are known and the bits that are read.
A kernel that another program is made for is judged there: --kernel takes the own ones. The survivors are printed with
their lines, to be judged one by one: some are equivalent in ways that neither sees. The exit status is 0 if 90 % of those that are not known to be equivalent are noticed.
"""

import argparse
import bisect
import collections
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import ptx_equivalence

SWAPS = [  # each side becomes the other
    ("add", "sub"), ("min", "max"), ("and", "or"), ("shl", "shr"), ("eq", "ne"), ("lt", "le"), ("gt", "ge"),
    ("ltu", "leu"), ("gtu", "geu"), ("equ", "neu"), ("up", "down"), ("any", "all"),
]


def ptx_of(program, target):
    """The PTX text for a target in a program that carries it uncompressed."""
    data = open(program, "rb").read()
    best = ""
    for found in re.finditer(rb"\n\.version [\d.]+\n\.target " + target.encode() + rb"\n", data):
        text = data[found.start() : data.index(b"\0", found.start())].decode()
        best = max(best, text, key=len)
    return best


def mutants(lines):
    """(line index, new line) for every mutation that is known."""
    out = []
    for at, line in enumerate(lines):
        match = re.match(r"^(\s*(?:@!?%p\d+\s+)?)([a-z]\w*(?:\.[\w:]+)*)(\s+.*;)$", line)
        if not match:
            continue
        head, opcode, rest = match.groups()
        words = opcode.split(".")
        for a, b in SWAPS + [(b, a) for a, b in SWAPS]:
            for k, word in enumerate(words):
                if word == a and k < 4 and not (b == "shr" and words[-1][0] == "f"):
                    new = ".".join(words[:k] + [b] + words[k + 1 :])
                    if a in ("shl", "shr"):
                        new = f"{b}.b{words[-1][1:]}"
                    out.append((at, f"{head}{new}{rest}"))
        if "@" in head:
            out.append((at, line.replace("@!", "@", 1) if "@!" in head else line.replace("@", "@!", 1)))
        if words[0] in ("bar", "st", "atom") or opcode.startswith("bar.warp"):
            out.append((at, head + "// gone" if not head.strip() else "// gone"))
        number = re.search(r", (\d+);$", line)
        if number and words[0] in ("add", "mul", "shl", "shr", "and", "setp", "fma", "mad", "shfl"):
            out.append((at, line[: number.start()] + f", {int(number.group(1)) ^ 1};"))
        flag = re.search(r"0f([0-9A-F]{8})", line)
        if flag:
            out.append((at, line.replace(flag.group(0), f"0f{int(flag.group(1), 16) ^ 0x400000:08X}", 1)))
        if words[0] == "fma":
            out.append((at, re.sub(r"(%fd?\d+), (%fd?\d+), (%fd?\d+);", r"\1, \3, \2;", line)))
        if words[0] == "sub":
            out.append((at, re.sub(r", (%\w+), (%\w+);", r", \2, \1;", line)))
    return [(at, new) for at, new in out if new != lines[at]]


class Program:
    """A test program and its PTX for one target."""

    def __init__(self, build, name, target):
        self.path = os.path.join(build, "tests/ptx", name, "program")
        self.target = target
        self.lines = ptx_of(self.path, target).splitlines()
        self.firsts = [i for i, line in enumerate(self.lines) if ".entry" in line]
        # Entries may hold scopes of their own, so each ends at the last brace before the next one.
        braces = [i for i, line in enumerate(self.lines) if line == "}"]
        self.lasts = [braces[bisect.bisect_left(braces, end) - 1] for end in self.firsts[1:] + [len(self.lines)]]
        self.known = {}  # facts of the entry that begins at a line
        self.environment = dict(
            os.environ,
            LD_LIBRARY_PATH=os.path.join(build, "tests/ptx/lib"),
            HENCE_PTX_TARGET=target,
            HENCE_PTX_LIMIT="30000000",
            HENCE_TEST_STOP="1",  # at the first failure
        )

    def passes(self, lines, counts=None):
        with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            more = {"HENCE_PTX_SOURCE": file.name, **({"HENCE_PTX_COUNTS": counts} if counts else {})}
            try:
                done = subprocess.run([self.path], env={**self.environment, **more}, capture_output=True, timeout=300)
            except subprocess.TimeoutExpired:
                return False  # a mutant that never ends is noticed
            return done.returncode == 0

    def reached(self):
        """The lines that run, counted from 0."""
        with tempfile.NamedTemporaryFile("r", suffix=".txt") as file:
            if not self.passes(self.lines, file.name):
                sys.exit("the program fails without a mutant")
            out, is_here = set(), False
            for line in file:
                words = line.split()
                if words[0] == "kernel":
                    is_here = any(f".entry {words[1]}(" in text for text in self.lines)
                elif is_here:
                    out.add(int(words[1]) - 1)
            return out

    def entry_of(self, at):
        """First and last line of the entry around a line."""
        entry = bisect.bisect_right(self.firsts, at) - 1
        return self.firsts[entry], self.lasts[entry]

    def alone(self, at, line=None):
        """The module with no entry but the one around a line, which may be exchanged."""
        here, _ = self.entry_of(at)
        others = [(first, last) for first, last in zip(self.firsts, self.lasts) if first != here]
        out = list(self.lines)
        if line is not None:
            out[at] = line
        for first, last in reversed(others):
            del out[first : last + 1]
        return "\n".join(out) + "\n"

    def machine_code(self, ptxas, text):
        """What ptxas makes of a module, or None if it does not take it."""
        with tempfile.TemporaryDirectory() as work:
            with open(os.path.join(work, "k.ptx"), "w") as file:
                file.write(text)
            done = subprocess.run(
                [ptxas, f"-arch={self.target}", "-o", "k.cubin", "k.ptx"], cwd=work, capture_output=True)
            return open(os.path.join(work, "k.cubin"), "rb").read() if done.returncode == 0 else None

    def is_same_code(self, ptxas, at, new):
        """Whether ptxas makes the same machine code of the mutant: then it is equivalent."""
        original = self.machine_code(ptxas, self.alone(at))
        if original is None:
            sys.exit(f"ptxas does not take the kernel around line {at + 1} alone")
        return original == self.machine_code(ptxas, self.alone(at, new))

    def name_of(self, at):
        """The kernel's own name, without its namespaces."""
        found = re.search(r"\d([a-z_]+_kernel)", self.lines[self.entry_of(at)[0]])
        return found[1] if found else "?"

    def proof(self, at, new):
        """By which rule a mutant equals the original whatever the input, or ''."""
        first, last = self.entry_of(at)
        if first not in self.known:
            self.known[first] = ptx_equivalence.Entry(self.lines[first:last])
        return self.known[first].proof(self.lines[at], new)

    def judge(self, ptxas, mutant):
        """Verdict and, of an equivalent one, by what it is known."""
        at, new = mutant
        if not self.passes(self.lines[:at] + [new] + self.lines[at + 1 :]):
            return "noticed", ""
        if rule := self.proof(at, new):
            return "equivalent", rule
        return ("equivalent", "the same machine code") if self.is_same_code(ptxas, at, new) else ("survives", "")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build")
    arguments.add_argument("program")
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--target", default="sm_80")
    arguments.add_argument("--kernel", default="", help="only entries whose mangled name matches this")
    arguments.add_argument("--jobs", type=int, default=2)
    a = arguments.parse_args()
    ptxas = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
    program = Program(a.build, a.program, a.target)
    ran = program.reached()
    everything = [m for m in mutants(program.lines) if re.search(a.kernel, program.lines[program.entry_of(m[0])[0]])]
    reached = [m for m in everything if m[0] in ran]
    random.Random(a.seed).shuffle(reached)
    tried = reached[: a.count]
    by_kernel, rules = {}, collections.Counter()  # verdict -> how often; of the equivalent ones, by what
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for (at, new), (verdict, rule) in zip(tried, pool.map(lambda m: program.judge(ptxas, m), tried)):
            name = program.name_of(at)
            by_kernel.setdefault(name, collections.Counter())[verdict] += 1
            rules.update([rule] if rule else [])
            if verdict == "survives":
                print(f"survives: {name}, line {at + 1}: {program.lines[at].strip()}  ->  {new.strip()}", flush=True)
    print(f"{len(everything)} mutants, {len(everything) - len(reached)} in code that no case reaches, {len(tried)} of the others tried")
    by_kernel["all"] = sum(by_kernel.values(), collections.Counter())
    for name, counted in by_kernel.items():
        others = counted["noticed"] + counted["survives"]
        print(f"{name}: {counted['noticed']} of {others} noticed, {100 * counted['noticed'] / max(others, 1):.1f} %; "
              f"{counted['equivalent']} more are equivalent")
    for rule, count in rules.most_common():
        print(f"equivalent by {rule}: {count}")
    counted = by_kernel["all"]
    return 0 if 0.1 * counted["noticed"] >= 0.9 * counted["survives"] else 1


if __name__ == "__main__":
    sys.exit(main())
