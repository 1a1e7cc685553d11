#!/usr/bin/env bash
# A run that is killed with -9 again and again and resumed has the bits of one that was not:
# metrics.jsonl, evaluation.json and the weights. Kills at random times; one run on 2 threads, the
# other on 1.
#
#   scripts/r1_zero_resume.sh PROGRAM FOLDER KILLS [flags of the program...]
set -euo pipefail
program=$1 folder=$2 kills=$3
shift 3
rm -rf "$folder"
mkdir -p "$folder"
"$program" --out "$folder/whole" --quiet --threads 1 "$@"
seconds=$(python3 -c "import os,sys; f=sys.argv[1]
print(os.path.getmtime(f+'/report.html') - os.path.getmtime(f+'/config.json'))" "$folder/whole")
RANDOM=1
done_kills=0
for ((i = 0; i < 20 * kills && done_kills < kills; ++i)); do
  "$program" --out "$folder/killed" --quiet --threads 2 --resume "$@" &
  pid=$!
  sleep "$(python3 -c "print($seconds * (0.05 + 0.9 * $RANDOM / 32768) * 3 / (3 + $kills))")"
  if kill -9 $pid 2>/dev/null; then done_kills=$((done_kills + 1)); fi
  wait $pid 2>/dev/null || true
  if [ -e "$folder/killed/evaluation.json" ] && [ $done_kills -lt "$kills" ]; then
    rm -rf "$folder/killed" # it got to the end: once more from the beginning
  fi
done
"$program" --out "$folder/killed" --quiet --threads 2 --resume "$@"
for file in base.jsonl metrics.jsonl samples.jsonl evaluation.json base.safetensors checkpoint.safetensors; do
  cmp "$folder/whole/$file" "$folder/killed/$file"
done
echo "killed $done_kills times, the same bits"
