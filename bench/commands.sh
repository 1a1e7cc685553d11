#!/usr/bin/env bash
# bench/commands.sh FOLDER: whether each row of the table in docs/performance.md has a command and that is there: the
# benchmark's program in the folder, a row of it that the filter takes, the script. Nothing is measured.
set -euo pipefail
folder=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
number=0 failed=0
while IFS= read -r row; do
  number=$((number + 1))
  command=$(sed -nE 's/^.*\| `([^`]*)` \|$/\1/p' <<<"$row")
  read -r program filter <<<"$command"
  if [ "$program" = bash ]; then
    if [ -f "$filter" ]; then continue; fi
  elif [ -n "$program" ] && "$folder/$program" --benchmark_list_tests "--benchmark_filter=${filter:-.}" 2>/dev/null | grep -q /; then
    continue
  fi
  echo "docs/performance.md: no command, or one that nothing answers to: $row"
  failed=$((failed + 1))
done < <(awk '/^\| what \| ratio/ { on = 1; getline; next } !/^\|/ { on = 0 } on' docs/performance.md)
echo "note: docs/performance.md has $number rows, $failed without a command that works"
[ "$failed" -eq 0 ] && [ "$number" -gt 0 ]
