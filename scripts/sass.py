#!/usr/bin/env python3
"""What ptxas makes of the kernels that bench/cuda measures: registers, loads, the hot loop.

    scripts/sass.py --check    compiles them; exit status 1 if docs/sass.txt differs or a limit is broken
    scripts/sass.py --write    writes the table anew, which a change of a kernel that moves it must do
    ... --targets 90a,120a     --check of these rows alone

Limits: no spill, no local memory, as many registers as KERNELS says at most; no fused multiply-add (FFMA, DFMA)
beyond the PTX's own fma.rn, but in a kernel that divides or takes roots, whose excess is in the table, or that has no product to
fuse, whose loops ptxas has unrolled; and for rows of fp32
with a loop of 16-byte loads, on sm_90a, no more instructions a byte on the ordinary path than an H100 issues while its memory moves it.

Needs nvcc and the toolkit's cublasLt.h; nvdisasm comes from PyPI. The figures are of one version of nvcc, which the table names. Counts are of
instructions as they lie in the code, but for those of the path (path/elt, /byte): the shortest way around the loop that does its work.
"""

import argparse
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "sass.txt"
TOOL = "nvidia-cuda-nvdisasm==13.5.37"
TARGETS = ["80", "90a", "100a", "120a"]
# A kernel of the benchmarks: its row, what its mangled name contains, the most registers that leave room for as many blocks as
# the kernel is made for; of a loop with 16-byte loads: elements of a step, bytes that one moves, multiply-adds that its formula has at least.
KERNELS = [
    ("policy_loss dapo", r"policy_loss_kernel.*2kl4none", 128, (4, 12, 12)),
    ("policy_loss grpo", r"policy_loss_kernel.*2kl2k3", 128, (4, 16, 24)),
    ("policy_count", r"policy_count_kernel.*token_meanENS0_5scope", 64),
    ("policy_count rows", r"policy_count_kernel.*sequence_mean", 64),
    ("advantages", r"advantages_kernel", 64),
    ("token_logprob fp32", r"token_logprob_kernelIf", 128, (32, 4, 8)),
    ("token_logprob bf16", r"token_logprob_kernelIN", 128, (32, 2, 8)),
    ("token_gradient fp32", r"token_gradient_kernelIff", 64, (8, 8, 6)),
    ("token_gradient bf16", r"token_gradient_kernelIN", 64, (8, 4, 6)),
    ("token_gradient to bf16", r"token_gradient_kernelIfN", 64, (8, 6, 6)),
    ("split_lanes fp32", r"split_lanes_kernel", 64),
    ("merge_lanes fp32", r"merge_lanes_kernel", 128),
    ("shard_states bf16", r"shard_states_kernel", 128, (32, 2, 8)),
    ("merge_shards", r"merge_shards_kernel", 128),
    ("shard_gradient bf16", r"shard_gradient_kernel", 64, (8, 4, 6)),
    ("distill_softmax fp32", r"distill_softmax_kernel", 128, (32, 4, 8)),
    ("distill jsd", r"14distill_kernel", 128),
    ("distill_gradient jsd", r"23distill_gradient_kernel", 128),
    ("distill_top_k", r"20distill_top_k_kernel", 128),
    ("distill_top_k_gradient", r"29distill_top_k_gradient_kernel", 128),
    ("sample fp32", r"sample_kernel", 64),
    ("product fp32 x bf16", r"product_kernelIf", 128),
    ("product bf16 x bf16", r"product_kernelIN", 128),
    ("bias_gradient", r"bias_gradient_kernelIf", 64),
    ("bias_gradient bf16", r"bias_gradient_kernelIN", 64),
    ("tile_softmax fp32", r"tile_softmax_kernel", 128, (32, 4, 8)),
    ("shifted_rows bf16", r"shifted_rows_kernel", 128),
    ("shifted_logits bf16", r"shifted_logits_kernel", 64),
    ("live_states bf16", r"live_states_kernel", 64),
    ("route softmax", r"route_kernel.*softmax", 80),
    ("route sigmoid, groups", r"route_kernel.*sigmoid", 80),
    ("permute_count", r"permute_count_kernel", 64),
    ("permute_scan", r"permute_scan_kernel", 64),
    ("permute_scatter", r"permute_scatter_kernel", 64),
]
# What an H100 issues while it moves a byte: 132 multiprocessors, 4 warps a clock, 1.755 GHz; 3.35 TB/s. A kernel of fp32 may need no more.
ISSUED_A_BYTE = 132 * 4 * 32 * 1.755e9 / 3.35e12
FAULTS = []  # limits that were broken
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*);")


