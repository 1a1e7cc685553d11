#!/usr/bin/env bash
# The vcpkg port and its overlay: the portfiles are run (by stand-ins for vcpkg's helpers, for vcpkg is in
# no package registry), the result is held against vcpkg's own rules, then used through find_package,
# pkg-config and as a bare include folder. Every rule of the lint is broken once.
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
ports=$root/packaging/vcpkg
lint() { bash "$here/vcpkg/lint.sh" "$@"; }

cmp "$ports/ports/hence/vcpkg.json" "$ports/overlay/hence/vcpkg.json"
cmp "$ports/ports/hence/usage" "$ports/overlay/hence/usage"
version=$(sed -n 's/^#define HENCE_VERSION //p' "$root/include/hence/version.hpp")
version=$((version / 10000)).$((version / 100 % 100)).$((version % 100))
grep -q "\"version\": \"$version\"" "$ports/ports/hence/vcpkg.json" || fail "the port is not of version $version"
# The portfiles differ in where the sources come from and nowhere else.
[ "$(sed '/^vcpkg_from_github/,/^)/d' "$ports/ports/hence/portfile.cmake")" = \
  "$(sed '/^# The overlay/,/^get_filename/d' "$ports/overlay/hence/portfile.cmake")" ] ||
  fail "the overlay's portfile is another one"

for port in ports overlay; do
  echo "== $port"
  package="$work/packages $port"
  quiet cmake "-DPORT_DIR=$ports/$port/hence" "-DPACKAGES=$package" "-DBUILDTREES=$work/trees $port" \
    "-DSOURCES=$root" "-DVCPKG=${VCPKG_ROOT:-}" -P "$here/vcpkg/install.cmake"
  lint "$ports/$port/hence" "$package" "$root" "$work"
done

echo "== the lint sees what it is for"
breaks() {
  local broken="$work/broken" port="$work/port/a/b/c/hence"
  rm -rf "$broken" "$work/port"
  mkdir -p "$(dirname "$port")"
  cp -r "$package" "$broken"
  cp -r "$ports/ports/hence" "$port"
  cp "$root/LICENSE" "$work/port/LICENSE"
  (cd "$broken" && port=$port && eval "$1")
  if lint "$port" "$broken" >"$work/log"; then fail "the lint accepts: $1"; fi
  [ "$(wc -l <"$work/log")" -ge 1 ]
}
breaks 'rm -r include' && breaks 'touch include/config.h' && breaks 'mkdir -p debug/include && touch debug/include/a.hpp'
breaks 'mkdir -p lib/cmake && touch lib/cmake/a.cmake' && breaks 'mkdir share/cmake && touch share/cmake/a.cmake'
breaks 'rm share/hence/copyright' && breaks 'echo >>share/hence/copyright' && breaks 'rm share/hence/usage'
breaks 'mkdir bin && touch bin/a' && breaks 'chmod +x include/hence/policy.hpp' && breaks 'mkdir share/empty'
breaks 'touch README' && breaks 'mkdir share/x && mv share/pkgconfig/hence.pc share/x/'
breaks 'echo "# $PWD" >>share/hence/hence-config.cmake'
breaks 'printf "\r\n" >>"$port/usage" && cp "$port/usage" share/hence/usage'
breaks 'echo "vcpkg_configure_cmake()" >>"$port/portfile.cmake"' && breaks 'sed -i s/MIT/X/ "$port/vcpkg.json"'
breaks 'sed -i "s/\"version\"/\"version-string\"/" "$port/vcpkg.json"' && breaks 'touch "$port/a.patch"'

echo "== used"
package="$work/packages ports"
mv "$package" "$work/installed tree"
package="$work/installed tree"
for type in Debug Release; do
  build "$here/find_package" "vcpkg $type" consumer "-DCMAKE_PREFIX_PATH=$package" "-DCMAKE_BUILD_TYPE=$type"
done
grep -q '^hence_DIR.*share/hence$' "$work/build vcpkg Debug/CMakeCache.txt"
PKG_CONFIG_PATH="$package/share/pkgconfig" build "$here/pkg_config" "vcpkg pkg-config" consumer
quiet g++ -std=c++20 "-I$package/include" "$here/find_package/main.cpp" -o "$work/bare"
quiet "$work/bare"
echo "the vcpkg port works"
