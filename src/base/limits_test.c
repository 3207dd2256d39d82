/* SPDX-License-Identifier: Apache-2.0 */
/* base/limits_test.c - what a text or file makes of the limits, and what is said to be wrong with it */
#define _GNU_SOURCE
#include "base/limits.h"
#include "tst.h"
#include <sys/stat.h>

enum { TASK = PTL_QUOTA_TASK, UID = PTL_QUOTA_UID, ALL = PTL_QUOTA_ALL };

static struct ptl_limits limits;

static uint64_t value(const char *name)
{
        for (uint32_t i = 1; i <= PTL_QUOTA_LIMITS; i++)
                if (!strcmp(ptl_quota_name(i), name))
                        return ptl_limits_find(&limits, i)->value;
        CHECK(!"a limit");
        return 0;
}

static void parse(const char *text)
{
        ptl_limits_init(&limits);
        ptl_limits_parse(&limits, text, strlen(text), '\n', PTL_QUOTA_BY_USER, "here");
}

TEST(each_limit_has_a_number_and_a_name_of_its_own)
{
        ptl_limits_init(&limits);
        CHECK(!ptl_quota_name(0) && !ptl_limits_find(&limits, 0));
        CHECK(!ptl_quota_name(PTL_QUOTA_LIMITS + 1) && !ptl_limits_find(&limits, PTL_QUOTA_LIMITS + 1));
        for (uint32_t i = 1; i <= PTL_QUOTA_LIMITS; i++)
                for (uint32_t k = 1; k < i; k++) {
                        CHECK(strcmp(ptl_quota_name(i), ptl_quota_name(k)) != 0);
                        CHECK(ptl_limits_find(&limits, i) != ptl_limits_find(&limits, k));
                }
        CHECK_STR_EQ(ptl_quota_name(PTL_QUOTA_LIMIT(PTL_QUOTA_BYTES, UID)), "bytes.uid");
        CHECK(ptl_limits_find(&limits, PTL_QUOTA_LIMIT(PTL_QUOTA_BYTES, UID)) == &limits.at[PTL_QUOTA_BYTES][UID]);
        CHECK_STR_EQ(ptl_quota_name(PTL_QUOTA_LIMITS), "orphans.all");
}

TEST(the_defaults_are_those_of_the_manual)
{
        ptl_limits_init(&limits);
        CHECK_EQ(value("links.task"), 32);
        CHECK_EQ(value("links.all"), 0); /* reckoned from RLIMIT_NOFILE */
        CHECK_EQ(value("rights.task"), 256 << 10);
        CHECK_EQ(value("messages.uid"), 256 << 10);
        CHECK_EQ(value("bytes.all"), 1 << 30);
        CHECK_EQ(value("carried.task"), 64 << 10);
        CHECK_EQ(value("regions.uid"), 8 << 10);
        CHECK_EQ(value("parked.all"), 1 << 10);
        CHECK_EQ(value("orphans.task"), 64 << 20);
        CHECK_EQ(limits.n_faults, 0);
}

TEST(lines_set_limits_and_the_last_one_holds)
{
        parse("# of this machine\n"
              "\n"
              "messages.task = 7\n"
              "  bytes.uid=3K   # of one user\r\n"
              "\tlinks.all\t=\tunlimited\n"
              "messages.task = 2M\n"
              "rights.all = 18446744073709551615");
        CHECK_EQ(limits.n_faults, 0);
        CHECK_EQ(value("messages.task"), 2 << 20);
        CHECK_EQ(value("bytes.uid"), 3 << 10);
        CHECK_EQ(value("links.all"), PTL_QUOTA_UNLIMITED);
        CHECK_EQ(value("rights.all"), UINT64_MAX);
        CHECK_EQ(value("bytes.task"), 256 << 20);
        CHECK_EQ(limits.at[PTL_QUOTA_BYTES][UID].origin, PTL_QUOTA_BY_USER);
        CHECK_EQ(limits.at[PTL_QUOTA_BYTES][TASK].origin, PTL_QUOTA_BY_DEFAULT);
}

