#!/usr/bin/env bash
# A struct that g++ cannot take apart is copied through memory, half a register at a time, and the load of
# the whole then waits for both halves: the loss takes twice the time, and no test sees it. Compiles the hot
# loops of three losses for AVX-512 and fails if one of them does so.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/losses.cpp" <<'CPP'
#include <hence/policy.hpp>
using batch = hence::ragged;
using inputs = hence::policy_inputs<float>;
using gradient = hence::view<float>;
template <class Loss> double run(const Loss& loss, const batch& b, const inputs& in, gradient g) {
  return hence::loss_and_gradient(hence::cpu{}, loss, b, in, hence::over_this_call, g).loss();
}
const hence::clip::two_sided clip{0.8f, 1.2f};
const hence::kl::k3 kl{0.04f};
double token(const batch& b, const inputs& in, gradient g) {
  return run(hence::policy_loss{hence::ratio::token{}, clip, kl, hence::aggregate::token_mean{}}, b, in, g);
}
double sequence(const batch& b, const inputs& in, gradient g) {
  return run(hence::policy_loss{hence::ratio::sequence{}, clip, kl, hence::aggregate::token_mean{}}, b, in, g);
}
double cispo(const batch& b, const inputs& in, gradient g) {
  return run(hence::policy_loss{hence::ratio::token{}, hence::clip::cispo{0.0f, 1.2f}, kl, hence::aggregate::token_mean{}}, b, in, g);
}
CPP
"${CXX:-g++}" -std=c++20 -O2 -march=skylake-avx512 -I"$here/../include" \
  -c "$work/losses.cpp" -o "$work/losses.o"
objdump -d --no-show-raw-insn -C "$work/losses.o" |
  awk '/^[0-9a-f]+ <.*policy_lanes</ { loops++; inside = 1 }
       /^$/ { inside = 0 }
       inside && /vmov[a-z0-9]* +%ymm[0-9]+,.*\(%rsp\)/ { halves++ }
       END { printf "note: hot loops %d, half registers stored to the stack %d\n", loops, halves
             exit loops < 6 || halves > 0 }'
