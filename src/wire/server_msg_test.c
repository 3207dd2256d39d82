/* SPDX-License-Identifier: Apache-2.0 */
/* wire/server_msg_test.c - what the codec carries over and what it refuses */
#define _GNU_SOURCE
#include "tst.h"
#include "wire/server_msg.h"

enum { HEAD = sizeof(struct ptl_server_head), LAST = PTL_SM_WATCHED, BAD = PTL_E_MALFORMED };

/* One well-formed message of each type, and the size that its body has in the protocol. */
/* clang-format off */
static const struct sample {
        size_t body_size;
        struct ptl_server_msg msg;
} samples[] = {
        {32, {.type = PTL_SM_HELLO, .hello = {.protocol = 1, .features = 3, .command = "c"}}},
        {32, {.type = PTL_SM_PUBLISH, .publish.kind = 1, .name_size = 4, .name = "echo"}},
        {0, {.type = PTL_SM_WITHDRAW, .name_size = 4, .name = "echo"}},
        {8, {.type = PTL_SM_LOOK_UP, .look_up.wait = 1, .name_size = 1, .name = "e"}},
        {8, {.type = PTL_SM_CANCEL, .cancel.serial = 77}},
        {16, {.type = PTL_SM_INTRODUCE, .task.id = {1, 2}}},
        {8, {.type = PTL_SM_WATCH, .watch.cookie = 5}},
        {8, {.type = PTL_SM_UNWATCH, .watch.cookie = 5}},
        {8, {.type = PTL_SM_LIST, .list.what = PTL_SM_LIST_LINKS}},
        {0, {.type = PTL_SM_STATUS}},
        {0, {.type = PTL_SM_LODGE}},
        {8, {.type = PTL_SM_INSPECT, .process.pid = 5}},
        {8, {.type = PTL_SM_TRACE, .process.pid = 5}},
        {0, {.type = PTL_SM_ASSERTED}},
        {112, {.type = PTL_SM_WELCOME, .welcome = {.you = {.pid = 5}, .version = "0.1.0"}}},
        {8, {.type = PTL_SM_RESULT, .result.outcome = -ENOMEM}},
        {80, {.type = PTL_SM_FOUND, .found = {.kind = PTL_SM_KIND_PORT, .link = 1, .ticket = 8}}},
        {120, {.type = PTL_SM_ITEM, .item = {.what = 1, .kind = 1}, .name_size = 1, .name = "e"}},
        {104, {.type = PTL_SM_STATUS_REPLY, .status = {.version = "0.1.0", .tasks = 3}}},
        {40, {.type = PTL_SM_INTRODUCTION, .introduction.peer.pid = 4}},
        {8, {.type = PTL_SM_NAME_ADDED, .watch.cookie = 5, .name_size = 4, .name = "echo"}},
        {8, {.type = PTL_SM_NAME_REMOVED, .watch.cookie = 5, .name_size = 4, .name = "echo"}},
        {16, {.type = PTL_SM_TASK_DEAD, .task.id = {1, 2}}},
        {88, {.type = PTL_SM_VIEW, .view = {.task = {.pid = 5}, .command = "c", .has_board = 1}}},
        {0, {.type = PTL_SM_TRACING}},
        {0, {.type = PTL_SM_WATCHED}},
};
/* clang-format on */

static const struct ptl_server_msg *sample_of(unsigned type)
{
        for (size_t i = 0; i < ARRAY_LEN(samples); i++)
                if (samples[i].msg.type == type)
                        return &samples[i].msg;
        CHECK(!"a sample");
        return NULL;
}

static int decode(const char *packet, size_t size)
{
        char *exact = malloc(size ? size : 1); /* so that a sanitizer sees a read past the end */
        struct ptl_server_msg msg;
        int r;

        CHECK(exact);
        memcpy(exact, packet, size);
        r = ptl_server_msg_decode(exact, size, &msg);
        free(exact);
        return r;
}

static void set32(char *packet, size_t offset, uint32_t value)
{
        memcpy(packet + offset, &value, sizeof value);
}

TEST(what_is_encoded_is_decoded_unchanged)
{
        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
                struct ptl_server_msg msg = samples[i].msg, back;
                char packet[PTL_SERVER_PACKET_MAX];
                size_t size;

                msg.serial = (uint32_t)i + 100;
                size = ptl_server_msg_encode(&msg, packet);
                CHECK_EQ(size, HEAD + samples[i].body_size + msg.name_size);
                memset(&back, 0xee, sizeof back);
                CHECK_EQ(ptl_server_msg_decode(packet, size, &back), 0);
                CHECK(memcmp(&msg, &back, sizeof msg) == 0);
        }
}

