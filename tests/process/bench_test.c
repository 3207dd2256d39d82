/* SPDX-License-Identifier: Apache-2.0 */
/* portolan bench: its lines are JSON with the promised keys, and its checks of content are real */
#include "tst.h"

static const char *const keys[] = {
        "bench", "size", "placement", "wait", "p50_ns", "p99_ns", "rate_per_s", "bytes_per_s",
        "cpu_ns_per_msg", "ratio",
};

struct output {
        char text[1 << 17];
        int status; /* of the command */
};

static const char *tool(void)
{
        const char *path = getenv("PORTOLAN");

        if (!path)
                SKIP("PORTOLAN does not name the tool");
        return path;
}

/* Runs `portolan bench` with @arguments to its end. Both output streams go to @o if @all. */
static void run(struct output *o, const char *arguments, const char *environment, bool all)
{
        char command[1024];
        size_t have, room = sizeof o->text - 1;
        FILE *f;

        snprintf(command, sizeof command, "%s '%s' bench %s %s", environment, tool(), arguments,
                 all ? "2>&1" : "");
        f = popen(command, "r");
        CHECK(f);
        have = fread(o->text, 1, room, f);
        CHECK(have < room);
        o->text[have] = '\0';
        o->status = pclose(f);
        o->status = WIFEXITED(o->status) ? WEXITSTATUS(o->status) : -1;
}

/* Of a flat object: {"key":value,...}; values are strings without escapes, numbers, words. */
static const char *skip_value(const char *s)
{
        if (*s == '"') {
                s = strchr(s + 1, '"');
                return s ? s + 1 : NULL;
        }
        size_t n = strspn(s, "+-.0123456789eEaflnrstu");

        return n ? s + n : NULL;
}

static bool is_object(const char *s)
{
        if (*s++ != '{')
                return false;
        while (*s == '"') {
                s = strstr(s, "\":");
                if (!s || !(s = skip_value(s + 2)))
                        return false;
                if (*s == '}')
                        return s[1] == '\0';
                if (*s++ != ',')
                        return false;
        }
        return false;
}

static bool has_key(const char *line, const char *key)
{
        char quoted[64];

        snprintf(quoted, sizeof quoted, "\"%s\":", key);
        return strstr(line, quoted) != NULL;
}

static void check_line(const char *line)
{
        if (!is_object(line))
                fprintf(stderr, "# %s\n", line);
        CHECK(is_object(line));
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                CHECK_ROW(i, &(struct { const char *name; }){keys[i]}, has_key(line, keys[i]));
        CHECK(has_key(line, "reference_p50_ns") || has_key(line, "reference_rate_per_s"));
}

static struct output o;

TEST_TIMES(quick_run_prints_an_object_a_line_with_the_promised_keys, 3)
{
        unsigned lines = 0;
        char *rest = o.text;

        run(&o, "--quick call send --json", "", false);
        CHECK_EQ(o.status, 0);
        for (char *line; (line = strsep(&rest, "\n")) && *line; lines++)
                check_line(line);
        CHECK(lines >= 2);
}

TEST_TIMES(one_damaged_message_fails_the_run, 3)
{
        run(&o, "--quick call --json", "PORTOLAN_BENCH_CORRUPT=1", true);
        CHECK_EQ(o.status, 1);
        CHECK(strstr(o.text, "arrived damaged"));
        CHECK(!strstr(o.text, "\"p50_ns\""));
}

TEST_TIMES(one_damaged_message_of_a_stream_fails_the_run, 3)
{
        run(&o, "--quick send --json", "PORTOLAN_BENCH_CORRUPT=1", true);
        CHECK_EQ(o.status, 1);
        CHECK(strstr(o.text, "arrived damaged"));
}

/* Those that say more than the others. */
static const struct own_key {
        const char *bench, *key;
} own_keys[] = {
        {"right-send",           "beyond_reference_ns"   },
        {"right-send-home",      "beyond_reference_ns"   },
        {"right-call",           "beyond_reference_ns"   },
        {"right-call-home",      "beyond_reference_ns"   },
        {"right-first",          "beyond_reference_ns"   },
        {"right-first-new-link", "beyond_reference_ns"   },
        {"death-notice",         "p99_ns"                },
        {"rights-held",          "bytes_per_right_owner" },
        {"rights-held",          "bytes_per_right_holder"},
};

/* Which lines there are depends on who else uses the machine: that they say what they are to is looked at. */
TEST_TIMES(what_rights_cost_is_told_line_by_line, 6)
{
        unsigned lines = 0;
        char *rest = o.text;

        run(&o, "--quick rights --json", "", false);
        CHECK_EQ(o.status, 0);
        for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
                check_line(line);
                for (size_t i = 0; i < ARRAY_LEN(own_keys); i++) {
                        char name[64];

                        snprintf(name, sizeof name, "\"bench\":\"%s\",", own_keys[i].bench);
                        if (strstr(line, name))
                                CHECK_ROW(i, &(struct { const char *name; }){own_keys[i].key}, has_key(line, own_keys[i].key));
                }
        }
        CHECK(lines > 0);
}

TEST_TIMES(one_damaged_message_with_a_right_fails_the_run, 3)
{
        run(&o, "--quick rights --json", "PORTOLAN_BENCH_CORRUPT=1", true);
        CHECK_EQ(o.status, 1);
        CHECK(strstr(o.text, "arrived damaged"));
}

TEST_TIMES(one_cpu_is_enough_and_is_said, 3)
{
        run(&o, "--quick wake --json", "exec taskset 1 env", true);
        if (strstr(o.text, "failed to set"))
                SKIP("CPU 0 is not ours");
        CHECK_EQ(o.status, 0);
        CHECK(strstr(o.text, "same-cpu only"));
        CHECK(strstr(o.text, "\"placement\":\"same-cpu\""));
        CHECK(!strstr(o.text, "\"placement\":\"far\""));
}

TEST_TIMES(nothing_is_left_behind, 3)
{
        char pattern[160], command[256];

        snprintf(pattern, sizeof pattern, "TMPDIR='%s'", tst_temp_dir());
        run(&o, "--quick idle", pattern, true);
        CHECK_EQ(o.status, 0);
        snprintf(command, sizeof command, "ls -A '%s' | wc -l", tst_temp_dir());
        FILE *f = popen(command, "r");
        int left = -1;

        CHECK(f && fscanf(f, "%d", &left) == 1);
        pclose(f);
        CHECK_EQ(left, 0);
}

TEST(unknown_names_and_options_are_usage_errors)
{
        run(&o, "nonsense", "", true);
        CHECK_EQ(o.status, 2);
        CHECK(strstr(o.text, "there is no benchmark 'nonsense'"));
        run(&o, "--seconds 0", "", true);
        CHECK_EQ(o.status, 2);
        run(&o, "--repetitions 65", "", true);
        CHECK_EQ(o.status, 2);
}
