/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders.h - what a task does with its rights when it is told to, in a line of words
 *
 * It keeps rights in places, by number. Each order is answered by a line: what there is to say, else the outcome's
 * name, "0" for success; behind a "!" also by "begins" before it is obeyed. What a task has to say of its rights is as
 * of after a look at all its links.
 */
#pragma once
#include "base/atomic.h"
#include "leave_clean.h"
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { PLACES = 80, WORDS = 24, SAID = 400, CARRIED_MAX = 3 << 20, REGION_SIZE = 70000 };

struct words {
        char *of[WORDS];
        int n;
};

static ptl_port places[PLACES];
static ptl_port pump; /* a port that nobody sends to: who waits on it looks at all links */
static struct ptl_message held_message;
static pthread_t waiter;
static ptl_port waited_port;
static _Atomic uint32_t waiter_tid; /* stored before it waits, loaded to see that it sleeps */
static int waiter_outcome;

static inline const char *word(const struct words *w, int i)
{
        CHECK(i < w->n);
        return w->of[i];
}

static inline unsigned number(const struct words *w, int i) { return (unsigned)strtoul(word(w, i), NULL, 0); }

static inline ptl_port *place(const struct words *w, int i)
{
        CHECK(number(w, i) < PLACES);
        return &places[number(w, i)];
}

/* "now", "soon", or so many ms from now. */
static inline ptl_time when(const struct words *w, int i)
{
        if (!strcmp(word(w, i), "now"))
                return PTL_NOW;
        return strcmp(word(w, i), "soon") ? ptl_after_ms(number(w, i)) : soon();
}

static inline uint32_t disposition(const char *name)
{
        static const char *const names[] = {"", "copy", "move", "make", "make-once", "move-once", "receive"};

        for (uint32_t i = 1; i < ARRAY_LEN(names); i++)
                if (!strcmp(name, names[i]))
                        return i;
        return 77; /* unknown, on purpose */
}

static inline int place_of(ptl_port p)
{
        for (int i = 0; p && i < PLACES; i++)
                if (places[i] == p)
                        return i;
        return -1;
}

/* Takes in what all links have to say. */
static inline void look_around(void)
{
        struct ptl_message m;

        CHECK(ptl_receive(pump, &m, ptl_after_ms(1)) == PTL_E_TIMEOUT);
}

/* ---- what a message says ---- */

static inline void say_notification(const struct ptl_message *m, char *ret_said)
{
        static const char *const names[] = {"dead-name", "send-once", "accepted", "added", "removed", "deleted",
                                            "no-senders", "destroyed"};
        struct ptl_notification n;
        uint32_t i = m->kind - PTL_NOTIFY_DEAD_NAME;

        CHECK(i < ARRAY_LEN(names) && m->size == sizeof n);
        memcpy(&n, m->data, sizeof n);
        if (m->kind == PTL_NOTIFY_NO_SENDERS)
                snprintf(ret_said, SAID, "%s %u", names[i], n.value);
        else if (m->kind == PTL_NOTIFY_SEND_ONCE)
                snprintf(ret_said, SAID, "%s", names[i]);
        else
                snprintf(ret_said, SAID, "%s %d", names[i], place_of(n.value));
}

static inline void say_message(const struct ptl_message *m, char *ret_said)
{
        if (m->kind >= PTL_NOTIFY_DEAD_NAME)
                say_notification(m, ret_said);
        else
                snprintf(ret_said, SAID, "%.*s", (int)m->size, (const char *)m->data);
}

static inline void drop_message(struct ptl_message *m)
{
        for (uint32_t i = 0; i < m->n_rights; i++)
                if (m->rights[i].disposition == PTL_RIGHT_RECEIVE)
                        ptl_port_free(m->rights[i].port);
                else if (m->rights[i].port)
                        ptl_right_release(m->rights[i].port);
        for (uint32_t i = 0; i < m->n_regions; i++)
                ptl_region_free(m->regions[i].region);
        ptl_message_release(m);
}

/* ---- what a task is told ---- */

/* make PLACE [LIMIT]: a port; its name carries the receive right alone. */
static inline int do_make(const struct words *w, char *said)
{
        struct ptl_port_options o = {.limit_messages = w->n > 2 ? number(w, 2) : 0};

        (void)said;
        return ptl_port_new(place(w, 1), &o);
}

static inline int do_set(const struct words *w, char *said)
{
        (void)said;
        return ptl_set_new(place(w, 1));
}

/* add SET PORT */
static inline int do_add(const struct words *w, char *said)
{
        (void)said;
        return ptl_set_add(*place(w, 1), *place(w, 2));
}