TEST(a_name_of_255_bytes_is_carried_and_one_of_any_bytes_but_nul)
{
        struct ptl_server_msg msg = {.type = PTL_SM_WITHDRAW, .name_size = 255}, back;
        char packet[PTL_SERVER_PACKET_MAX];

        for (int i = 0; i < 255; i++)
                msg.name[i] = (char)(i + 1);
        CHECK_EQ(ptl_server_msg_decode(packet, ptl_server_msg_encode(&msg, packet), &back), 0);
        CHECK_EQ(back.name_size, 255);
        CHECK_STR_EQ(back.name, msg.name);
}

TEST(every_size_but_the_right_one_is_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
                char packet[PTL_SERVER_PACKET_MAX + 1] = {0};
                size_t right = ptl_server_msg_encode(&samples[i].msg, packet);

                for (size_t size = 0; size <= PTL_SERVER_PACKET_MAX; size++)
                        CHECK_EQ(decode(packet, size), size == right ? 0 : PTL_E_MALFORMED);
        }
}

TEST(types_that_do_not_exist_are_refused_whatever_their_size)
{
        char packet[PTL_SERVER_PACKET_MAX] = {0};

        for (uint32_t type = 0; type <= UINT16_MAX; type++) {
                struct ptl_server_head head = {.magic = PTL_SERVER_MAGIC, .type = (uint16_t)type};

                if (!strcmp(ptl_server_type_name(type), "?")) {
                        memcpy(packet, &head, sizeof head);
                        CHECK_EQ(decode(packet, HEAD), PTL_E_MALFORMED);
                        CHECK_EQ(decode(packet, sizeof packet), PTL_E_MALFORMED);
                }
        }
        CHECK_STR_EQ(ptl_server_type_name(LAST), "WATCHED");
        CHECK_STR_EQ(ptl_server_type_name(LAST + 1), "?");
        CHECK_STR_EQ(ptl_server_type_name(PTL_SM_ASSERTED + 1), "?");
        CHECK_STR_EQ(ptl_server_type_name(0), "?");
}

#define IN_HEAD(field)       offsetof(struct ptl_server_head, field)
#define IN_BODY(type, field) (HEAD + offsetof(struct ptl_sm_##type, field))
#define IN_NAME(type)        (HEAD + sizeof(struct ptl_sm_##type))

