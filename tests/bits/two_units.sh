#!/usr/bin/env bash
# Two translation units of one program, compiled for different instruction sets: they may not share a
# single function of hence, for the linker keeps one copy and the other unit's machine may not have its
# instructions. Then the program is run.
#   [HENCE_LEVELS='-O0 -O2 -O3'] two_units.sh COMPILER [UNIT [PROGRAM]]
set -eu
compiler=${1:-c++}
unit=${2:-unit}
program=${3:-two_units}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
native=$(echo 'int main() {}' | "$compiler" -march=native -x c++ - -o "$work/probe" 2>/dev/null && echo native || echo x86-64-v3)
symbols() { nm "$1" | awk '$(NF-1) ~ /^[Ww]$/ { print $NF }' | sort; }
# -O0 emits every function; where less is inlined more is shared.
for level in ${HENCE_LEVELS:--O0}; do
  "$compiler" -std=c++20 -w $level -march=x86-64 -DUNIT=first -I"$here/../../include" -c "$here/$unit.cpp" -o "$work/first.o"
  "$compiler" -std=c++20 -w $level -march="$native" -DUNIT=second -I"$here/../../include" -c "$here/$unit.cpp" -o "$work/second.o"
  # hence::v0 is mangled N5hence2v0...; constants (V, u) may be shared, code (W) may not. The accessors of a
  # std::variant of rules are std's, as of any type that a program uses in two units; with a lambda or a
  # detail of hence among their arguments they are hence's.
  shared=$(comm -12 <(symbols "$work/first.o") <(symbols "$work/second.o") | grep '5hence' |
    grep -vP '^_Z(N[KRO]*)?St(?!.*(6detail|Ul|thread_pool))' || true)
  if [ -n "$shared" ]; then
    echo "shared by both units at $level:"
    echo "$shared" | c++filt
    exit 1
  fi
  [ "$(symbols "$work/first.o" | grep -c 5hence)" -gt 5 ] || { echo "no hence symbols at $level: the check sees nothing"; exit 1; }
  "$compiler" -std=c++20 -w $level "$here/$program.cpp" "$work/first.o" "$work/second.o" -o "$work/program"
  "$work/program"
done
