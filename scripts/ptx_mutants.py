#!/usr/bin/env python3
"""Damages one instruction of a kernel's PTX at a time and sees whether its program notices.

    scripts/ptx_mutants.py BUILD PROGRAM [--count 200] [--seed 1] [--target sm_80]

BUILD is a build folder in which the test ptx/PROGRAM has run: its program and the stand-in for the CUDA
runtime are taken from there. A mutant is noticed if the program fails, by a wrong result or by a
finding. The survivors are printed with their lines, to be judged one by one: some are equivalent. Mutants of code that no case
reaches are told apart (the program also passes with a trap in their place). The exit status is 0 if
90 % of the reached ones are noticed.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

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


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build")
    arguments.add_argument("program")
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--target", default="sm_80")
    a = arguments.parse_args()
    program = os.path.join(a.build, "tests/ptx", a.program, "program")
    lines = ptx_of(program, a.target).splitlines()
    scratch = tempfile.NamedTemporaryFile("w", suffix=".ptx", delete=False)
    environment = dict(
        os.environ,
        LD_LIBRARY_PATH=os.path.join(a.build, "tests/ptx/lib"),
        HENCE_PTX_TARGET=a.target,
        HENCE_PTX_SOURCE=scratch.name,
        HENCE_PTX_LIMIT="3000000",
    )

    def passes(text):
        with open(scratch.name, "w") as file:
            file.write("\n".join(text) + "\n")
        done = subprocess.run([program], env=environment, capture_output=True, timeout=300)
        return done.returncode == 0

    if not passes(lines):
        sys.exit("the program fails without a mutant")
    everything = mutants(lines)
    random.Random(a.seed).shuffle(everything)
    noticed = unreached = 0
    for at, new in everything[: a.count]:
        if not passes(lines[:at] + [new] + lines[at + 1 :]):
            noticed += 1
        elif passes(lines[:at] + ["trap;"] + lines[at:]):
            unreached += 1
        else:
            print(f"survives: line {at + 1}: {lines[at].strip()}  ->  {new.strip()}", flush=True)
    tried = min(a.count, len(everything))
    reached = tried - unreached
    print(f"{tried} of {len(everything)} mutants tried, {unreached} in code that no case reaches")
    print(f"{noticed} of {reached} reached ones noticed, {100 * noticed / max(reached, 1):.1f} %")
    os.unlink(scratch.name)
    return 0 if noticed >= 0.9 * reached else 1


if __name__ == "__main__":
    sys.exit(main())
