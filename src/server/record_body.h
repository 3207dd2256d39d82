/* SPDX-License-Identifier: Apache-2.0 */
/* server/record_body.h - the records of the journal: docs/protocol/server.md, "The journal" */
#pragma once
#include "server/journal.h"
#include "wire/server_msg.h"

enum record_kind { RECORD_TASK = 1, RECORD_NAME, RECORD_WATCH, RECORD_STATE };

/* Of a name; GONE is of all. */
enum record_state { RECORD_UNTOLD, RECORD_TOLD, RECORD_LEAVES, RECORD_GONE };

/* All bodies begin with this: what they are of. */
struct record_key {
        uint64_t number; /* of the name; of the task, also for a watch: as in their rolls */
        uint64_t cookie; /* of a watch, else 0 */
};

struct record_task {
        struct record_key key;
        struct ptl_identity identity;
        char command[16];
};

struct record_name {
        struct record_key key;
        uint64_t owner; /* the task's number */
        struct ptl_sm_publish what;
        uint32_t state, size;
        char text[PTL_SERVER_NAME_MAX + 1]; /* of which size bytes are written */
};

struct record_watch {
        struct record_key key;
        uint32_t size, is_settled;
        char prefix[PTL_SERVER_NAME_MAX + 1];
};

struct record_change { /* RECORD_STATE */
        struct record_key key;
        uint32_t kind, state;
};

_Static_assert(sizeof(struct record_task) == 72, "layout");
_Static_assert(offsetof(struct record_name, text) == 64, "layout");
_Static_assert(offsetof(struct record_watch, prefix) == 24, "layout");
_Static_assert(sizeof(struct record_change) == 24, "layout");
_Static_assert(sizeof(struct record_name) + 16 <= JOURNAL_RECORD_MAX, "a record has room for any of them");
