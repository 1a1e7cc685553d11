#!/usr/bin/env bash
# Uses hence in every way a user does: installed, moved, in paths with a space; by FetchContent; by
# add_subdirectory; each example both ways. Run it from anywhere: tests/consume/run.sh
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/prefix.sh"
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)

echo "== install, move"
install_hence

if grep -rnF -e "$work" -e "$root" "$prefix" ||
  grep -rnE '(^|[ "=;:>(])/[A-Za-z]' "$prefix/share/cmake" "$prefix/share/pkgconfig"; then
  echo "an installed file names an absolute path" >&2
  exit 1
fi
stray=$(cd "$prefix" && find . -type f ! -path './include/hence/*' ! -path './share/cmake/hence/*' \
  ! -path './share/licenses/hence/*' ! -path './share/pkgconfig/hence.pc')
if [ -n "$stray" ]; then
  echo "installed outside hence's own folders: $stray" >&2
  exit 1
fi

build "$here/find_package" find_package consumer "-DCMAKE_PREFIX_PATH=$prefix"
build "$here/components" components "" "-DCMAKE_PREFIX_PATH=$prefix"
if [ -n "$nvcc" ]; then
  build "$here/cuda" cuda consumer "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CUDA_COMPILER=$nvcc"
else
  untried "hence::cuda: there is no nvcc"
fi
build "$here/fetch_content" fetch_content consumer "-DFETCHCONTENT_SOURCE_DIR_HENCE=$root"
build "$here/add_subdirectory" add_subdirectory consumer "-DHENCE_SOURCE=$root"
build "$here/leaks" leaks "" "-DHENCE_SOURCE=$root"
build "$here/leaks" "leaks of find_package" "" "-DCMAKE_PREFIX_PATH=$prefix"
cmake --install "$work/build leaks" --prefix "$work/leaked" >/dev/null
if [ -n "$(find "$work/leaked" -type f 2>/dev/null)" ]; then
  echo "hence installs itself with its parent project" >&2
  exit 1
fi

cp -r "$root/examples/lm" "$root/examples/rl" "$work" # what the larger examples share
for main in "$root"/examples/*/main.cpp; do
  example=$(basename "$(dirname "$main")")
  # What a user does: copy the folder, build it.
  cp -r "$(dirname "$main")" "$work/$example"
  if [ -e "$work/$example/tests.cmake" ]; then # its run takes minutes unoptimised: built, asked for help
    build "$work/$example" "$example installed" "" "-DCMAKE_PREFIX_PATH=$prefix" -DCMAKE_BUILD_TYPE=Debug
    "$work/build $example installed/$example" --help >/dev/null
    cmake -S "$work/$example" -B "$work/build $example fetched" "-DFETCHCONTENT_SOURCE_DIR_HENCE=$root" >/dev/null
    continue
  fi
  # where there is nvcc it would run on a device, which there need not be
  more=()
  if [ "$example" = 05_thrust ]; then more=(-DTHRUST_SYSTEM=CPP); fi
  build "$work/$example" "$example installed" "${example#*_}" "-DCMAKE_PREFIX_PATH=$prefix" "${more[@]}"
  if [ "$example" = 01_grpo_step ]; then # of the others it compiles the same text with the same flags
    build "$work/$example" "$example fetched" "${example#*_}" "-DFETCHCONTENT_SOURCE_DIR_HENCE=$root"
  else
    cmake -S "$work/$example" -B "$work/build $example fetched" "-DFETCHCONTENT_SOURCE_DIR_HENCE=$root" "${more[@]}" >/dev/null
  fi
done
echo "all ways to use hence work"