static const struct row {
        const char *name; /* the line */
        enum ptl_quota_fault_why why;
} rows[] = {
        {"messages.task",                      PTL_QUOTA_NO_EQUALS},
        {"messages.task 7",                    PTL_QUOTA_NO_EQUALS},
        {"= 7",                                PTL_QUOTA_NO_NAME  },
        {"messages = 7",                       PTL_QUOTA_NO_NAME  },
        {"messages.tasks = 7",                 PTL_QUOTA_NO_NAME  },
        {"Messages.task = 7",                  PTL_QUOTA_NO_NAME  },
        {"messages.task =",                    PTL_QUOTA_NO_VALUE },
        {"messages.task = # 7",                PTL_QUOTA_NO_VALUE },
        {"messages.task = 0",                  PTL_QUOTA_NO_VALUE },
        {"messages.task = 0K",                 PTL_QUOTA_NO_VALUE },
        {"messages.task = K",                  PTL_QUOTA_NO_VALUE },
        {"messages.task = -1",                 PTL_QUOTA_NO_VALUE },
        {"messages.task = +1",                 PTL_QUOTA_NO_VALUE },
        {"messages.task = 1 K",                PTL_QUOTA_NO_VALUE },
        {"messages.task = 1k",                 PTL_QUOTA_NO_VALUE },
        {"messages.task = 1KK",                PTL_QUOTA_NO_VALUE },
        {"messages.task = 7 = 8",              PTL_QUOTA_NO_VALUE },
        {"messages.task = 0x10",               PTL_QUOTA_NO_VALUE },
        {"messages.task = 1.5",                PTL_QUOTA_NO_VALUE },
        {"messages.task = Unlimited",          PTL_QUOTA_NO_VALUE },
        {"messages.task = 18446744073709551616", PTL_QUOTA_NO_VALUE},
        {"messages.task = 99999999999999999999999999", PTL_QUOTA_NO_VALUE},
        {"messages.task = 17179869184G",       PTL_QUOTA_NO_VALUE },
};

TEST(a_line_that_is_not_understood_is_said_and_changes_nothing)
{
        char text[256];

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                snprintf(text, sizeof text, "\nbytes.task = 5\n%s\nbytes.uid = 6\n", rows[i].name);
                parse(text);
                CHECK_ROW(i, &rows[i], limits.n_faults == 1);
                CHECK_ROW(i, &rows[i], limits.faults[0].why == rows[i].why && limits.faults[0].line == 3);
                CHECK_ROW(i, &rows[i], value("messages.task") == 64 << 10);
                CHECK_ROW(i, &rows[i], value("bytes.task") == 5 && value("bytes.uid") == 6);
        }
        CHECK_STR_EQ(limits.faults[0].path, "here");
        CHECK_STR_EQ(limits.faults[0].text, rows[ARRAY_LEN(rows) - 1].name);
        CHECK_EQ(limits.faults[0].origin, PTL_QUOTA_BY_USER);
}

TEST(limits_of_the_server_are_named_in_the_same_file)
{
        parse("server.tasks = 9\nserver.look_ups=2K\nserver.nonsense = 1\n");
        CHECK_EQ(limits.server[PTL_LIMIT_SERVER_TASKS].value, 9);
        CHECK_EQ(limits.server[PTL_LIMIT_SERVER_LOOK_UPS].value, 2048);
        CHECK_EQ(limits.server[PTL_LIMIT_SERVER_NAMES].value, 0);
        CHECK_EQ(limits.n_faults, 1);
        CHECK_EQ(limits.faults[0].line, 3);
}

TEST(many_faults_are_counted_and_the_first_are_kept)
{
        char text[8192] = "";

        for (int i = 0; i < 100; i++)
                strcat(text, "wrong and very long so that it has to be cut somewhere\n");
        parse(text);
        CHECK_EQ(limits.n_faults, 100);
        CHECK_EQ(limits.faults[PTL_LIMITS_FAULTS - 1].line, PTL_LIMITS_FAULTS);
        CHECK_EQ(strlen(limits.faults[0].text), sizeof limits.faults[0].text - 1);
}

TEST(the_variable_separates_by_commas)
{
        const char *text = "messages.task=1K,,bad,links.uid=64";

        ptl_limits_init(&limits);
        ptl_limits_parse(&limits, text, strlen(text), ',', PTL_QUOTA_BY_ENVIRONMENT, "PORTOLAN_LIMITS");
        CHECK_EQ(value("messages.task"), 1 << 10);
        CHECK_EQ(value("links.uid"), 64);
        CHECK_EQ(limits.n_faults, 1);
        CHECK_EQ(limits.faults[0].line, 3);
}

