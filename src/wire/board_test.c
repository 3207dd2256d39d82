/* SPDX-License-Identifier: Apache-2.0 */
/* wire/board_test.c - what is read of a board, whoever wrote it, and whenever */
#define _GNU_SOURCE
#include "tst.h"
#include "wire/board.h"
#include <pthread.h>

static struct ptl_board board, copy;

/* Two ports, one peer. */
static void good(void)
{
        memset(&board, 0, sizeof board);
        board.head = (struct ptl_board_head){.magic = PTL_BOARD_MAGIC,
                                             .version = PTL_BOARD_VERSION_NOW,
                                             .size = PTL_BOARD_SIZE,
                                             .n_ports = 2,
                                             .n_peers = 1,
                                             .n_refusals = 1};
        board.head.refusals[0] = (struct ptl_quota_refusal){.limit = PTL_QUOTA_LIMITS, .is_ours = 1};
        for (int i = 0; i < 2; i++)
                board.ports[i] = (struct ptl_port_view){.name = 5, .rights = PTL_RIGHT_RECEIVE};
        board.peers[0].state = 1;
}

static int check(void) { return ptl_board_check(&board); }

TEST(a_board_that_a_task_writes_is_believed)
{
        good();
        CHECK_EQ(check(), 0);
        board.head.n_ports = PTL_VIEW_PORTS;
        for (int i = 0; i < PTL_VIEW_PORTS; i++)
                board.ports[i] = board.ports[0];
        board.head.n_peers = PTL_VIEW_PEERS;
        CHECK_EQ(check(), 0);
}

/* A word of a good board replaced. */
#define AT(field) offsetof(struct ptl_board, field)

static const struct row {
        const char *name;
        size_t offset;
        uint32_t value;
        int expect;
} rows[] = {
        {"magic",                    AT(head.magic),             1,                  PTL_E_MALFORMED},
        {"another version",          AT(head.version),           1,                  PTL_E_VERSION  },
        {"size",                     AT(head.size),              PTL_BOARD_SIZE * 2, PTL_E_MALFORMED},
        {"way of waiting",           AT(head.how),               4,                  PTL_E_MALFORMED},
        {"asleep",                   AT(head.asleep),            2,                  PTL_E_MALFORMED},
        {"a port too many",          AT(head.n_ports),           PTL_VIEW_PORTS + 1, PTL_E_MALFORMED},
        {"ports that wrap",          AT(head.n_ports),           UINT32_MAX,         PTL_E_MALFORMED},
        {"a peer too many",          AT(head.n_peers),           PTL_VIEW_PEERS + 1, PTL_E_MALFORMED},
        {"a port without a name",    AT(ports[1].name),          0,                  PTL_E_MALFORMED},
        {"no rights",                AT(ports[1].rights),        0,                  PTL_E_MALFORMED},
        {"rights that are none",     AT(ports[1].rights),        32,                 PTL_E_MALFORMED},
        {"a flag of two",            AT(ports[1].is_published),  2,                  PTL_E_MALFORMED},
        {"state of a link",          AT(peers[0].state),         3,                  PTL_E_MALFORMED},
        {"what a peer does",         AT(peers[0].waits),         3,                  PTL_E_MALFORMED},
        {"input",                    AT(peers[0].has_input),     2,                  PTL_E_MALFORMED},
        {"identity",                 AT(peers[0].peer.reserved), 1,                  PTL_E_MALFORMED},
        {"held back for no limit",   AT(peers[0].restrained),    PTL_QUOTA_LIMITS + 1, PTL_E_MALFORMED},
        {"told of no limit",         AT(peers[0].restrains),     PTL_QUOTA_LIMITS + 1, PTL_E_MALFORMED},
        {"a refusal too many",       AT(head.n_refusals),        PTL_QUOTA_REFUSALS + 1, PTL_E_MALFORMED},
        {"refused for nothing",      AT(head.refusals[0].limit), 0,                  PTL_E_MALFORMED},
        {"refused for no limit",     AT(head.refusals[0].limit), PTL_QUOTA_LIMITS + 1, PTL_E_MALFORMED},
        {"refused by whom",          AT(head.refusals[0].is_ours), 2,                PTL_E_MALFORMED},
        {"a refusal more",           AT(head.n_refusals),        2,                  PTL_E_MALFORMED},
        {"counters may be anything", AT(ports[1].queued),        UINT32_MAX,         0              },
        {"a row that is not there",  AT(ports[2].rights),        32,                 0              },
};

TEST(what_no_correct_program_writes_is_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                good();
                memcpy((char *)&board + rows[i].offset, &rows[i].value, sizeof rows[i].value);
                CHECK_ROW(i, &rows[i], check() == rows[i].expect);
        }
}

TEST(a_text_without_an_end_is_refused)
{
        good();
        memset(board.ports[1].published, 'x', PTL_VIEW_NAME - 1);
        CHECK_EQ(check(), 0);
        board.ports[1].published[PTL_VIEW_NAME - 1] = 'x';
        CHECK_EQ(check(), PTL_E_MALFORMED);
}

TEST(a_board_left_in_the_middle_of_a_writing_is_called_torn)
{
        good();
        ptl_board_begin(&board);
        CHECK_EQ(ptl_board_copy(&board, &copy), PTL_BOARD_TORN);
        CHECK(memcmp(&board, &copy, sizeof board) == 0);
        ptl_board_begin(&board); /* a writer that begins again where it was stopped */
        ptl_board_end(&board);
        CHECK_EQ(ptl_board_copy(&board, &copy), PTL_BOARD_WHOLE);
}

/* Writes the same number into the first and the last row, until told to stop. */
static _Atomic uint32_t stop;

static void *writer(void *arg)
{
        (void)arg;
        for (uint64_t i = 1; !ptl_load_relaxed(&stop); i++) {
                ptl_board_begin(&board);
                ptl_store_relaxed((_Atomic uint64_t *)&board.ports[0].received, i);
                ptl_store_relaxed((_Atomic uint64_t *)&board.peers[PTL_VIEW_PEERS - 1].sent, i);
                ptl_board_end(&board);
                if (i % 64 == 0)
                        tst_nap();
        }
        return NULL;
}

TEST(a_copy_that_is_called_whole_is_of_one_time)
{
        pthread_t t;
        int whole = 0;

        good();
        CHECK(pthread_create(&t, NULL, writer, NULL) == 0);
        for (int i = 0; i < 20000 || !whole; i++) {
                if (ptl_board_copy(&board, &copy) != PTL_BOARD_WHOLE)
                        continue;
                whole++;
                CHECK_EQ(copy.ports[0].received, copy.peers[PTL_VIEW_PEERS - 1].sent);
        }
        ptl_store_relaxed(&stop, 1);
        pthread_join(t, NULL);
}
