#!/usr/bin/env bash
# What strangers may write, tried for a while (fuzz/README.md). Building takes a few minutes, once.
#
# The random numbers begin the same way each time, and each target has the same number of inputs
# on every machine, so that a change is judged by itself. What nobody has tried yet is looked for
# by `make proof ALL=1` and `make fuzz`, which begin anywhere and have only a limit of time:
# FUZZ_RUNS (inputs a target, 0: any number), FUZZ_MINUTES (for each target, two side by side) and
# FUZZ_SEED (0: another each time).
set -euo pipefail
cd "$(dirname "$0")/../.."
exec make --no-print-directory fuzz \
	MINUTES="${FUZZ_MINUTES:-1}" RUNS="${FUZZ_RUNS:-5000}" SEED="${FUZZ_SEED:-1}"
