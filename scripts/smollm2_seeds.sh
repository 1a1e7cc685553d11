#!/usr/bin/env bash
# GRPO of SmolLM2 on sums over seeds: accuracy on the sums that are held out before and after, seconds.
# A seed chooses what is held out, too.
#
#   scripts/smollm2_seeds.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-4}
shift $(($# < 4 ? $# : 4))
model=$("$(dirname "${BASH_SOURCE[0]}")/smollm2_weights.sh")
mkdir -p "$folder"
echo "seed  sums  samples  T=1             greedy          format          seconds"
for ((seed = first; seed <= last; ++seed)); do
  "$program" --model "$model" --grpo sums --seed "$seed" --out "$folder/$seed" "$@" >"$folder/$seed.txt"
  python3 - "$seed" "$folder/$seed" "$folder/$seed.txt" <<'P'
import json, re, sys
seed, out, log = sys.argv[1:]
e = json.load(open(out + "/evaluation.json"))
b, f = e["base"], e["final"]
seconds = re.findall(r"^(\d+) s; ", open(log).read(), re.M)[-1]
print(f"{seed:>4}  {b['problems']:>4}  {b['samples']:>7}  " +
      "".join(f"{b[k]:.3f} -> {f[k]:.3f}  " for k in ("accuracy", "greedy_accuracy", "format")) + f"{seconds:>7}",
      flush=True)
P
done
