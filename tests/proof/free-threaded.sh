#!/usr/bin/env bash
# The wheel for an interpreter without a GIL is built, which needs no such interpreter; where there
# is one, the tests of threads, and those of what threads share, run on it from that wheel.
#
# FREE_THREADED names the interpreter (default python3.14t).
set -euo pipefail
cd "$(dirname "$0")/../.."
interpreter=${FREE_THREADED:-python3.14t}
bin=$PWD/target/venv/bin
# A folder of its own: other builds of the module are for another ABI.
folder=target/free-threaded

rm -rf "$folder/wheels"
echo "free-threaded: building the wheel for $interpreter"
PATH=$bin:$PATH CARGO_TARGET_DIR=$folder/build "$bin/maturin" build --quiet --profile dev \
    --interpreter "$interpreter" --compatibility linux --manifest-path python/Cargo.toml \
    --out "$folder/wheels"
wheel=$(echo "$folder"/wheels/stayline-*-cp3*t-linux_*.whl)
if [ ! -e "$wheel" ]; then
    echo "free-threaded: the wheel is for other interpreters:" "$folder"/wheels/* >&2
    exit 1
fi
# Read to its end: the writer must not find the pipe closed.
if ! "$bin/python" -m zipfile -l "$wheel" | grep '^stayline/_internal\.cpython-3[0-9]*t-' >/dev/null; then
    echo "free-threaded: no extension for interpreters without a GIL in $wheel" >&2
    exit 1
fi
echo "free-threaded: $(basename "$wheel")"

if ! command -v "$interpreter" >/dev/null; then
    echo "free-threaded: there is no $interpreter here, so nothing was run on it"
    exit 0
fi
"$interpreter" -m venv --clear "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytest pytest-timeout "$wheel"
# From elsewhere: the checkout has the module for the other interpreter.
rm -rf "$folder/tests" && cp -R tests/python "$folder/tests"
cd "$folder/tests"
../venv/bin/python -m pytest -c ../../../python/pyproject.toml --rootdir . -p no:cacheprovider \
    test_threads.py test_ends.py test_import.py test_lifecycle.py test_link.py test_wrapper.py
