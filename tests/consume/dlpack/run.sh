#!/usr/bin/env bash
# DLPack with a real producer: numpy's capsules, both kinds, through hence and back. Then with the structs of real
# dlpack.h headers: the system's and, of version 1, the one that apache-tvm-ffi brings.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
if ! venv=$("$root/scripts/venv.sh" dlpack numpy==2.3.4 apache-tvm-ffi==0.1.15.post2 2>"$work/why"); then
  untried "DLPack with numpy: $(tail -n 1 "$work/why")"
  exit 0
fi
g++ -std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror -shared -fPIC \
  "-I$root/include" "$here/dlpack/bridge.cpp" -o "$work/bridge.so"
"$venv/bin/python" "$here/dlpack/check.py" "$work/bridge.so" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
says "hence: x is a DLPack tensor of float64, expected float32"
says "hence: x has 1 dimensions, expected 2"

# header <include folder> <test cases>: the layout test has the structs of <dlpack/dlpack.h> there.
header() {
  echo "== $(grep -hE '^#define DLPACK_(MAJOR_|MINOR_)?VERSION' "$1/dlpack/dlpack.h" | sed 's/#define //' | tr '\n' ' ')"
  quiet g++ -std=c++20 -O1 -Wall -Wextra -Werror "-I$root/include" -isystem "$1" "$root/tests/interop/dlpack_layout_test.cpp" \
    "$root/tests/main.cpp" -o "$work/layout"
  quiet "$work/layout" --no-colors
  says "test cases: $2 | $2 passed"
}
header "$("$venv/bin/python" -c 'import pathlib, tvm_ffi; print(pathlib.Path(tvm_ffi.__file__).parent / "include")')" 4
mkdir "$work/system"
if [ -e /usr/include/dlpack/dlpack.h ]; then
  ln -s /usr/include/dlpack "$work/system/dlpack"
  header "$work/system" 3
else
  untried "the system's dlpack.h (Debian: libdlpack-dev)"
fi
echo "DLPack works"
