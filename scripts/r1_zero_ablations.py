#!/usr/bin/env python3
"""What scripts/r1_zero_ablations.sh prints of the runs' files.

    r1_zero_ablations.py head
    r1_zero_ablations.py row NAME FOLDER...    one variant, a folder for each seed

Strict accuracy with Wilson's 95% interval for each seed, before and after. Means over the seeds: thinking steps of the two
evaluations; clip fraction over all steps; KL to the base in the last step. Alarms of all seeds. Of experts MaxVio, mean over layers and
seeds: the last ten logged steps of pretraining, then the last ten of RL.
"""
import json
import os
import sys

from r1_students import wilson

COLUMNS = ("variant", "base", "after", "thinking", "clip", "KL", "alarms", "MaxVio")


def lines(path):
    with open(path) as f:
        return [json.loads(x) for x in f]


def mean(xs):
    xs = list(xs)
    return sum(xs) / len(xs)


def share(e):
    low, high = wilson(e["correct"], e["problems"])
    return "{:.3f} [{:.3f}, {:.3f}]".format(e["strict_accuracy"], low, high).replace("0.", ".")


def max_violation(path):
    return mean(mean(s["moe/max_violation"]) for s in lines(path)[-10:])


def row(name, *folders):
    ends = [json.load(open(f + "/evaluation.json")) for f in folders]
    steps = [lines(f + "/metrics.jsonl") for f in folders]
    cells = [name] + ["; ".join(share(e[when]) for e in ends) for when in ("base", "final")]
    cells.append("{:.2f} -> {:.2f}".format(*(mean(e[when]["thinking_steps"] for e in ends) for when in ("base", "final"))))
    cells.append("{:.4f}".format(mean(mean(s["clip_ratio/region_mean"] for s in run) for run in steps)))
    cells.append("{:.2f}".format(mean(run[-1]["kl"] for run in steps)))
    cells.append(str(sum(open(f + ".txt").read().count("alarm  ") for f in folders)))
    if "moe/load" in steps[0][-1]:
        logs = ("/base.jsonl", "/metrics.jsonl")
        cells.append(" -> ".join("{:.2f}".format(mean(max_violation(f + log) for f in folders)) for log in logs
                                 if all(os.path.exists(f + log) for f in folders)))
    else:
        cells.append("")
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "head":
        print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
    else:
        row(*sys.argv[2:])
