/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/hostile_socket_test.c - a peer that says anything at all on the link's socket
 *
 * Packets that no task sends, in an order no task keeps, and descriptors of all that has one: as an
 * outbox, as a doorbell, as a region.
 */
#define _GNU_SOURCE
#include "fuse_raw.h"
#include "link_raw.h"
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

/* ---- packets ---- */

static void packet(struct link_raw *l, uint32_t magic, uint32_t type, uint32_t protocol,
                   uint64_t value)
{
        struct ptl_link_msg msg = {magic, (uint16_t)type, (uint16_t)protocol, value};

        link_raw_packet(l, &msg, sizeof msg, NULL, 0);
}

static void say_with_bells(struct link_raw *l, enum ptl_link_type type, uint64_t value, size_t n)
{
        int fds[PTL_SOCKET_FDS_MAX];

        for (size_t i = 0; i < n; i++)
                fds[i] = l->bell;
        link_raw_say(l, type, value, fds, n);
}

static void tickets(struct link_raw *l, uint64_t first, size_t count, size_t n)
{
        say_with_bells(l, PTL_LM_DESCRIPTORS, ptl_link_msg_tickets(first, count), n);
}

static void nothing(struct link_raw *l) { CHECK(send(l->socket, "", 0, MSG_NOSIGNAL) == 0); }
static void short_packet(struct link_raw *l)
{
        struct ptl_link_msg msg = ptl_link_msg(PTL_LM_ACKNOWLEDGE, 0);

        link_raw_packet(l, &msg, sizeof msg - 1, NULL, 0);
}
static void long_packet(struct link_raw *l)
{
        struct ptl_link_msg msg[2] = {ptl_link_msg(PTL_LM_ACKNOWLEDGE, 0)};

        link_raw_packet(l, msg, sizeof *msg + 1, NULL, 0);
}
static void longest_packet(struct link_raw *l)
{
        static char bytes[65536];

        link_raw_packet(l, bytes, sizeof bytes, &l->bell, 1);
}
static void other_magic(struct link_raw *l)
{
        packet(l, ~PTL_LINK_MAGIC, PTL_LM_ACKNOWLEDGE, 1, 0);
}
static void type_0(struct link_raw *l) { packet(l, PTL_LINK_MAGIC, 0, 1, 0); }
static void type_4(struct link_raw *l) { packet(l, PTL_LINK_MAGIC, 4, 1, 0); }
static void bare_hello(struct link_raw *l) { packet(l, PTL_LINK_MAGIC, PTL_LM_HELLO, 1, 0); }
static void hello_again(struct link_raw *l) { say_with_bells(l, PTL_LM_HELLO, 0, 2); }
static void hello_of_version_2(struct link_raw *l)
{
        packet(l, PTL_LINK_MAGIC, PTL_LM_HELLO, 2, 0);
}
static void acknowledge_nothing(struct link_raw *l)
{
        link_raw_say(l, PTL_LM_ACKNOWLEDGE, 0, NULL, 0);
}
static void acknowledge_unsent(struct link_raw *l)
{
        link_raw_say(l, PTL_LM_ACKNOWLEDGE, 1, NULL, 0);
}
static void acknowledge_all(struct link_raw *l)
{
        link_raw_say(l, PTL_LM_ACKNOWLEDGE, UINT64_MAX, NULL, 0);
}
static void acknowledge_with_gift(struct link_raw *l)
{
        say_with_bells(l, PTL_LM_ACKNOWLEDGE, 0, 1);
}
static void no_tickets(struct link_raw *l) { tickets(l, 1, 0, 0); }
static void ticket_0(struct link_raw *l) { tickets(l, 0, 1, 1); }
static void ticket_2(struct link_raw *l) { tickets(l, 2, 1, 1); }
static void ticket_twice(struct link_raw *l)
{
        tickets(l, 1, 1, 1);
        tickets(l, 1, 1, 1);
}
static void eighteen_tickets(struct link_raw *l) { tickets(l, 1, 18, 18); }
static void all_tickets(struct link_raw *l) { tickets(l, 1, 255, PTL_SOCKET_FDS_MAX); }
static void as_many_as_may_be(struct link_raw *l)
{
        tickets(l, 1, 16, 16);
        tickets(l, 17, 16, 16);
}
static void one_more_than_may_be(struct link_raw *l)
{
        as_many_as_may_be(l);
        tickets(l, 33, 1, 1);
}
static void announced_in_vain(struct link_raw *l) { tickets(l, 1, 3, 0); }
static void fewer_than_announced(struct link_raw *l) { tickets(l, 1, 3, 2); }
static void more_than_announced(struct link_raw *l) { tickets(l, 1, 1, 17); }
static void as_many_as_the_kernel_carries(struct link_raw *l)
{
        tickets(l, 1, 1, PTL_SOCKET_FDS_MAX);
}

