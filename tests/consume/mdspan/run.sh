#!/usr/bin/env bash
# clang 19 with its own standard library: all of hence compiles, and views and std::mdspan, which of the compilers
# here only this one has, are made of each other.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
if ! echo '#include <mdspan>' | clang++-19 -std=c++23 -stdlib=libc++ -x c++ -fsyntax-only - 2>"$work/log"; then
  untried "std::mdspan (Debian: clang-19 libc++-19-dev libc++abi-19-dev): $(head -n 1 "$work/log")"
  exit 0
fi
quiet clang++-19 -std=c++23 -stdlib=libc++ -O1 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror \
  "-I$root/include" "$root/tests/interop/mdspan_test.cpp" "$root/tests/main.cpp" -o "$work/mdspan"
quiet "$work/mdspan" --no-colors "--test-case=the library's own mdspan"
says "test cases: 1 | 1 passed"
quiet "$work/mdspan"
for standard in 20 23; do
  echo '#include <hence/hence.hpp>' | clang++-19 "-std=c++$standard" -stdlib=libc++ -Wall -Wextra -Wpedantic -Wconversion \
    -Wsign-conversion -Wshadow -Werror "-I$root/include" -x c++ -fsyntax-only -
done
echo "libc++ and std::mdspan work"
