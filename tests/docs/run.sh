#!/usr/bin/env bash
# Compiles every C++ block of README and docs/ and configures every CMake block; programs are run. A block
# that is no program is the inside of a function after context.hpp, or stands outside of one if it begins
# with a template, a struct or a namespace. With a file as argument: the blocks of that file alone.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git ls-files -co --exclude-standard README.md CONTRIBUTING.md "docs/*.md")
compile=(g++ -std=c++20 -O1 -Wall -Wextra -Iinclude -Itests/docs)
number=0 failed=0

# blocks LANGUAGE FILE: each block of the file to $work/block.N, and its first line's number to $work/line.N.
blocks() {
  rm -f "$work"/block.* "$work"/line.*
  awk -v language="$1" -v work="$work" '
    !on && $0 == "```" language { on = 1; n++; print NR + 1 >(work "/line." n); next }
    on && /^```$/ { on = 0; next }
    on { print >(work "/block." n) }' "$2"
}
bad() {
  echo "$1: $(head -c 2000 "$work/log")"
  failed=$((failed + 1))
}

cmake -S . -B "$work/build" -DHENCE_BUILD_TESTS=OFF "-DCMAKE_INSTALL_PREFIX=$work/prefix" >"$work/log"
cmake --install "$work/build" >"$work/log"
for file in "${files[@]}"; do
  # a fence of another kind would go by unseen
  odd=$(grep -nE '^[[:space:]]*(```+|~~~+)' "$file" | grep -vE '^[0-9]+:```(cpp|cmake|sh|text|\{toctree\})?$' || true)
  if [ -n "$odd" ]; then
    echo "$odd" >"$work/log"
    bad "$file has a fence that is not cpp, cmake, sh, text or {toctree}"
  fi
  blocks cpp "$file"
  for block in "$work"/block.*; do
    [ -e "$block" ] || continue
    line=$(cat "$work/line.${block##*.}")
    number=$((number + 1))
    first=$(grep -vE '^(//|#|$)' "$block" | head -1)
    {
      grep -E '^#include' "$block" || true
      if ! grep -q 'int main' "$block"; then
        echo '#include "context.hpp"'
        [[ $first =~ ^(template|struct|namespace|inline) && ! $first =~ ^namespace\ [a-z]+\ = ]] || echo 'void block() {'
      fi
      echo "#line $line \"$file\""
      sed 's/^#include.*//' "$block"
      if ! grep -q 'int main' "$block"; then
        [[ $first =~ ^(template|struct|namespace|inline) && ! $first =~ ^namespace\ [a-z]+\ = ]] || echo '}'
      fi
    } >"$work/block.cpp"
    if grep -q 'int main' "$block"; then
      "${compile[@]}" "$work/block.cpp" -o "$work/program" >"$work/log" 2>&1 && "$work/program" >"$work/log" 2>&1 ||
        bad "$file:$line"
    else
      "${compile[@]}" -Wno-unused -fsyntax-only "$work/block.cpp" >"$work/log" 2>&1 || bad "$file:$line"
    fi
  done
  blocks cmake "$file"
  for block in "$work"/block.*; do
    [ -e "$block" ] || continue
    line=$(cat "$work/line.${block##*.}")
    number=$((number + 1))
    rm -rf "$work/project"
    mkdir -p "$work/project/third_party"
    ln -s "$root" "$work/project/third_party/hence"
    {
      echo 'cmake_minimum_required(VERSION 3.25)'
      grep -q '^project(' "$block" || echo 'project(block LANGUAGES CXX)'
      grep -q 'add_executable(app' "$block" || echo 'add_executable(app main.cpp)'
      cat "$block"
    } >"$work/project/CMakeLists.txt"
    echo '#include <hence/version.hpp>
int main() {}' >"$work/project/main.cpp"
    touch "$work/project/main.cu"
    cmake -S "$work/project" -B "$work/project/build" "-DCMAKE_PREFIX_PATH=$work/prefix" \
      "-DFETCHCONTENT_SOURCE_DIR_HENCE=$root" >"$work/log" 2>&1 || bad "$file:$line"
  done
done
echo "$number blocks compiled, $failed failed"
[ "$failed" -eq 0 ] && [ "$number" -gt 0 ]
