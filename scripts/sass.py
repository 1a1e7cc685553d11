#!/usr/bin/env python3
"""What ptxas makes of the kernels that bench/cuda measures: registers, loads, the hot loop.

    scripts/sass.py --check    compiles them; exit status 1 if docs/sass.txt differs or a limit is broken
    scripts/sass.py --write    writes the table anew, which a change of a kernel that moves it must do
    ... --targets 90a,120a     --check of these rows alone

Limits: no spill, no local memory, as many registers as KERNELS says at most; and no fused multiply-add (FFMA, DFMA)
beyond the PTX's own fma.rn, but in a kernel that divides or takes roots, whose excess is in the table.

Needs nvcc; nvdisasm comes from PyPI. The figures are of one version of nvcc, which the table names. Counts are of
instructions as they lie in the code, not as they run: a loop contains its slow paths.
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
# A kernel of the benchmarks: its row, what its mangled name contains, elements of one step of its hot loop (0: no such loop),
# the most registers that leave room for as many blocks as the kernel is made for.
KERNELS = [
    ("policy_loss dapo", r"policy_loss_kernel.*2kl4none", 4, 128),
    ("policy_loss grpo", r"policy_loss_kernel.*2kl2k3", 4, 128),
    ("policy_count", r"policy_count_kernel.*token_meanENS0_5scope", 0, 64),
    ("policy_count rows", r"policy_count_kernel.*sequence_mean", 0, 64),
    ("advantages", r"advantages_kernel", 0, 64),
    ("token_logprob fp32", r"token_logprob_kernelIf", 32, 128),
    ("token_logprob bf16", r"token_logprob_kernelIN", 32, 128),
    ("token_gradient fp32", r"token_gradient_kernelIf", 8, 64),
    ("token_gradient bf16", r"token_gradient_kernelIN", 8, 64),
    ("split_lanes fp32", r"split_lanes_kernel", 0, 64),
    ("merge_lanes fp32", r"merge_lanes_kernel", 0, 128),
    ("shard_states bf16", r"shard_states_kernel", 32, 128),
    ("merge_shards", r"merge_shards_kernel", 0, 128),
    ("shard_gradient bf16", r"shard_gradient_kernel", 8, 64),
    ("distill_softmax fp32", r"distill_softmax_kernel", 32, 128),
    ("distill jsd", r"14distill_kernel", 0, 128),
    ("distill_gradient jsd", r"23distill_gradient_kernel", 0, 128),
    ("distill_top_k", r"20distill_top_k_kernel", 0, 128),
    ("distill_top_k_gradient", r"29distill_top_k_gradient_kernel", 0, 128),
    ("sample fp32", r"sample_kernel", 0, 64),
    ("product fp32 x bf16", r"product_kernelIf", 0, 128),
    ("product bf16 x bf16", r"product_kernelIN", 0, 128),
    ("bias_gradient", r"bias_gradient_kernel", 0, 64),
    ("route softmax", r"route_kernel.*softmax", 0, 80),
    ("route sigmoid, groups", r"route_kernel.*sigmoid", 0, 80),
    ("permute_count", r"permute_count_kernel", 0, 64),
    ("permute_scan", r"permute_scan_kernel", 0, 64),
    ("permute_scatter", r"permute_scatter_kernel", 0, 64),
]
FAULTS = []  # limits that were broken
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*);")


def kernels_of(text):
    """nvdisasm's text as {mangled name: ([(opcode, operands)], {label: index of the instruction behind it})}."""
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
            code.append((m[1], m[2]))
    return out


def hot_loop(code, labels):
    """Instructions of the shortest loop with 16-byte loads, or 0."""
    lengths = []
    for i, (op, operands) in enumerate(code):
        target = re.search(r"`\((\.L_x_\d+)\)", operands)
        first = labels.get(target[1], i + 1) if op.startswith("BRA") and target else i + 1
        if any(o.startswith("LDG") and ".128" in o for o, _ in code[first : i + 1]):
            lengths.append(i + 1 - first)
    return min(lengths, default=0)


def fused(text):
    """PTX as {entry: (fma.rn.f32, fma.rn.f64, divisions and roots)}."""
    out = {}
    for entry in re.finditer(r"\.entry (\S+)\((.*?)\n\}\n", text, re.S):
        def count(pattern, body=entry[2]):
            return len(re.findall(pattern, body))
        out[entry[1]] = (count(r"\sfma\.rn(?:\.ftz)?\.f32\s") + 2 * count(r"\sfma\.rn\.f32x2\s"), count(r"\sfma\.rn\.f64\s"),
                         count(r"\s(?:div|sqrt|rcp|rsqrt)\.\w+(?:\.ftz)?\.f(?:32|64)\s"))
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
    for row, _, elements, most in KERNELS:
        if row not in named:
            sys.exit(f"no kernel for the row `{row}` of scripts/sass.py")
        code, labels, registers, spills, (fma32, fma64, divides) = found[named[row]]
        def count(begin, part=""):
            return sum(op.startswith(begin) and part in op for op, _ in code)
        loop = hot_loop(code, labels) if elements else 0
        if elements and not loop:
            sys.exit(f"{row}, sm_{target}: no loop has 16-byte loads")
        local = count(("LDL", "STL"))
        more32, more64 = count("FFMA") + count("FFMA2") - fma32, count("DFMA") - fma64
        for broken, what in ((spills != 0, f"{spills} bytes spilled"), (local != 0, f"{local} accesses of local memory"),
                             (registers > most, f"{registers} registers, expected at most {most}"),
                             (not divides and max(more32, more64) > 0, "a multiply-add that PTX has not")):
            if broken:
                FAULTS.append(f"{row}, sm_{target}: {what}")
        yield [row, f"sm_{target}", registers, spills, len(code), count("LDG"), count("LDG", ".128"),
               count("STG"), count("STG", ".128"), local, count("MUFU"), f"{loop / elements:.1f}" if elements else "-",
               divides, more32, more64]


def table(targets):
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    version = re.search(r"V([\d.]+)", subprocess.run([nvcc, "--version"], check=True, capture_output=True, text=True).stdout)[1]
    venv = subprocess.run([ROOT / "scripts" / "venv.sh", "sass", TOOL], capture_output=True, text=True)
    if venv.returncode != 0:
        sys.exit(venv.stderr)
    nvdisasm = next(pathlib.Path(venv.stdout.strip()).glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    nvdisasm.chmod(0o755)
    head = ["kernel", "target", "regs", "spill", "instr", "LDG", ".128", "STG", ".128", "LDL/STL", "MUFU", "loop/elt", "div", "+FFMA", "+DFMA"]
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
