#!/usr/bin/env bash
# The tests that follow from seeds, with many more of them than `make test` has time for. What
# fails prints its seed or its shrunk case, and fails again with it.
#
# STAYLINE_LONG multiplies everything (default 1: some minutes).
set -euo pipefail
cd "$(dirname "$0")/../.."
long=${STAYLINE_LONG:-1}

echo "long seeds: random command lists for a session and for a wrapper"
PROPTEST_CASES=$((10000 * long)) cargo test -p stayline --test session_properties
PROPTEST_CASES=$((3000 * long)) cargo test -p stayline --test wrapper_properties

echo "long seeds: both ends under cuts, failing commits, freezes and restarts"
STAYLINE_SEEDS=$((4000 * long)) cargo test -p stayline --test simulator

echo "long seeds: power cuts, with only synced bytes left"
STAYLINE_SEEDS=$((500 * long)) cargo test -p stayline-synced-only --test power_cut

echo "long seeds: SIGKILLs"
for seed in $(seq 1 $((5 * long))); do
    STAYLINE_SEED=$seed cargo test -p stayline --test sigkill
done
