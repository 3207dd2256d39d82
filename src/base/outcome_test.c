/* SPDX-License-Identifier: Apache-2.0 */
/* base/outcome_test.c - every outcome has a name, a text and an errno; nonsense has none */
#include "base/cleanup.h"
#include "tst.h"
#include <limits.h>
#include <portolan/outcome.h>

static const struct outcome_row {
        const char *name, *text;
        int value;
} outcomes[] = {
#define ROW(outcome, number, what) {"PTL_E_" #outcome, what, number},
        PTL_OUTCOMES(ROW)
#undef ROW
};

TEST(every_outcome_has_its_name_and_text)
{
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
                const struct outcome_row *row = &outcomes[i];

                CHECK_STR_EQ(ptl_outcome_name(row->value), row->name);
                CHECK_STR_EQ(ptl_outcome_text(row->value), row->text);
                CHECK_ROW(i, row, row->text[0] && row->text[strlen(row->text) - 1] != '.');
        }
}

TEST(outcomes_are_numbered_without_a_hole)
{
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
                CHECK_EQ(outcomes[i].value, (int)i + 1);
        CHECK_EQ(PTL_E_COUNT_, (int)ARRAY_LEN(outcomes) + 1);
}

TEST(every_outcome_has_an_errno_that_the_system_knows)
{
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
                int error = ptl_outcome_errno(outcomes[i].value);

                CHECK_ROW(i, &outcomes[i], error > 0 && strerrorname_np(error));
        }
}

TEST(success_is_no_error)
{
        CHECK_STR_EQ(ptl_outcome_name(0), "0");
        CHECK(strcmp(ptl_outcome_text(0), "unknown outcome") != 0);
        CHECK_EQ(ptl_outcome_errno(0), 0);
}

TEST(every_errno_has_its_text_and_name)
{
        unsigned known = 0;

        for (int error = 1; error < 4096; error++) {
                const char *name = strerrorname_np(error);

                if (!name)
                        continue;
                known++;
                CHECK_STR_EQ(ptl_outcome_text(-error), strerrordesc_np(error));
                CHECK_EQ(ptl_outcome_name(-error)[0], '-');
                CHECK_STR_EQ(ptl_outcome_name(-error) + 1, name);
                CHECK_EQ(ptl_outcome_errno(-error), error);
        }
        CHECK(known > 100);
}

TEST(values_of_no_meaning_are_unknown)
{
        static const int none[] = {
                PTL_E_COUNT_, PTL_E_COUNT_ + 1, 1000,    INT_MAX, -1000,
                -4096,        INT_MIN + 1,      INT_MIN, -41 /* a hole in errno */};

        for (size_t i = 0; i < ARRAY_LEN(none); i++) {
                CHECK_STR_EQ(ptl_outcome_text(none[i]), "unknown outcome");
                CHECK_STR_EQ(ptl_outcome_name(none[i]), "?");
                CHECK(ptl_outcome_errno(none[i]) > 0);
        }
}
