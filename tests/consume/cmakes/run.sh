#!/usr/bin/env bash
# The installed package under this machine's CMake and under a 4.x from PyPI: components, and CUDA where
# there is nvcc. CMake 3.25 knows no C++20 for nvcc: hence::cuda brings the flag. Then CPS (CMake 4.3).
# shellcheck source=tests/consume/prefix.sh
source "$(dirname "${BASH_SOURCE[0]}")/../prefix.sh"
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
install_hence
if grep -niE 'cuda|nvcc' "$prefix/share/cmake/hence/hence-targets.cmake" "$prefix/share/pkgconfig/hence.pc"; then
  fail "a host-only user meets CUDA"
fi

packages() {
  echo "= $(cmake --version | head -1)"
  build "$here/find_package" "find_package $1" consumer "-DCMAKE_PREFIX_PATH=$prefix"
  build "$here/components" "components $1" "" "-DCMAKE_PREFIX_PATH=$prefix"
  if [ -n "$nvcc" ]; then
    build "$here/cuda" "cuda $1" consumer "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CUDA_COMPILER=$nvcc"
    cmake --build "$work/build cuda $1" --clean-first -v >"$work/log"
    says "-std=c++20"
  else
    untried "hence::cuda: there is no nvcc"
  fi
}
packages system

if ! venv=$("$root/scripts/venv.sh" cmake cmake==4.4.4 2>"$work/why"); then
  untried "CMake 4 and CPS: $(tail -n 1 "$work/why")"
  exit 0
fi
if cmake -S "$root" -B "$work/old" -DHENCE_BUILD_TESTS=OFF -DHENCE_INSTALL_CPS=ON \
  >"$work/log" 2>&1; then
  echo "note: this machine's CMake writes CPS itself"
else
  says "hence: HENCE_INSTALL_CPS needs CMake 4.3; this is"
fi
PATH=$venv/bin:$PATH
packages 4

echo "== CPS"
[ ! -e "$prefix/share/cps" ] || fail "a CPS file was installed unasked"
rm -rf "$prefix" "$work/build hence"
install_hence -DHENCE_INSTALL_CPS=ON
if grep -rnF -e "$work" -e "$root" "$prefix/share/cps"; then fail "the CPS file names an absolute path"; fi
# find_package prefers CPS, which knows hence::hence alone: the cuda component needs CONFIGS.
cat >"$work/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(configs LANGUAGES CXX)
find_package(hence 0.1 REQUIRED OPTIONAL_COMPONENTS cuda CONFIGS hence-config.cmake)
find_package(CUDAToolkit QUIET)
if(CUDAToolkit_FOUND AND NOT TARGET hence::cuda)
  message(FATAL_ERROR "no hence::cuda beside a CPS file")
endif()
END
build "$work" configs "" "-DCMAKE_PREFIX_PATH=$prefix"
rm -r "$prefix/share/cmake" "$prefix/share/pkgconfig"
build "$here/find_package" "by CPS alone" consumer "-DCMAKE_PREFIX_PATH=$prefix"
grep -q '^hence_DIR.*share/cps/hence$' "$work/build by CPS alone/CMakeCache.txt"
echo "all CMakes work"
