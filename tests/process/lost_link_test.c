/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost_link_test.c - a link that ends before the peer has answered on it is no death
 *
 * Whatever a server was about when it died, whoever dies in an introduction: the looker gets what it
 * wanted, or is told once of the owner's death. What was written to a link that was lost arrives, once and
 * in order (docs/protocol/server.md, "Crash table"; link.md, "A lost link").
 *
 *   SERVER_KILLS   how often a true server is killed under traffic (12)
 */
#include "server_half.h"

/* ---- the server dies, after any of its steps ---- */

/* looks_up: finds "echo" and uses it, whatever servers do meanwhile. */
PEER(looks_up)
{
        ptl_port echo = look_up("echo"), n = new_port();

        OK(ptl_right_notify_dead(echo, n));
        for (unsigned i = 0; i < 10; i++)
                call_echo_of(echo, i * 1000, i);
        check_empty(n);
        CHECK_EQ(look_up("echo"), echo); /* one right, however often they were introduced */
        peer_say(NULL, "used it");
        peer_stay();
}

/* The looker got what it wanted, and the owner is there for others. */
static void all_is_well(struct half *h)
{
        half_die(h);
        peer_hear(&h->lookers, "used it");
        call_echo(look_up("echo"));
        peer_end(&h->lookers);
        end_echo(&h->owners, look_up("echo"));
}

static void dies_after(enum half_step last)
{
        struct half h = half_begin("echo", "looks_up", last);

        all_is_well(&h);
}

API_TEST(a_server_dies_when_an_owner_has_connected) { dies_after(HALF_OWNER_CONNECTS); }
API_TEST(a_server_dies_when_an_owner_has_greeted) { dies_after(HALF_OWNER_GREETS); }
API_TEST(a_server_dies_when_an_owner_was_welcomed) { dies_after(HALF_OWNER_IS_WELCOME); }
API_TEST(a_server_dies_when_a_name_was_published) { dies_after(HALF_OWNER_PUBLISHES); }
API_TEST(a_server_dies_when_a_publication_was_answered) { dies_after(HALF_OWNER_IS_ANSWERED); }
API_TEST(a_server_dies_when_a_looker_has_connected) { dies_after(HALF_LOOKER_CONNECTS); }
API_TEST(a_server_dies_when_a_looker_has_greeted) { dies_after(HALF_LOOKER_GREETS); }
API_TEST(a_server_dies_when_a_looker_was_welcomed) { dies_after(HALF_LOOKER_IS_WELCOME); }
API_TEST(a_server_dies_when_a_name_was_looked_up) { dies_after(HALF_LOOKER_ASKS); }
API_TEST(a_server_dies_when_it_has_made_a_link) { dies_after(HALF_ENDS_ARE_MADE); }
API_TEST(a_server_dies_when_the_owner_alone_was_told) { dies_after(HALF_OWNER_IS_TOLD); }
API_TEST(a_server_dies_when_both_were_told) { dies_after(HALF_BOTH_ARE_TOLD); }

