#!/usr/bin/env bash
# Coverage of include/hence/<topic> by the topics' own tests, by clang's source-based counters: a line or
# branch of a template counts as covered if any of its instances is. (gcov counts each inlined copy
# apart.) Prints what is not covered; fails below 100 % of lines or 98 % of branches. A line that
# cannot be reached says so: `// no test: reason`; ten of them may.
#
#   scripts/coverage.sh [topic...]     default: core policy reward evaluate; needs clang and llvm-cov 19
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${HENCE_COVERAGE_BUILD:-build/coverage}
topics=("$@")
[ ${#topics[@]} -gt 0 ] || topics=(core policy reward evaluate)
excluded=$(grep -rn '// no test: ' include || true)
if [ -n "$excluded" ] && [ "$(wc -l <<<"$excluded")" -gt 10 ]; then
  echo "more than ten excluded lines:"
  echo "$excluded"
  exit 1
fi
targets=("${topics[@]/#/hence_tests_}")
cmake -S . -B "$out" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DHENCE_REQUIRE_DEPS=ON -DHENCE_TEST_OPENMP=OFF \
  -DHENCE_BUILD_CUDA_TESTS=OFF -DCMAKE_CXX_COMPILER=clang++-19 \
  "-DCMAKE_CXX_FLAGS=-O0 -fprofile-instr-generate -fcoverage-mapping -Wno-deprecated-declarations" >/dev/null
cmake --build "$out" --parallel "$(nproc)" --target "${targets[@]}"
objects=()
profiles=()
for target in "${targets[@]}"; do
  echo "$target: $(LLVM_PROFILE_FILE="$out/$target.profraw" "$out/tests/$target" --no-intro | tail -n 1)"
  objects+=(-object "$out/tests/$target")
  profiles+=("$out/$target.profraw")
done
llvm-profdata-19 merge -o "$out/all.profdata" "${profiles[@]}"
headers=()
for topic in "${topics[@]}"; do
  while IFS= read -r header; do headers+=("$PWD/$header"); done < <(find "include/hence/$topic" -name '*.hpp')
done
for format in lcov text; do
  llvm-cov-19 export "${objects[@]:1}" -instr-profile="$out/all.profdata" -format=$format \
    "${headers[@]}" >"$out/coverage.$format"
done
scripts/coverage.py "$out/coverage.lcov" "$out/coverage.text" 100 98
