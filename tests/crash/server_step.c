/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_step.c - kills portoland itself after the machine instructions of an update, and starts it again
 *
 * What was answered is so at the next start, before anybody has come back; who watches hears of each name
 * once at least and twice at most, whatever the instant was. The journal alone is journal_step.c's.
 *
 *   STEP_STRIDE   visit every so manieth instruction; 1 is the full run (else 197)
 *   STEP_OFFSET   and begin with this one (else it moves on each day)
 */
#include "../process/manager.h"
#include <sys/ptrace.h>

enum { STRIDE = 197, BLOCKED_MS = 50 };

static struct manager manager;
#define M (&manager)

/* A task, and what it has been told of the name. */
struct told {
        struct raw raw;
        unsigned added, removed;
};

struct scene {
        enum ptl_server_type update; /* PUBLISH or WITHDRAW */
        struct told owner, watcher;
        bool was_answered;
};

/* ---- the tasks ---- */

static bool take(struct told *t)
{
        if (!raw_receive(&t->raw))
                return false;
        t->added += t->raw.msg.type == PTL_SM_NAME_ADDED;
        t->removed += t->raw.msg.type == PTL_SM_NAME_REMOVED;
        return true;
}

/* The answer to what was asked last; events before it are counted. */
static int answer(struct told *t)
{
        do
                CHECK(take(t));
        while (t->raw.msg.serial != t->raw.serial);
        return t->raw.msg.type == PTL_SM_RESULT ? t->raw.msg.result.outcome : 0;
}

static int ask(struct told *t, struct ptl_server_msg msg)
{
        raw_send(&t->raw, msg);
        return answer(t);
}

static struct ptl_server_msg publish_name(void)
{
        struct ptl_server_msg msg = raw_named(PTL_SM_PUBLISH, "name");

        msg.publish = (struct ptl_sm_publish){.kind = PTL_SM_KIND_PORT, .limit_messages = 7, .ticket = 9};
        return msg;
}

static void watch(struct told *t)
{
        struct ptl_server_msg msg = {.type = PTL_SM_WATCH, .watch.cookie = 1};

        CHECK_EQ(ask(t, msg), 0);
}

static void come_back(struct told *t)
{
        int passport = raw_take_passport(&t->raw);

        raw_close(&t->raw);
        t->raw = raw_connect();
        raw_hello(&t->raw, passport);
        close(passport);
        CHECK(t->raw.msg.welcome.features & PTL_SM_RECALLED);
}

static bool is_there(void)
{
        struct told other = {.raw = raw_task()};
        struct ptl_server_msg msg = raw_named(PTL_SM_LOOK_UP, "name");
        int r = ask(&other, msg);

        raw_close(&other.raw);
        CHECK(r == 0 || r == PTL_E_NOT_FOUND);
        return r == 0;
}

/* ---- stepping ---- */

/* One instruction; false: it waits for the next event. */
static bool step(pid_t pid)
{
        int64_t end = tst_now_ms() + tst_deadline_ms(BLOCKED_MS);
        int status;
        pid_t p;

        CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        while ((p = waitpid(pid, &status, WNOHANG)) == 0 && tst_now_ms() < end)
                ;
        CHECK(p == 0 || (p == pid && WIFSTOPPED(status)));
        return p == pid;
}

/* How many instructions it made, @most of them. */
static unsigned step_server(pid_t pid, unsigned most)
{
        unsigned n = 0;

        while (n < most && step(pid))
                n++;
        return n;
}

static void stop_server(pid_t pid)
{
        int status;

        if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
                SKIP("ptrace is not permitted");
        CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
}

/* ---- a scene ---- */

static void begin(struct scene *s)
{
        manager_start(M);
        s->owner = (struct told){.raw = raw_task()};
        s->watcher = (struct told){.raw = raw_task()};
        watch(&s->watcher);
        if (s->update == PTL_SM_WITHDRAW)
                CHECK_EQ(ask(&s->owner, publish_name()), 0);
        (void)raw_status(&s->owner.raw); /* all was told, and it knows that */
        if (s->update == PTL_SM_WITHDRAW) {
                CHECK(take(&s->watcher) && s->watcher.added == 1);
                s->watcher.added = 0;
        }
        stop_server(M->server);
        raw_send(&s->owner.raw, s->update == PTL_SM_PUBLISH ? publish_name() : raw_named(PTL_SM_WITHDRAW, "name"));
}

/* What it had said before it died. */
static void die(struct scene *s)
{
        manager_kill(M);
        s->was_answered = false;
        while (take(&s->owner))
                s->was_answered |= s->owner.raw.msg.serial == s->owner.raw.serial;
        while (take(&s->watcher))
                ;
}

static void go_on(struct scene *s)
{
        bool is_published = s->update == PTL_SM_PUBLISH;
        char text[256];

        manager_start(M);
        if (s->was_answered)
                CHECK_EQ(is_there(), is_published);
        come_back(&s->owner);
        if (is_published)
                CHECK_EQ(ask(&s->owner, publish_name()), 0);
        CHECK_EQ(ask(&s->owner, (struct ptl_server_msg){.type = PTL_SM_ASSERTED}), 0);
        come_back(&s->watcher);
        watch(&s->watcher);
        CHECK_EQ(ask(&s->watcher, (struct ptl_server_msg){.type = PTL_SM_ASSERTED}), 0);
        CHECK_EQ(ask(&s->watcher, (struct ptl_server_msg){.type = PTL_SM_STATUS}), 0);
        CHECK_EQ(is_there(), is_published);
        CHECK(is_published ? s->watcher.added >= 1 && s->watcher.added <= 2 && !s->watcher.removed
                           : s->watcher.removed >= 1 && s->watcher.removed <= 2 && !s->watcher.added);
        manager_kill(M);
        manager_read_errors(M, text, sizeof text);
        CHECK_STR_EQ(text, "");
}

static void end_scene(struct scene *s)
{
        raw_close(&s->owner.raw);
        raw_close(&s->watcher.raw);
        manager_drop(M, "portolan.journal");
}

/* The next point begins with nothing. */
static unsigned one_point(struct scene *s, unsigned point)
{
        unsigned n;

        begin(s);
        n = step_server(M->server, point);
        die(s);
        go_on(s);
        end_scene(s);
        return n;
}

static unsigned number_from(const char *variable, unsigned by_default)
{
        const char *text = getenv(variable);

        return text ? (unsigned)strtoul(text, NULL, 10) : by_default;
}

static void die_everywhere(enum ptl_server_type update)
{
        struct scene s = {.update = update};
        unsigned n, stride = number_from("STEP_STRIDE", STRIDE), points = 0, answered = 0;

        manager_open(M, false);
        n = one_point(&s, UINT32_MAX); /* to its end */
        CHECK(s.was_answered && n > 1000);
        for (unsigned at = number_from("STEP_OFFSET", (unsigned)(time(NULL) / 86400)) % stride; at < n; at += stride) {
                one_point(&s, at);
                points++;
                answered += s.was_answered;
        }
        fprintf(stderr, "# %u points of %u, %u behind the answer\n", points, n, answered);
        CHECK(points > 5 && answered > 0 && answered < points);
        manager_close(M);
}

TEST_TIMES(it_may_die_anywhere_in_a_publication, 4) { die_everywhere(PTL_SM_PUBLISH); }

TEST_TIMES(it_may_die_anywhere_in_a_withdrawal, 4) { die_everywhere(PTL_SM_WITHDRAW); }
