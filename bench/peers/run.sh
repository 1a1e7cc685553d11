#!/usr/bin/env bash
# bench/peers/run.sh [--torch] [--language-model] [arguments of table.py or language_model.py]: builds hence's side and
# prints the table of kernels, or that of the examples' language model. PyTorch is taken
# from $PYTHON (python3 if that is not set); with --torch it is installed from PyPI (3 GB) in build/venv/torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}
script=table.py library=hence_peers
while :; do
  case ${1:-} in
    --torch)
      if venv=$(scripts/venv.sh torch torch==2.15.0); then
        python=$venv/bin/python
      else
        echo "note: the table is without PyTorch"
      fi
      ;;
    --language-model) script=language_model.py library=hence_peers_language_model ;;
    *) break ;;
  esac
  shift
done
if ! command -v "$python" >/dev/null; then
  echo "note: there is no $python to print the table with (Debian: python3)" >&2
  exit 3
fi
mkdir -p build
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
cmake -S . -B build/peers -DCMAKE_BUILD_TYPE=Release -DHENCE_BUILD_TESTS=OFF -DHENCE_BUILD_BENCH=ON \
  -DHENCE_REQUIRE_DEPS=ON >build/peers.log 2>&1 && cmake --build build/peers --target $library >>build/peers.log 2>&1 ||
  { cat build/peers.log >&2; exit 1; }
exec "$python" bench/peers/$script build/peers/bench/peers/lib$library.so "$@"
