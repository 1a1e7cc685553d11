#!/usr/bin/env bash
# pkg-config: on the command line and through CMake, from a moved prefix with a space; then `uninstall`.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
install_hence
export PKG_CONFIG_PATH="$prefix/share/pkgconfig"

echo "== pkg-config on the command line"
[ "$(pkg-config --modversion hence)" = "$(cat "$work/build hence/hence.pc" | sed -n 's/^Version: //p')" ]
[ -z "$(pkg-config --libs hence)" ] || fail "a header-only package has libraries"
flags=$(pkg-config --cflags hence)
eval "quiet ${CXX:-g++} -std=c++20 $flags \"$here/pkg_config/main.cpp\" -o \"$work/consumer\""
quiet "$work/consumer"
# Too old a dialect is refused by every entry in one sentence, which comes first; then the compilation ends.
for header in "$prefix"/include/hence/*.hpp; do
  echo "#include <hence/$(basename "$header")>" >"$work/old.cpp"
  if eval "${CXX:-g++} -std=c++17 -fsyntax-only $flags \"$work/old.cpp\"" 2>"$work/log"; then
    fail "C++17 was accepted"
  fi
  says "hence needs C++20: compile with -std=c++20"
  [ "$(grep -c 'error: ' "$work/log")" = 2 ] || fail "C++17: more than one error for $header: $(cat "$work/log")"
done

build "$here/pkg_config" pkg-config consumer

echo "== uninstall"
if cmake --build "$work/build hence" --target uninstall >"$work/log" 2>&1; then
  fail "uninstall says nothing of a moved prefix"
fi
says "was the prefix moved?"
mv "$prefix" "$work/first prefix"
mkdir -p "$work/first prefix/include/other" && touch "$work/first prefix/include/other/kept.hpp"
quiet cmake --build "$work/build hence" --target uninstall
left=$(cd "$work/first prefix" && find . -type f -o -name 'hence*')
[ "$left" = ./include/other/kept.hpp ] || fail "after uninstall there is: $left"
if cmake --build "$work/build hence" --target uninstall >"$work/log" 2>&1; then
  fail "a second uninstall finds something"
fi
echo "pkg-config and uninstall work"
