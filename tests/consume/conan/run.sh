#!/usr/bin/env bash
# Both Conan 2 recipes with PyPI's conan and no remote at all: the one for these sources, and the one in
# ConanCenter's form, whose download is a local archive here.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
if ! venv=$("$root/scripts/venv.sh" conan conan==2.34.0 2>"$work/why"); then
  untried "Conan: $(tail -n 1 "$work/why")"
  exit 0
fi
PATH=$venv/bin:$PATH
version=$(sed -n 's/^#define HENCE_VERSION //p' "$root/include/hence/version.hpp")
version=$((version / 10000)).$((version / 100 % 100)).$((version % 100))

# home NAME: an empty Conan of its own.
home() {
  export CONAN_HOME=$work/$1
  quiet conan profile detect
  quiet conan remote disable '*'
  if command -v ninja >/dev/null; then
    echo "tools.cmake.cmaketoolchain:generator=Ninja" >"$CONAN_HOME/global.conf"
  fi
}
packages() { conan list "hence/$version:*" --format=json | python3 -c '
import json, sys
print(sum(len(r["packages"]) for c in json.load(sys.stdin).values() for p in c.values() for r in p["revisions"].values()))'; }
# no_standard: a profile that leaves compiler.cppstd out, as profiles may.
no_standard() {
  sed '/^compiler.cppstd=/d' "$CONAN_HOME/profiles/default" >"$CONAN_HOME/profiles/no_standard"
}
# refuses CONAN ARGUMENTS...: C++17 is refused in one sentence.
refuses() {
  if conan create "$@" -tf "" -s compiler.cppstd=17 >"$work/log" 2>&1; then fail "C++17 was accepted"; fi
  says "Current cppstd (17) is lower than the required C++ standard (20)"
}
# text FILE...: what ConanCenter's hooks ask of every file (KB-H041, H060, H037, H065).
text() {
  local file
  for file in "$@"; do
    [ -z "$(tail -c 1 "$file")" ] || fail "$file does not end with a line end"
    if grep -q $'\r' "$file"; then fail "$file has CRLF"; fi
    if grep -qE '^ *author *=' "$file"; then fail "$file names an author"; fi
  done
}

echo "== the recipe of these sources"
home own
cp -r "$root/packaging/conan/test_package" "$work/test_package" # its build folder stays out of the sources
for options in "" "-s build_type=Debug" "-s compiler.cppstd=23"; do
  # shellcheck disable=SC2086
  quiet conan create "$root/packaging/conan" -tf "$work/test_package" -s compiler.cppstd=20 $options
done
[ "$(packages)" = 1 ] || fail "a header-only package has $(packages) package ids"
refuses "$root/packaging/conan"
no_standard
quiet conan create "$root/packaging/conan" -tf "" -pr no_standard
[ "$(packages)" = 1 ] || fail "a profile without a standard makes another package"
folder=$(conan cache path "hence/$version:$(conan list "hence/$version:*" --format=compact | grep -oE '[0-9a-f]{40}' | head -1)")
[ -f "$folder/licenses/LICENSE" ] && [ -f "$folder/share/cmake/hence/hence-config.cmake" ]
text "$root"/packaging/conan/{conanfile.py,test_package/*}

echo "== the recipe in ConanCenter's form"
home center
recipe=$work/recipe
cp -r "$root/packaging/conan-center/recipes/hence" "$recipe"
text "$recipe"/{config.yml,all/*.py,all/*.yml,all/test_package/*}
grep -q "\"$version\"" "$recipe/config.yml" || fail "config.yml lacks $version"
(cd "$root" && tar -czf "$work/hence.tar.gz" --transform "s,^,hence-$version/," CMakeLists.txt LICENSE cmake include)
sed -i -e "s,https://example.invalid/.*tar.gz,file://$work/hence.tar.gz," \
  -e "s,0\{64\},$(sha256sum "$work/hence.tar.gz" | cut -d' ' -f1)," "$recipe/all/conandata.yml"
for options in "" "-s build_type=Debug"; do
  # shellcheck disable=SC2086
  quiet conan create "$recipe/all" --version "$version" -s compiler.cppstd=20 $options
done
refuses "$recipe/all" --version "$version"
no_standard
quiet conan create "$recipe/all" --version "$version" -tf "" -pr no_standard
[ "$(packages)" = 1 ] || fail "a header-only package has $(packages) package ids"
folder=$(conan cache path "hence/$version:$(conan list "hence/$version:*" --format=compact | grep -oE '[0-9a-f]{40}' | head -1)")
[ -f "$folder/licenses/LICENSE" ] || fail "no license in the package (KB-H012)"
stray=$(cd "$folder" && find . -type f ! -path './include/hence/*' ! -path './licenses/LICENSE' \
  ! -name conaninfo.txt ! -name conanmanifest.txt)
[ -z "$stray" ] || fail "ConanCenter wants no such file in a package (KB-H016, H019, H020): $stray"
wanted=$(find "$root/include" -name '*.hpp' -o -name '*.cuh' | wc -l)
[ "$(find "$folder/include" -type f | wc -l)" = "$wanted" ] || fail "the package lacks headers"
echo "Conan works"
