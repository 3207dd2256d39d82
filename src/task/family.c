/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task/family.c - parents, children, and the port they begin with
 *
 * What is inherited goes through the environment, which fork and exec keep: a name that nobody is shown
 * and nobody can guess.
 */
#define _GNU_SOURCE
#include "task/family.h"
#include "base/cancel.h"
#include <portolan/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

enum { SECRET_WORDS = 2, SECRET_TEXT = SECRET_WORDS * 16, PATIENCE_MS = 1000 };

struct secret {
        char text[SECRET_TEXT + 1];
};

/* "\1child.": not listed (server/name.h). */
static void hidden_name(const char *what, const char *secret, char *ret_name, size_t size)
{
        snprintf(ret_name, size, "\1%s.%s", what, secret);
}

static int make_secret(struct secret *ret)
{
        PTL_NO_CANCEL;
        uint64_t words[SECRET_WORDS];

        if (getrandom(words, sizeof words, 0) != sizeof words)
                return -errno;
        for (int i = 0; i < SECRET_WORDS; i++)
                snprintf(ret->text + i * 16, 17, "%016llx", (unsigned long long)words[i]);
        return 0;
}

static bool is_secret(const char *text)
{
        return strlen(text) == SECRET_TEXT && strspn(text, "0123456789abcdef") == SECRET_TEXT;
}

/* The lock is held, and let go while the server is asked. */
static int publish_hidden(struct ptl_task *task, const char *what, ptl_port port, struct secret *ret)
{
        char name[64];
        int r = make_secret(ret);

        if (r)
                return r;
        hidden_name(what, ret->text, name, sizeof name);
        return ptl_name_publish_locked(task, name, port);
}

static int set_environment(const char *name, const char *value)
{
        int r = value ? setenv(name, value, 1) : unsetenv(name);

        return r ? -errno : 0;
}

/* --- children --- */

static int open_nursery(struct ptl_task *task)
{
        struct ptl_served *served = &task->served;
        char value[SECRET_TEXT + 16];
        struct secret secret;
        ptl_port nursery;
        int r;

        if (served->nursery)
                return 0;
        r = ptl_served_receiver(task, &nursery);
        if (!r)
                r = publish_hidden(task, "child", nursery, &secret);
        if (r)
                return r; /* the receiver stays, nobody knows it */
        served->nursery = nursery;
        snprintf(value, sizeof value, "%d:%s", (int)getpid(), secret.text);
        return set_environment("PORTOLAN_PARENT", value);
}

static void close_nursery(struct ptl_task *task)
{
        struct ptl_receiver *nursery = ptl_receiver_of(&task->space, task->served.nursery);

        task->served.nursery = PTL_NULL;
        if (!nursery)
                return;
        if (ptl_receiver_ticket(nursery))
                ptl_names_of_port_end(task, ptl_receiver_ticket(nursery));
        ptl_receiver_free(&task->space, nursery);
}

int ptl_task_watch_children(ptl_port notify)
{
        struct ptl_task *task;
        struct ptl_entry *e;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        if (!notify) {
                task->served.children = PTL_NULL;
                close_nursery(task);
                return ptl_task_end(task, set_environment("PORTOLAN_PARENT", NULL));
        }
        r = ptl_receiver_look(&task->space, notify, &e);
        if (!r)
                r = open_nursery(task);
        if (!r)
                task->served.children = notify;
        return ptl_task_end(task, r);
}

/* "PID:SECRET" of this process's parent? */
static bool has_parent_who_asks(struct secret *ret)
{
        const char *value = secure_getenv("PORTOLAN_PARENT");
        char *end;
        long pid = value ? strtol(value, &end, 10) : 0;

        if (pid <= 0 || *end != ':' || !is_secret(end + 1) || pid != getppid())
                return false;
        memcpy(ret->text, end + 1, sizeof ret->text);
        return true;
}

void ptl_family_report(void)
{
        struct ptl_right_item own = {.disposition = PTL_MOVE_SEND};
        struct ptl_outgoing out = {.rights = &own, .n_rights = 1};
        struct secret secret;
        ptl_port parent;
        char name[64];

        if (!has_parent_who_asks(&secret))
                return;
        hidden_name("child", secret.text, name, sizeof name);
        if (ptl_name_look_up(name, &parent, PTL_NOW))
                return;
        if (!ptl_task_port(&own.port) && ptl_send_message(parent, &out, ptl_after_ms(PATIENCE_MS)))
                (void)ptl_right_release(own.port);
        (void)ptl_right_release(parent);
}

