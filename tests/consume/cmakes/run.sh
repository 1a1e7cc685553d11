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
build "$here/cps" "components by CPS" "" "-DCMAKE_PREFIX_PATH=$prefix"
# refused COMPONENT WORDS: one that is required is not there, and the error says why.
refused() {
  if cmake -S "$here/cps" -B "$work/build $1" "-DREQUIRE=$1" "-DCMAKE_PREFIX_PATH=$prefix" >"$work/log" 2>&1; then
    fail "CPS: component $1 is accepted"
  fi
  says "$2"
}
# CMake 4.4 refuses the CPS file for an unknown component, goes on to the config file, and then reads the CPS file in its
# place. Should that end one day, this fails, and the sentence about it in docs/install.md goes.
cmake -S "$here/cps" -B "$work/build unknown" -DREQUIRE=nonsense "-DCMAKE_PREFIX_PATH=$prefix" >"$work/log" 2>&1 ||
  fail "CMake refuses unknown components beside a CPS file"
refused cuda "hence's component \"cuda\" needs the CUDA toolkit, which was not found"
if [ -n "$nvcc" ]; then
  build "$here/cuda" "cuda by CPS" consumer "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CUDA_COMPILER=$nvcc"
  grep -q '^hence_DIR.*share/cps/hence$' "$work/build cuda by CPS/CMakeCache.txt"
fi
rm -r "$prefix/share/cmake" "$prefix/share/pkgconfig"
build "$here/find_package" "by CPS alone" consumer "-DCMAKE_PREFIX_PATH=$prefix"
grep -q '^hence_DIR.*share/cps/hence$' "$work/build by CPS alone/CMakeCache.txt"
refused nonsense "Required component was not found: nonsense"
refused cuda "find_package could not find hence-cuda, required by hence"
echo "all CMakes work"
