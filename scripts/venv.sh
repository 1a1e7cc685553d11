#!/usr/bin/env bash
# scripts/venv.sh NAME PACKAGE==VERSION...: makes build/venv/NAME with these packages of PyPI, once, and
# prints its folder. Where that cannot be done it says why on standard error and exits with 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/build/venv/$1
shift
if [ "$(cat "$folder/packages" 2>/dev/null)" != "$*" ]; then
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  if ! command -v python3 >/dev/null; then
    echo "there is no python3 (Debian: python3-venv)" >&2
    exit 3
  fi
  if ! python3 -m venv "$folder" >"$folder.log" 2>&1; then
    echo "python3 cannot make a virtual environment (Debian: python3-venv)" >&2
    exit 3
  fi
  if ! "$folder/bin/python" -m pip install --disable-pip-version-check -q "$@" >"$folder.log" 2>&1; then
    tail -n 3 "$folder.log" >&2
    echo "pip could not install $* (is there a network?)" >&2
    exit 3
  fi
  echo "$*" >"$folder/packages"
fi
echo "$folder"