bool ptl_family_is_child(const struct ptl_message *m)
{
        siginfo_t info;

        return m->n_rights == 1 && m->rights[0].disposition == PTL_RIGHT_SEND && m->sender &&
               waitid(P_PID, (id_t)m->sender->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* --- bootstrap --- */

/* A port of another task is lent by this one: it has a right to it, and gives copies. */
#define LENT "lent:"

static void end_loan(struct ptl_task *task)
{
        struct ptl_served *served = &task->served;
        struct ptl_entry *e = served->bootstrap ? ptl_space_entry(&task->space, served->bootstrap) : NULL;

        served->bootstrap = PTL_NULL;
        if (e)
                ptl_right_drop(&task->space, e, 1);
}

static int begin_loan(struct ptl_task *task, struct ptl_entry *e, struct secret *ret)
{
        struct ptl_served *served = &task->served;
        ptl_port port = ptl_entry_name(e);
        int r = e->references == PTL_REFERENCES_MAX ? PTL_E_QUOTA : 0;

        if (r)
                return r;
        e->references++; /* the library's */
        if (!served->lender)
                r = ptl_served_receiver(task, &served->lender);
        if (!r)
                r = publish_hidden(task, "bootstrap", served->lender, ret);
        if (r) { /* the lock was let go: where it stands now */
                e = ptl_space_entry(&task->space, port);
                if (e)
                        ptl_right_drop(&task->space, e, 1);
                return r;
        }
        end_loan(task);
        served->bootstrap = port;
        return 0;
}

/* The name of a port of this task's own, or of one that it lends; where it stands in the environment. */
static int publish_bootstrap(struct ptl_task *task, ptl_port port, char *ret_value, size_t size)
{
        struct secret secret;
        struct ptl_entry *e;
        bool is_own;
        int r = ptl_space_look(&task->space, port, PTL_RIGHT_RECEIVE | PTL_RIGHT_SEND, &e);

        if (r)
                return r;
        is_own = e->rights & PTL_RIGHT_RECEIVE && !e->receiver->internal;
        if (is_own)
                r = publish_hidden(task, "bootstrap", port, &secret);
        else if (e->rights & PTL_RIGHT_SEND && e->peer)
                r = begin_loan(task, e, &secret);
        else
                r = PTL_E_RIGHT;
        if (!r && is_own)
                end_loan(task);
        if (!r)
                snprintf(ret_value, size, "%s%s", is_own ? "" : LENT, secret.text);
        return r;
}

int ptl_task_set_bootstrap(ptl_port port)
{
        char value[SECRET_TEXT + sizeof LENT];
        struct ptl_task *task;
        int r = ptl_task_begin(&task);

        if (r)
                return r;
        if (!port) {
                end_loan(task);
                return ptl_task_end(task, set_environment("PORTOLAN_BOOTSTRAP", NULL));
        }
        r = publish_bootstrap(task, port, value, sizeof value);
        if (!r)
                r = set_environment("PORTOLAN_BOOTSTRAP", value);
        return ptl_task_end(task, r);
}

/* Is it a dead name? Then it is given up. */
static bool is_dead(ptl_port port)
{
        struct ptl_port_status status;

        return !ptl_port_get_status(port, &status) && status.rights == PTL_RIGHT_DEAD && !ptl_right_release(port);
}

int ptl_task_get_bootstrap(ptl_port *ret_port, ptl_time deadline)
{
        const char *value = secure_getenv("PORTOLAN_BOOTSTRAP");
        bool is_lent = value && strncmp(value, LENT, strlen(LENT)) == 0;
        const char *secret = value && is_lent ? value + strlen(LENT) : value;
        ptl_port lender;
        char name[64];
        int r;

        if (!ret_port)
                return PTL_E_INVALID;
        if (!secret || !is_secret(secret))
                return PTL_E_NOT_FOUND;
        hidden_name("bootstrap", secret, name, sizeof name);
        r = ptl_name_look_up(name, is_lent ? &lender : ret_port, deadline);
        if (r || !is_lent)
                return r;
        r = ptl_task_extract(lender, PTL_NULL, PTL_COPY_SEND, ret_port, deadline);
        (void)ptl_right_release(lender);
        return r == PTL_E_DEAD || (!r && is_dead(*ret_port)) ? PTL_E_NOT_FOUND : r;
}
