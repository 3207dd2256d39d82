/* SPDX-License-Identifier: Apache-2.0 */
/* process/tour_test.c - the tour succeeds, and leaves no process and no file, however it ends */
#include "cmd_run.h"

enum { TOUR_MS = 60000 };

static struct run r;

/* From here on the tour's folder is made in ours, and its orphans become our children. */
static void prepare(void)
{
        setenv("TMPDIR", tst_temp_dir(), 1);
        unsetenv("PORTOLAN_SOCKET");
        CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1L));
}

static int count_files(const char *path)
{
        DIR *d = opendir(path);
        int n = 0;

        CHECK(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static bool has_no_children(void)
{
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void check_nothing_left(void)
{
        CHECK(tst_wait_until(has_no_children(), 5000));
        CHECK_EQ(count_files(tst_temp_dir()), 0);
}

TEST_TIMES(a_quick_tour_is_ok_and_leaves_nothing, 4)
{
        prepare();
        RUN_START(&r, NULL, "tour", "--quick");
        int status = run_end(&r, TOUR_MS);
        if (status || strstr(r.out_text, "FAILED"))
                fprintf(stderr, "%s%s", r.out_text, r.err_text);
        CHECK_EQ(status, 0);
        CHECK(strstr(r.out_text, "Hello World!") && strstr(r.out_text, "All 8 steps ok"));
        CHECK_STR_EQ(r.err_text, "");
        check_nothing_left();
}

TEST_TIMES(a_tour_for_machines_has_an_object_a_step, 4)
{
        int lines = 0;

        prepare();
        RUN_START(&r, NULL, "tour", "--quick", "--json");
        CHECK_EQ(run_end(&r, TOUR_MS), 0);
        for (char *line = strtok(r.out_text, "\n"); line; line = strtok(NULL, "\n")) {
                CHECK_EQ(line[0], '{');
                CHECK(strstr(line, "\"ok\":true}"));
                lines++;
        }
        CHECK_EQ(lines, 9); /* the last is the whole tour's */
        check_nothing_left();
}

TEST_TIMES(an_interrupted_tour_leaves_nothing, 4)
{
        static const int signals[] = {SIGINT, SIGTERM};

        for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
                prepare();
                RUN_START(&r, NULL, "tour");
                CHECK(run_until(&r, "\n2  ", TOUR_MS));
                kill(r.pid, signals[i]);
                CHECK_EQ(run_end(&r, 10000), 128 + signals[i]);
                CHECK(strstr(r.out_text, "Interrupted"));
                check_nothing_left();
        }
}

TEST_TIMES(a_killed_tour_leaves_no_actors, 4)
{
        prepare();
        RUN_START(&r, NULL, "tour");
        CHECK(run_until(&r, "\n2  ", TOUR_MS));
        kill(r.pid, SIGKILL);
        CHECK_EQ(run_end(&r, 10000), 128 + SIGKILL);
        /* its server leaves by itself when it has been idle; nothing but that and its socket is
         * left */
        CHECK(count_files(tst_temp_dir()) <= 1);
}

TEST(a_tour_without_a_server_is_status_4)
{
        prepare();
        setenv("PORTOLAND", "/nonexistent/portoland", 1);
        CHECK_EQ(RUN(&r, NULL, "tour", "--quick"), 4);
        CHECK(strstr(r.err_text, "portolan: cannot start a name server"));
        check_nothing_left();
}
