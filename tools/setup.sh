#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes .venv in this checkout: locked build tools, locked libraries, the project itself (editable). Every make verb
# runs it. `setup.sh hardware` adds the libraries that only drivers of real devices import, and the distribution's
# packages that they are built with and tried on, and what drives a browser through the pages; the lint step and the
# tests need these, a simulated station does not. `setup.sh fleet` adds what `baywatt fleet` needs, and nothing else.
#
# - It ends at once if the stamp of an earlier run matches. The stamp's name depends on everything that the result
#   depends on: the checkout's path (which the programs in .venv/bin contain), the locks, pyproject.toml, this script.
# - The stamp is written last. A .venv without a stamp was interrupted, one with a stamp of another path was moved: both
#   are made anew. One that is only outdated is updated.
# - PYTHON=/path/to/python3 chooses the interpreter.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."

locks=packaging/locks
stamp_here=.stamp-$(pwd | cksum | tr ' ' '-')
sum_of() {
    cat "$@" pyproject.toml tools/setup.sh | cksum | tr ' ' '-'
}

stamp=.venv/$stamp_here-$(sum_of $locks/build.txt $locks/bench.txt)
extra=${1:-}
hardware=
[ "$extra" != hardware ] || hardware=1
fleet_stamp=.venv/.fleet-$(sum_of $locks/build.txt $locks/bench.txt $locks/fleet.txt)
hardware_stamp=.venv/.hardware-$(sum_of $locks/build.txt $locks/bench.txt $locks/device.txt $locks/browser.txt)
# To build pyscard and systemd-python; then PC/SC with a virtual reader, and a D-Bus of one's own; then a browser, with
# letters for every language of the displays.
hardware_packages="gcc pkg-config swig libpcsclite-dev libsystemd-dev pcscd vsmartcard-vpcd dbus-daemon"
hardware_packages="$hardware_packages chromium fonts-dejavu-core fonts-wqy-zenhei"
log=

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Runs a command; shows its output only if it fails.
quietly() {
    "$@" >"$log" 2>&1 || {
        tail -n 25 "$log" >&2
        fail "this failed: $*"
    }
}

has_stamps() {
    [ -e "$stamp" ] && { [ -z "$hardware" ] || [ -e "$hardware_stamp" ]; } && { [ -z "$extra" ] || [ -e "$fleet_stamp" ]; }
}

is_ready() {
    # The import fails if the interpreter behind .venv was removed or replaced by another version. Packages of the
    # distribution are outside the checkout and may be removed at any time.
    has_stamps && .venv/bin/python -c 'import msgspec' 2>/dev/null && { [ -z "$hardware" ] || has_packages; }
}

has_packages() {
    [ -z "$(missing_packages)" ]
}

missing_packages() {
    for package in $hardware_packages; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf ' %s' "$package"
    done
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "the tests of drivers and pages need these packages of Debian 12:$missing (as root: apt-get install$missing)"
    fi
    echo "[+1/2] packages of the distribution:$missing"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update
    # shellcheck disable=SC2086
    quietly apt-get install -y --no-install-recommends $missing
}

can_make_venv() {
    # Debian has ensurepip, which venv needs, in a separate package.
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3}; do
        if can_make_venv "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

install_python() {
    [ -z "${PYTHON:-}" ] || fail "$PYTHON is not Python 3.11 or newer with the modules venv and ensurepip"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "needs Python 3.11 or newer that can make virtual environments. On Debian or Ubuntu:" \
            "apt-get install python3 python3-venv (as root)"
    fi
    echo "[0/3] python3 and python3-venv from the distribution"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update
    quietly apt-get install -y --no-install-recommends python3 python3-venv
    find_python || fail "the distribution's python3 is older than 3.11; install a newer one and set PYTHON to it"
}

make_venv() {
    had_stamp=$(find .venv -maxdepth 1 -name "$stamp_here-*" 2>/dev/null || true)
    if [ -n "$had_stamp" ] && .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "[1/3] .venv exists and is updated"
        rm -f .venv/.stamp-* .venv/.hardware-* .venv/.fleet-*
        return
    fi
    find_python || install_python
    echo "[1/3] .venv with $("$python" --version)"
    rm -rf .venv
    quietly "$python" -m venv .venv
}

pip_install() {
    quietly .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-deps "$@"
}

if is_ready; then
    exit 0
fi

# Of two verbs started at once on a fresh checkout the second waits (where flock exists), and finds the work done.
if command -v flock >/dev/null; then
    exec 9<tools/setup.sh
    flock -n 9 || { echo "setup: waiting for another set-up of this checkout" && flock 9; } || true
    if is_ready; then
        exit 0
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP

if [ ! -e "$stamp" ] || ! .venv/bin/python -c 'import msgspec' 2>/dev/null; then
    make_venv
    pip_install --require-hashes -r $locks/build.txt
    echo "[2/3] libraries of $locks/bench.txt (the first time some 80 MB are downloaded)"
    pip_install --require-hashes --no-build-isolation -r $locks/bench.txt
    echo "[3/3] baywatt itself, editable"
    pip_install --no-build-isolation -e .
    : >"$stamp"
fi

if [ -n "$hardware" ]; then
    install_packages
    echo "[+2/2] libraries of hardware and of browser tests: $locks/device.txt, $locks/browser.txt"
    pip_install --require-hashes --no-build-isolation -r $locks/device.txt -r $locks/browser.txt
    : >"$hardware_stamp"
fi

# The tests play a fleet, too.
if [ -n "$extra" ] && [ ! -e "$fleet_stamp" ]; then
    echo "[+] libraries of the fleet: $locks/fleet.txt"
    pip_install --require-hashes --no-build-isolation -r $locks/fleet.txt
    : >"$fleet_stamp"
fi
