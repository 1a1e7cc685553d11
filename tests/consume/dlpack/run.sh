#!/usr/bin/env bash
# DLPack with a real producer: numpy's capsules, both kinds, through hence and back.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
if ! venv=$("$root/scripts/venv.sh" numpy numpy==2.3.4 2>"$work/why"); then
  untried "DLPack with numpy: $(tail -n 1 "$work/why")"
  exit 0
fi
g++ -std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror -shared -fPIC \
  "-I$root/include" "$here/dlpack/bridge.cpp" -o "$work/bridge.so"
"$venv/bin/python" "$here/dlpack/check.py" "$work/bridge.so" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
says "hence: x is a DLPack tensor of float64, expected float32"
says "hence: x has 1 dimensions, expected 2"
