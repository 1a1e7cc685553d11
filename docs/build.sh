#!/usr/bin/env bash
# docs/build.sh: checks every comment with Doxygen (warnings are errors, names without a comment too), then makes the site in
# build/docs/site with Sphinx from PyPI, and checks that no page loads anything from a network. Where PyPI
# is out of reach, Doxygen's own pages in build/docs/html are all there is; with HENCE_REQUIRE_TOOLS=1, as in
# CI, that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf build/docs
mkdir -p build/docs
# Every topic's page has the same parts, in the same order; every page is in the index.
topics=(policy advantages logits moe rewards evaluate executors interop)
for topic in "${topics[@]}"; do
  parts=$(grep -xE '## (A program|Formulas and papers|Choices|Pitfalls|Cost|Read on)' "docs/$topic.md" | tr '\n' ';')
  if [ "$parts" != "## A program;## Formulas and papers;## Choices;## Pitfalls;## Cost;## Read on;" ]; then
    echo "docs/$topic.md has the parts $parts" >&2
    exit 1
  fi
done
for page in docs/*.md; do
  page=$(basename "$page" .md)
  [ "$page" = index ] || grep -qx "$page" docs/index.md || { echo "docs/index.md does not name $page" >&2; exit 1; }
done
doxygen docs/Doxyfile
if command -v python3 >/dev/null; then
  python3 docs/documented.py build/docs/warnings.txt build/docs/xml docs/protocol.md
elif grep -v 'is not documented\.$' build/docs/warnings.txt >&2; then
  exit 1
fi
mapfile -t packages <docs/requirements.txt
if venv=$(scripts/venv.sh docs "${packages[@]}"); then
  mkdir build/docs/source
  mkdir build/docs/source/static
  cp docs/conf.py docs/*.md build/docs/source/
  cp docs/style.css build/docs/source/static/
  "$venv/bin/python" docs/declarations.py build/docs/xml build/docs/source/declarations
  "$venv/bin/sphinx-build" -q -W --keep-going -b html -d build/docs/doctrees build/docs/source build/docs/site
  "$venv/bin/python" docs/offline.py build/docs/site build/docs/html
  echo "note: the site is build/docs/site/index.html"
elif [ "${HENCE_REQUIRE_TOOLS:-0}" != 0 ]; then
  echo "HENCE_REQUIRE_TOOLS is set and Sphinx cannot be had: there is no site" >&2
  exit 1
else
  echo "note: no site, for Sphinx cannot be had: build/docs/html/index.html has the declarations, docs/ the pages"
  ! command -v python3 >/dev/null || python3 docs/offline.py build/docs/html
fi