/* A word of a well-formed packet replaced. */
/* clang-format off: version 14 cannot align rows with commas within a column */
static const struct word_row {
        const char *name;
        unsigned type;
        size_t offset;
        uint32_t value;
        int expect;
} word_rows[] = {
        {"wrong magic",         PTL_SM_STATUS,      IN_HEAD(magic),                                 0x3150544c,                                     BAD                                                           },
        {                                                                                                                                                                                                        "larger body",          PTL_SM_LIST, IN_HEAD(body_size),                                             12,                                            BAD                                                              },
        {                                                                                                                                                                                           "smaller body",   PTL_SM_LIST,                    IN_HEAD(body_size),                                            4,                                               BAD                                              },
        {                                                                                                                                                                                   "body that wraps",           PTL_SM_LIST,                          IN_HEAD(body_size),                                                                        UINT32_MAX,                                   BAD                               },
        {                                                                                                                                                        "longer name",                  PTL_SM_LOOK_UP,                                    IN_HEAD(type),                                                                  PTL_SM_LOOK_UP | 2 << 16,                                                                             BAD                                   },
        {                                                                                                                                                "name of nothing",                     PTL_SM_WITHDRAW,               IN_HEAD(type),                                          PTL_SM_WITHDRAW,                                                                       BAD                                                                           },
        {                                                                                                                                                  "name where none belongs",       PTL_SM_STATUS,     IN_HEAD(type),                                   PTL_SM_STATUS | 1 << 16,                                                    BAD                                                                                                              },
        {                                                                                                                                                                                                                                                                                                                      "NUL in a name",       PTL_SM_PUBLISH, IN_NAME(publish),                    0x6f006365, BAD},
        {                                                                      "NUL at a name's end",         PTL_SM_PUBLISH,                  IN_NAME(publish),                                                               0x00686365,                                                               BAD                                                                               },
        {                                                                                                                                                                                                       "hello: another protocol is for the server to judge",        PTL_SM_HELLO,
         IN_BODY(hello,                                              protocol),                                              2,                                                                 0},
        {                                                                                                                                                                           "hello: reserved",        PTL_SM_HELLO,                 IN_BODY(hello,                                            reserved),                                            1,                                                               BAD},
        {                                                                                                                                                                                         "hello: features we do not know",      PTL_SM_HELLO,                   IN_BODY(hello,                                              features),                                            1,                                                             0},
        {                                                                                                                                                                              "publish: no kind",      PTL_SM_PUBLISH,                   IN_BODY(publish,                                              kind),                                              0,                                                                     BAD},
        {                                                                                                                                                                                                 "publish: a region",      PTL_SM_PUBLISH,                   IN_BODY(publish,                                              kind),                                        2,                                                      0},
        {                                                                                                                                                                               "publish: unknown kind",      PTL_SM_PUBLISH,                   IN_BODY(publish,                                                  kind),                                                 3,                                                               BAD},
        {                                                                                                                                                                           "look-up: wait 2",      PTL_SM_LOOK_UP,               IN_BODY(look_up,                                             wait),                                                 2,                                                                          BAD},
        {                                                                                                                                                                                                    "look-up: reserved",       PTL_SM_LOOK_UP,                IN_BODY(look_up,                                        reserved),                                      1,                                                             BAD},
        {                                                                                                                                                                                          "cancel: reserved",         PTL_SM_CANCEL,                      IN_BODY(cancel,                                              reserved),                                        1,                                                          BAD},
        {                                                                                                                                                                            "list: of nothing",         PTL_SM_LIST,                      IN_BODY(list,                                                  what),                                             0,                                                                 BAD},
        {                                                                                                                                                                                             "list: of the unknown",         PTL_SM_LIST,                  IN_BODY(list,                                                 what),                                           4,                                                             BAD},
        {                                                                                                                                                                                               "list: reserved",      PTL_SM_LIST,               IN_BODY(list,                                                  reserved),                                             1,                                                    BAD},
        {                                                                                                                                                                     "welcome: reserved",      PTL_SM_WELCOME,           IN_BODY(welcome,                                                 reserved),                                                        1,                                                                     BAD},
        {                                                                                                                                                                                      "welcome: identity",      PTL_SM_WELCOME,        IN_BODY(welcome,                                     you.reserved),                                                  1,                                                                       BAD},
        {                                                                                                                                                                                                "welcome: server",       PTL_SM_WELCOME,                 IN_BODY(welcome,                               server.reserved),                                          1,                                                          BAD},
        {                                                                                                                                                                              "result: last outcome",       PTL_SM_RESULT,                 IN_BODY(result,                                   outcome),                                               PTL_E_COUNT_ - 1,                                                                 0},
        {                                                                                                                                                                              "result: no outcome",       PTL_SM_RESULT,                 IN_BODY(result,                                outcome),                                             PTL_E_COUNT_,                                                                        BAD},
        {                                                                                                                                                                                                   "result: last errno",       PTL_SM_RESULT,                 IN_BODY(result,                                 outcome),                                    (uint32_t)-4095,                                                            0},
        {                                                                                                                                                                                           "result: no errno",       PTL_SM_RESULT,                IN_BODY(result,                                         outcome),                                       (uint32_t)-4096,                                                        BAD},
        {                                                                                                                                                                                "result: reserved",        PTL_SM_RESULT,                     IN_BODY(result,                                              reserved),                                              1,                                                                 BAD},
        {                                                                                                                                                                                  "found: no kind",        PTL_SM_FOUND,                     IN_BODY(found,                                              kind),                                            0,                                                                   0},
        {                                                                                                                                                                                  "found: unknown kind",        PTL_SM_FOUND,                     IN_BODY(found,                                              kind),                                        3,                                                             BAD},
        {                                                                                                                                                                                                           "found: a region with a link",        PTL_SM_FOUND,                     IN_BODY(found,                                                  kind),                                          2,                                            BAD},
        {                                                                                                                                         "found: link 2",        PTL_SM_FOUND,                 IN_BODY(found,                                                    link),                                                             2,                                                                                           BAD},
        {                                                                                                                                                                                                                               "found: reserved",        PTL_SM_FOUND,           IN_BODY(found,                                   reserved),                                 1,                                                    BAD},
        {                                                                                                                                                                                            "found: identity",         PTL_SM_FOUND,                      IN_BODY(found,                                              owner.reserved),                                            1,                                               BAD},
        {                                                                                                                                   "item: of nothing",         PTL_SM_ITEM,                      IN_BODY(item,                                              what),                                                            0,                                                                                               BAD},
        {                                                                                                                                                                                                                         "item: of the unknown",         PTL_SM_ITEM,                      IN_BODY(item,                              what),                            4,                                                     BAD},
        {                                                                                                                                                                                  "item: a task with a name",         PTL_SM_ITEM,                      IN_BODY(item,                                              what),                                      PTL_SM_LIST_TASKS,                                                   BAD},
        {                                                                                                                                                                   "item: a name of no kind",         PTL_SM_ITEM,                      IN_BODY(item,                                                    kind),                                                  0,                                                                     BAD},
        {                                                                                                                                                                                  "item: unknown kind",         PTL_SM_ITEM,                IN_BODY(item,                                              kind),                                            3,                                                                      BAD},
        {                                                                                                                                                                                                   "item: first identity",         PTL_SM_ITEM,                IN_BODY(item,                                              a.reserved),                                     1,                                                     BAD},
        {                                                                                                                                                                                                                           "item: second identity",       PTL_SM_ITEM,                IN_BODY(item,                                                     b.reserved),                                               1,                 BAD},
        {"view: a flag", PTL_SM_VIEW, IN_BODY(view, has_board), 2, BAD},
        {"view: identity", PTL_SM_VIEW, IN_BODY(view, task.reserved), 1, BAD},
        {"inspect: reserved", PTL_SM_INSPECT, IN_BODY(process, reserved), 1, BAD},
        {"trace: reserved", PTL_SM_TRACE, IN_BODY(process, reserved), 1, BAD},
        { "status: identity", PTL_SM_STATUS_REPLY,     IN_BODY(status, server.reserved),                                                                                                                                       1,                                                                                                                                                                                                     BAD},
        {                                                                                                                                                                                                                                                                                                                                                                           "introduction: identity",                               PTL_SM_INTRODUCTION,                                                  IN_BODY(introduction,                                                                                                   peer.reserved),                                                                                                                                                   1,
         BAD},
};
/* clang-format on */

