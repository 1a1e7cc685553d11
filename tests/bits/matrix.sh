#!/usr/bin/env bash
# Builds tests/bits/bits.cpp with every compiler, -O level and instruction set that is here and compares
# what it prints with golden.txt. Prints one line per build; fails if a build differs.
#   matrix.sh          three builds: each compiler optimised, each instruction set once; the tests have a fourth, -O1 by the
#                      compiler at hand
#   matrix.sh --all    all fifteen
set -u
here=$(cd "$(dirname "$0")" && pwd)
include=$here/../../include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# cell COMPILER FLAGS...: one line into its own file, so that cells can run side by side.
cells=0
cell() {
  cells=$((cells + 1))
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  run_cell "$work/$cells" "$@" >"$work/$cells.line" &
}
run_cell() {
  local out=$1 compiler=$2
  shift 2
  if ! command -v "$compiler" >/dev/null 2>&1; then
    echo "missing    $compiler"
  elif "$compiler" -std=c++20 -w -I"$include" "$@" "$here/bits.cpp" -o "$out" -pthread >"$out.log" 2>&1 &&
    "$out" >"$out.txt" && diff "$here/golden.txt" "$out.txt" >"$out.log"; then
    echo "the same   $compiler $*"
  else
    echo "DIFFERENT  $compiler $*"
    head -n 10 "$out.log"
  fi
}
cell g++ -O2 -march=x86-64
cell clang++-19 -O2 -march=native -ffp-contract=fast
cell clang++-14 -O2 -march=x86-64-v3
if [ "${1:-}" = --all ]; then
  cell g++ -O0 -march=native
  cell g++ -O3 -march=native
  cell g++ -O2 -march=x86-64-v3
  cell g++ -O3 -march=x86-64-v3 -std=c++23
  cell g++ -O2 -march=native -ffp-contract=off
  cell clang++-14 -O0 -march=native
  cell clang++-14 -O2 -march=x86-64
  cell clang++-14 -O3 -march=native
  cell clang++-19 -O0 -march=native
  cell clang++-19 -O2 -march=x86-64
  cell clang++-19 -O2 -march=x86-64-v3
  cell clang++-19 -O3 -march=native
fi
wait
for i in $(seq "$cells"); do cat "$work/$i.line"; done
[ "$(grep -l '^the same' "$work"/*.line | wc -l)" -eq "$cells" ]