API_TEST(a_server_dies_when_the_looker_alone_was_told)
{
        struct half h = half_begin("echo", "looks_up", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        all_is_well(&h);
}

static pid_t pid_behind(int connection)
{
        struct ucred who;
        socklen_t size = sizeof who;

        CHECK(getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0);
        return who.pid;
}

/* Another server that is played takes over: both come to it and are who they were. */
static void take_over(struct half *h)
{
        struct half next = *h;

        CHECK(unlink(getenv("PORTOLAN_SOCKET")) == 0);
        next.listener = raw_listen();
        half_die(h);
        *h = next;
        h->owner = h->looker = h->ends[0] = h->ends[1] = -EBADF;
        while (h->owner < 0 || h->looker < 0) {
                int c = half_accept(h);

                h->hello = raw_hear(c, PTL_SM_HELLO);
                if (pid_behind(c) == h->owners.pid)
                        half_welcome(h, h->owner = c, &h->owners, 1);
                else
                        half_welcome(h, h->looker = c, &h->lookers, 2);
        }
        half_owner_publishes(h);
        half_agree(h);
}

/* The answer to INTRODUCE. */
static void introduce_to_looker(struct half *h)
{
        struct ptl_server_msg found = half_found(h);

        found.found.kind = PTL_SM_KIND_NONE;
        raw_say(h->looker, found, ptl_steal_fd(&h->ends[1]));
}

API_TEST(a_server_dies_half_way_and_the_next_one_too)
{
        struct half h = half_begin("echo", "looks_up", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        take_over(&h);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        CHECK_EQ(h.look_up.task.id.low, 1);
        half_make_ends(&h);
        introduce_to_looker(&h);
        all_is_well(&h);
}

/* ---- what was written to a lost link ---- */

enum { BATCH = 10, BATCHES = 3, BYTES = 3 << 20 };

static size_t size_of(unsigned i) { return i % 4 == 3 ? 20000 + i : i * 16; }

static struct ptl_region *new_region(unsigned seed)
{
        struct ptl_region *r = NULL;

        OK(ptl_region_new(4096, &r));
        fill(ptl_region_data(r), 4096, seed);
        return r;
}

/* By every technique: in the ring, in blocks, with regions of both kinds. */
static void write_one(ptl_port to, unsigned i)
{
        char bytes[32768];
        struct ptl_region_item item = {.how = i % 2 ? PTL_REGION_ISOLATED : PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.data = bytes, .size = size_of(i), .kind = i, .regions = &item};

        fill(bytes, out.size, i);
        if (i % 3 == 0) {
                item.region = new_region(i);
                out.n_regions = 1;
        }
        OK(ptl_send_message(to, &out, PTL_NOW));
        if (item.region && item.how == PTL_REGION_VOLATILE)
                ptl_region_free(item.region); /* it goes when the other side has it */
}

/* The last carries a right, and is a region itself. */
static void write_last(ptl_port to, ptl_port answers)
{
        struct ptl_right_item right = {answers, PTL_MAKE_SEND};
        char *bytes = malloc(BYTES);
        struct ptl_outgoing out = {.data = bytes, .size = BYTES, .kind = 77, .rights = &right, .n_rights = 1};

        CHECK(bytes);
        fill(bytes, BYTES, 77);
        OK(ptl_send_message(to, &out, PTL_NOW));
        free(bytes);
}

/* Waits for a line while the library goes on. */
static void hear_waiting(ptl_port quiet, const char *line)
{
        struct ptl_message m;

        while (poll(&(struct pollfd){.fd = 3, .events = POLLIN}, 1, 0) == 0)
                OUTCOME(ptl_receive(quiet, &m, ptl_after_ms(10)), PTL_E_TIMEOUT);
        peer_hear(NULL, line);
}

/* writes: batches as it is told, and then is to hear that all have come. */
PEER(writes)
{
        ptl_port echo = look_up("echo"), n = new_port(), answers = new_port();

        OK(ptl_right_notify_dead(echo, n));
        for (unsigned i = 0; i < BATCHES * BATCH; i++) {
                if (i % BATCH == 0 && i)
                        hear_waiting(n, "write");
                write_one(echo, i);
                if (i % BATCH == BATCH - 1)
                        peer_say(NULL, "written");
        }
        write_last(echo, answers);
        OK(ptl_right_release(echo)); /* that takes nothing back, either */
        CHECK_EQ(take_notification(n, PTL_NOTIFY_PORT_DELETED).value, echo);
        take(answers, "all came");
        check_empty(n);
        peer_say(NULL, "done");
        peer_stay();
}

static void check_message(struct ptl_message *m, unsigned i)
{
        CHECK_EQ(m->kind, i);
        CHECK_EQ(m->size, size_of(i));
        CHECK(is_filled(m->data, m->size, i));
        CHECK_EQ(m->n_regions, i % 3 == 0);
        if (m->n_regions) {
                CHECK(m->regions[0].region);
                CHECK(is_filled(ptl_region_data(m->regions[0].region), 4096, i));
                ptl_region_free(m->regions[0].region);
        }
        ptl_message_release(m);
}

PEER(reads)
{
        ptl_port p = new_port();
        struct ptl_message m;

        OK(ptl_name_publish(argv[1], p));
        for (unsigned i = 0; i < BATCHES * BATCH; i++) {
                OK(ptl_receive(p, &m, PTL_FOREVER));
                check_message(&m, i);
        }
        m = take_message(p);
        CHECK(m.kind == 77 && m.size == BYTES && is_filled(m.data, BYTES, 77));
        CHECK_EQ(m.n_rights, 1);
        put(m.rights[0].port, "all came");
        OK(ptl_right_release(m.rights[0].port));
        ptl_message_release(&m);
        OUTCOME(ptl_receive(p, &m, ptl_after_ms(20)), PTL_E_TIMEOUT); /* once each */
        peer_stay();
}

static void end_writes(struct half *h)
{
        peer_hear(&h->lookers, "done");
        peer_end(&h->lookers);
        peer_end(&h->owners);
}

API_TEST(what_was_written_to_a_lost_link_arrives_once_and_in_order)
{
        struct half h = half_begin("reads", "writes", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        for (int i = 0; i < BATCHES; i++) {
                if (i)
                        peer_say(&h.lookers, "write");
                peer_hear(&h.lookers, "written");
        }
        half_die(&h);
        end_writes(&h);
}

static void refuse(struct half *h, int outcome)
{
        struct ptl_server_msg msg = {
                .type = PTL_SM_RESULT, .serial = h->look_up.serial, .result.outcome = outcome};

        raw_say(h->looker, msg, -1);
}

/* Written before, while and after the link is lost, by a looker who is sent away three times. */
API_TEST(a_lost_link_is_written_to_until_it_goes_on)
{
        struct half h = half_begin("reads", "writes", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        peer_hear(&h.lookers, "written");
        h.ends[0] = ptl_close(h.ends[0]);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        peer_say(&h.lookers, "write");
        peer_hear(&h.lookers, "written");
        refuse(&h, PTL_E_QUOTA);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        refuse(&h, -ENOMEM);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        half_make_ends(&h);
        introduce_to_looker(&h);
        h.ends[0] = ptl_close(h.ends[0]);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        half_make_ends(&h);
        introduce_to_looker(&h);
        peer_say(&h.lookers, "write");
        peer_hear(&h.lookers, "written");
        half_tell_owner(&h);
        end_writes(&h);
        half_die(&h);
}

/* The owner, too, looks for the looker: that is another link, which takes nothing from the lost one. */
API_TEST(a_lost_link_is_asked_for_though_the_peer_comes_to_us)
{
        struct half h = half_begin("reads", "writes", HALF_ENDS_ARE_MADE);
        struct ptl_server_msg msg;

        half_tell_looker(&h);
        peer_hear(&h.lookers, "written");
        h.ends[0] = ptl_close(h.ends[0]);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        half_make_ends(&h);
        msg = (struct ptl_server_msg){.type = PTL_SM_INTRODUCTION,
                                      .introduction.peer = half_identity(&h.owners, 1)};
        raw_say(h.looker, msg, ptl_steal_fd(&h.ends[1]));
        half_tell_owner(&h);
        for (int i = 1; i < BATCHES; i++) {
                peer_say(&h.lookers, "write");
                peer_hear(&h.lookers, "written");
        }
        half_make_ends(&h);
        introduce_to_looker(&h);
        half_tell_owner(&h);
        end_writes(&h);
        half_die(&h);
}

/* ---- calls under way ---- */

PEER(calls)
{
        ptl_port echo = look_up("echo");
        size_t n = 0;

        OUTCOME(ptl_call(echo, "late", 5, NULL, &n, ptl_after_ms(50)), PTL_E_UNANSWERED);
        peer_say(NULL, "unanswered");
        call_echo(echo);
        peer_say(NULL, "used it");
        peer_stay();
}

API_TEST(a_call_through_a_lost_link_keeps_its_deadline_or_is_answered)
{
        struct half h = half_begin("echo", "calls", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        h.ends[0] = ptl_close(h.ends[0]);
        raw_hear(h.looker, PTL_SM_INTRODUCE); /* it waits, and nobody answers */
        peer_hear(&h.lookers, "unanswered");
        all_is_well(&h);
}

/* ---- one of the two dies ---- */

/* mourns: calls the owner, which has died or will. */
PEER(mourns)
{
        ptl_port echo = look_up("echo"), n = new_port();
        ptl_time later = ptl_after_ms(tst_deadline_ms(15000));
        struct ptl_message m;
        size_t size = 0;

        OK(ptl_right_notify_dead(echo, n));
        OK(ptl_send(echo, "unread", 7, PTL_NOW));
        peer_say(NULL, "calling");
        OUTCOME(ptl_call(echo, "hello", 6, NULL, &size, later), PTL_E_DEAD);
        take_dead_name(n, echo);
        OUTCOME(ptl_send(echo, "x", 1, PTL_NOW), PTL_E_DEAD);
        OUTCOME(ptl_receive(n, &m, ptl_after_ms(20)), PTL_E_TIMEOUT); /* once */
        peer_say(NULL, "mourned");
        peer_stay();
}

static void looker_mourns(struct half *h)
{
        peer_hear(&h->lookers, "mourned");
        peer_end(&h->lookers);
        half_die(h);
}

API_TEST(an_owner_that_dies_before_it_answers_is_dead_once)
{
        struct half h = half_begin("echo", "mourns", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        peer_hear(&h.lookers, "calling");
        peer_kill(&h.owners);
        h.ends[0] = ptl_close(h.ends[0]);
        raw_hear(h.looker, PTL_SM_INTRODUCE); /* who has lost a link asks first */
        half_tell_death(&h);
        looker_mourns(&h);
}

/* It was told, and killed with its end of the socket unread. */
API_TEST(an_owner_that_dies_with_an_introduction_unread_is_dead_once)
{
        struct half h = half_begin("echo", "mourns", HALF_ENDS_ARE_MADE);

        CHECK(kill(h.owners.pid, SIGSTOP) == 0);
        half_tell_owner(&h);
        half_tell_looker(&h);
        peer_hear(&h.lookers, "calling");
        peer_kill(&h.owners);
        raw_hear(h.looker, PTL_SM_INTRODUCE);
        half_tell_death(&h);
        looker_mourns(&h);
}

/* Both are read at once, so that the death comes before there is a link; it is told at the first question. */
API_TEST(an_owner_whose_death_is_told_before_there_is_a_link_is_dead_at_once)
{
        struct half h = half_begin("echo", "mourns", HALF_ENDS_ARE_MADE);
        int status;

        CHECK(kill(h.lookers.pid, SIGSTOP) == 0);
        CHECK(waitpid(h.lookers.pid, &status, WUNTRACED) == h.lookers.pid && WIFSTOPPED(status));
        half_tell_looker(&h);
        peer_kill(&h.owners);
        h.ends[0] = ptl_close(h.ends[0]);
        half_tell_death(&h);
        CHECK(kill(h.lookers.pid, SIGCONT) == 0);
        h.look_up = raw_hear(h.looker, PTL_SM_INTRODUCE);
        peer_hear(&h.lookers, "calling");
        refuse(&h, PTL_E_NOT_FOUND);
        looker_mourns(&h);
}

/* The next server has never heard of it. */
API_TEST(an_owner_that_dies_with_the_server_is_dead_once)
{
        struct half h = half_begin("echo", "mourns", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        peer_hear(&h.lookers, "calling");
        peer_kill(&h.owners);
        half_die(&h);
        looker_mourns(&h);
}

static void looker_dies(struct half *h)
{
        peer_kill(&h->lookers);
        half_die(h);
        call_echo(look_up("echo"));
        end_echo(&h->owners, look_up("echo"));
}

API_TEST(a_looker_dies_when_it_has_asked)
{
        struct half h = half_begin("echo", "mourns", HALF_LOOKER_ASKS);

        looker_dies(&h);
}

API_TEST(a_looker_dies_when_the_owner_alone_was_told)
{
        struct half h = half_begin("echo", "mourns", HALF_OWNER_IS_TOLD);

        looker_dies(&h);
}

API_TEST(a_looker_dies_when_both_were_told)
{
        struct half h = half_begin("echo", "calls", HALF_BOTH_ARE_TOLD);

        looker_dies(&h);
}

API_TEST(a_looker_dies_with_a_lost_link)
{
        struct half h = half_begin("echo", "mourns", HALF_ENDS_ARE_MADE);

        half_tell_looker(&h);
        peer_hear(&h.lookers, "calling");
        h.ends[0] = ptl_close(h.ends[0]);
        raw_hear(h.looker, PTL_SM_INTRODUCE);
        looker_dies(&h);
}

/* ---- a true server, killed whatever it is about ---- */

enum { MEETERS = 3, EACH = 20 };

struct note {
        unsigned from, number;
};

/* meets ME: looks up all others, and writes to them as they to it. */
PEER(meets)
{
        unsigned me = (unsigned)atoi(argv[1]), next[MEETERS] = {0};
        ptl_port p = new_port(), n = new_port(), others[MEETERS];
        char name[8];

        snprintf(name, sizeof name, "m%u", me);
        OK(ptl_name_publish(name, p));
        for (unsigned i = 0; i < MEETERS; i++) {
                snprintf(name, sizeof name, "m%u", i);
                others[i] = look_up(name);
                if (i != me)
                        OK(ptl_right_notify_dead(others[i], n));
        }
        for (unsigned k = 0; k < EACH; k++)
                for (unsigned i = 0; i < MEETERS; i++)
                        OK(ptl_send(others[i], &(struct note){me, k}, sizeof(struct note), soon()));
        for (unsigned k = 0; k < MEETERS * EACH; k++) {
                struct ptl_message m = take_message(p);
                struct note note;

                CHECK_EQ(m.size, sizeof note);
                memcpy(&note, m.data, sizeof note);
                CHECK(note.from < MEETERS);
                CHECK_EQ(note.number, next[note.from]++);
                ptl_message_release(&m);
        }
        check_empty(n);
        peer_say(NULL, "met");
        hear_waiting(p, "leave"); /* what is lost goes on meanwhile; nothing comes twice */
}

static unsigned kills_wanted(void)
{
        const char *s = getenv("SERVER_KILLS");

        return s && *s ? (unsigned)strtoul(s, NULL, 0) : 12;
}

/* Kills whoever serves until all have met, a little later in its life each time. */
static unsigned kill_servers_until_met(struct peer *meeters, unsigned round)
{
        unsigned kills = 0, met = 0;

        while (met < MEETERS) {
                struct pollfd said = {.fd = meeters[met].fd, .events = POLLIN};
                pid_t pid = kills < 4 ? serving() : 0; /* a starter tries five times */

                if (pid) {
                        nanosleep(&(struct timespec){.tv_nsec = 100000L * ((round * 7 + kills * 3) % 40)}, NULL);
                        kills += kill(pid, SIGKILL) == 0;
                }
                if (poll(&said, 1, pid ? 0 : 1) == 1) {
                        peer_hear(&meeters[met], "met");
                        met++;
                }
        }
        return kills;
}

API_TEST(whatever_a_server_was_about_when_it_was_killed_all_meet)
{
        struct peer meeters[MEETERS];
        char me[8];

        for (unsigned kills = 0, round = 0; kills < kills_wanted(); round++) {
                for (int i = 0; i < MEETERS; i++) {
                        snprintf(me, sizeof me, "%d", i);
                        peer_start(&meeters[i], "meets", me, NULL);
                }
                kills += kill_servers_until_met(meeters, round);
                for (int i = 0; i < MEETERS; i++)
                        peer_say(&meeters[i], "leave");
                for (int i = 0; i < MEETERS; i++)
                        peer_end(&meeters[i]);
        }
}
