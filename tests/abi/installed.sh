#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# abi/installed.sh - what an install leaves can be built on: by pkg-config, shared and static, by CMake
#
# usage: installed.sh BUILD-FOLDER PREFIX LIBDIR PROGRAM.c
set -u
build=$1 prefix=$2 libdir=$3 program=$(realpath "$4")
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
n=0 status=0

verdict() { # status of the case, its name
    n=$((n + 1))
    [ "$1" = 0 ] || { status=1 && printf 'not ' && sed 's/^/# /' "$work/log" >&2; }
    echo "ok $n - $2"
}

DESTDIR=$work/root meson install -C "$build" --no-rebuild >"$work/log" 2>&1
verdict $? abi_install_to_a_staging_folder

export PKG_CONFIG_PATH="$work/root$libdir/pkgconfig"
flags() { pkg-config --define-variable=prefix="$work/root$prefix" "$@" portolan; }

{
    # shellcheck disable=SC2046  # lists of flags, here and below
    cc -o "$work/shared" "$program" $(flags --cflags --libs) &&
        LD_LIBRARY_PATH=$work/root$libdir "$work/shared" | grep -qx "$(flags --modversion)"
} >"$work/log" 2>&1
verdict $? abi_pkg_config_builds_against_the_shared_library

{
    # shellcheck disable=SC2046
    cc -static -o "$work/static" "$program" $(flags --cflags) $(flags --static --libs) && "$work/static"
} >"$work/log" 2>&1
verdict $? abi_pkg_config_builds_against_the_static_library

{
    grep -qx 'Requires.private:.*' "$PKG_CONFIG_PATH/portolan.pc" && pkg-config --validate portolan
} >"$work/log" 2>&1
verdict $? abi_pkg_config_says_what_a_static_program_requires

ls -l "$work/root$libdir" >"$work/log" 2>&1
[ -h "$work/root$libdir/libportolan.so.0" ]
verdict $? abi_soname_is_libportolan_so_0

[ -f "$work/root$libdir/cmake/portolan/portolan-config.cmake" ]
verdict $? abi_cmake_config_is_installed

echo "1..$n"
exit $status
