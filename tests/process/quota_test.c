/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_test.c - what a peer can make a task hold: at a limit it is refused and named, and nothing else happens
 *
 * A keeper holds what a flooder sends it; this process gives orders to both and is a third that must not suffer.
 */
#include "cmd_run.h"
#include "link_raw.h"
#include "roles.h"
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

enum {
        KIND_TAKE = 50, /* takes so many from the pile; they come in order */
        KIND_SET,       /* sets a limit */
        KIND_CALL,      /* calls "flooder", and keeps the pile as it is meanwhile */
        KIND_SEND,      /* sends to "narrow" until that is dead; says what ended it */
        KIND_THREAD,    /* as KIND_TAKE, by a thread that says "taken"; this one waits for orders */
        KIND_STATE,     /* answered with struct state */
        FLOOD = 100,    /* messages, which fit a ring */
        LIMIT = 16,
        PORTS = 12,
};

struct state {
        size_t n_refusals, n_uses;
        struct ptl_quota_refusal refusals[PTL_QUOTA_REFUSALS];
        struct ptl_quota_use uses[8];
        uint32_t queued;
        uint64_t lies, links_dead;
};

static struct state state_of_this(ptl_port pile)
{
        struct state s = {.queued = pile ? status_of(pile).queued : 0,
                          .lies = statistics().lies,
                          .links_dead = statistics().links_dead};

        OK(ptl_quota_get_refusals(s.refusals, ARRAY_LEN(s.refusals), &s.n_refusals));
        OK(ptl_quota_get_use(s.uses, ARRAY_LEN(s.uses), &s.n_uses));
        return s;
}

/* ---- the keeper ---- */

/* Each message begins with its number. */
static uint32_t take_in_order(ptl_port pile, uint32_t n)
{
        static uint32_t next;
        struct ptl_message m;
        uint32_t number;

        for (uint32_t i = 0; i < n; i++) {
                OK(ptl_receive(pile, &m, soon()));
                memcpy(&number, m.data, sizeof number);
                CHECK_EQ(number, next++);
                for (uint32_t k = 0; k < m.n_rights; k++)
                        OK(ptl_right_release(m.rights[k].port));
                for (uint32_t k = 0; k < m.n_regions; k++)
                        ptl_region_free(m.regions[k].region);
                ptl_message_release(&m);
        }
        return n;
}

static int call_flooder(void)
{
        ptl_port p = look_up("flooder");
        char y;
        size_t n = sizeof y;
        int r = ptl_call(p, "x", 1, &y, &n, soon());

        OK(ptl_right_release(p));
        return r;
}

static int send_until_dead(void)
{
        ptl_port p = look_up("narrow");
        int r;

        while (!(r = ptl_send(p, "x", 1, soon())))
                ;
        OK(ptl_right_release(p));
        return r;
}

struct taker {
        ptl_port pile;
        uint32_t n;
};

static void *take_by_thread(void *arg)
{
        const struct taker *t = arg;

        peer_say(NULL, "taken %u", take_in_order(t->pile, t->n));
        return NULL;
}

static void start_taker(ptl_port pile, uint32_t n)
{
        static struct taker t;
        pthread_t thread;

        t = (struct taker){pile, n};
        CHECK(pthread_create(&thread, NULL, take_by_thread, &t) == 0);
        CHECK(pthread_detach(thread) == 0);
}

static void obey(struct ptl_message *m, ptl_port pile)
{
        uint64_t argument[2] = {0}, answer = 0;
        struct state s;

        if (m->size <= sizeof argument)
                memcpy(argument, m->data, m->size);
        if (m->kind == KIND_TAKE)
                answer = take_in_order(pile, (uint32_t)argument[0]);
        else if (m->kind == KIND_SET)
                answer = (uint64_t)ptl_quota_set((uint32_t)argument[0], argument[1]);
        else if (m->kind == KIND_THREAD)
                start_taker(pile, (uint32_t)argument[0]);
        else if (m->kind == KIND_CALL)
                answer = (uint64_t)call_flooder();
        else if (m->kind == KIND_SEND)
                answer = (uint64_t)send_until_dead();
        s = state_of_this(pile);
        if (m->kind == KIND_STATE)
                OK(ptl_reply(m, &s, sizeof s));
        else
                OK(ptl_reply(m, &answer, sizeof answer));
}

