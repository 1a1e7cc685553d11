#!/usr/bin/env bash
# A GRPO run of SmolLM2 that is killed with -9 after its first checkpoint and resumed on 2 threads has the
# bits of one on 1 thread that was not killed: metrics, evaluation, weights and the optimizer's state.
#
#   scripts/smollm2_resume.sh PROGRAM FOLDER [flags of the program...]
set -euo pipefail
program=$1 folder=$2
shift 2
model=$("$(dirname "${BASH_SOURCE[0]}")/smollm2_weights.sh")
rm -rf "$folder"
mkdir -p "$folder"
run() { "$program" --model "$model" --grpo sums --quiet --test-samples 2 --steps 2 "$@"; }
run --out "$folder/whole" --threads 1 "$@"
run --out "$folder/killed" --threads 2 --checkpoint-every 1 "$@" &
pid=$!
while [ ! -e "$folder/killed/checkpoint.safetensors" ] && kill -0 $pid 2>/dev/null; do sleep 0.1; done
kill -9 $pid
wait $pid 2>/dev/null || true
if [ -e "$folder/killed/evaluation.json" ]; then
  echo "the run was over before it was killed" >&2
  exit 1
fi
run --out "$folder/killed" --threads 2 --resume "$@"
for file in metrics.jsonl samples.jsonl evaluation.json checkpoint.safetensors; do
  cmp "$folder/whole/$file" "$folder/killed/$file"
done
echo "killed once, the same bits"
