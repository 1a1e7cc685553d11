#!/usr/bin/env bash
# lint.sh PORT PACKAGE FOLDER...: vcpkg's checks after a build, and those of its reviewers that a program
# can make, for a header-only port. PACKAGE is the installed tree; no file in it may name a FOLDER.
set -euo pipefail
port=$1 package=$2
shift 2
bad=0
# rule <what it says> <output: empty if the rule holds>
rule() {
  if [ -n "$2" ]; then
    echo "lint: $1: $2"
    bad=1
  fi
}
cd "$package"
rule "include/ is missing or empty" "$([ -n "$(find include -type f 2>/dev/null)" ] || echo include)"
rule "headers outside include/hence (vcpkg restricts common names there)" "$(find include -mindepth 1 -maxdepth 1 ! -name hence)"
rule "a debug folder in a header-only port" "$(find . -path './debug*' | head -3)"
rule "CMake files outside share/hence" "$(find . -name '*.cmake' ! -path './share/hence/*')"
rule "no copyright in share/hence" "$([ -s share/hence/copyright ] || echo share/hence/copyright)"
rule "the copyright is another one" "$(cmp share/hence/copyright "$port/../../../../LICENSE" 2>&1 || true)"
rule "the port's usage is not installed" "$(cmp share/hence/usage "$port/usage" 2>&1 || true)"
rule "bin, lib or tools in a header-only port" "$(find . -maxdepth 1 -name bin -o -maxdepth 1 -name lib -o -maxdepth 1 -name tools)"
rule "programs or libraries" "$(find . -type f \( -perm /111 -o -name '*.so*' -o -name '*.a' -o -name '*.dll' -o -name '*.lib' -o -name '*.exe' \))"
rule "empty folders" "$(find . -mindepth 1 -type d -empty)"
rule "files directly in the prefix" "$(find . -maxdepth 1 -type f)"
rule ".pc files outside share/pkgconfig" "$(find . -name '*.pc' ! -path './share/pkgconfig/*')"
for folder in "$package" "$@"; do
  rule "absolute paths" "$(grep -rIlF -- "$folder" . || true)"
done
# The port itself.
rule "CRLF" "$(grep -rlI $'\r' "$port" || true)"
rule "deprecated helpers" "$(grep -nE 'vcpkg_(install|configure|build)_cmake|_fixup_cmake_targets|_apply_patches|_build_msbuild|_extract_source_archive_ex' "$port/portfile.cmake" || true)"
rule "a version-string where a version will do" "$(grep -n version-string "$port/vcpkg.json" || true)"
rule "no license" "$(grep -q '"license": "MIT"' "$port/vcpkg.json" || echo vcpkg.json)"
rule "more than the files of a port" "$(cd "$port" && find . -type f ! -name portfile.cmake ! -name vcpkg.json ! -name usage)"
exit $bad