TEST(fields_out_of_their_range_are_refused)
{
        for (size_t i = 0; i < ARRAY_LEN(word_rows); i++) {
                const struct word_row *row = &word_rows[i];
                char packet[PTL_SERVER_PACKET_MAX] = {0};
                size_t size = ptl_server_msg_encode(sample_of(row->type), packet);

                CHECK_ROW(i, row, row->offset + sizeof row->value <= size);
                set32(packet, row->offset, row->value);
                CHECK_ROW(i, row, decode(packet, size) == row->expect);
        }
}

/* clang-format off */
static const struct text_row {
        const char *name;
        unsigned type;
        size_t offset;
} text_rows[] = {
        {"hello: command", PTL_SM_HELLO, IN_BODY(hello, command)},
        {"welcome: version", PTL_SM_WELCOME, IN_BODY(welcome, version)},
        {"item: command", PTL_SM_ITEM, IN_BODY(item, command)},
        {"status: version", PTL_SM_STATUS_REPLY, IN_BODY(status, version)},
        {"view: command", PTL_SM_VIEW, IN_BODY(view, command)},
};
/* clang-format on */

TEST(texts_in_bodies_end_within_their_field)
{
        for (size_t i = 0; i < ARRAY_LEN(text_rows); i++) {
                const struct text_row *row = &text_rows[i];
                char packet[PTL_SERVER_PACKET_MAX];
                size_t size = ptl_server_msg_encode(sample_of(row->type), packet);

                memset(packet + row->offset, 'x', 15);
                packet[row->offset + 15] = 0;
                CHECK_ROW(i, row, decode(packet, size) == 0);
                packet[row->offset + 15] = 'x';
                CHECK_ROW(i, row, decode(packet, size) == PTL_E_MALFORMED);
        }
}

TEST(a_name_of_256_bytes_is_refused)
{
        char packet[PTL_SERVER_PACKET_MAX];
        struct ptl_server_head head = {
                .magic = PTL_SERVER_MAGIC, .type = PTL_SM_WITHDRAW, .name_size = 256};

        memset(packet, 'x', sizeof packet);
        memcpy(packet, &head, sizeof head);
        CHECK_EQ(decode(packet, HEAD + 256), PTL_E_MALFORMED);
        CHECK_EQ(decode(packet, HEAD + 255), PTL_E_MALFORMED);
}

TEST(what_is_refused_fills_nothing_in)
{
        struct ptl_server_msg msg, before;

        memset(&msg, 0x5a, sizeof msg);
        before = msg;
        CHECK_EQ(ptl_server_msg_decode("short", 5, &msg), PTL_E_MALFORMED);
        CHECK(memcmp(&msg, &before, sizeof msg) == 0);
}