/* keeper: "pile", which is taken from when it is told on "keeper"; and ports to be looked up. */
PEER(keeper)
{
        ptl_port pile = new_port_of(60000, 0), told = new_port();
        char name[16];
        struct ptl_message m;

        (void)argc;
        (void)argv;
        for (int i = 0; i < PORTS; i++) {
                snprintf(name, sizeof name, "port.%d", i);
                OK(ptl_name_publish(name, new_port()));
        }
        OK(ptl_name_publish("pile", pile));
        OK(ptl_name_publish("keeper", told));
        while (ptl_receive(told, &m, PTL_FOREVER) == 0 && m.kind != KIND_QUIT) {
                obey(&m, pile);
                ptl_message_release(&m);
        }
        ptl_message_release(&m);
}

static struct keeper {
        struct peer peer;
        ptl_port port;
} keeper;

static void start_keeper(const char *limits)
{
        CHECK(setenv("PORTOLAN_LIMITS", limits, 1) == 0);
        peer_start(&keeper.peer, "keeper", NULL);
        CHECK(unsetenv("PORTOLAN_LIMITS") == 0);
        keeper.port = look_up("keeper");
}

static void end_keeper(void)
{
        OK(ptl_send_message(keeper.port, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&keeper.peer);
}

static void tell(uint32_t kind, uint64_t a, uint64_t b, void *answer, size_t size)
{
        uint64_t argument[2] = {a, b};
        struct ptl_outgoing out = {.kind = kind, .data = argument, .size = sizeof argument};
        struct ptl_message m;

        OK(ptl_call_message(keeper.port, &out, &m, 0, soon()));
        CHECK_EQ(m.size, size);
        memcpy(answer, m.data, size);
        ptl_message_release(&m);
}

static uint64_t order(uint32_t kind, uint64_t a, uint64_t b)
{
        uint64_t answer;

        tell(kind, a, b, &answer, sizeof answer);
        return answer;
}

static struct state keeper_state(void)
{
        struct state s;

        tell(KIND_STATE, 0, 0, &s, sizeof s);
        return s;
}

/* ---- the flooder ---- */

static uint32_t next_number;

static void flood(uint32_t n, size_t size)
{
        ptl_port p = look_up("pile");
        char *bytes = calloc(1, size < 4 ? 4 : size);

        CHECK(bytes);
        for (; n > 0; n--) {
                memcpy(bytes, &next_number, sizeof next_number);
                next_number++;
                OK(ptl_send(p, bytes, size, soon()));
        }
        free(bytes);
        OK(ptl_right_release(p));
}

static void flood_rights(uint32_t n, uint32_t of_each)
{
        struct ptl_right_item items[PTL_MESSAGE_RIGHTS_MAX];
        struct ptl_outgoing out = {.data = &next_number, .size = 4, .rights = items, .n_rights = of_each};
        ptl_port p = look_up("pile"), own = new_port();

        for (uint32_t i = 0; i < of_each; i++)
                items[i] = (struct ptl_right_item){.port = own, .disposition = PTL_MAKE_SEND};
        for (; n > 0; n--, next_number++)
                OK(ptl_send_message(p, &out, soon()));
        OK(ptl_right_release(p));
}

static void flood_regions(uint32_t n)
{
        struct ptl_region_item item = {.how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.data = &next_number, .size = 4, .regions = &item, .n_regions = 1};
        ptl_port p = look_up("pile");

        OK(ptl_region_new(4096, &item.region));
        for (; n > 0; n--, next_number++)
                OK(ptl_send_message(p, &out, soon()));
        ptl_region_free(item.region);
        OK(ptl_right_release(p));
}

/* Says the number of the limit that the keeper has named to this task, when it has. */
static void wait_for_refusal(int pid)
{
        struct state s;

        CHECK(tst_wait_until((ptl_task_look(), s = state_of_this(PTL_NULL), s.n_refusals > 0), 5000));
        CHECK_EQ(s.refusals[0].is_ours, 0);
        CHECK_EQ(s.refusals[0].pid, pid);
        peer_say(NULL, "%u", s.refusals[0].limit);
}

static void look_up_ports(void)
{
        char name[16];
        int dead = 0;
        ptl_port p;

        for (int i = 0; i < PORTS; i++) {
                snprintf(name, sizeof name, "port.%d", i);
                p = look_up(name);
                CHECK(tst_wait_until((ptl_task_look(), (void)!ptl_send(p, "x", 1, PTL_NOW),
                                      status_of(p).rights == PTL_RIGHT_DEAD || i < 8),
                                     5000));
                dead += status_of(p).rights == PTL_RIGHT_DEAD;
                if (dead)
                        OK(ptl_right_release(p));
        }
        peer_say(NULL, "%d", dead);
}

static void answer(ptl_port port)
{
        struct ptl_message m;

        OK(ptl_receive(port, &m, soon()));
        OK(ptl_reply(&m, "y", 1));
        ptl_message_release(&m);
}

static void free_narrow(ptl_port port)
{
        /* The keeper has filled it, and waits: what it learns next is that it is dead. */
        CHECK(tst_wait_until((ptl_task_look(), status_of(port).queued > 0), 5000));
        OK(ptl_port_free(port));
        peer_say(NULL, "freed");
}

/* flooder: does what it is told by lines. */
PEER(flooder)
{
        ptl_port port = new_port(), narrow = new_port_of(1, 0);
        unsigned long n, size;
        char line[64];
        int pid;

        (void)argc;
        OK(ptl_name_publish(argv[1], port));
        OK(ptl_name_publish("narrow", narrow));
        peer_say(NULL, "ready");
        while (peer_hear_line(NULL, line, sizeof line)) {
                if (sscanf(line, "flood %lu %lu", &n, &size) == 2)
                        flood((uint32_t)n, size);
                else if (sscanf(line, "rights %lu %lu", &n, &size) == 2)
                        flood_rights((uint32_t)n, (uint32_t)size);
                else if (sscanf(line, "regions %lu", &n) == 1)
                        flood_regions((uint32_t)n);
                else if (sscanf(line, "refusal %d", &pid) == 1)
                        wait_for_refusal(pid);
                else if (!strcmp(line, "ports"))
                        look_up_ports();
                else if (!strcmp(line, "answer"))
                        answer(port);
                else if (!strcmp(line, "free"))
                        free_narrow(narrow);
                peer_say(NULL, "done");
        }
}

static void start_flooder(struct peer *p, const char *name)
{
        peer_start(p, "flooder", name, NULL);
        peer_hear(p, "ready");
}

static void let(struct peer *p, const char *what)
{
        peer_say(p, "%s", what);
        peer_hear(p, "done");
}

/* ---- what is seen of it ---- */

static const struct ptl_quota_refusal *refusal_of(const struct state *s, uint32_t limit, pid_t pid)
{
        for (size_t i = 0; i < s->n_refusals; i++)
                if (s->refusals[i].limit == limit && s->refusals[i].pid == pid && s->refusals[i].is_ours)
                        return &s->refusals[i];
        return NULL;
}

static const struct ptl_quota_use *use_of(const struct state *s, pid_t pid)
{
        for (size_t i = 0; i < s->n_uses && i < ARRAY_LEN(s->uses); i++)
                if (s->uses[i].scope == PTL_QUOTA_TASK && s->uses[i].pid == pid)
                        return &s->uses[i];
        return NULL;
}

/* The keeper holds @pid back for @limit; its state then. */
static struct state wait_until_refused(uint32_t limit, pid_t pid)
{
        const struct ptl_quota_refusal *r;
        struct state s;

        CHECK(tst_wait_until((s = keeper_state(), refusal_of(&s, limit, pid) != NULL), 5000));
        r = refusal_of(&s, limit, pid);
        CHECK_EQ(r->uid, getuid());
        CHECK(r->use >= r->value);
        CHECK(r->first > 0 && r->first <= r->last);
        CHECK_EQ(s.lies, 0);
        return s;
}

static void check_nothing_is_held(void)
{
        struct state s = keeper_state();

        for (size_t i = 0; i < s.n_uses; i++)
                for (int k = 0; k < PTL_QUOTA_KINDS; k++)
                        if (k != PTL_QUOTA_LINKS && k != PTL_QUOTA_RIGHTS)
                                CHECK_EQ(s.uses[i].use[k], 0);
        CHECK_EQ(s.lies, 0);
}

static const uint32_t messages_task = PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_TASK);

