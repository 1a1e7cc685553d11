#!/usr/bin/env bash
# Compiles every C++ and CUDA block of README and docs/ and configures every CMake block; programs are run. A block
# that is no program is the inside of a function after context.hpp, or stands outside of one if it begins
# with a template, a struct or a namespace. Then the examples in the headers' comments (comments.awk), after
# comments.hpp. Names of the library and files of the repository that a text mentions are looked up. With files as
# arguments: those files alone.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(git ls-files -co --exclude-standard README.md CONTRIBUTING.md "docs/*.md" \
  "include/*.hpp" "include/*.cuh")
headers=() pages=()
for file in "${files[@]}"; do
  case $file in *.md) pages+=("$file") ;; *) headers+=("$file") ;; esac
done
compile=(g++ -std=c++20 -O1 -Wall -Wextra -Iinclude -Itests/docs)
# Of the compilers here only this one has a std::mdspan.
with_mdspan=(clang++-19 -std=c++23 -stdlib=libc++ -O1 -Wall -Wextra -Iinclude -Itests/docs)
read -ra eigen < <(pkg-config --cflags-only-I eigen3 2>/dev/null) || true
has_eigen=$(echo '#include <Eigen/Core>' | g++ "${eigen[@]}" -x c++ -fsyntax-only - 2>/dev/null && echo yes || true)
has_mdspan=$(echo '#include <mdspan>' | "${with_mdspan[@]}" -x c++ -fsyntax-only - 2>/dev/null && echo yes || true)
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
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
for file in "${pages[@]}"; do
  # a fence of another kind would go by unseen
  odd=$(grep -nE '^[[:space:]]*(```+|~~~+)' "$file" | grep -vE '^[0-9]+:```(cpp|cu|cmake|sh|text|\{toctree\})?$' || true)
  if [ -n "$odd" ]; then
    echo "$odd" >"$work/log"
    bad "$file has a fence that is not cpp, cu, cmake, sh, text or {toctree}"
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
      compiler=("${compile[@]}") needs=
      if grep -q '^#include <mdspan>' "$block"; then
        compiler=("${with_mdspan[@]}")
        [ -n "$has_mdspan" ] || needs="clang-19 libc++-19-dev libc++abi-19-dev"
      elif grep -q '^#include <Eigen/' "$block"; then
        compiler+=("${eigen[@]/#-I/-isystem}")
        [ -n "$has_eigen" ] || needs=libeigen3-dev
      fi
      if [ -n "$needs" ]; then
        number=$((number - 1))
        echo "note: $file:$line is not compiled (Debian: $needs)" | tee "$work/log"
        [ "${HENCE_REQUIRE_TOOLS:-0}" = 0 ] || bad "$file:$line"
        continue
      fi
      "${compiler[@]}" "$work/block.cpp" -o "$work/program" >"$work/log" 2>&1 && "$work/program" >"$work/log" 2>&1 ||
        bad "$file:$line"
    else
      "${compile[@]}" -Wno-unused -fsyntax-only "$work/block.cpp" >"$work/log" 2>&1 || bad "$file:$line"
    fi
  done
  blocks cu "$file"
  for block in "$work"/block.*; do
    [ -e "$block" ] || continue
    line=$(cat "$work/line.${block##*.}")
    if [ -z "$nvcc" ]; then
      [ "${HENCE_REQUIRE_TOOLS:-0}" = 0 ] || { echo "there is no nvcc" >"$work/log" && bad "$file:$line"; }
      echo "note: $file:$line is not compiled, there is no nvcc"
      continue
    fi
    number=$((number + 1))
    cp "$block" "$work/block.cu"
    "$nvcc" -std=c++20 -arch=sm_80 -Iinclude -ptx "$work/block.cu" -o "$work/block.ptx" >"$work/log" 2>&1 || bad "$file:$line"
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
# Commands: their syntax; those of the pages that say how to install and to begin are run, in a copy of the sources.
for file in "${pages[@]}"; do
  blocks sh "$file"
  for block in "$work"/block.*; do
    [ -e "$block" ] || continue
    line=$(cat "$work/line.${block##*.}")
    number=$((number + 1))
    bash -n "$block" >"$work/log" 2>&1 || bad "$file:$line"
    case $file in docs/install.md | docs/tour.md) ;; *) continue ;; esac
    rm -rf "$work/a copy"
    mkdir "$work/a copy"
    git ls-files -z -co --exclude-standard CMakeLists.txt LICENSE cmake include | xargs -0 cp --parents -t "$work/a copy"
    awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$file" >"$work/a copy/first.cpp"
    (cd "$work/a copy" && HOME="$work/a home" bash -e "$block") >"$work/log" 2>&1 || bad "$file:$line"
  done
done

# Names in the text: what is written with :: is in the headers, and a file of the repository is there.
if [ ${#pages[@]} -gt 0 ]; then
  grep -rhoE '[A-Za-z_][A-Za-z_0-9]*' include | sort -u >"$work/words"
  grep -noHE '\b[a-z_0-9]+(::[A-Za-z_0-9]+)+' "${pages[@]}" | awk -F: -v words="$work/words" '
    BEGIN { while ((getline word < words) > 0) known[word] = 1 }
    { name = $0; sub(/^[^:]*:[0-9]*:/, "", name) }
    name ~ /^(std|at|torch|hence::hence$|hence::cuda$)/ { next }
    { parts = split(name, part, "::"); for (i = 1; i <= parts; i++) if (!(part[i] in known)) print $1 ":" $2 ": " name " is in no header" }' >"$work/log"
  { grep -noHE '`(tests|scripts|bench|examples|docs|cmake|packaging|include)/[A-Za-z_0-9./-]+`' "${pages[@]}" || true; } | tr -d '`' |
    while IFS=: read -r file line path; do [ -e "$path" ] || echo "$file:$line: there is no $path"; done >>"$work/log"
  [ ! -s "$work/log" ] || bad "names"
fi

if [ ${#headers[@]} -gt 0 ]; then
  { echo '#include "comments.hpp"' && awk -f tests/docs/comments.awk "${headers[@]}"; } >"$work/comments.cpp"
  found=$(grep -c '^void example_' "$work/comments.cpp" || true)
  [ $# -gt 0 ] || [ "$found" -gt 0 ] || { echo none >"$work/log" && bad "examples in comments"; }
  number=$((number + found))
  "${compile[@]}" -Wno-unused -fsyntax-only "$work/comments.cpp" >"$work/log" 2>&1 || bad "examples in comments"
  # Once more where there is a std::mdspan: some are about it.
  if [ -n "$has_mdspan" ]; then
    "${with_mdspan[@]}" -Wno-unused -fsyntax-only "$work/comments.cpp" >"$work/log" 2>&1 ||
      bad "examples in comments, with std::mdspan"
  elif [ "${HENCE_REQUIRE_TOOLS:-0}" != 0 ]; then
    echo "there is no std::mdspan" >"$work/log"
    bad "examples in comments, with std::mdspan"
  else
    echo "note: examples with std::mdspan are not compiled (Debian: clang-19 libc++-19-dev libc++abi-19-dev)"
  fi
fi
echo "$number blocks compiled, $failed failed"
[ "$failed" -eq 0 ] && [ "$number" -gt 0 ]
