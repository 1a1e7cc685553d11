#!/usr/bin/env python3
"""What scripts/r1_students.sh prints of the runs' table.json.

    r1_students.py line FOLDER NAME                  one student: each stage with Wilson's 95% interval
    r1_students.py table FOLDER FIRST LAST WIDTH...  each size: the mean of the seeds, the lowest and the highest
"""
import json
import math
import sys

STAGES = ("student", "student_rl", "distilled", "distilled_rl")


def rows(folder):
    return {r["stage"]: r["reasoning"] for r in json.load(open(folder + "/table.json")) if r["stage"] in STAGES}


def wilson(k, n, z=1.96):
    middle, around = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
    return (middle - around) / (n + z * z), (middle + around) / (n + z * z)


def line(folder, name):
    of = rows(folder)
    for stage in STAGES:
        k, n = of[stage]["correct"], of[stage]["problems"]
        low, high = wilson(k, n)
        name += f"  {stage} {k / n:.3f} [{low:.3f}, {high:.3f}]"
    print(name, flush=True)


def table(folder, first, last, *widths):
    print(f"{'width':>5}  " + "".join(f"{s:<22}" for s in STAGES))
    for width in widths:
        text = f"{width:>5}  "
        for stage in STAGES:
            got = [rows(f"{folder}/{seed}-{width}")[stage] for seed in range(int(first), int(last) + 1)]
            share = [r["correct"] / r["problems"] for r in got]
            text += f"{sum(share) / len(share):.3f} [{min(share):.3f}, {max(share):.3f}]  "
        print(text.rstrip(), flush=True)


if __name__ == "__main__":
    {"line": line, "table": table}[sys.argv[1]](*sys.argv[2:])
