/* SPDX-License-Identifier: Apache-2.0 */
/* base/copy.c - see copy.h */
#include "base/copy.h"

#if defined(__x86_64__) && !defined(PTL_MODEL)
#include <immintrin.h>

typedef void stream_fn(char *to, const char *from, size_t size); /* to and size: 64-byte multiples */

static void stream_sse2(char *to, const char *from, size_t size)
{
        for (size_t i = 0; i < size; i += 16)
                _mm_stream_si128((__m128i *)(void *)(to + i),
                                 _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
}

__attribute__((target("avx2"))) static void stream_avx2(char *to, const char *from, size_t size)
{
        for (size_t i = 0; i < size; i += 32)
                _mm256_stream_si256((__m256i *)(void *)(to + i),
                                    _mm256_loadu_si256((const __m256i *)(const void *)(from + i)));
}

__attribute__((target("avx512f"))) static void stream_avx512(char *to, const char *from, size_t size)
{
        for (size_t i = 0; i < size; i += 64)
                _mm512_stream_si512((__m512i *)(void *)(to + i),
                                    _mm512_loadu_si512((const void *)(from + i)));
}

static stream_fn *choose(void)
{
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f"))
                return stream_avx512;
        return __builtin_cpu_supports("avx2") ? stream_avx2 : stream_sse2;
}

void ptl_copy_streaming(void *to, const void *from, size_t size)
{
        static _Atomic(stream_fn *) chosen;
        stream_fn *stream = ptl_load_relaxed(&chosen); /* relaxed: all choose the same */
        size_t head = -(uintptr_t)to & 63, body;

        if (!stream) { /* any thread may choose: all choose the same */
                stream = choose();
                ptl_store_relaxed(&chosen, stream);
        }
        if (head > size)
                head = size;
        body = (size - head) & ~(size_t)63;
        memcpy(to, from, head);
        stream((char *)to + head, (const char *)from + head, body);
        memcpy((char *)to + head + body, (const char *)from + head + body, size - head - body);
        ptl_fence_store();
}

#else

void ptl_copy_streaming(void *to, const void *from, size_t size)
{
        memcpy(to, from, size);
        ptl_fence_store();
}

#endif

#ifdef PTL_MODEL
void ptl_copy_shared(void *to, const void *from, size_t size)
{
        size_t i = 0;

        for (; i + 8 <= size; i += 8) {
                uint64_t word;

                memcpy(&word, (const char *)from + i, 8);
                ptl_store_relaxed((_Atomic uint64_t *)(void *)((char *)to + i), word);
        }
        memcpy((char *)to + i, (const char *)from + i, size - i);
}
#endif
