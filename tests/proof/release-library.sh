#!/usr/bin/env bash
# The C library as it is released, optimised, with what `make test` tries of a quicker build: the
# programs of docs/c.md and their failure paths, plainly, by sanitizers and under valgrind without
# suppressions, chosen scenarios and misuse under valgrind, signals, and what is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

prefix=$PWD/target/capi-release
rm -rf "$prefix"
STAYLINE_QUIET_INSTALL=1 make --no-print-directory capi PREFIX="$prefix" LIBDIR=lib PROFILE=release
make --no-print-directory target/stamps/capi-packages
cd tests/capi
STAYLINE_PREFIX=$prefix exec ../../target/venv/bin/python -m pytest -c ../../python/pyproject.toml \
    --rootdir=../.. -q test_docs.py test_valgrind.py test_guest.py test_symbols.py
