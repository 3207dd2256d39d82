/* SPDX-License-Identifier: Apache-2.0 */
/* quota_test.c - limits, use and refusals as a program sees them; arguments that cannot be */
#include "api.h"

enum { BYTES_TASK = 1 + PTL_QUOTA_BYTES * PTL_QUOTA_SCOPES + PTL_QUOTA_TASK };

API_TEST(each_limit_can_be_read_and_set)
{
        uint64_t value;
        uint32_t origin;

        for (uint32_t i = 1; i <= PTL_QUOTA_LIMITS; i++) {
                OK(ptl_quota_get(i, &value, &origin));
                CHECK(value > 0);
                CHECK_EQ(origin, PTL_QUOTA_BY_DEFAULT);
                OK(ptl_quota_set(i, i + 1000));
                OK(ptl_quota_get(i, &value, &origin));
                CHECK_EQ(value, i + 1000);
                CHECK_EQ(origin, PTL_QUOTA_BY_CALL);
        }
        OK(ptl_quota_set(BYTES_TASK, PTL_QUOTA_UNLIMITED));
        OK(ptl_quota_get(BYTES_TASK, &value, NULL));
        CHECK_EQ(value, PTL_QUOTA_UNLIMITED);
}

API_TEST(arguments_that_cannot_be_are_refused)
{
        uint64_t value = 77;
        size_t n;

        OUTCOME(ptl_quota_get(0, &value, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_get(PTL_QUOTA_LIMITS + 1, &value, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_get(UINT32_MAX, &value, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_get(1, NULL, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_set(0, 5), PTL_E_INVALID);
        OUTCOME(ptl_quota_set(PTL_QUOTA_LIMITS + 1, 5), PTL_E_INVALID);
        OUTCOME(ptl_quota_set(1, 0), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_use(NULL, 1, &n), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_use(NULL, 0, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_refusals(NULL, 1, &n), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_refusals(NULL, 0, NULL), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_faults(NULL, 1, &n), PTL_E_INVALID);
        OUTCOME(ptl_quota_get_faults(NULL, 0, NULL), PTL_E_INVALID);
        CHECK_EQ(value, 77);
        OK(ptl_quota_get(1, &value, NULL));
        CHECK_EQ(value, 32);
        CHECK(!ptl_quota_name(0) && !ptl_quota_name(PTL_QUOTA_LIMITS + 1));
        CHECK_STR_EQ(ptl_quota_name(BYTES_TASK), "bytes.task");
}

API_TEST(a_task_alone_is_made_to_hold_nothing)
{
        struct ptl_quota_use use[2];
        size_t n;

        put(new_send_port(), "its own message counts for nobody");
        OK(ptl_quota_get_use(use, 2, &n));
        CHECK_EQ(n, 1);
        CHECK_EQ(use[0].scope, PTL_QUOTA_ALL);
        for (int i = 0; i < PTL_QUOTA_KINDS; i++)
                CHECK_EQ(use[0].use[i], 0);
        OK(ptl_quota_get_refusals(NULL, 0, &n));
        CHECK_EQ(n, 0);
        OK(ptl_quota_get_faults(NULL, 0, &n));
        CHECK_EQ(n, 0);
}

API_TEST(a_limit_that_was_set_ends_with_the_task)
{
        uint64_t value;
        uint32_t origin;

        OK(ptl_quota_set(BYTES_TASK, 5));
        OK(ptl_task_leave());
        OK(ptl_quota_get(BYTES_TASK, &value, &origin));
        CHECK_EQ(value, 256 << 20);
        CHECK_EQ(origin, PTL_QUOTA_BY_DEFAULT);
}
