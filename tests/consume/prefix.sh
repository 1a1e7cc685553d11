# Sourced by the scripts beside it. Gives $root, $here, $work (removed at the end) and
# `install_hence [cmake arguments]`: hence in $prefix, a folder with a space, moved after the install.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/consume
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
prefix="$work/second prefix"

install_hence() {
  cmake -S "$root" -B "$work/build hence" -DHENCE_BUILD_TESTS=OFF \
    "-DCMAKE_INSTALL_PREFIX=$work/first prefix" "$@" >/dev/null
  cmake --build "$work/build hence" >/dev/null
  cmake --install "$work/build hence" >/dev/null
  mv "$work/first prefix" "$prefix"
}

fail() {
  echo "$*" >&2
  exit 1
}

# untried <what and why>: something is not there to be tried with. A note; in CI, which sets HENCE_REQUIRE_TOOLS,
# a failure, so that no stage passes by not running.
untried() {
  [ "${HENCE_REQUIRE_TOOLS:-0}" = 0 ] || fail "HENCE_REQUIRE_TOOLS is set and this is not tried: $*"
  echo "note: not tried: $*"
}

# quiet COMMAND...: its output only if it fails.
quiet() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }; }

# says <words>: whether the log has them, however it wraps its lines.
says() { tr -s ' \n' '  ' <"$work/log" | grep -qF -- "$1" || fail "not said: $1. It says: $(cat "$work/log")"; }

# build <source> <name> <program> [cmake arguments]: configures, builds and runs a project.
build() {
  local source=$1 out="$work/build $2" program=$3
  echo "== $2"
  shift 3
  quiet cmake -S "$source" -B "$out" "$@"
  quiet cmake --build "$out"
  if [ -n "$program" ]; then quiet "$out/$program"; fi
}
