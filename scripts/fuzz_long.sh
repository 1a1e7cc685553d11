#!/usr/bin/env bash
# 10^8 executions of every fuzzer under tests/fuzz, or as many as the argument says; what is found lies in build/fuzz.
# An hour or two with HENCE_FUZZ_QUICK=1 (see tests/fuzz/run.sh), a day or two with the sanitizers.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/fuzz
HENCE_FUZZ_WORK=$PWD/build/fuzz tests/fuzz/run.sh "-runs=${1:-100000000}" ${HENCE_FUZZ_QUICK:+-max_len=64 -reduce_inputs=0}
