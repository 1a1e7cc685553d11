#!/usr/bin/env bash
# Draws 1e7 tokens and compares their frequencies with the distribution (chi-square). Takes the test
# program of the logits topic; about half a minute.
set -eu
HENCE_DRAWS=${2:-10000000} "$1" --test-case="draws follow the distribution" --success
