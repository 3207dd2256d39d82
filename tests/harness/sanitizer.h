/* SPDX-License-Identifier: Apache-2.0 */
/* sanitizer.h - for cases that a sanitizer's runtime, which is in the process too, would disturb */
#pragma once
#include "tst.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER true
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER false
#endif

static inline void need_no_sanitizer(const char *why)
{
        if (HAS_SANITIZER)
                SKIP(why);
}