static inline int do_publish(const struct words *w, char *said)
{
        (void)said;
        return ptl_name_publish(word(w, 2), *place(w, 1));
}

static inline int do_withdraw(const struct words *w, char *said)
{
        (void)said;
        return ptl_name_withdraw(word(w, 1));
}

/* look PLACE NAME [WHEN] */
static inline int do_look(const struct words *w, char *said)
{
        (void)said;
        return ptl_name_look_up(word(w, 2), place(w, 1), w->n > 3 ? when(w, 3) : soon());
}

/* send PLACE TEXT [WHEN] */
static inline int do_send(const struct words *w, char *said)
{
        (void)said;
        return ptl_send(*place(w, 1), word(w, 2), strlen(word(w, 2)), w->n > 3 ? when(w, 3) : soon());
}

/* bulk PLACE N SIZE: so many of so many bytes; sunk PLACE FIRST N SIZE: takes them, from the FIRSTth */
static inline int do_bulk(const struct words *w, char *said)
{
        static unsigned char data[8192];
        int r = 0;

        (void)said;
        CHECK(number(w, 3) <= sizeof data);
        for (unsigned i = 0; i < number(w, 2) && !r; i++) {
                fill(data, number(w, 3), i);
                r = ptl_send(*place(w, 1), data, number(w, 3), soon());
        }
        return r;
}

/* fill PLACE: until there is no room */
static inline int do_fill(const struct words *w, char *said)
{
        static unsigned char data[8000];
        int r;

        (void)said;
        while ((r = ptl_send(*place(w, 1), data, sizeof data, PTL_NOW)) == 0)
                ;
        return r == PTL_E_FULL ? 0 : r;
}

static inline int do_sunk(const struct words *w, char *said)
{
        (void)said;
        for (unsigned i = 0; i < number(w, 3); i++) {
                struct ptl_message m;
                int r = ptl_receive(*place(w, 1), &m, soon());

                if (r)
                        return r;
                CHECK_EQ(m.size, number(w, 4));
                CHECK(is_filled(m.data, m.size, number(w, 2) + i));
                ptl_message_release(&m);
        }
        return 0;
}

/* sends PLACE TEXT FIRST LAST: so many messages, numbered */
static inline int do_sends(const struct words *w, char *said)
{
        (void)said;
        for (unsigned i = number(w, 3); i <= number(w, 4); i++) {
                char text[32];
                int n = snprintf(text, sizeof text, "%s%u", word(w, 2), i);
                int r = ptl_send(*place(w, 1), text, (size_t)n, soon());

                if (r)
                        return r;
        }
        return 0;
}

/* leave PLACE TEXT NOTIFY: with the port */
static inline int do_leave(const struct words *w, char *said)
{
        struct ptl_outgoing out = {.data = word(w, 2), .size = strlen(word(w, 2)), .leave = 1, .notify = *place(w, 3)};

        (void)said;
        return ptl_send_message(*place(w, 1), &out, PTL_NOW);
}

/* request PLACE TEXT REPLY: asks, and does not wait */
static inline int do_request(const struct words *w, char *said)
{
        struct ptl_outgoing out = {.data = word(w, 2), .size = strlen(word(w, 2)), .reply = *place(w, 3)};

        (void)said;
        return ptl_send_message(*place(w, 1), &out, soon());
}

static inline size_t items_from(const struct words *w, int first, struct ptl_right_item *ret_items)
{
        size_t n = 0;

        for (int i = first; i + 1 < w->n; i += 2)
                ret_items[n++] = (struct ptl_right_item){*place(w, i), disposition(word(w, i + 1))};
        return n;
}

/* give TO WHEN {PLACE DISPOSITION}: a message "given" with these rights */
static inline int do_give(const struct words *w, char *said)
{
        struct ptl_right_item items[WORDS];
        struct ptl_outgoing out = {.data = "given", .size = 5, .rights = items};

        (void)said;
        out.n_rights = items_from(w, 3, items);
        return ptl_send_message(*place(w, 1), &out, when(w, 2));
}

/* Of place I to I + N - 1, in one message: row TO I N DISPOSITION */
static inline int do_row(const struct words *w, char *said)
{
        struct ptl_right_item items[PLACES];
        struct ptl_outgoing out = {.data = "row", .size = 3, .rights = items, .n_rights = number(w, 3)};

        (void)said;
        for (size_t i = 0; i < out.n_rights; i++)
                items[i] = (struct ptl_right_item){places[number(w, 2) + i], disposition(word(w, 4))};
        return ptl_send_message(*place(w, 1), &out, soon());
}

