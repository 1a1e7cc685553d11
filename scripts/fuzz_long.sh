#!/usr/bin/env bash
# 10^8 executions of every fuzzer under tests/fuzz, or as many as the argument says. Takes hours; what is
# found lies in build/fuzz.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/fuzz
HENCE_FUZZ_WORK=$PWD/build/fuzz tests/fuzz/run.sh "-runs=${1:-100000000}"
