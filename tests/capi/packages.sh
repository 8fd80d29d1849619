#!/usr/bin/env bash
# Sees to Debian packages: `packages.sh WHAT-FOR PACKAGE…`. Installs those that are missing when it
# may, says what to install when it may not, and leaves other systems to their owners.
set -euo pipefail

what_for=$1
shift

if ! command -v dpkg-query >/dev/null; then
    echo "make: $what_for needs what Debian calls: $*" >&2
    exit 0
fi

missing=()
for package in "$@"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing+=("$package")
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "make: $what_for needs packages: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "installing what $what_for needs: ${missing[*]}"
install=(apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}")
export DEBIAN_FRONTEND=noninteractive
# The lists of a fresh machine are empty or old.
"${install[@]}" >/dev/null 2>&1 || { apt-get update --quiet=2; "${install[@]}" >/dev/null; }