/* reply {PLACE DISPOSITION}: to the message held; with rights */
static inline int do_reply(const struct words *w, char *said)
{
        struct ptl_right_item items[WORDS];
        struct ptl_outgoing out = {.data = "answer", .size = 6, .rights = items};
        int r;

        (void)said;
        out.n_rights = items_from(w, 1, items);
        r = ptl_reply_message(&held_message, &out);
        if (!r)
                drop_message(&held_message);
        return r;
}

/* hold PLACE: takes a message, and keeps it for "reply" */
static inline int do_hold(const struct words *w, char *said)
{
        int r = ptl_receive(*place(w, 1), &held_message, soon());

        if (!r)
                say_message(&held_message, said);
        return r;
}

/* drop: what is held, unanswered */
static inline int do_drop(const struct words *w, char *said)
{
        (void)w;
        (void)said;
        drop_message(&held_message);
        return 0;
}

/* take PLACE [WHEN] */
static inline int do_take(const struct words *w, char *said)
{
        struct ptl_message m;
        int r = ptl_receive(*place(w, 1), &m, w->n > 2 ? when(w, 2) : soon());

        if (r)
                return r;
        say_message(&m, said);
        drop_message(&m);
        return 0;
}

/* takes PLACE TEXT FIRST LAST: exactly these, in order */
static inline int do_takes(const struct words *w, char *said)
{
        char text[32], got[SAID];

        for (unsigned i = number(w, 3); i <= number(w, 4); i++) {
                struct words one = {.of = {w->of[0], w->of[1]}, .n = 2};
                int r = do_take(&one, got);

                snprintf(text, sizeof text, "%s%u", word(w, 2), i);
                if (r || strcmp(text, got)) {
                        snprintf(said, SAID, "%.300s, not %s", r ? ptl_outcome_name(r) : got, text);
                        return 0;
                }
        }
        return 0;
}

/*
 * mixed PLACE N: so many messages, each a letter and a number; of one letter they come in order, one by one. Says which:
 * "d1-4 m2-3"
 */
static inline int do_mixed(const struct words *w, char *said)
{
        unsigned first[26] = {0}, last[26] = {0};
        struct words one = {.of = {w->of[0], w->of[1]}, .n = 2};
        char got[SAID] = "", *end;
        size_t at = 0;

        for (unsigned i = 0; i < number(w, 2); i++) {
                int r = do_take(&one, got);
                unsigned n = (unsigned)strtoul(got + 1, &end, 10), letter = (unsigned)(got[0] - 'a');

                if (r)
                        return r;
                if (letter >= 26 || *end || (last[letter] && n != last[letter] + 1)) {
                        snprintf(said, SAID, "%.300s out of order", got);
                        return 0;
                }
                first[letter] = first[letter] ? first[letter] : n;
                last[letter] = n;
        }
        for (unsigned i = 0; i < 26; i++)
                if (last[i])
                        at += (size_t)snprintf(said + at, SAID - at, "%s%c%u-%u", at ? " " : "", (int)('a' + i),
                                               first[i], last[i]);
        return 0;
}

/* from PLACE: who sent the next message */
static inline int do_from(const struct words *w, char *said)
{
        struct ptl_message m;
        int r = ptl_receive(*place(w, 1), &m, soon());

        if (r)
                return r;
        snprintf(said, SAID, "%d", m.sender->pid);
        drop_message(&m);
        return 0;
}

/* store FROM PLACE: takes a message, keeps its rights from that place on, says what they are */
static inline int do_store(const struct words *w, char *said)
{
        struct ptl_message m;
        int r = ptl_receive(*place(w, 1), &m, soon());
        size_t at = 0;

        if (r)
                return r;
        for (uint32_t i = 0; i < m.n_rights; i++) {
                CHECK(number(w, 2) + i < PLACES);
                places[number(w, 2) + i] = m.rights[i].port;
                at += (size_t)snprintf(said + at, SAID - at, "%s%u", i ? " " : "", m.rights[i].disposition);
        }
        if (!m.n_rights)
                snprintf(said, SAID, "nothing");
        ptl_message_release(&m);
        return 0;
}

/* call PLACE TEXT: says what was answered */
static inline int do_call(const struct words *w, char *said)
{
        size_t n = SAID - 1;
        int r;

        r = ptl_call(*place(w, 1), word(w, 2), strlen(word(w, 2)), said, &n, soon());
        said[r ? 0 : n] = '\0';
        return r;
}

