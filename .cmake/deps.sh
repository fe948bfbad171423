# SPDX-License-Identifier: MIT
# Installs the Debian packages named in PACKAGES that are missing; does nothing,
# and needs nobody's password, where none is.
set -eu

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: see that you have what these packages hold: $PACKAGES" >&2
    exit 0
fi
missing=
for package in $PACKAGES; do
    command -v "$package" >/dev/null && continue # a tool that came some other way
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Installing$missing"
if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here; install$missing yourself, then try again." >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Neither root nor sudo; have root run: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null