static void end_all(struct peer *flooder)
{
        if (flooder)
                peer_end(flooder);
        end_keeper();
}

/* ---- held back ---- */

API_TEST(who_reaches_a_limit_of_messages_is_held_back_and_named_and_others_go_on)
{
        struct peer flooder;
        struct state s;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        s = wait_until_refused(messages_task, flooder.pid);
        CHECK_EQ(s.refusals[0].value, LIMIT);
        for (int i = 0; i < 1000; i++) { /* each a call that goes through */
                s = keeper_state();
                CHECK_EQ(s.queued, LIMIT);
        }
        CHECK_EQ(use_of(&s, flooder.pid)->use[PTL_QUOTA_MESSAGES], LIMIT);
        CHECK_EQ(refusal_of(&s, messages_task, flooder.pid)->count, 1);
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD); /* all of them, in order */
        check_nothing_is_held();
        let(&flooder, "flood 10 64");
        CHECK_EQ(order(KIND_TAKE, 10, 0), 10);
        end_all(&flooder);
}

API_TEST(the_one_that_is_held_back_is_told_for_which_limit)
{
        struct peer flooder;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        peer_say(&flooder, "refusal %d", (int)keeper.peer.pid);
        CHECK_EQ(peer_hear_number(&flooder), messages_task);
        peer_hear(&flooder, "done");
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        end_all(&flooder);
}

