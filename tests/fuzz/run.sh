#!/usr/bin/env bash
# Runs every fuzzer on its stored corpus and goes on from there, with the address and undefined behaviour
# sanitizers. Needs clang with libFuzzer.
#
#   tests/fuzz/run.sh                 10 seconds each
#   tests/fuzz/run.sh -runs=N         N executions each (any of libFuzzer's flags)
#
# HENCE_FUZZ_CXX names the compiler; HENCE_FUZZ_WORK a folder that keeps what was found. With HENCE_FUZZ_QUICK=1
# no sanitizers and no tracing of comparisons: ten times the executions a second, on native code.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
compiler=${HENCE_FUZZ_CXX:-clang++-19}
flags=("$@")
[ ${#flags[@]} -gt 0 ] || flags=(-max_total_time=10)
work=${HENCE_FUZZ_WORK:-$(mktemp -d)}
[ -n "${HENCE_FUZZ_WORK:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
# optimised: the properties are worth little if few inputs are tried
build=(-O2 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
[ -z "${HENCE_FUZZ_QUICK:-}" ] || build=(-O3 -march=native -fsanitize=fuzzer -fno-sanitize-coverage=trace-cmp)
# run_one SOURCE: builds and runs it; one line, and the log's end if it failed.
run_one() {
  local name more
  name=$(basename "$1" .cpp)
  # what it needs beside the headers
  mapfile -t more < <(sed -n "s|^// with: |$here/../../|p" "$1")
  mkdir -p "$work/corpus/$name"
  if "$compiler" -std=c++20 "${build[@]}" -w -I"$here/../../include" -I"$here/../../examples" \
    "$1" "${more[@]}" -o "$work/$name" >"$work/$name.log" 2>&1 &&
    (cd "$work" && "./$name" -dict="$here/latex.dict" -max_len=512 -timeout=5 -print_final_stats=1 "${flags[@]}" \
      "corpus/$name" "$here/corpus/$name") >"$work/$name.log" 2>&1; then
    echo "$name: $(grep -o 'number_of_executed_units: *[0-9]*' "$work/$name.log" | grep -o '[0-9]*$') executions, no finding"
  else
    echo "$name: FAILED"
    tail -n 40 "$work/$name.log"
  fi
}
for source in "$here"/*_fuzz.cpp; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  run_one "$source" >"$work/$(basename "$source" .cpp).line" &
done
wait
failed=0
for source in "$here"/*_fuzz.cpp; do
  line=$work/$(basename "$source" .cpp).line
  cat "$line"
  if grep -q FAILED "$line"; then failed=1; fi
done
exit $failed
