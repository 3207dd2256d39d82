#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts/kernel.sh - boots Debian's own kernel under qemu and runs the tests of a build on it
#
# usage: scripts/kernel.sh BUILD-FOLDER WORK-FOLDER
# The kernel comes as a package from the mirror that apt is configured for; it is unpacked in the work
# folder and never installed. Its only user space is busybox, the test programs and their libraries.
#   KERNEL_PACKAGE   another kernel than linux-image-cloud-amd64
#   KERNEL_SECONDS   when to give up
#   KERNEL_PROGRAMS  only these, e.g. "shm_ring process_death"
set -eu
cd "$(dirname "$0")/.."
build=$1
work=$2
package=${KERNEL_PACKAGE-linux-image-cloud-amd64}
root=$work/root

fail() {
    echo "$0: $*" >&2
    exit 1
}

# The package that is named may be the one without a version, which holds nothing but a dependency.
versioned() {
    apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

fetch_kernel() { # into $work/vmlinuz
    [ ! -f "$work/vmlinuz" ] || return 0
    [ -n "$(apt-cache show "$package" 2>/dev/null)" ] || [ "$(id -u)" != 0 ] || apt-get update -qq
    real=$(versioned "$package")
    (cd "$work" && apt-get download -qq "${real:-$package}") ||
        fail "no package ${real:-$package}: try apt-get update, or set KERNEL_PACKAGE"
    dpkg-deb -x "$work/${real:-$package}"_*.deb "$work/package"
    cp "$work/package/boot/vmlinuz-"* "$work/vmlinuz"
    rm -rf "$work/package" "$work"/*.deb
}

# src/shm/ring_test.c is shm_ring, as in tests/meson.build. Left out is what runs the tool: it measures,
# and bars are not for a machine that is emulated; process_no_syscalls wants two CPUs that are really two.
programs() {
    find src tests/api tests/process -name '*_test.c' | LC_ALL=C sort |
        sed -E 's,^(src|tests)/([^/]+)/(.*/)?([^/]+)_test\.c$,\2_\4,' |
        grep -Ev '^process_(bench|cmd|tour|no_syscalls)$'
}

# Of the programs given (one may be static), but not the build's own; and the one that pthread_cancel()
# loads by itself.
libraries() {
    "${CC:-gcc}" -print-file-name=libgcc_s.so.1
    for program; do ldd "$program" 2>/dev/null || :; done |
        sed -nE 's,^.* => (/[^ ]+) .*$,\1,p; s,^\t(/[^ ]+) .*$,\1,p' | grep -v libportolan | sort -u
}

# shellcheck disable=SC2086  # $programs is a list of words
pack() { # into $work/initramfs.gz
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" \
        "$root/portolan/tests" "$root/portolan/src/server" "$root/portolan/src/cmd"
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp scripts/kernel/init "$root/init"
    cp "$build"/libportolan.so.? "$root/portolan/"
    cp "$build/src/server/portoland" "$root/portolan/src/server/"
    cp "$build/src/cmd/portolan" "$root/portolan/src/cmd/"
    for name in $programs; do
        cp "$build/tests/${name}_test" "$root/portolan/tests/"
    done
    strip -g "$root"/portolan/tests/* "$root"/portolan/src/*/* "$root"/portolan/libportolan.so.?
    # shellcheck disable=SC2046
    cp --parents -L $(libraries "$root/bin/busybox" "$root"/portolan/tests/*) "$root/"
    # shellcheck disable=SC2116  # the echo makes one line of it
    printf 'PROGRAMS="%s"\nTST_TIMEOUT=%s\nPROGRAM_TIMEOUT=%s\n' \
        "$(echo $programs)" "$case_seconds" "$program_seconds" >"$root/portolan/environment"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs.gz"
}

boot() {
    timeout "$whole_seconds" qemu-system-x86_64 -machine q35 -accel "$accel" -cpu "$cpu" -smp 2 -m 2048 \
        -kernel "$work/vmlinuz" -initrd "$work/initramfs.gz" \
        -append "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off" \
        -no-reboot -nodefaults -display none -serial stdio </dev/null |
        tee "$work/console.txt" | grep --line-buffered -aE '^(=== .* ended|# Linux|not ok)' || true
}

# Emulated, everything takes ten times as long and more.
accel=tcg cpu=max case_seconds=200 program_seconds=900
if [ -r /dev/kvm ] && [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then
    accel=kvm cpu=host case_seconds=60 program_seconds=300
fi
whole_seconds=${KERNEL_SECONDS-3600}
programs=${KERNEL_PROGRAMS-$(programs)}

mkdir -p "$work"
fetch_kernel
pack
echo "booting $work/vmlinuz under $accel, output in $work/console.txt"
boot
python3 scripts/kernel/console.py "$work/console.txt" "$work/testlog.json"
python3 scripts/test-names.py "$work/testlog.json" "$work/test-names.txt"