API_TEST(a_ring_full_of_what_is_held_back_makes_its_sender_wait_and_loses_nothing)
{
        struct peer flooder;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        peer_say(&flooder, "flood 3000 4000"); /* more than all levels of a ring hold */
        wait_until_refused(messages_task, flooder.pid);
        CHECK_EQ(order(KIND_TAKE, 3000, 0), 3000);
        peer_hear(&flooder, "done");
        check_nothing_is_held();
        end_all(&flooder);
}

static const struct kind {
        const char *name, *limits, *flood;
        uint32_t limit, messages;
} of_kinds[] = {
        {"bytes",   "bytes.task=1M",   "flood 40 65536", PTL_QUOTA_LIMIT(PTL_QUOTA_BYTES, PTL_QUOTA_TASK),   40},
        {"carried", "carried.task=20", "rights 40 8",    PTL_QUOTA_LIMIT(PTL_QUOTA_CARRIED, PTL_QUOTA_TASK), 40},
        {"regions", "regions.task=4",  "regions 40",     PTL_QUOTA_LIMIT(PTL_QUOTA_REGIONS, PTL_QUOTA_TASK), 40},
        {"uid",     "messages.uid=8",  "flood 40 64",    PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_UID), 40},
        {"all",     "messages.all=8",  "flood 40 64",    PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_ALL), 40},
};

static void check_kind(const struct kind *k)
{
        struct peer flooder;
        struct state s;

        start_keeper(k->limits);
        start_flooder(&flooder, "flooder");
        let(&flooder, k->flood);
        s = wait_until_refused(k->limit, flooder.pid);
        CHECK(s.queued > 0 && s.queued < k->messages);
        CHECK_EQ(keeper_state().queued, s.queued);
        CHECK_EQ(order(KIND_TAKE, k->messages, 0), k->messages);
        check_nothing_is_held();
        end_all(&flooder);
}

