#!/usr/bin/env bash
# What the tests need beyond Rust: installs it where that is possible (Debian, root), else names it. `make test` calls this first.
set -euo pipefail

missing=()
need() { # command, Debian package
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
need cc build-essential
need cmake cmake
need git git
need ip iproute2
need nft nftables
need debootstrap debootstrap
need xmllint libxml2-utils
need chromium chromium
need chromedriver chromium-driver
need column bsdextrautils
need python3 python3
# Debian keeps what makes a venv apart.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
need redis-server redis-server
# Debian keeps PostgreSQL's programs out of the search path, apart by version.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
need psql postgresql-client
# The images of the runtime's tests are made from it: it must be static.
file=/bin/busybox
linked=$(ldd "$file" 2>&1 || true) # says so of a static program with an exit code other than zero
if [ ! -x "$file" ] || [[ $linked != *'not a dynamic executable'* ]]; then
    missing+=(busybox-static)
fi

# What checks workflows: pinned, in a place of its own, since Debian's Python takes no packages from elsewhere.
tools() {
    local here venv
    here=$(cd "$(dirname "$0")" && pwd)
    venv=${CARGO_TARGET_DIR:-$here/../target}/workflow-tools
    cmp -s "$here/requirements.txt" "$venv/installed.txt" && return 0
    if python3 -m venv --clear "$venv" >/dev/null 2>&1 \
        && "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"; then
        cp "$here/requirements.txt" "$venv/installed.txt"
    else
        rm -rf "$venv"
        echo "needs: WARNING: zizmor, actionlint and check-jsonschema are not installed; what checks workflows skips aloud" >&2
    fi
}

# axe-core looks for what keeps people out of a page. It is in no Debian package; the wheel is a file to read, nothing of it is installed.
axe() {
    local here pip place fetched
    here=$(cd "$(dirname "$0")" && pwd)
    place=$here/../target/axe
    [ ! -s "$place/axe.min.js" ] || return 0
    pip=${CARGO_TARGET_DIR:-$here/../target}/workflow-tools/bin/pip
    fetched=$(mktemp -d)
    if "$pip" download --quiet --no-deps --disable-pip-version-check --dest "$fetched" axe-playwright-python==0.1.8 >/dev/null 2>&1; then
        mkdir -p "$place"
        python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("axe_playwright_python/axe.min.js"))' \
            "$fetched"/*.whl >"$place/axe.min.js.new"
        mv "$place/axe.min.js.new" "$place/axe.min.js"
    else
        echo "needs: WARNING: axe-core was not fetched from PyPI; the test of accessibility skips aloud" >&2
    fi
    rm -rf "$fetched"
}

from_pypi() {
    tools
    axe
}

if [ "${#missing[@]}" = 0 ]; then
    from_pypi
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "needs: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Packages with services start them when they are installed unless this program says no. The tests start their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
        from_pypi
        exit 0
    fi
fi
echo "needs: WARNING: not there and not installed: ${missing[*]} (Debian names); tests that need them skip aloud or fail and say so" >&2
from_pypi
