#!/usr/bin/env bash
# Shows that the tests notice faults: one fault at a time, `tests/mutations/*.patch`.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/mutations/run.py "$@"