def kernels_of(text):
    """nvdisasm's text as {mangled name: ([(opcode, operands, whether guarded)], {label: index of the instruction behind it})}."""
    out, code = {}, None
    for line in text.splitlines():
        if m := re.match(r"^\.text\.(\S+):", line):
            code, labels = [], {}
            out[m[1]] = code, labels
        elif line.startswith(".section") or line.startswith("\t.section"):
            code = None
        elif code is not None and (m := re.match(r"^(\.L_x_\d+):", line)):
            labels[m[1]] = len(code)
        elif code is not None and (m := INSTRUCTION.match(line)):
            code.append((m[2], m[3], bool(m[1])))
    return out


def successors(code, labels):
    """Which instructions may follow each one."""
    joins, out = {}, []
    for i, (op, operands, guarded) in enumerate(code):
        target = re.search(r"`\((\.L_x_\d+)\)", operands)
        barrier = re.search(r"\bB(\d+)", operands)
        after = [i + 1]
        if op.startswith("BSSY"):
            joins[barrier[1]] = labels.get(target[1])
        elif op.startswith("BSYNC") and barrier[1] in joins:
            after = [joins[barrier[1]]]
        elif op.startswith("BRA") and target:
            falls = guarded or op.startswith("BRA.DIV") or re.match(r"\s+!?U?P\d", operands)
            after = [labels.get(target[1])] + ([i + 1] if falls else [])
        elif op.startswith(("EXIT", "RET")):
            after = [i + 1] if guarded else []
        out.append([n for n in after if n is not None and n < len(code)])
    return out


def distances(edges, start):
    """How many steps from an instruction to each that can be reached, and whence the last one comes."""
    steps, whence, rim = {start: 0}, {}, [start]
    while rim:
        behind = []
        for i in rim:
            for n in edges[i]:
                if n not in steps:
                    steps[n], whence[n] = steps[i] + 1, i
                    behind.append(n)
        rim = behind
    return steps, whence


def ordinary_path(code, labels, least):
    """Instructions of the shortest way around a loop with 16-byte loads that has `least` FFMA or more, so that it does the loop's work; or 0."""
    edges = successors(code, labels)
    back = [[] for _ in code]
    for i, after in enumerate(edges):
        for n in after:
            back[n].append(i)

    def walk(whence, at):
        while at in whence:
            at = whence[at]
            yield at

    found = []
    for load in (i for i, (op, *_) in enumerate(code) if op.startswith("LDG") and ".128" in op):
        to, whence = distances(edges, load)
        home, whither = distances(back, load)
        vias = (i for i in to if i in home and i != load and code[i][0].startswith("FFMA"))
        for via in sorted(vias, key=lambda i: to[i] + home[i]):
            path = [via, *walk(whence, via), *walk(whither, via)]
            if sum(code[i][0].startswith("FFMA") for i in path) >= least:
                found.append(to[via] + home[via])
                break
    return min(found, default=0)


def fused(text):
    """PTX as {entry: (fma.rn.f32, fma.rn.f64, divisions and roots, mul of f32, mul of f64)}."""
    out = {}
    for entry in re.finditer(r"\.entry (\S+)\((.*?)\n\}\n", text, re.S):
        def count(pattern, body=entry[2]):
            return len(re.findall(pattern, body))
        out[entry[1]] = (count(r"\sfma\.rn(?:\.ftz)?\.f32\s") + 2 * count(r"\sfma\.rn\.f32x2\s"), count(r"\sfma\.rn\.f64\s"),
                         count(r"\s(?:div|sqrt|rcp|rsqrt)\.\w+(?:\.ftz)?\.f(?:32|64)\s"),
                         count(r"\smul(?:\.rn)?(?:\.ftz)?\.f32(?:x2)?\s"), count(r"\smul(?:\.rn)?\.f64\s"))
    return out


def compiled(nvcc, nvdisasm, target, work):
    """{mangled name: (code, labels, registers, spilled bytes, fused)} of all benchmarks."""
    out = {}
    for source in sorted((ROOT / "bench" / "cuda").glob("*_bench.cu")):
        ptx, cubin = (work / f"{source.stem}.{target}.{end}" for end in ("ptx", "cubin"))
        for command in ([nvcc, "-std=c++20", f"-arch=compute_{target}", "-ptx", "-I", ROOT / "include", "-o", ptx, source],
                        [pathlib.Path(nvcc).parent / "ptxas", "-v", f"-arch=sm_{target}", "-o", cubin, ptx]):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode != 0:
                sys.exit(run.stderr)
        report = run.stdout + run.stderr
        disassembled = kernels_of(subprocess.run([nvdisasm, "-c", cubin], check=True, capture_output=True, text=True).stdout)
        by_name = fused(ptx.read_text())
        for name, said in re.findall(r"Compiling entry function '(\S+)'(.*?)Compile time", report, re.S):
            registers = int(re.search(r"Used (\d+) registers", said)[1])
            spills = sum(map(int, re.findall(r"(\d+) bytes (?:stack frame|spill)", said)))
            out[name] = (*disassembled[name], registers, spills, by_name[name])
    return out