static const struct packet_row {
        const char *name;
        void (*say)(struct link_raw *l);
        enum verdict verdict;
} packets[] = {
        {"an empty packet",                nothing,                       ENDS },
        {"a byte too short",               short_packet,                  LIE  },
        {"a byte too long",                long_packet,                   LIE  },
        {"64 KiB",                         longest_packet,                LIE  },
        {"another magic",                  other_magic,                   LIE  },
        {"type 0",                         type_0,                        LIE  },
        {"type 4",                         type_4,                        LIE  },
        {"a second HELLO, bare",           bare_hello,                    LIE  },
        {"a second HELLO",                 hello_again,                   LIE  },
        {"a HELLO of version 2",           hello_of_version_2,            LIE  },
        {"nothing acknowledged",           acknowledge_nothing,           LIVES},
        {"acknowledged what was not sent", acknowledge_unsent,            LIE  },
        {"acknowledged all there can be",  acknowledge_all,               LIE  },
        {"a descriptor with an answer",    acknowledge_with_gift,         LIE  },
        {"no tickets",                     no_tickets,                    LIE  },
        {"ticket 0",                       ticket_0,                      LIE  },
        {"ticket 2 before 1",              ticket_2,                      LIE  },
        {"ticket 1, twice",                ticket_twice,                  LIE  },
        {"18 tickets",                     eighteen_tickets,              LIE  },
        {"255 tickets",                    all_tickets,                   LIE  },
        {"32 tickets",                     as_many_as_may_be,             LIVES},
        {"33 tickets",                     one_more_than_may_be,          LIE  },
        {"3 tickets, no descriptor",       announced_in_vain,             LIVES},
        {"3 tickets, 2 descriptors",       fewer_than_announced,          LIVES},
        {"1 ticket, 17 descriptors",       more_than_announced,           LIVES},
        {"1 ticket, 253 descriptors",      as_many_as_the_kernel_carries, LIVES},
};

TEST(each_packet_that_no_task_sends_ends_its_link_and_no_other)
{
        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
                struct link_raw l = link_raw_open();

                link_raw_ping(&l);
                packets[i].say(&l);
                link_raw_judge(&l, packets[i].verdict, packets[i].name);
        }
        end_victim();
}

/* ---- descriptors ---- */

enum { OUTBOX_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10 /* F_SEAL_FUTURE_WRITE */ };

