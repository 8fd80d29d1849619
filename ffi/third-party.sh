#!/usr/bin/env bash
# Prints whose code a package contains, under which licence, and the texts that those ask to go along,
# each once: third-party.sh [PACKAGE NAME [TARGET…]], for the C library on this machine unless told.
set -euo pipefail
cd "$(dirname "$0")/.."
package=${1:-stayline-ffi} name=${2:-libstayline}
shift $(($# < 2 ? $# : 2))
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
seen=$(mktemp -d)
trap 'rm -rf "$seen"' EXIT

echo "$name contains the following libraries, each under the licence that is named."
echo "SQLite, which libsqlite3-sys contains, is in the public domain."
${CARGO:-cargo} tree --locked --package "$package" --edges normal --prefix none \
    --format '{p}|{l}' ${@/#/--target=} | sed -e 's/ (\*)$//' -e 's/ (proc-macro)//' | LC_ALL=C sort -u |
    while IFS='|' read -r package licence; do
        [ -n "$package" ] || continue # between two targets
        name=${package%% *} version=${package#* v}
        version=${version%% *}
        case $name in stayline | stayline-*) continue ;; esac
        printf '\n=== %s %s: %s\n' "$name" "$version" "${licence:-see its source}"
        for folder in "$sources"/*/"$name-$version"; do
            for text in "$folder"/LICEN[CS]E* "$folder"/COPYING* "$folder"/NOTICE*; do
                [ -f "$text" ] || continue
                # Whatever its lines end with: the same text is printed once.
                sum=$(tr -d '\r' <"$text" | sed -e 's/[[:space:]]*$//' | sha256sum | cut -c 1-32)
                if [ -f "$seen/$sum" ]; then
                    printf '\n--- %s: as of %s\n' "$(basename "$text")" "$(cat "$seen/$sum")"
                    continue
                fi
                echo "$name $version, $(basename "$text")" >"$seen/$sum"
                printf '\n--- %s\n\n' "$(basename "$text")"
                tr -d '\r' <"$text" | sed -e 's/[[:space:]]*$//'
            done
        done
    done
