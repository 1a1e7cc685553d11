#!/usr/bin/env bash
# Builds tests/bits/bits.cpp with every compiler, -O level and instruction set that is here and compares
# what it prints with golden.txt. Prints one line per build; fails if a build differs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
include=$here/../../include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
cell() {
  compiler=$1
  shift
  if ! command -v "$compiler" >/dev/null 2>&1; then
    echo "missing    $compiler"
    failed=1
    return
  fi
  if "$compiler" -std=c++20 -w -I"$include" "$@" "$here/bits.cpp" -o "$work/bits" -pthread >"$work/log" 2>&1 &&
    "$work/bits" >"$work/out" && diff "$here/golden.txt" "$work/out" >"$work/log"; then
    echo "the same   $compiler $*"
  else
    echo "DIFFERENT  $compiler $*"
    head -n 10 "$work/log"
    failed=1
  fi
}
for compiler in g++ clang++-14 clang++-19; do
  cell $compiler -O0 -march=native
  cell $compiler -O2 -march=x86-64
  cell $compiler -O2 -march=x86-64-v3
  cell $compiler -O3 -march=native
done
cell g++ -O3 -march=x86-64-v3 -std=c++23
cell g++ -O2 -march=native -ffp-contract=off
cell clang++-19 -O2 -march=native -ffp-contract=fast
exit $failed