/* A memfd of an outbox's size with a good head, or -1 where there can be none. */
static int memory(unsigned flags, int seals, off_t size, off_t reserved)
{
        struct ptl_outbox_head head = {
                .magic = PTL_OUTBOX_MAGIC, .version = PTL_OUTBOX_VERSION, .size = PTL_OUTBOX_SIZE};
        int fd = memfd_create("hostile", MFD_CLOEXEC | flags);

        if (fd < 0)
                return -1;
        CHECK(ftruncate(fd, size) == 0);
        if (reserved && fallocate(fd, 0, 0, reserved) != 0)
                return ptl_close(fd), -1; /* huge pages: this machine keeps none now */
        CHECK(flags & MFD_HUGETLB || pwrite(fd, &head, 128, 0) == 128);
        CHECK(!seals || fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

enum { WHOLE = PTL_OUTBOX_SIZE };

static int unsealed(void) { return memory(MFD_ALLOW_SEALING, 0, WHOLE, WHOLE); }
static int unsealable(void) { return memory(0, 0, WHOLE, WHOLE); }
static int may_shrink(void)
{
        return memory(MFD_ALLOW_SEALING, OUTBOX_SEALS & ~F_SEAL_SHRINK, WHOLE, WHOLE);
}
static int sparse(void) { return memory(MFD_ALLOW_SEALING, OUTBOX_SEALS, WHOLE, 0); }
static int too_small(void) { return memory(MFD_ALLOW_SEALING, OUTBOX_SEALS, 2048, 2048); }
/* Without a page where the machine keeps none. */
static int huge(void)
{
        int fd = memory(MFD_ALLOW_SEALING | MFD_HUGETLB, OUTBOX_SEALS, 2 << 20, 2 << 20);

        return fd >= 0 ? fd : memory(MFD_ALLOW_SEALING | MFD_HUGETLB, OUTBOX_SEALS, 0, 0);
}

static int first_of(int fds[2])
{
        ptl_close(fds[1]);
        return fds[0];
}
static int pipe_end(void)
{
        int fds[2];

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        return first_of(fds);
}
static int socket_end(void)
{
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        return first_of(fds);
}
static int directory(void) { return open(tst_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }
static int path_only(void) { return open("/dev/null", O_PATH | O_CLOEXEC); }
static int null_device(void) { return open("/dev/null", O_RDWR | O_CLOEXEC); }
static int file(void) { return open(tst_temp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }
static int counter(void) { return eventfd(0, EFD_CLOEXEC); } /* it blocks who reads it */
static int full_counter(void)
{
        uint64_t last = UINT64_MAX - 1;
        int fd = eventfd(0, EFD_CLOEXEC); /* it blocks who adds to it, too */

        CHECK(write(fd, &last, sizeof last) == sizeof last);
        return fd;
}
static int semaphore(void) { return eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE); }
static int epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }
static int timer(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC); }

static const struct thing {
        const char *name;
        int (*make)(void);
        enum verdict outbox, bell;
} things[] = {
        {"memory without a seal",        unsealed,     LIE, LIE  },
        {"memory that cannot be sealed", unsealable,   LIE, LIE  },
        {"memory that may shrink",       may_shrink,   LIE, LIE  },
        {"memory with holes",            sparse,       LIE, LIE  },
        {"memory too small",             too_small,    LIE, LIE  },
        {"huge pages",                   huge,         LIE, LIE  },
        {"a pipe",                       pipe_end,     LIE, LIE  },
        {"a socket",                     socket_end,   LIE, LIE  },
        {"a folder",                     directory,    LIE, LIE  },
        {"a path",                       path_only,    LIE, LIE  },
        {"a device",                     null_device,  LIE, LIE  },
        {"a file",                       file,         LIE, LIE  },
        {"an eventfd",                   counter,      LIE, LIVES},
        {"a full eventfd",               full_counter, LIE, LIVES},
        {"a semaphore",                  semaphore,    LIE, LIVES},
        {"an epoll set",                 epoll,        LIE, LIVES},
        {"a timer",                      timer,        LIE, LIVES},
};

static void offer_outbox(const struct thing *thing, int fd)
{
        struct link_raw l = link_raw_find("victim");
        int fds[2] = {fd, l.bell = counter()};

        CHECK(link_raw_say(&l, PTL_LM_HELLO, 0, fds, 2));
        link_raw_judge(&l, thing->outbox, thing->name);
}

/* The victim rings it, since we are armed: that must not block it, or hurt. */
static void offer_bell(const struct thing *thing, int fd)
{
        struct link_raw l = link_raw_find("victim");

        link_raw_hello(&l, fd);
        if (thing->bell == LIVES)
                for (uint32_t armed = 1; armed < 20; armed += 2) {
                        /* relaxed: the victim may see it at any time */
                        ptl_store_relaxed(&ptl_outbox_head(&l.mine)->bell.armed, armed);
                        if (armed == 1)
                                CHECK(link_raw_claim(&l, 1, l.ticket));
                        link_raw_ping(&l);
                }
        link_raw_judge(&l, thing->bell, thing->name);
}

/* As a region, of which we say that it is as large as an outbox. */
static void offer_region(const struct thing *thing, int fd)
{
        struct ptl_rich r = {
                .n_regions = 1,
                .regions[0] = {.fresh = 1, .how = PTL_REGION_VOLATILE, .size = WHOLE, .ticket = 1}
        };
        char body[64] __attribute__((aligned(8)));
        struct link_raw l = link_raw_open();

        ptl_rich_encode(&r, body);
        CHECK(link_raw_descriptors(&l, 1, &fd, 1));
        CHECK(link_raw_frame(&l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT}, body,
                             (uint32_t)ptl_rich_head_size(0, 1)));
        link_raw_judge(&l, LIE, thing->name);
}

static void with_each_thing(void (*offer)(const struct thing *thing, int fd))
{
        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(things); i++) {
                int fd = things[i].make();

                if (fd < 0)
                        continue; /* huge pages, of which the kernel knows nothing */
                offer(&things[i], fd);
                ptl_close(fd);
        }
        end_victim();
}

