/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes: every value has a text, a name and an errno, and no two the same name. */
#include "api.h"

struct outcome_row {
        int outcome;
        const char *name, *text;
};

#define OUTCOME_ROW(n, value, text) {PTL_E_##n, "PTL_E_" #n, text},
static const struct outcome_row outcomes[] = {PTL_OUTCOMES(OUTCOME_ROW)};

#define ERRNO_ROW(e)                                                                               \
        {                                                                                          \
                -(e), "-" #e, NULL                                                                 \
        }
static const struct outcome_row others[] = {
        {0, "0", NULL},
        ERRNO_ROW(ENOMEM), ERRNO_ROW(EMFILE), ERRNO_ROW(ENFILE),
        ERRNO_ROW(ENOSPC), ERRNO_ROW(EPERM),  ERRNO_ROW(EACCES), ERRNO_ROW(EIO)
};

static void check_row(size_t i, const struct outcome_row *r)
{
        int e = ptl_outcome_errno(r->outcome);

        CHECK_STR_EQ(ptl_outcome_name(r->outcome), r->name);
        if (r->text)
                CHECK_STR_EQ(ptl_outcome_text(r->outcome), r->text);
        CHECK_ROW(i, r, strcmp(ptl_outcome_text(r->outcome), "unknown outcome") != 0);
        CHECK_ROW(i, r, strlen(ptl_outcome_text(r->outcome)) > 0);
        CHECK_ROW(i, r, r->outcome == 0 ? e == 0 : e > 0);
        if (r->outcome < 0)
                CHECK_EQ(e, -r->outcome);
}

TEST(x05_every_outcome_has_its_name_text_and_errno)
{
        CHECK_EQ(ARRAY_LEN(outcomes), PTL_E_COUNT_ - 1);
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
                check_row(i, &outcomes[i]);
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
                check_row(i, &others[i]);
}

TEST(x05_texts_have_no_full_stop_and_no_line_end)
{
        for (int o = -4095; o <= 100; o++) {
                const char *t = ptl_outcome_text(o);

                CHECK(*t);
                CHECK(t[strlen(t) - 1] != '.');
                CHECK(!strchr(t, '\n'));
        }
}

TEST(x05_outcomes_are_total)
{
        for (int o = -4095; o <= 100; o++) {
                bool is_outcome = o >= 0 && o < PTL_E_COUNT_;

                CHECK(ptl_outcome_text(o) != NULL);
                CHECK(ptl_outcome_name(o) != NULL);
                CHECK(o == 0 ? ptl_outcome_errno(o) == 0 : ptl_outcome_errno(o) > 0);
                CHECK(ptl_outcome_errno(o) < 4096);
                if (is_outcome)
                        CHECK(strcmp(ptl_outcome_name(o), "?") != 0);
                if (o >= PTL_E_COUNT_) {
                        CHECK_STR_EQ(ptl_outcome_name(o), "?");
                        CHECK_STR_EQ(ptl_outcome_text(o), "unknown outcome");
                }
        }
}

TEST(x05_values_far_from_any_outcome_are_unknown)
{
        const int values[] = {INT32_MIN, INT32_MIN + 1, -100000, -4096, 101, 4096, INT32_MAX};

        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                CHECK_STR_EQ(ptl_outcome_name(values[i]), "?");
                CHECK_STR_EQ(ptl_outcome_text(values[i]), "unknown outcome");
                CHECK(ptl_outcome_errno(values[i]) > 0);
        }
}

TEST(x05_no_two_outcomes_share_a_name_or_a_text)
{
        for (int a = 0; a < PTL_E_COUNT_; a++)
                for (int b = a + 1; b < PTL_E_COUNT_; b++) {
                        CHECK(strcmp(ptl_outcome_name(a), ptl_outcome_name(b)) != 0);
                        CHECK(strcmp(ptl_outcome_text(a), ptl_outcome_text(b)) != 0);
                }
}

TEST(x05_asking_what_an_outcome_means_leaves_errno_alone)
{
        errno = 4242;
        for (int o = -4095; o <= 100; o++)
                CHECK(ptl_outcome_text(o) && ptl_outcome_name(o) && ptl_outcome_errno(o) >= 0);
        CHECK_EQ(errno, 4242);
}

TEST(the_version_is_that_of_the_headers)
{
        char expected[32];

        snprintf(expected, sizeof expected, "%d.%d.%d", PTL_VERSION_MAJOR, PTL_VERSION_MINOR,
                 PTL_VERSION_PATCH);
        CHECK_STR_EQ(ptl_version(), expected);
}