/* carry PLACE RIGHT HOW SEED SIZE: bytes, a region (HOW: 1 volatile, 2 isolated) and a copied right */
static inline int do_carry(const struct words *w, char *said)
{
        static unsigned char data[CARRIED_MAX];
        struct ptl_right_item item = {*place(w, 2), PTL_COPY_SEND};
        struct ptl_region_item region = {.how = number(w, 3)};
        struct ptl_outgoing out = {data, number(w, 5), 0, 0, 0, 0, &item, 1, &region, 1};
        unsigned seed = number(w, 4);
        int r;

        (void)said;
        CHECK(out.size <= sizeof data);
        OK(ptl_region_new(REGION_SIZE, &region.region));
        fill(ptl_region_data(region.region), REGION_SIZE, seed + 1);
        fill(data, out.size, seed);
        r = ptl_send_message(*place(w, 1), &out, soon());
        if (r || region.how == PTL_REGION_VOLATILE)
                ptl_region_free(region.region);
        return r;
}

/* carried PLACE RIGHT SEED SIZE: what "carry" sent, whole; the right is kept in place RIGHT, and said what it is */
static inline int do_carried(const struct words *w, char *said)
{
        struct ptl_message m;
        int r = ptl_receive(*place(w, 1), &m, soon());

        if (r)
                return r;
        CHECK_EQ(m.size, number(w, 4));
        CHECK(is_filled(m.data, m.size, number(w, 3)));
        CHECK_EQ(m.n_regions, 1);
        CHECK(m.regions[0].region);
        CHECK_EQ(ptl_region_size(m.regions[0].region), REGION_SIZE);
        CHECK(is_filled(ptl_region_data(m.regions[0].region), REGION_SIZE, number(w, 3) + 1));
        ptl_region_free(m.regions[0].region);
        CHECK_EQ(m.n_rights, 1);
        *place(w, 2) = m.rights[0].port;
        snprintf(said, SAID, "%u", m.rights[0].disposition);
        ptl_message_release(&m);
        return 0;
}

static inline int do_free(const struct words *w, char *said)
{
        (void)said;
        return ptl_port_free(*place(w, 1));
}

static inline int do_release(const struct words *w, char *said)
{
        (void)said;
        return ptl_right_release(*place(w, 1));
}

static inline int do_make_send(const struct words *w, char *said)
{
        (void)said;
        return ptl_right_make_send(*place(w, 1));
}

/* status PLACE: rights and references */
static inline int do_status(const struct words *w, char *said)
{
        struct ptl_port_status s;
        int r;

        look_around();
        r = ptl_port_get_status(*place(w, 1), &s);
        snprintf(said, r ? 1 : SAID, "%u %u", s.rights, s.references);
        return r;
}

/* queued PLACE: how many messages were read for it */
static inline int do_queued(const struct words *w, char *said)
{
        struct ptl_port_status s;
        int r;

        look_around();
        r = ptl_port_get_status(*place(w, 1), &s);
        snprintf(said, r ? 1 : SAID, "%u", s.queued);
        return r;
}

/* poll PLACE: whether its descriptor is readable, or becomes so in time */
static inline int do_poll(const struct words *w, char *said)
{
        struct pollfd p = {.events = POLLIN};
        int r = ptl_descriptor(*place(w, 1), &p.fd);

        if (!r)
                snprintf(said, SAID, "%s", poll(&p, 1, (int)tst_deadline_ms(12000)) == 1 ? "readable" : "silent");
        return r;
}

/* options PLACE: its limit, and the place of its set */
static inline int do_options(const struct words *w, char *said)
{
        struct ptl_port_status s;
        int r = ptl_port_get_status(*place(w, 1), &s);

        snprintf(said, r ? 1 : SAID, "%u %d", s.limit_messages, place_of(s.set));
        return r;
}

/* owner PLACE: the task whose port it is */
static inline int do_owner(const struct words *w, char *said)
{
        struct ptl_port_status s;
        int r;

        look_around();
        r = ptl_port_get_status(*place(w, 1), &s);
        snprintf(said, r ? 1 : SAID, "%d", s.peer_pid);
        return r;
}

/* same PLACE PLACE: whether both are one name */
static inline int do_same(const struct words *w, char *said)
{
        snprintf(said, SAID, "%s", *place(w, 1) == *place(w, 2) ? "yes" : "no");
        return 0;
}

/* counts PLACE: sequence, made, once, has_senders, asked */
static inline int do_counts(const struct words *w, char *said)
{
        struct ptl_port_counts c;
        int r;

        look_around();
        r = ptl_port_get_counts(*place(w, 1), &c);
        snprintf(said, r ? 1 : SAID, "%u %u %u %u %u", (unsigned)c.sequence, c.made, c.once, c.has_senders, c.asked);
        return r;
}