API_TEST(bytes_that_are_queued_are_limited) { check_kind(&of_kinds[0]); }
API_TEST(rights_in_queued_messages_are_limited) { check_kind(&of_kinds[1]); }
API_TEST(regions_in_queued_messages_are_limited) { check_kind(&of_kinds[2]); }
API_TEST(a_limit_of_a_user_that_was_set_counts_for_this_one_too) { check_kind(&of_kinds[3]); }
API_TEST(a_limit_of_all_names_who_reached_it) { check_kind(&of_kinds[4]); }

API_TEST(a_limit_that_is_raised_lets_go)
{
        struct peer flooder;
        struct state s;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, flooder.pid);
        CHECK_EQ(order(KIND_SET, messages_task, 50), 0);
        CHECK(tst_wait_until((s = keeper_state(), s.queued == 50), 5000));
        CHECK_EQ(order(KIND_SET, messages_task, PTL_QUOTA_UNLIMITED), 0);
        CHECK(tst_wait_until((s = keeper_state(), s.queued == FLOOD), 5000));
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        end_all(&flooder);
}

/* The one that leads sleeps when the other's taking lets go: nobody rings for what lies in the ring. */
API_TEST(a_thread_that_takes_wakes_the_one_that_reads)
{
        struct peer flooder;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, flooder.pid);
        CHECK_EQ(order(KIND_THREAD, FLOOD, 0), 0);
        peer_hear(&keeper.peer, "taken 100");
        check_nothing_is_held();
        end_all(&flooder);
}

/* ---- nobody waits for ever ---- */

static void order_later(uint32_t kind, ptl_port reply)
{
        uint64_t argument[2] = {0};

        OK(ptl_send_message(keeper.port,
                            &(struct ptl_outgoing){
                                    .kind = kind, .data = argument, .size = sizeof argument, .reply = reply},
                            soon()));
}

/* As its board says: it is busy. */
static bool has_refused(pid_t keeper_pid, pid_t pid)
{
        struct ptl_task_view *v;
        bool found = false;

        OK(ptl_task_inspect(keeper_pid, &v));
        for (uint32_t i = 0; i < v->n_refusals; i++)
                found |= v->refusals[i].pid == pid && v->refusals[i].is_ours;
        free(v);
        return found;
}

API_TEST(what_others_of_a_user_have_queued_keeps_nobody_from_a_program_that_takes_its_messages)
{
        struct peer flooder;
        struct ptl_message m;
        ptl_port reply;

        start_keeper("messages.uid=8");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(PTL_QUOTA_LIMIT(PTL_QUOTA_MESSAGES, PTL_QUOTA_UID), flooder.pid);
        reply = new_port();
        order_later(KIND_CALL, reply); /* it waits for the flooder, and takes nothing */
        order_later(KIND_STATE, reply);
        CHECK(tst_wait_until(has_refused(keeper.peer.pid, getpid()), 5000)); /* that one was queued */
        let(&flooder, "answer");
        for (int i = 0; i < 2; i++) {
                OK(ptl_receive(reply, &m, soon()));
                ptl_message_release(&m);
        }
        for (int i = 0; i < 10; i++)
                CHECK(keeper_state().queued >= 8);
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        end_all(&flooder);
}

API_TEST(an_answer_that_lies_behind_what_is_held_back_comes)
{
        struct peer flooder;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, flooder.pid);
        peer_say(&flooder, "answer");
        CHECK_EQ(order(KIND_CALL, 0, 0), 0);
        peer_hear(&flooder, "done");
        CHECK_EQ(keeper_state().queued, FLOOD); /* it was awaited: all before it was read, too */
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        check_nothing_is_held();
        end_all(&flooder);
}

API_TEST(who_waits_for_room_learns_of_a_death_behind_what_is_held_back)
{
        struct peer flooder;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, flooder.pid);
        peer_say(&flooder, "free");
        CHECK_EQ(order(KIND_SEND, 0, 0), PTL_E_DEAD);
        peer_hear(&flooder, "freed");
        peer_hear(&flooder, "done");
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        end_all(&flooder);
}

/* ---- death ---- */

