/* SPDX-License-Identifier: Apache-2.0 */
/* uses_version.c - a program of somebody else's, as abi/installed.sh builds it */
#include <portolan/portolan.h>
#include <stdio.h>

int main(void) { return printf("%s\n", ptl_version()) < 0; }
