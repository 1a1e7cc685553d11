#!/usr/bin/env bash
# The one header: it has every topic's header that needs no other library, compiles alone under strict warnings,
# and README's first program runs on it, with nothing of hence beside it.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
mkdir "$work/alone"
cmake "-DOUTPUT=$work/alone/hence.hpp" -P "$root/cmake/single_include.cmake"

echo "== nothing is missing"
(cd "$root/include" && find hence -name '*.hpp' ! -path 'hence/interop/eigen.hpp' ! -path 'hence/interop/thrust*' \
  ! -path 'hence/core/*' | sort) >"$work/wanted" # of core, what the topics need
sed -n 's,^// ==== \(.*\) ====$,\1,p' "$work/alone/hence.hpp" | sort >"$work/taken"
missing=$(comm -23 "$work/wanted" "$work/taken")
[ -z "$missing" ] || fail "include/hence/hence.hpp does not reach: $missing"
[ -z "$(uniq -d "$work/taken")" ] || fail "twice in the one header: $(uniq -d "$work/taken")"
if grep -nE '^#[[:space:]]*include[[:space:]]*[<"]hence' "$work/alone/hence.hpp"; then
  fail "the one header includes another"
fi

strict=(-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror)
# README's first program, with its header replaced.
awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$root/README.md" |
  sed -E 's,<hence/.*>,<hence.hpp>,' >"$work/first.cpp"
grep -q '#include <hence.hpp>' "$work/first.cpp" || fail "README does not begin with a program"
for compiler in g++ clang++-14 clang++-19; do
  if ! command -v "$compiler" >/dev/null; then
    untried "$compiler"
    continue
  fi
  echo "== $compiler"
  for options in "" "-fno-exceptions -fno-rtti"; do
    # shellcheck disable=SC2086
    echo '#include <hence.hpp>' | "$compiler" "${strict[@]}" $options "-I$work/alone" -x c++ - -fsyntax-only
  done
done
g++ "${strict[@]}" -O1 "-I$work/alone" "$work/first.cpp" "$here/single_include/second.cpp" -o "$work/first"
"$work/first" >"$work/log"
says "loss "
echo "the single header works"
