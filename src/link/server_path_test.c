/* SPDX-License-Identifier: Apache-2.0 */
/* link/server_path_test.c - which server is used, and which folders are trusted */
#define _GNU_SOURCE
#include "link/server_path.h"
#include "tst.h"
#include <limits.h>

static char path[PTL_SERVER_PATH_SIZE], expected[512];
static enum ptl_server_kind kind;

/* A runtime folder of this case's own; returns the folder of the socket in it. */
static const char *use_runtime_folder(void)
{
        static char folder[256];

        CHECK(setenv("XDG_RUNTIME_DIR", tst_temp_dir(), 1) == 0);
        CHECK(unsetenv("PORTOLAN_SOCKET") == 0);
        snprintf(folder, sizeof folder, "%s/portolan", tst_temp_dir());
        return folder;
}

TEST(the_environment_names_the_server_first)
{
        CHECK(setenv("PORTOLAN_SOCKET", "/some/where", 1) == 0);
        CHECK_EQ(ptl_server_path(path, &kind), 0);
        CHECK_STR_EQ(path, "/some/where");
        CHECK_EQ(kind, PTL_SERVER_GIVEN);
}

TEST(an_empty_variable_is_none)
{
        use_runtime_folder();
        CHECK(setenv("PORTOLAN_SOCKET", "", 1) == 0);
        CHECK_EQ(ptl_server_path(path, &kind), 0);
        CHECK(kind != PTL_SERVER_GIVEN);
}

TEST(a_path_that_does_not_fit_is_too_big)
{
        char name[PTL_SERVER_PATH_SIZE + 1];

        memset(name, 'x', sizeof name);
        name[PTL_SERVER_PATH_SIZE] = 0;
        CHECK(setenv("PORTOLAN_SOCKET", name, 1) == 0);
        CHECK_EQ(ptl_server_path(path, &kind), PTL_E_TOO_BIG);
        name[PTL_SERVER_PATH_SIZE - 1] = 0;
        CHECK(setenv("PORTOLAN_SOCKET", name, 1) == 0);
        CHECK_EQ(ptl_server_path(path, &kind), 0);
        CHECK_STR_EQ(path, name);
}

TEST(the_own_server_is_in_the_runtime_folder)
{
        snprintf(expected, sizeof expected, "%s/portolan.sock", use_runtime_folder());
        CHECK_EQ(ptl_server_path_own(path), 0);
        CHECK_STR_EQ(path, expected);
}

TEST(a_runtime_folder_that_is_no_real_one_of_ours_is_not_used)
{
        char link[256], in_tmp[64];

        use_runtime_folder();
        snprintf(in_tmp, sizeof in_tmp, "/tmp/portolan-%u/portolan.sock", (unsigned)geteuid());
        snprintf(link, sizeof link, "%s/link", tst_temp_dir());
        CHECK(symlink(tst_temp_dir(), link) == 0);
        const char *bad[] = {link, "/nowhere", "relative", ""};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                CHECK(setenv("XDG_RUNTIME_DIR", bad[i], 1) == 0);
                CHECK_EQ(ptl_server_path_own(path), 0);
                CHECK_STR_EQ(path, in_tmp);
        }
        CHECK(unsetenv("XDG_RUNTIME_DIR") == 0);
        CHECK_EQ(ptl_server_path_own(path), 0);
        CHECK_STR_EQ(path, in_tmp);
}

TEST(the_folder_is_made_with_mode_0700_and_taken_again)
{
        const char *folder = use_runtime_folder();
        struct stat st;

        CHECK_EQ(ptl_server_path_own(path), 0);
        CHECK_EQ(ptl_server_directory_make(path), 0);
        CHECK(stat(folder, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
        CHECK_EQ(ptl_server_directory_make(path), 0);
}

TEST(the_own_folder_is_refused_if_others_may_enter_it)
{
        const char *folder = use_runtime_folder();

        CHECK_EQ(ptl_server_path_own(path), 0);
        CHECK(mkdir(folder, 0700) == 0 && chmod(folder, 0711) == 0);
        CHECK_EQ(ptl_server_directory_make(path), PTL_E_REFUSED);
        CHECK(chmod(folder, 0700) == 0);
        CHECK_EQ(ptl_server_directory_make(path), 0);
}

TEST(the_own_folder_is_refused_if_it_is_a_link)
{
        char other[256];

        const char *folder = use_runtime_folder();
        CHECK_EQ(ptl_server_path_own(path), 0);
        snprintf(other, sizeof other, "%s/other", tst_temp_dir());
        CHECK(mkdir(other, 0700) == 0 && symlink(other, folder) == 0);
        CHECK_EQ(ptl_server_directory_make(path), PTL_E_REFUSED);
}

TEST(the_own_folder_is_refused_if_it_is_another_users)
{
        const char *folder = use_runtime_folder();

        if (geteuid() != 0)
                SKIP("only root can give folders away");
        CHECK_EQ(ptl_server_path_own(path), 0);
        CHECK(mkdir(folder, 0700) == 0 && chown(folder, 12345, 0) == 0);
        CHECK_EQ(ptl_server_directory_make(path), PTL_E_REFUSED);
}

TEST(a_folder_that_was_chosen_is_taken_as_it_is)
{
        use_runtime_folder();
        snprintf(path, sizeof path, "%s/my.sock", tst_temp_dir());
        CHECK(chmod(tst_temp_dir(), 0755) == 0);
        CHECK_EQ(ptl_server_directory_make(path), 0);
        snprintf(path, sizeof path, "%s/new/my.sock", tst_temp_dir());
        CHECK_EQ(ptl_server_directory_make(path), 0);
        snprintf(path, sizeof path, "%s/two/levels/my.sock", tst_temp_dir());
        CHECK_EQ(ptl_server_directory_make(path), -ENOENT);
        CHECK_EQ(ptl_server_directory_make("no-slash"), PTL_E_INVALID);
        CHECK_EQ(ptl_server_directory_make("/root.sock"), 0);
}