TEST(no_other_thing_is_taken_for_an_outbox) { with_each_thing(offer_outbox); }
TEST(no_doorbell_blocks_who_rings_it) { with_each_thing(offer_bell); }
TEST(no_other_thing_is_taken_for_a_region) { with_each_thing(offer_region); }

/* ---- a file whose file system hangs ---- */

static void offer_hanging(void (*offer)(const struct thing *thing, int fd))
{
        static const struct thing hanging = {"a file of FUSE", NULL, LIE, LIE};
        int fd = fuse_open();

        start_victim();
        offer(&hanging, fd);
        end_victim();
        ptl_close(fd);
}

TEST(a_file_that_nobody_serves_is_no_outbox) { offer_hanging(offer_outbox); }
TEST(a_file_that_nobody_serves_is_no_doorbell) { offer_hanging(offer_bell); }
TEST(a_file_that_nobody_serves_is_no_region) { offer_hanging(offer_region); }

/* ---- a socket that lingers ---- */

/* Whoever closes it last waits until all is sent, which nobody reads: a quarter of an hour, at most. */
static int lingering(int *ret_other_end)
{
        const struct linger linger = {.l_onoff = 1, .l_linger = 900};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof a;
        static char bytes[65536];

        CHECK(listener >= 0 && fd >= 0);
        if (bind(listener, (struct sockaddr *)&a, size) != 0 || listen(listener, 1) != 0 ||
            getsockname(listener, (struct sockaddr *)&a, &size) != 0 ||
            connect(fd, (struct sockaddr *)&a, size) != 0)
                SKIP("there is no TCP on this machine");
        *ret_other_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        CHECK(*ret_other_end >= 0);
        close(listener);
        while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
        CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
        return fd;
}

static void as_outbox(struct link_raw *l, int fd)
{
        CHECK(link_raw_say(l, PTL_LM_HELLO, 0, (int[]){fd, l->bell}, 2));
}
static void as_bell(struct link_raw *l, int fd)
{
        int outbox = link_raw_outbox(l);

        CHECK(link_raw_say(l, PTL_LM_HELLO, 0, (int[]){outbox, fd}, 2));
        ptl_close(outbox);
}
static void as_third(struct link_raw *l, int fd)
{
        CHECK(link_raw_say(l, PTL_LM_HELLO, 0, (int[]){l->bell, l->bell, fd}, 3));
}
static void as_gift(struct link_raw *l, int fd)
{
        CHECK(link_raw_say(l, PTL_LM_ACKNOWLEDGE, 0, &fd, 1));
}
static void as_region(struct link_raw *l, int fd)
{
        struct ptl_rich r = {
                .n_regions = 1,
                .regions[0] = {.fresh = 1, .how = PTL_REGION_VOLATILE, .size = 4096, .ticket = 1}
        };
        char body[64] __attribute__((aligned(8)));

        ptl_rich_encode(&r, body);
        CHECK(link_raw_descriptors(l, 1, &fd, 1));
        CHECK(link_raw_frame(l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT}, body,
                             (uint32_t)ptl_rich_head_size(0, 1)));
}
static void as_unnamed(struct link_raw *l, int fd)
{
        CHECK(link_raw_descriptors(l, 1, &fd, 1));
        shutdown(l->socket, SHUT_WR);
}
static void as_one_of_many(struct link_raw *l, int fd)
{
        int fds[PTL_SOCKET_FDS_MAX];

        for (int i = 0; i < PTL_SOCKET_FDS_MAX; i++)
                fds[i] = fd;
        CHECK(link_raw_descriptors(l, 1, fds, PTL_SOCKET_FDS_MAX));
}

static const struct way {
        const char *name;
        void (*pass)(struct link_raw *l, int fd);
        bool opened; /* on a link that is open */
        enum verdict verdict;
} ways[] = {
        {"as an outbox",          as_outbox,      false, LIE },
        {"as a doorbell",         as_bell,        false, LIE },
        {"as a third",            as_third,       false, LIE },
        {"with an answer",        as_gift,        true,  LIE },
        {"as a region",           as_region,      true,  LIE },
        {"that no frame names",   as_unnamed,     true,  ENDS},
        {"one of 253 for 253",    as_one_of_many, true,  LIE },
};

static void pause_victim(void)
{
        int status;

        CHECK(kill(patient.pid, SIGSTOP) == 0);
        CHECK(waitpid(patient.pid, &status, WUNTRACED) == patient.pid && WIFSTOPPED(status));
}

