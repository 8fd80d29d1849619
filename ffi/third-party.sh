#!/usr/bin/env bash
# Prints whose code the library contains, under which licence, and the texts that those ask to go along.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src

echo "libstayline contains the following libraries, each under the licence that is named."
echo "SQLite, which libsqlite3-sys contains, is in the public domain."
${CARGO:-cargo} tree --locked --package stayline-ffi --edges normal --prefix none \
    --format '{p}|{l}' | sed -e 's/ (\*)$//' -e 's/ (proc-macro)//' | sort -u |
    while IFS='|' read -r package licence; do
        name=${package%% *} version=${package#* v}
        version=${version%% *}
        case $name in stayline | stayline-*) continue ;; esac
        printf '\n=== %s %s: %s\n' "$name" "$version" "${licence:-see its source}"
        for folder in "$sources"/*/"$name-$version"; do
            for text in "$folder"/LICEN[CS]E* "$folder"/COPYING* "$folder"/NOTICE*; do
                [ -f "$text" ] || continue
                printf '\n--- %s\n\n' "$(basename "$text")"
                cat "$text"
            done
        done
    done