def rows_of(nvcc, nvdisasm, target, work):
    found, named = compiled(nvcc, nvdisasm, target, work), {}
    for name in found:
        labels = [row for row, pattern, *_ in KERNELS if re.search(pattern, name)]
        if len(labels) != 1 or labels[0] in named:
            sys.exit(f"scripts/sass.py has {labels} for {name}: expected one row for one kernel")
        named[labels[0]] = name
    for row, _, most, *loop in KERNELS:
        if row not in named:
            sys.exit(f"no kernel for the row `{row}` of scripts/sass.py")
        code, labels, registers, spills, (fma32, fma64, divides, mul32, mul64) = found[named[row]]
        def count(begin, part=""):
            return sum(op.startswith(begin) and part in op for op, *_ in code)
        elements, moved, adds = loop[0] if loop else (0, 0, 0)
        path = ordinary_path(code, labels, elements * adds) if loop else 0
        if loop and not path:
            sys.exit(f"{row}, sm_{target}: no loop has 16-byte loads and {adds} multiply-adds an element")
        each = path / (elements * moved) if loop else 0
        local = count(("LDL", "STL"))
        more32, more64 = count("FFMA") + count("FFMA2") - fma32, count("DFMA") - fma64
        for broken, what in ((spills != 0, f"{spills} bytes spilled"), (local != 0, f"{local} accesses of local memory"),
                             (registers > most, f"{registers} registers, expected at most {most}"),
                             ("bf16" not in row and target == "90a" and each > ISSUED_A_BYTE,
                              f"{each:.1f} instructions a byte, of which an H100 issues {ISSUED_A_BYTE:.1f} while it moves one"),
                             (not divides and ((mul32 and more32 > 0) or (mul64 and more64 > 0)), "a multiply-add that PTX has not")):
            if broken:
                FAULTS.append(f"{row}, sm_{target}: {what}")
        yield [row, f"sm_{target}", registers, spills, len(code), count("LDG"), count("LDG", ".128"),
               count("STG"), count("STG", ".128"), local, count("MUFU"), f"{path / elements:.1f}" if loop else "-", f"{each:.1f}" if loop else "-",
               divides, more32, more64]


def table(targets):
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    version = re.search(r"V([\d.]+)", subprocess.run([nvcc, "--version"], check=True, capture_output=True, text=True).stdout)[1]
    venv = subprocess.run([ROOT / "scripts" / "venv.sh", "sass", TOOL], capture_output=True, text=True)
    if venv.returncode != 0:
        sys.exit(venv.stderr)
    nvdisasm = next(pathlib.Path(venv.stdout.strip()).glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    nvdisasm.chmod(0o755)
    head = ["kernel", "target", "regs", "spill", "instr", "LDG", ".128", "STG", ".128", "LDL/STL", "MUFU", "path/elt", "/byte", "div", "+FFMA", "+DFMA"]
    rows = [head]
    with tempfile.TemporaryDirectory() as work:
        for target in targets:
            rows += rows_of(nvcc, nvdisasm, target, pathlib.Path(work))
    rows[1:] = sorted(rows[1:], key=lambda r: [k[0] for k in KERNELS].index(r[0]))
    lines = [f"nvcc {version}, {TOOL}; written by scripts/sass.py", ""]
    for r in rows:
        lines.append(f"{r[0]:<22}{r[1]:<9}" + "".join(f"{x!s:>9}" for x in r[2:]))
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    arguments.add_argument("--targets", default=",".join(TARGETS), type=lambda text: text.split(","))
    a = arguments.parse_args()
    os.chdir(ROOT)
    if a.write and a.targets != TARGETS:
        sys.exit("--write takes all targets")
    new = table(a.targets)
    for fault in FAULTS:
        print(fault)
    if a.write:
        TABLE.write_text(new)
        return int(FAULTS != [])
    lines = TABLE.read_text().splitlines(True) if TABLE.exists() else []
    left = {f"sm_{t}" for t in TARGETS} - {f"sm_{t}" for t in a.targets}
    old = "".join(line for line in lines if line[22:31].strip() not in left)
    if old.partition("\n")[0] != new.partition("\n")[0]:
        print(f"the table is of {old.partition(chr(10))[0]!r}, this is {new.partition(chr(10))[0]!r}")
        return 1
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "docs/sass.txt", "now"))
    print("note: the table holds" if old == new else "the table does not hold: scripts/sass.py --write")
    return int(old != new or FAULTS != [])


sys.exit(main())