API_TEST(what_a_dead_peer_was_held_back_with_is_delivered_and_counts_until_it_is_taken)
{
        struct peer flooder;
        struct state s;
        pid_t pid;

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, pid = flooder.pid);
        peer_kill(&flooder);
        CHECK(tst_wait_until((s = keeper_state(), s.links_dead > 0), 5000));
        CHECK_EQ(s.queued, FLOOD);
        CHECK_EQ(use_of(&s, pid)->use[PTL_QUOTA_MESSAGES], FLOOD);
        CHECK_EQ(use_of(&s, pid)->use[PTL_QUOTA_LINKS], 0);
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        s = keeper_state();
        CHECK(!use_of(&s, pid)); /* nothing is left of it but its refusal */
        CHECK(refusal_of(&s, messages_task, pid));
        check_nothing_is_held();
        end_all(NULL);
}

/* ---- rights and links ---- */

API_TEST(claims_beyond_the_limit_of_rights_are_dead_names_and_both_sides_know_why)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_RIGHTS, PTL_QUOTA_TASK);
        struct peer flooder;
        struct state s;

        start_keeper("rights.task=8");
        start_flooder(&flooder, "flooder");
        peer_say(&flooder, "ports");
        CHECK_EQ(peer_hear_number(&flooder), PORTS - 8);
        peer_hear(&flooder, "done");
        s = wait_until_refused(limit, flooder.pid);
        CHECK(tst_wait_until((s = keeper_state(), use_of(&s, flooder.pid)->use[PTL_QUOTA_RIGHTS] == 8), 5000));
        peer_say(&flooder, "refusal %d", (int)keeper.peer.pid);
        CHECK_EQ(peer_hear_number(&flooder), limit);
        peer_hear(&flooder, "done");
        peer_kill(&flooder);
        CHECK(tst_wait_until((s = keeper_state(), s.uses[0].use[PTL_QUOTA_RIGHTS] == 1), 5000)); /* this task's */
        end_all(NULL);
}

static bool is_taken(const struct link_raw *l)
{
        struct pollfd p = {.fd = l->socket, .events = POLLIN};

        CHECK(poll(&p, 1, (int)tst_deadline_ms(RAW_MS)) == 1);
        return !link_raw_is_over(l);
}

API_TEST(links_beyond_the_limit_of_a_process_name_it)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_LINKS, PTL_QUOTA_TASK);
        struct link_raw links[4];
        struct state s;

        start_keeper("links.task=4"); /* one is this task's own */
        for (int i = 0; i < 4; i++) {
                links[i] = link_raw_find("keeper");
                CHECK_EQ(is_taken(&links[i]), i < 3);
        }
        s = wait_until_refused(limit, getpid());
        CHECK_EQ(use_of(&s, getpid())->use[PTL_QUOTA_LINKS], 4);
        for (int i = 0; i < 4; i++)
                link_raw_close(&links[i]);
        CHECK(tst_wait_until((s = keeper_state(), use_of(&s, getpid())->use[PTL_QUOTA_LINKS] == 1), 5000));
        end_all(NULL);
}

/* ---- hostile ---- */

API_TEST(a_limit_that_does_not_exist_is_a_lie)
{
        static const struct {
                uint32_t token, aux;
                bool is_lie;
        } rows[] = {
                {1, 0,                    true },
                {1, PTL_QUOTA_LIMITS + 1, true },
                {2, 1,                    true },
                {1, 1,                    false},
                {0, PTL_QUOTA_LIMITS,     false},
        };

        start_keeper("messages.task=16");
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct link_raw l = link_raw_find("keeper");
                struct ptl_frame_head head = {.token = rows[i].token, .aux = rows[i].aux};
                struct ptl_frame_limit body = {.value = 1};
                uint64_t lies = keeper_state().lies;

                link_raw_hello(&l, l.bell = eventfd(0, EFD_CLOEXEC));
                CHECK(link_raw_frame(&l, PTL_FRAME_LIMIT, head, &body, sizeof body));
                link_raw_ring(&l);
                if (rows[i].is_lie)
                        CHECK(tst_wait_until(link_raw_is_over(&l), RAW_MS));
                else
                        CHECK(tst_wait_until(keeper_state().n_refusals > 0, RAW_MS));
                CHECK_EQ(keeper_state().lies - lies, rows[i].is_lie);
                link_raw_close(&l);
        }
        end_all(NULL);
}