/* ask PLACE KIND NOTIFY: dead, none (no senders) or destroyed */
static inline int do_ask(const struct words *w, char *said)
{
        uint32_t kind = !strcmp(word(w, 2), "dead")   ? PTL_NOTIFY_DEAD_NAME
                        : !strcmp(word(w, 2), "none") ? PTL_NOTIFY_NO_SENDERS
                                                      : PTL_NOTIFY_PORT_DESTROYED;

        (void)said;
        return ptl_right_request(*place(w, 1), kind, 0, *place(w, 3), NULL);
}

static inline void *wait_in_thread(void *arg)
{
        struct ptl_message m;

        (void)arg;
        ptl_store_release(&waiter_tid, (uint32_t)syscall(SYS_gettid));
        waiter_outcome = ptl_receive(waited_port, &m, soon());
        return NULL;
}

/* wait PLACE: another thread of the task waits there; said when it sleeps. waited: what it got */
static inline int do_wait(const struct words *w, char *said)
{
        (void)said;
        waited_port = *place(w, 1);
        waiter_tid = 0;
        CHECK(pthread_create(&waiter, NULL, wait_in_thread, NULL) == 0);
        CHECK(tst_wait_until(ptl_load_acquire(&waiter_tid), 5000));
        CHECK(tst_wait_until(is_asleep(getpid(), (pid_t)ptl_load_relaxed(&waiter_tid)), 5000));
        return 0;
}

static inline int do_waited(const struct words *w, char *said)
{
        (void)w;
        (void)said;
        pthread_join(waiter, NULL);
        return waiter_outcome;
}

/* rights: how many it granted to all its peers, and holds of them */
static inline int do_rights(const struct words *w, char *said)
{
        struct ptl_link_statistics links[16];
        uint32_t granted = 0, held = 0;
        size_t n;

        (void)w;
        look_around();
        OK(ptl_link_get_statistics(links, ARRAY_LEN(links), &n));
        for (size_t i = 0; i < n && i < ARRAY_LEN(links); i++) {
                granted += links[i].state == 2 ? 0 : links[i].rights_granted;
                held += links[i].state == 2 ? 0 : links[i].rights_held;
        }
        snprintf(said, SAID, "%u %u", granted, held);
        return 0;
}

/* names: how many it has */
static inline int do_names(const struct words *w, char *said)
{
        (void)w;
        look_around();
        snprintf(said, SAID, "%u", statistics().names);
        return 0;
}

static const struct {
        const char *name;
        int (*obey)(const struct words *w, char *said);
} orders[] = {
        {"make",      do_make     },
        {"set",       do_set      },
        {"add",       do_add      },
        {"publish",   do_publish  },
        {"withdraw",  do_withdraw },
        {"look",      do_look     },
        {"send",      do_send     },
        {"sends",     do_sends    },
        {"bulk",      do_bulk     },
        {"fill",      do_fill     },
        {"sunk",      do_sunk     },
        {"leave",     do_leave    },
        {"request",   do_request  },
        {"give",      do_give     },
        {"row",       do_row      },
        {"reply",     do_reply    },
        {"hold",      do_hold     },
        {"drop",      do_drop     },
        {"take",      do_take     },
        {"takes",     do_takes    },
        {"mixed",     do_mixed    },
        {"from",      do_from     },
        {"store",     do_store    },
        {"call",      do_call     },
        {"carry",     do_carry    },
        {"carried",   do_carried  },
        {"free",      do_free     },
        {"release",   do_release  },
        {"make-send", do_make_send},
        {"status",    do_status   },
        {"queued",    do_queued   },
        {"poll",      do_poll     },
        {"options",   do_options  },
        {"owner",     do_owner    },
        {"same",      do_same     },
        {"counts",    do_counts   },
        {"ask",       do_ask      },
        {"wait",      do_wait     },
        {"waited",    do_waited   },
        {"rights",    do_rights   },
        {"names",     do_names    },
};

static inline void obey(char *line)
{
        struct words w = {.n = 0};
        char said[SAID] = "";
        int r;

        if (line[0] == '!')
                peer_say(NULL, "begins");
        line += line[0] == '!';
        for (char *at = strtok(line, " "); at && w.n < WORDS; at = strtok(NULL, " "))
                w.of[w.n++] = at;
        for (size_t i = 0; i < ARRAY_LEN(orders); i++)
                if (w.n && !strcmp(w.of[0], orders[i].name)) {
                        r = orders[i].obey(&w, said);
                        peer_say(NULL, "%s", r || !said[0] ? ptl_outcome_name(r) : said);
                        return;
                }
        CHECK(!"an order");
}
