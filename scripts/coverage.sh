#!/usr/bin/env bash
# Coverage of include/hence/core and include/hence/policy by their own tests. Prints what is not
# covered; fails below 100 % of lines or 98 % of branches (those of exceptions do not count).
# A line that cannot be reached says so: `// GCOV_EXCL_LINE reason`; ten of them may.
#
#   scripts/coverage.sh [build folder]    needs gcovr (Debian: gcovr)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-build/coverage}
topics=(core policy)
excluded=$(grep -rn 'GCOV_EXCL' include || true)
if [ -n "$excluded" ] && [ "$(wc -l <<<"$excluded")" -gt 10 ]; then
  echo "more than ten excluded lines:"
  echo "$excluded"
  exit 1
fi
cmake -S . -B "$out" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DHENCE_REQUIRE_DEPS=ON \
  -DHENCE_BUILD_CUDA_TESTS=OFF "-DCMAKE_CXX_FLAGS=-O0 --coverage -fprofile-update=atomic" >/dev/null
cmake --build "$out" --parallel "$(nproc)" --target "${topics[@]/#/hence_tests_}" hence_no_exceptions
find "$out" -name '*.gcda' -delete
ctest --test-dir "$out" --output-on-failure --no-tests=error --parallel "$(nproc)" \
  -R "^($(IFS='|' && echo "${topics[*]}"))/" | tail -n 5
gcovr --root . --object-directory "$out" --filter 'include/hence/(core|policy)/' \
  --exclude-throw-branches --exclude-unreachable-branches --json "$out/coverage.json" "$out"
for kind in "" --branches; do
  gcovr --root . --add-tracefile "$out/coverage.json" --exclude-throw-branches --txt $kind
done
gcovr --root . --add-tracefile "$out/coverage.json" --exclude-throw-branches --print-summary \
  --fail-under-line 100 --fail-under-branch 98 --output /dev/null
