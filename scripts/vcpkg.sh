#!/usr/bin/env bash
# scripts/vcpkg.sh FOLDER: installs both ports of packaging/vcpkg with vcpkg's own executable, FOLDER/vcpkg of a vcpkg
# checkout, and uses them by its toolchain file. The registry's form takes its archive from the downloads folder, where
# the sources are put under the name that it asks for. Not part of CI: vcpkg is in no package registry.
# Without a network: VCPKG_FORCE_SYSTEM_BINARIES=1, and patchelf on PATH (Debian: patchelf).
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tests/consume/prefix.sh"
VCPKG_ROOT=$(cd "$1" && pwd)
export VCPKG_ROOT VCPKG_DISABLE_METRICS=1
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
version=$(sed -n 's/.*"version": "\(.*\)".*/\1/p' "$root/packaging/vcpkg/ports/hence/vcpkg.json")

# installs PORTS NAME: into a folder of its own.
installs() {
  quiet "$VCPKG_ROOT/vcpkg" install "$2" --classic "--overlay-ports=$1" --binarysource=clear \
    "--x-install-root=$work/installed" "--x-packages-root=$work/packages" "--x-buildtrees-root=$work/buildtrees" \
    "--downloads-root=$work/downloads"
  says "Performing post-build validation"
  if grep -i 'warning' "$work/log"; then fail "vcpkg warns"; fi
}
with_vcpkg=("-DCMAKE_TOOLCHAIN_FILE=$VCPKG_ROOT/scripts/buildsystems/vcpkg.cmake" -DVCPKG_MANIFEST_MODE=OFF
  "-DVCPKG_INSTALLED_DIR=$work/installed")

for form in ports overlay; do
  cp "$root/packaging/vcpkg/$form/hence/vcpkg.json" "$work/vcpkg.json"
  quiet "$VCPKG_ROOT/vcpkg" format-manifest "$work/vcpkg.json"
  cmp "$work/vcpkg.json" "$root/packaging/vcpkg/$form/hence/vcpkg.json" || fail "format-manifest changes the port's manifest"
done

echo "== the overlay"
installs "$root/packaging/vcpkg/overlay" hence
build "$here/find_package" "by vcpkg" consumer "${with_vcpkg[@]}"
rm -rf "$work/installed" "$work/packages"

echo "== the registry's form"
mkdir -p "$work/downloads" && cp -r "$root/packaging/vcpkg/ports" "$work/ports"
archive=$work/downloads/hence-hence-v$version.tar.gz
(cd "$root" && tar -czf "$archive" --transform "s,^,hence-$version/," CMakeLists.txt LICENSE cmake include packaging)
sed -i "s/SHA512 0/SHA512 $(sha512sum "$archive" | cut -d' ' -f1)/" "$work/ports/hence/portfile.cmake"
if [ -n "$nvcc" ]; then
  PATH=$PATH:$(dirname "$nvcc") installs "$work/ports" 'hence[cuda]'
  build "$here/cuda" "cuda by vcpkg" consumer "${with_vcpkg[@]}" "-DCMAKE_CUDA_COMPILER=$nvcc"
else
  installs "$work/ports" hence
  untried "the feature cuda: there is no nvcc"
fi
echo "vcpkg itself installs both ports"
