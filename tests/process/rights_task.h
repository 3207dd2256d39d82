/* SPDX-License-Identifier: Apache-2.0 */
/* rights_task.h - a task of the walk: its life, from its seat to its end */
#pragma once
#include "rights_check.h"
#include "rights_log.h"
#include "rights_receive.h"
#include <sched.h>

/* --- births and ends --- */

static inline void published_as(char name[32], const char *what, unsigned seat)
{
        snprintf(name, 32, "%s%u.%u", what, seat, me.model->seats[seat].life);
}

static inline void obey_publish(const struct order *o)
{
        struct ptl_port_options options = {.limit_messages = HUB_LIMIT};
        char name[32];

        memset(names_of(o->port), 0, sizeof(ptl_port) * NAMES_EACH);
        OK(ptl_port_new(&me.hub, &options));
        me.desk = new_port();
        me.idle = new_port();
        names_of(o->port)[0] = me.hub;
        published_as(name, "hub", me.number);
        OK(ptl_name_publish(name, me.hub));
        published_as(name, "desk", me.number);
        OK(ptl_name_publish(name, me.desk));
}

static inline void obey_look_up(const struct order *o)
{
        char name[32];

        published_as(name, "hub", (unsigned)o->count);
        memset(names_of(o->port), 0, sizeof(ptl_port) * NAMES_EACH);
        names_add(me.number, o->port, look_up(name));
}

static inline void obey_show(const struct order *o)
{
        ptl_port task, desk;
        char name[32];

        OK(ptl_task_port(&task));
        published_as(name, "desk", (unsigned)o->count);
        desk = look_up(name);
        put_right(desk, task, PTL_MOVE_SEND);
        OK(ptl_right_release(desk));
}

static inline void obey_drop_ward(void)
{
        check_rights(me.ward, PTL_RIGHT_DEAD, 1);
        OK(ptl_right_release(me.ward));
        me.ward = PTL_NULL;
}

static inline void obey_empty(void)
{
        struct ptl_right_entry *all;
        size_t n;

        OK(ptl_right_names(&all, &n));
        for (size_t i = 0; i < n; i++) {
                int r = ptl_right_destroy(all[i].name); /* one's end may have been the end of others */

                CHECK(r == 0 || r == PTL_E_NAME);
        }
        free(all);
        me.desk = me.hub = me.idle = me.ward = PTL_NULL;
}

/* --- orders --- */

static inline void obey(const struct order *o)
{
        switch ((enum order_kind)o->kind) {
        case O_NEW:
                obey_new(o);
                return;
        case O_FREE:
                obey_free(o);
                return;
        case O_MAKE_SEND:
                OUTCOME(ptl_right_make_send(names_of(o->port)[0]), o->outcome);
                return;
        case O_CHANGE:
                obey_change(o);
                return;
        case O_MAKE_ONCE:
                me.stage->once_names[o->once] = new_once(names_of(o->port)[0]);
                return;
        case O_DROP_ONCE:
                OK(ptl_right_destroy(me.stage->once_names[o->once]));
                return;
        case O_SEND:
                obey_send(o);
                return;
        case O_RECEIVE:
                obey_receive(o);
                return;
        case O_REQUEST:
                obey_request(o);
                return;
        case O_SET_MADE:
                OK(ptl_port_set_made(names_of(o->port)[0], o->value));
                return;
        case O_SET_SEQUENCE:
                OK(ptl_port_set_sequence(names_of(o->port)[0], o->value));
                return;
        case O_RENAME:
                obey_rename(o);
                return;
        case O_DEPUTY:
                obey_deputy(o);
                return;
        case O_FILL:
                obey_fill(o);
                return;
        case O_INSERT:
                obey_insert(o);
                return;
        case O_EXTRACT:
                obey_extract(o);
                return;
        case O_GRAVE:
                obey_grave(o);
                return;
        case O_DIE:
                kill(getpid(), SIGKILL);
                return;
        case O_PUBLISH:
                obey_publish(o);
                return;
        case O_LOOK_UP:
                obey_look_up(o);
                return;
        case O_SHOW:
                obey_show(o);
                return;
        case O_TAKE_WARD:
                me.ward = take_right(me.desk);
                return;
        case O_DROP_WARD:
                obey_drop_ward();
                return;
        case O_CHECK:
                check_everything();
                return;
        case O_EMPTY:
                obey_empty();
                return;
        case ORDERS:
                break;
        }
        CHECK(!"an order");
}

/* --- the task --- */

/* Where a check failed: not from where it could be called again. */
static inline void say_where(int signal)
{
        const struct order *o = &me.seat->orders[me.at];

        (void)signal;
        fprintf(stderr, "# seat %u, life %u, round %u, order %u of %u; compared port %u\n", me.number,
                me.model->seats[me.number].life, me.model->round, me.at, me.seat->n_orders, me.looks_at);
        fputs("# ", stderr);
        log_order(stderr, me.model->round, me.number, me.at, o);
}

static inline void wait_for_command(uint32_t seen)
{
        enum { PATIENCE_MS = 20 };

        while (ptl_load_acquire(&me.seat->go) == seen) {
                if (ptl_load_acquire(&me.seat->poked)) {
                        ptl_task_look();
                        sched_yield();
                        continue;
                }
                stage_wait(&me.seat->go, seen, PATIENCE_MS);
                if (me.desk && ptl_load_acquire(&me.seat->go) == seen)
                        ptl_task_look(); /* somebody may wait for room */
        }
}

static inline void say_done(void)
{
        if (ptl_add(&me.stage->running, (uint32_t)-1) == 1)
                stage_wake(&me.stage->running);
}

static inline void follow_orders(void)
{
        for (uint32_t i = 0; i < me.seat->n_orders; i++) {
                me.at = i;
                obey(&me.seat->orders[i]);
                me.seat->done = i + 1;
        }
}

/* Nothing is left: no name, descriptor or mapping. */
static inline void leave(int descriptors, int mappings)
{
        CHECK_EQ(count_names(), 0);
        CHECK_EQ(statistics().lies, 0);
        OK(ptl_task_leave());
        if (tst_open_fds(false) != descriptors)
                tst_open_fds(true);
        CHECK_EQ(tst_open_fds(false), descriptors);
        CHECK_EQ(tst_shared_maps(false), mappings);
}

/* rights FILE SEAT */
PEER(rights)
{
        int descriptors = tst_open_fds(false), mappings;
        struct quiet quiet;
        uint32_t seen = 0;

        CHECK(argc > 2);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a conductor that fails leaves nobody behind */
        me.stage = stage_map(argv[1], false);
        mappings = tst_shared_maps(false);
        me.model = &me.stage->model;
        me.number = (unsigned)atoi(argv[2]);
        me.seat = &me.stage->seats[me.number];
        quiet = (struct quiet){me.stage, me.number, me.seat};
        signal(SIGABRT, say_where);
        OK(ptl_task_set_wait(PTL_WAIT_BLOCK, 0));
        for (;;) {
                wait_for_command(seen);
                seen = ptl_load_acquire(&me.seat->go);
                if (me.seat->command == S_QUIT)
                        break;
                if (me.seat->command == S_ORDERS) {
                        follow_orders();
                } else {
                        quiet_look(me.idle);
                        quiet_measure(&quiet);
                }
                say_done();
        }
        leave(descriptors, mappings);
        munmap(me.stage, sizeof *me.stage);
}
