#!/usr/bin/env bash
# What strangers may write, tried for a while (fuzz/README.md). Building takes a few minutes, once.
#
# The random numbers begin the same way each time, so that one change is tried as the other was;
# `make fuzz` begins anywhere. FUZZ_MINUTES says how long each target is tried (default: a
# minute, two side by side).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec make --no-print-directory fuzz MINUTES="${FUZZ_MINUTES:-1}" SEED=1
