#!/usr/bin/env bash
# Distillation against RL for students of five sizes over seeds: a line for each size and seed of strict accuracy with
# Wilson's 95% interval: the student's base, RL directly, distilled, distilled and RL behind it. Then a line for each size, the
# mean of its seeds with the lowest and the highest. The teacher of a seed is made once; what the folder has is not run
# again, so that a run that was stopped goes on. The smallest size first.
#
#   scripts/r1_students.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
#   WIDTHS="10 16" scripts/r1_students.sh ...    other sizes
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-2}
shift $(($# < 4 ? $# : 4))
read -ra widths <<<"${WIDTHS:-10 16 24 40 84}" # 4.8, 9.5, 21, 51 and 195 thousand parameters
teacher=base,cold_start,reasoning_rl,reject_tune,all_scenarios
mkdir -p "$folder"
for width in "${widths[@]}"; do
  for ((seed = first; seed <= last; ++seed)); do
    if [ ! -e "$folder/$seed/table.json" ]; then
      "$program" --seed "$seed" --out "$folder/$seed" --stages $teacher "$@" >"$folder/$seed.txt"
    fi
    out="$folder/$seed-$width"
    mkdir -p "$out"
    for stage in ${teacher//,/ }; do
      if [ ! -e "$out/$stage.safetensors" ]; then cp "$folder/$seed/$stage.safetensors" "$out"; fi
    done
    "$program" --seed "$seed" --out "$out" --student-width "$width" "$@" >>"$out.txt"
    python3 "$(dirname "${BASH_SOURCE[0]}")/r1_students.py" line "$out" "seed $seed width $width"
  done
done
python3 "$(dirname "${BASH_SOURCE[0]}")/r1_students.py" table "$folder" "$first" "$last" "${widths[@]}"
