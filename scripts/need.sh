#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/need.sh - installs the Debian packages a task needs and that are not there yet
#
# usage: scripts/need.sh run|test|coverage|cross|kernel
# As root directly, else by sudo; with neither it names the packages and exits 1. When nothing is
# missing no package tool is started at all.
set -u

# A line: the package, and what shows that it is there (a command, or a file pattern).
run='
make              make
gcc               gcc
libc6-dev         /usr/include/stdlib.h
meson             meson
ninja-build       ninja
pkg-config        pkg-config
python3           python3
'
test="$run
g++               g++
clang             clang
libclang-rt-dev   /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
spin              spin
util-linux        setarch
"
coverage="$test
llvm              llvm-cov
"
cross="$run
gcc-aarch64-linux-gnu    aarch64-linux-gnu-gcc
libc6-dev-arm64-cross    /usr/aarch64-linux-gnu/include/stdlib.h
gcc-arm-linux-gnueabihf  arm-linux-gnueabihf-gcc
libc6-dev-armhf-cross    /usr/arm-linux-gnueabihf/include/stdlib.h
qemu-user                qemu-aarch64
"
kernel="$run
qemu-system-x86   qemu-system-x86_64
busybox-static    busybox
"

is_present() {
    case $1 in
    /*)
        # shellcheck disable=SC2086  # a pattern
        set -- $1
        [ -e "$1" ]
        ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing() {
    echo "$1" | while read -r package shown; do
        [ -z "$package" ] || is_present "$shown" || echo "$package"
    done
}

install() { # by apt-get, preceded by $as_root, which is sudo or nothing
    $as_root apt-get update -qq || return
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"
}

case ${1-} in
run) packages=$run ;;
test) packages=$test ;;
coverage) packages=$coverage ;;
cross) packages=$cross ;;
kernel) packages=$kernel ;;
*)
    echo "usage: $0 run|test|coverage|cross|kernel" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2046  # a list of words
set -- $(missing "$packages")
[ $# -gt 0 ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
fi
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || command -v sudo >/dev/null; }; then
    echo "installing: $*"
    install "$@" && exit 0
fi
echo "These Debian packages are missing and could not be installed from here:" >&2
echo "    $*" >&2
echo "Please ask the administrator to run: apt-get install $*" >&2
exit 1