/* ---- the tool ---- */

static struct run run;

static bool says(const char *format, ...)
{
        char text[128];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (strstr(run.out_text, text))
                return true;
        fprintf(stderr, "# \"%s\" is not in:\n%s%s", text, run.out_text, run.err_text);
        return false;
}

API_TEST(the_tool_shows_who_reached_which_limit_of_a_task_that_is_stopped)
{
        struct peer flooder;
        char pid[16];

        start_keeper("messages.task=16");
        start_flooder(&flooder, "flooder");
        let(&flooder, "flood 100 64");
        wait_until_refused(messages_task, flooder.pid);
        CHECK(kill(keeper.peer.pid, SIGSTOP) == 0);
        snprintf(pid, sizeof pid, "%d", (int)keeper.peer.pid);
        CHECK_EQ(RUN(&run, NULL, "ports", pid), 0);
        CHECK(says("messages.task     16  pid %d", (int)flooder.pid));
        CHECK(says("held back"));
        CHECK_EQ(RUN(&run, NULL, "ports", pid, "--json"), 0);
        CHECK(says("\"limit\":\"messages.task\",\"value\":16,\"is_ours\":true,\"peer_pid\":%d", (int)flooder.pid));
        CHECK(says("\"held_back_for\":\"messages.task\""));
        CHECK_EQ(RUN(&run, NULL, "doctor"), 0);
        CHECK(says("reached messages.task = 16 of pid %s", pid));
        CHECK(kill(keeper.peer.pid, SIGCONT) == 0);
        CHECK_EQ(order(KIND_TAKE, FLOOD, 0), FLOOD);
        end_all(&flooder);
}

API_TEST(the_doctor_says_which_lines_of_the_users_file_are_wrong_and_what_is_in_force)
{
        char path[4200];
        FILE *f;

        CHECK(setenv("XDG_CONFIG_HOME", tst_temp_dir(), 1) == 0);
        CHECK(setenv("PORTOLAN_LIMITS", "regions.all=77", 1) == 0);
        snprintf(path, sizeof path, "%s/portolan", tst_temp_dir());
        CHECK(mkdir(path, 0700) == 0);
        strcat(path, "/limits");
        CHECK((f = fopen(path, "we")));
        CHECK(fputs("bytes.uid = 12345\nbytes.usr = 1\n", f) >= 0 && fclose(f) == 0);
        CHECK(chmod(path, 0600) == 0);
        CHECK_EQ(RUN(&run, NULL, "doctor"), 1);
        CHECK(says("portolan/limits:2 \"bytes.usr = 1\" names no limit"));
        CHECK(says("12345 a user, 1073741824 in all; .uid: the user's file"));
        CHECK(says("77 in all; .all: PORTOLAN_LIMITS"));
}

/* ---- what is set ---- */

API_TEST(a_wrong_limit_in_the_environment_leaves_the_default_and_is_said)
{
        struct ptl_quota_fault fault;
        uint64_t value;
        uint32_t origin;
        size_t n;

        CHECK(setenv("PORTOLAN_LIMITS", "messages.task=16,bytes.task=lots", 1) == 0);
        OK(ptl_quota_get(messages_task, &value, &origin));
        CHECK_EQ(value, 16);
        CHECK_EQ(origin, PTL_QUOTA_BY_ENVIRONMENT);
        OK(ptl_quota_get(PTL_QUOTA_LIMIT(PTL_QUOTA_BYTES, PTL_QUOTA_TASK), &value, &origin));
        CHECK_EQ(value, 256 << 20);
        CHECK_EQ(origin, PTL_QUOTA_BY_DEFAULT);
        OK(ptl_quota_get_faults(&fault, 1, &n));
        CHECK_EQ(n, 1);
        CHECK_STR_EQ(fault.text, "bytes.task=lots");
        CHECK_STR_EQ(fault.path, "PORTOLAN_LIMITS");
        CHECK_EQ(fault.line, 2);
}
