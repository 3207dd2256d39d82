/* SPDX-License-Identifier: Apache-2.0 */
/* portolan/version.h - which Portolan this is */
#ifndef PORTOLAN_VERSION_H
#define PORTOLAN_VERSION_H

#include <portolan/types.h>

#define PTL_VERSION_MAJOR 0
#define PTL_VERSION_MINOR 1
#define PTL_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ptl_version - the version of the library that is loaded, as text ("0.1.0")
 *
 * Compare with PTL_VERSION_* of the headers to notice a mismatch; same major number and SONAME means
 * compatible.
 *
 * Return: a static string. Async-signal-safe, thread-safe, no system call.
 */
PTL_PUBLIC const char *ptl_version(void);

#ifdef __cplusplus
}
#endif
#endif
