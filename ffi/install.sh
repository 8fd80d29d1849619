#!/usr/bin/env bash
# What `make capi` does behind cargo-c: PREFIX LIBDIR PROFILE, and DESTDIR if it is given.
set -euo pipefail
prefix=$1 libdir=$2 profile=$3 destdir=${4:-}
root=$(cd "$(dirname "$0")/.." && pwd)
library=$destdir$prefix/$libdir

# The compiler links its own run-time library, in the form that fits: naming the shared one here would
# make a program that is linked with -static impossible.
pc=$library/pkgconfig/stayline.pc
sed -e '/^Libs\.private:/ s/ -lgcc_s\>//' "$pc" >"$pc.new"
mv "$pc.new" "$pc"

# Linked anew, so that each function has the version since which it is there: rustc writes a list of
# exports of its own, beside which there can be none with versions.
if [ "$(uname -s)" = Linux ]; then
    shared=$(readlink -f "$library/libstayline.so")
    soname=$(basename "${shared%.*}")
    # shellcheck disable=SC2046 # words
    "${CC:-cc}" -shared -o "$shared.new" -Wl,--whole-archive "$library/libstayline.a" \
        -Wl,--no-whole-archive -Wl,--version-script="$root/ffi/stayline.map" \
        -Wl,-soname,"$soname" -Wl,-z,nodelete -Wl,-z,relro,-z,now -Wl,-z,defs -Wl,--gc-sections \
        -Wl,-O1 $(sed -n 's/^Libs\.private://p' "$pc")
    mv "$shared.new" "$shared"
fi

# Debug information of everything in it; the shared library, which can be debugged, keeps its own.
if [ "$profile" = release ] && command -v strip >/dev/null; then
    strip --strip-debug "$library/libstayline.a"
fi

# The rules that the headers cite.
manual=$destdir$prefix/share/doc/stayline
mkdir -p "$manual"
cp "$root/docs/rules.md" "$root/docs/errors.md" "$root/docs/settings.md" "$root/docs/wire.md" "$manual"

licences=$destdir$prefix/share/licenses/stayline
mkdir -p "$licences"
cp "$root/LICENSE" "$licences/LICENSE"
bash "$root/ffi/third-party.sh" >"$licences/THIRD-PARTY"

if [ -z "$destdir" ] && [ -z "${STAYLINE_QUIET_INSTALL:-}" ]; then
    echo "installed in $prefix; make uncapi takes it away again"
    case $prefix in
        /usr | /usr/local) echo "so that programs find it: ldconfig (as root, once)" ;;
        *) echo "so that programs find it: PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig when they are" \
            "built, and -Wl,-rpath,$prefix/$libdir or LD_LIBRARY_PATH when they run" ;;
    esac
fi
