#!/usr/bin/env bash
# R1-Zero in miniature with one thing changed at a time, over seeds: a row of a table for each variant (see r1_zero_ablations.py).
# Variants of a seed begin with the same base where its settings are the same. What the folder has is not run again, so that a
# run that was stopped goes on.
#
#   scripts/r1_zero_ablations.sh PROGRAM FOLDER [FIRST [LAST [flags of the program...]]]
#   ONLY="moe" scripts/r1_zero_ablations.sh ...    variants whose name has this in it
set -euo pipefail
program=$1 folder=$2 first=${3:-0} last=${4:-2}
shift $(($# < 4 ? $# : 4))
rows="$(dirname "${BASH_SOURCE[0]}")/r1_zero_ablations.py"
mkdir -p "$folder"
# name: flags. Every rollout has 256 replies.
variants=(
  "grpo:"
  "dr_grpo:--recipe dr_grpo"
  "dapo:--recipe dapo"
  "gspo:--recipe gspo"
  "gspo, range .03 .04:--recipe gspo --epsilon-low 0.03 --epsilon-high 0.04"
  "cispo:--recipe cispo"
  "clip 10:--epsilon 10"
  "8 minibatches:--minibatches 8"
  "8 minibatches, clip 10:--minibatches 8 --epsilon 10"
  "rate .0015:--rate 0.0015"
  "rate .0015, clip 10:--rate 0.0015 --epsilon 10"
  "rate .0015, 8 minibatches:--rate 0.0015 --minibatches 8"
  "rate .0015, 8 minibatches, clip 10:--rate 0.0015 --minibatches 8 --epsilon 10"
  "KL 0:--kl 0"
  "KL .05:--kl 0.05"
  "64 questions x 4:--group 4 --questions 64"
  "4 questions x 64:--group 64 --questions 4"
  "moe:--moe"
  "moe, no bias update:--moe --bias-speed 0"
)
"$rows" head
for variant in "${variants[@]}"; do
  name=${variant%%:*}
  if [[ $name != *"${ONLY:-}"* ]]; then continue; fi
  read -ra flags <<<"${variant#*:}"
  outs=()
  for ((seed = first; seed <= last; ++seed)); do
    out="$folder/${name//[^A-Za-z0-9]/_}-$seed"
    outs+=("$out")
    if [ -e "$out/evaluation.json" ]; then continue; fi
    mkdir -p "$out"
    if [[ $name != moe* && ! -e $out/base.safetensors && -e $folder/grpo-$seed/base.safetensors ]]; then
      cp "$folder/grpo-$seed/base.safetensors" "$out"
    fi
    "$program" --seed "$seed" --out "$out" --show-every 0 --resume "${flags[@]}" "$@" >>"$out.txt"
  done
  "$rows" row "$name" "${outs[@]}"
done