/* While the victim is stopped our own copy is closed, so that the victim's is the last. */
TEST(no_lingering_socket_keeps_the_victim_from_others)
{
        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
                struct link_raw l = ways[i].opened ? link_raw_open() : link_raw_find("victim");
                int other_end, fd = lingering(&other_end);

                if (ways[i].opened)
                        link_raw_ping(&l);
                else
                        l.bell = counter();
                pause_victim();
                ways[i].pass(&l, fd);
                ptl_close(fd);
                CHECK(kill(patient.pid, SIGCONT) == 0);
                link_raw_judge(&l, ways[i].verdict, ways[i].name);
                close(other_end);
        }
        end_victim();
}

/* ---- more descriptors than there may be, and fewer ---- */

/* docs/protocol/link.md: HELLO has two. */
TEST(a_hello_without_its_two_descriptors_ends_the_link)
{
        static const size_t counts[] = {0, 1, 3, 17, 18, PTL_SOCKET_FDS_MAX};

        start_victim();
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
                struct link_raw l = link_raw_find("victim");

                l.bell = counter();
                say_with_bells(&l, PTL_LM_HELLO, 0, counts[i]);
                link_raw_judge(&l, LIE, "a HELLO");
        }
        end_victim();
}

static void tell_victim(uint32_t kind)
{
        OK(ptl_send_message(friendly, &(struct ptl_outgoing){.kind = kind}, soon()));
        call_echo(friendly); /* it is done when it answers */
}

static void send_region(void)
{
        struct ptl_region_item item = {.how = PTL_REGION_VOLATILE};
        struct ptl_outgoing out = {.regions = &item, .n_regions = 1};

        OK(ptl_region_new(4096, &item.region));
        OK(ptl_send_message(friendly, &out, soon()));
        ptl_region_free(item.region);
        call_echo(friendly);
}

/* What it cannot take in is lost to it, and to nobody else (docs/protocol/rights.md, "Regions"). */
TEST(a_victim_without_room_for_descriptors_loses_those_alone)
{
        struct link_raw l, late;

        start_victim();
        l = link_raw_open();
        link_raw_ping(&l);
        late = link_raw_find("victim");
        link_raw_meet(&late);
        tell_victim(KIND_FULL);
        as_region(&l, l.bell); /* would be a lie, if it arrived */
        link_raw_ping(&l);
        send_region();
        late.bell = counter();
        link_raw_say_hello(&late, late.bell); /* waits until there is room */
        call_echo_of(friendly, 20000, 3);
        link_raw_ping(&l);
        tell_victim(KIND_ROOM);
        link_raw_join(&late);
        CHECK(link_raw_claim(&late, 1, late.ticket));
        link_raw_ping(&late);
        CHECK_EQ(ask_health().lost, 2);
        send_region();
        CHECK_EQ(ask_health().lost, 2);
        link_raw_close(&late);
        link_raw_close(&l);
        end_victim();
}

/* ---- a lie that is met on the way to something else ---- */

/* The victim spins: it finds the frame first, and the lie when it looks for the frame's descriptor. */
TEST(a_lie_behind_which_a_descriptor_is_looked_for_is_none_the_less_one)
{
        struct ptl_rich r = {
                .n_regions = 1,
                .regions[0] = {.fresh = 1, .how = PTL_REGION_VOLATILE, .size = 4096, .ticket = 1}
        };
        void (*const lies[])(struct link_raw *) = {bare_hello, hello_of_version_2, ticket_2};
        char body[64] __attribute__((aligned(8)));

        CHECK(setenv("PORTOLAN_WAIT", "spin", 1) == 0);
        start_victim();
        ptl_rich_encode(&r, body);
        for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
                struct link_raw l = link_raw_open();
                int status;

                link_raw_ping(&l);
                CHECK(kill(patient.pid, SIGSTOP) == 0);
                CHECK(waitpid(patient.pid, &status, WUNTRACED) == patient.pid && WIFSTOPPED(status));
                lies[i](&l);
                CHECK(link_raw_frame(&l, PTL_FRAME_RICH, (struct ptl_frame_head){.right = RIGHT}, body,
                                     (uint32_t)ptl_rich_head_size(0, 1)));
                CHECK(kill(patient.pid, SIGCONT) == 0);
                link_raw_judge(&l, LIE, "a lie before a frame");
        }
        end_victim();
}
