#!/bin/sh
# The errors of core/math over all 2^32 floats, as in docs/numerics-sweeps.md.
# Usage: scripts/exhaustive_math.sh [function...]     CXX and CXXFLAGS as usual; some minutes a function
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CXX:-c++}" -std=c++20 -O2 -march=native -Wall -Wextra ${CXXFLAGS:-} -I "$root/include" \
  "$root/tests/exhaustive/math_sweep.cpp" -o "$work/math_sweep"
nice -n 10 "$work/math_sweep" "$@"
