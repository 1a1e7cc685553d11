#!/usr/bin/env bash
# Distillation against RL for students of five sizes over seeds: a line each of strict accuracy with its 95%
# interval: the student's base, RL directly, distilled, distilled and RL behind it. The teacher of a seed is made once.
#
#   scripts/r1_students.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-2}
shift $(($# < 4 ? $# : 4))
teacher=base,cold_start,reasoning_rl,reject_tune,all_scenarios
mkdir -p "$folder"
for ((seed = first; seed <= last; ++seed)); do
  "$program" --seed "$seed" --out "$folder/$seed" --stages $teacher "$@" >"$folder/$seed.txt"
  for width in 12 24 32 48 80; do # 8 to 160 thousand parameters
    out="$folder/$seed-$width"
    mkdir -p "$out"
    for stage in ${teacher//,/ }; do cp "$folder/$seed/$stage.safetensors" "$out"; done
    "$program" --seed "$seed" --out "$out" --student-width $width "$@" >"$out.txt"
    python3 - "$seed" "$width" "$out" <<'P'
import json, math, sys
seed, width, out = sys.argv[1:]
line = f"seed {seed} width {width:>3}"
for row in json.load(open(out + "/table.json")):
    if row["stage"] in ("student", "student_rl", "distilled", "distilled_rl"):
        n, k, z = row["reasoning"]["problems"], row["reasoning"]["correct"], 1.96
        middle, around = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
        line += f"  {row['stage']} {k / n:.3f} [{(middle - around) / (n + z * z):.3f}, {(middle + around) / (n + z * z):.3f}]"
print(line, flush=True)
P
  done
done
