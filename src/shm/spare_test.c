/* SPDX-License-Identifier: Apache-2.0 */
/* Private memory that is used again. */
#include "shm/spare.h"
#include "shm/outbox.h"
#include "tst.h"
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static char *take(size_t size)
{
        char *data = NULL;

        CHECK_EQ(ptl_spare_take(size, (void **)&data), 0);
        CHECK(data != NULL);
        return data;
}

TEST(what_was_given_back_is_taken_again)
{
        char *a = take(5000), *b;

        memset(a, 1, 8192); /* whole pages */
        ptl_spare_give(a, 5000);
        b = take(8192); /* as many pages */
        CHECK(b == a && b[0] == 1 && b[8191] == 1);
        ptl_spare_give(b, 8192);
        ptl_spare_drop();
}

TEST(memory_of_another_size_is_new)
{
        char *a = take(8192), *b;

        memset(a, 1, 8192);
        ptl_spare_give(a, 8192);
        b = take(4096);
        CHECK(b != a && b[0] == 0);
        ptl_spare_give(b, 4096);
        ptl_spare_drop();
}

static bool is_mapped(void *at) { return msync(at, 1, MS_ASYNC) == 0; }

enum { MANY = 4 * PTL_SPARE_PIECES, SIZE = 1 << 20 };

static char *pieces[MANY];

static int count_mapped(void)
{
        int n = 0;

        for (int i = 0; i < MANY; i++)
                n += is_mapped(pieces[i]);
        return n;
}

TEST(no_more_is_kept_than_is_promised)
{
        for (int i = 0; i < MANY; i++)
                pieces[i] = take(SIZE);
        CHECK_EQ(count_mapped(), MANY);
        for (int i = 0; i < MANY; i++)
                ptl_spare_give(pieces[i], SIZE);
        CHECK_EQ(count_mapped(), PTL_SPARE_BYTES / SIZE);
        for (int i = 0; i < PTL_SPARE_BYTES / SIZE; i++) /* the youngest were kept, and come first */
                CHECK(take(SIZE) == pieces[MANY - 1 - i]);
        for (int i = 0; i < PTL_SPARE_BYTES / SIZE; i++)
                ptl_spare_give(pieces[MANY - 1 - i], SIZE);
        ptl_spare_drop();
        CHECK_EQ(count_mapped(), 0);
}

TEST(what_is_larger_than_all_that_may_be_kept_is_not_kept)
{
        size_t size = PTL_SPARE_BYTES + 1;
        char *a = take(size);

        memset(a, 1, size);
        ptl_spare_give(a, size);
        CHECK(!is_mapped(a));
}

TEST(sizes_that_nobody_has_are_refused)
{
        void *data = NULL;

        CHECK(ptl_spare_take(SIZE_MAX - 4095, &data) < 0);
        CHECK(data == NULL);
}
