#!/usr/bin/env bash
# What the language-consistency reward costs: r1's reasoning RL by several weights of it, from one cold start a seed. A line for
# each seed and weight: strict accuracy with Wilson's 95% interval, consistency. What the folder has is not run again.
#
#   scripts/r1_language.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
#   WEIGHTS="0 0.5 1" scripts/r1_language.sh ...
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-5}
shift $(($# < 4 ? $# : 4))
read -ra weights <<<"${WEIGHTS:-0 0.5 1 2}"
mkdir -p "$folder"
for ((seed = first; seed <= last; ++seed)); do
  start="$folder/$seed"
  "$program" --seed "$seed" --out "$start" --stages base,cold_start "$@" >"$start.txt"
  for weight in "${weights[@]}"; do
    out="$folder/$seed-$weight"
    mkdir -p "$out"
    for stage in base cold_start; do
      if [ ! -e "$out/$stage.safetensors" ]; then cp "$start/$stage.safetensors" "$out"; fi
    done
    "$program" --seed "$seed" --out "$out" --language-weight "$weight" --stages base,cold_start,reasoning_rl "$@" \
      >"$out.txt"
    python3 - "$out" "seed $seed weight $weight" "$(dirname "${BASH_SOURCE[0]}")" <<'P'
import json, sys
folder, name, scripts = sys.argv[1:]
sys.path.insert(0, scripts)
from r1_students import wilson
of = {r["stage"]: r["reasoning"] for r in json.load(open(folder + "/table.json"))}["reasoning_rl"]
low, high = wilson(of["correct"], of["problems"])
print(f"{name}  accuracy {of['correct'] / of['problems']:.3f} [{low:.3f}, {high:.3f}]  "
      f"language {of['language_consistency']:.3f}", flush=True)
P
  done
done