/* ---- files ---- */

static char path[4096];

static void write_file(const char *text, mode_t mode)
{
        FILE *f;

        snprintf(path, sizeof path, "%s/limits", tst_temp_dir());
        (void)!unlink(path);
        CHECK((f = fopen(path, "we")));
        CHECK(fputs(text, f) >= 0 && fclose(f) == 0);
        CHECK(chmod(path, mode) == 0);
}

static void read_path(void)
{
        ptl_limits_init(&limits);
        ptl_limits_read(&limits, PTL_QUOTA_BY_SYSTEM, path);
}

TEST(a_file_sets_limits)
{
        write_file("messages.task = 9\n", 0644);
        read_path();
        CHECK_EQ(limits.n_faults, 0);
        CHECK_EQ(value("messages.task"), 9);
        CHECK_EQ(limits.at[PTL_QUOTA_MESSAGES][TASK].origin, PTL_QUOTA_BY_SYSTEM);
}

TEST(a_file_that_is_not_there_is_no_fault)
{
        write_file("", 0644);
        CHECK(unlink(path) == 0);
        read_path();
        CHECK_EQ(limits.n_faults, 0);
        strcat(path, "/limits/limits");
        read_path();
        CHECK_EQ(limits.n_faults, 0);
}

static void check_not_believed(enum ptl_quota_fault_why why)
{
        read_path();
        CHECK_EQ(limits.n_faults, 1);
        CHECK_EQ(limits.faults[0].why, why);
        CHECK_EQ(limits.faults[0].line, 0);
        CHECK_EQ(value("messages.task"), 64 << 10);
}

TEST(a_file_that_others_can_write_is_not_believed)
{
        write_file("messages.task = 9\n", 0664);
        check_not_believed(PTL_QUOTA_NOT_SAFE);
        write_file("messages.task = 9\n", 0646);
        check_not_believed(PTL_QUOTA_NOT_SAFE);
}

TEST(what_is_no_file_is_not_believed_and_not_waited_for)
{
        write_file("", 0644);
        CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
        check_not_believed(PTL_QUOTA_NOT_SAFE);
        snprintf(path, sizeof path, "%s", tst_temp_dir());
        check_not_believed(PTL_QUOTA_NOT_SAFE);
}

TEST(a_file_that_is_too_long_is_not_believed)
{
        write_file("messages.task = 9\n", 0644);
        CHECK(truncate(path, PTL_LIMITS_FILE_MAX + 1) == 0);
        check_not_believed(PTL_QUOTA_TOO_LONG);
        CHECK(truncate(path, PTL_LIMITS_FILE_MAX) == 0);
        read_path();
        CHECK_EQ(value("messages.task"), 9); /* what follows are NULs: a line that is no item */
        CHECK_EQ(limits.n_faults, 1);
}

TEST(the_environment_is_stronger_than_the_users_file)
{
        char home[4096], folder[4200];

        snprintf(home, sizeof home, "%s", tst_temp_dir());
        snprintf(folder, sizeof folder, "%s/portolan", home);
        CHECK(mkdir(folder, 0700) == 0);
        write_file("messages.task = 9\nbytes.task = 10\nbytes.uid = 10\nwrong\n", 0600);
        snprintf(folder, sizeof folder, "%s/portolan/limits", home);
        CHECK(rename(path, folder) == 0);
        CHECK(setenv("XDG_CONFIG_HOME", home, 1) == 0);
        CHECK(setenv("PORTOLAN_LIMITS", "bytes.task=11", 1) == 0);
        ptl_limits_read_all(&limits);
        CHECK_EQ(value("messages.task"), 9);
        CHECK_EQ(value("bytes.task"), 11);
        CHECK_EQ(value("bytes.uid"), 10);
        CHECK_EQ(limits.at[PTL_QUOTA_MESSAGES][TASK].origin, PTL_QUOTA_BY_USER);
        CHECK_EQ(limits.at[PTL_QUOTA_BYTES][TASK].origin, PTL_QUOTA_BY_ENVIRONMENT);
        CHECK_EQ(limits.at[PTL_QUOTA_BYTES][ALL].origin, PTL_QUOTA_BY_DEFAULT);
        CHECK_EQ(limits.n_faults, 1);
        CHECK_EQ(limits.faults[0].line, 4);
}
