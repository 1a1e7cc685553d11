#!/usr/bin/env bash
# R1-Zero in miniature over seeds: base and final strict accuracy, thinking steps, seconds, alarms.
#
#   scripts/r1_zero_seeds.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-9}
shift $(($# < 4 ? $# : 4))
mkdir -p "$folder"
echo "seed  base   final  think           seconds  alarms"
for ((seed = first; seed <= last; ++seed)); do
  out="$folder/$seed"
  "$program" --seed "$seed" --out "$out" --show-every 0 "$@" >"$folder/$seed.txt"
  python3 - "$seed" "$out" "$folder/$seed.txt" <<'P'
import json, re, sys
seed, out, log = sys.argv[1:]
e = json.load(open(out + "/evaluation.json"))
text = open(log).read()
seconds = re.search(r"(\d+) s; report", text).group(1)
b, f = e["base"], e["final"]
print(f"{seed:>4}  {b['strict_accuracy']:.3f}  {f['strict_accuracy']:.3f}  "
      f"{b['thinking_steps']:.2f} -> {f['thinking_steps']:.2f}  {seconds:>7}  {text.count('alarm  ')}", flush=True)
P
done
