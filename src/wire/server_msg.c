/* SPDX-License-Identifier: Apache-2.0 */
/* wire/server_msg.c - encode and decode what a task and the name server say to each other */
#define _GNU_SOURCE
#include "wire/server_msg.h"
#include "base/cleanup.h"
#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { ERRNO_MAX = 4095 }; /* the kernel's MAX_ERRNO */

enum name_rule { NO_NAME, NAME, NAME_OR_EMPTY };

/* clang-format off: version 14 aligns the columns but not the designators */
static const struct form {
        const char *name;
        size_t body_size;
        enum name_rule rule;
} forms[] = {
        [PTL_SM_HELLO] = {"HELLO",        sizeof(struct ptl_sm_hello),        NO_NAME      },
        [PTL_SM_PUBLISH] = {"PUBLISH",      sizeof(struct ptl_sm_publish),      NAME         },
        [PTL_SM_WITHDRAW] = {"WITHDRAW",     0,                                  NAME         },
        [PTL_SM_LOOK_UP] = {"LOOK_UP",      sizeof(struct ptl_sm_look_up),      NAME         },
        [PTL_SM_CANCEL] = {"CANCEL",       sizeof(struct ptl_sm_cancel),       NO_NAME      },
        [PTL_SM_INTRODUCE] = {"INTRODUCE",    sizeof(struct ptl_sm_task),         NO_NAME      },
        [PTL_SM_WATCH] = {"WATCH",        sizeof(struct ptl_sm_watch),        NAME_OR_EMPTY},
        [PTL_SM_UNWATCH] = {"UNWATCH",      sizeof(struct ptl_sm_watch),        NO_NAME      },
        [PTL_SM_LIST] = {"LIST",         sizeof(struct ptl_sm_list),         NO_NAME      },
        [PTL_SM_STATUS] = {"STATUS",       0,                                  NO_NAME      },
        [PTL_SM_LODGE] = {"LODGE",        0,                                  NO_NAME      },
        [PTL_SM_INSPECT] = {"INSPECT",      sizeof(struct ptl_sm_process),      NO_NAME      },
        [PTL_SM_TRACE] = {"TRACE",        sizeof(struct ptl_sm_process),      NO_NAME      },
        [PTL_SM_ASSERTED] = {"ASSERTED",     0,                                  NO_NAME      },
        [PTL_SM_WELCOME] = {"WELCOME",      sizeof(struct ptl_sm_welcome),      NO_NAME      },
        [PTL_SM_RESULT] = {"RESULT",       sizeof(struct ptl_sm_result),       NO_NAME      },
        [PTL_SM_FOUND] = {"FOUND",        sizeof(struct ptl_sm_found),        NO_NAME      },
        [PTL_SM_ITEM] = {"ITEM",         sizeof(struct ptl_sm_item),         NAME_OR_EMPTY},
        [PTL_SM_STATUS_REPLY] = {"STATUS_REPLY", sizeof(struct ptl_sm_status),       NO_NAME      },
        [PTL_SM_INTRODUCTION] = {"INTRODUCTION", sizeof(struct ptl_sm_introduction), NO_NAME      },
        [PTL_SM_NAME_ADDED] = {"NAME_ADDED",   sizeof(struct ptl_sm_watch),        NAME         },
        [PTL_SM_NAME_REMOVED] = {"NAME_REMOVED", sizeof(struct ptl_sm_watch),        NAME         },
        [PTL_SM_TASK_DEAD] = {"TASK_DEAD",    sizeof(struct ptl_sm_task),         NO_NAME      },
        [PTL_SM_VIEW] = {"VIEW",         sizeof(struct ptl_sm_view),         NO_NAME      },
        [PTL_SM_TRACING] = {"TRACING",      0,                                  NO_NAME      },
        [PTL_SM_WATCHED] = {"WATCHED",      0,                                  NO_NAME      },
};
/* clang-format on */

/* Every body starts where the union does. */
enum { BODY = offsetof(struct ptl_server_msg, hello) };
_Static_assert(offsetof(struct ptl_server_msg, item) == BODY, "layout");
_Static_assert(sizeof(struct ptl_server_head) + sizeof(struct ptl_sm_item) + PTL_SERVER_NAME_MAX <=
                       PTL_SERVER_PACKET_MAX,
               "the largest packet fits");

static const struct form *form_of(unsigned type)
{
        return type < PTL_ARRAY_LEN(forms) && forms[type].name ? &forms[type] : NULL;
}

const char *ptl_server_type_name(unsigned type)
{
        const struct form *form = form_of(type);

        return form ? form->name : "?";
}

static bool name_size_fits(enum name_rule rule, size_t size)
{
        if (rule == NO_NAME)
                return size == 0;
        return size <= PTL_SERVER_NAME_MAX && (size > 0 || rule == NAME_OR_EMPTY);
}

size_t ptl_server_msg_encode(const struct ptl_server_msg *msg, void *packet)
{
        const struct form *form = form_of(msg->type);
        char *p = packet;

        assert(form && name_size_fits(form->rule, msg->name_size));
        struct ptl_server_head head = {.magic = PTL_SERVER_MAGIC,
                                       .type = (uint16_t)msg->type,
                                       .name_size = (uint16_t)msg->name_size,
                                       .serial = msg->serial,
                                       .body_size = (uint32_t)form->body_size};
        memcpy(p, &head, sizeof head);
        memcpy(p + sizeof head, (const char *)msg + BODY, form->body_size);
        memcpy(p + sizeof head + form->body_size, msg->name, msg->name_size);
        return sizeof head + form->body_size + msg->name_size;
}

static bool is_identity_valid(const struct ptl_identity *who) { return who->reserved == 0; }

static bool is_item_valid(const struct ptl_server_msg *msg)
{
        const struct ptl_sm_item *item = &msg->item;
        bool is_name = item->what == PTL_SM_LIST_NAMES;

        if (item->what < PTL_SM_LIST_NAMES || item->what > PTL_SM_LIST_LINKS)
                return false;
        if (is_name != (msg->name_size > 0) || is_name != (item->kind != PTL_SM_KIND_NONE))
                return false;
        return item->kind <= PTL_SM_KIND_REGION && is_identity_valid(&item->a) &&
               is_identity_valid(&item->b) && memchr(item->command, 0, sizeof item->command);
}

static bool is_found_valid(const struct ptl_sm_found *found)
{
        return found->kind <= PTL_SM_KIND_REGION && found->link <= 1 && found->reserved == 0 &&
               (found->kind != PTL_SM_KIND_REGION || !found->link) &&
               is_identity_valid(&found->owner);
}

static bool is_welcome_valid(const struct ptl_sm_welcome *w)
{
        return w->reserved == 0 && is_identity_valid(&w->you) && is_identity_valid(&w->server) &&
               memchr(w->version, 0, sizeof w->version);
}

static bool is_result_valid(const struct ptl_sm_result *result)
{
        return result->outcome >= -ERRNO_MAX && result->outcome < PTL_E_COUNT_ &&
               result->reserved == 0;
}

static bool is_status_valid(const struct ptl_sm_status *s)
{
        return is_identity_valid(&s->server) && memchr(s->version, 0, sizeof s->version);
}

static bool is_view_valid(const struct ptl_sm_view *v)
{
        return v->has_board <= 1 && is_identity_valid(&v->task) &&
               memchr(v->command, 0, sizeof v->command);
}

static bool is_request_valid(const struct ptl_server_msg *msg)
{
        const struct ptl_sm_hello *hello = &msg->hello;
        uint32_t kind = msg->publish.kind;

        switch ((int)msg->type) {
        case PTL_SM_HELLO:
                return hello->reserved == 0 && memchr(hello->command, 0, sizeof hello->command);
        case PTL_SM_PUBLISH:
                return kind == PTL_SM_KIND_PORT || kind == PTL_SM_KIND_REGION;
        case PTL_SM_LOOK_UP:
                return msg->look_up.wait <= 1 && msg->look_up.reserved == 0;
        case PTL_SM_CANCEL:
                return msg->cancel.reserved == 0;
        case PTL_SM_LIST:
                return msg->list.what >= PTL_SM_LIST_NAMES && msg->list.what <= PTL_SM_LIST_LINKS &&
                       msg->list.reserved == 0;
        case PTL_SM_INSPECT:
        case PTL_SM_TRACE:
                return msg->process.reserved == 0;
        default:
                return true;
        }
}

static bool is_answer_valid(const struct ptl_server_msg *msg)
{
        switch ((int)msg->type) {
        case PTL_SM_WELCOME:
                return is_welcome_valid(&msg->welcome);
        case PTL_SM_RESULT:
                return is_result_valid(&msg->result);
        case PTL_SM_FOUND:
                return is_found_valid(&msg->found);
        case PTL_SM_ITEM:
                return is_item_valid(msg);
        case PTL_SM_STATUS_REPLY:
                return is_status_valid(&msg->status);
        case PTL_SM_INTRODUCTION:
                return is_identity_valid(&msg->introduction.peer);
        case PTL_SM_VIEW:
                return is_view_valid(&msg->view);
        default:
                return true;
        }
}

int ptl_server_msg_decode(const void *packet, size_t size, struct ptl_server_msg *ret_msg)
{
        const char *p = packet;
        struct ptl_server_msg msg = {0};
        struct ptl_server_head head;
        const struct form *form;

        if (size < sizeof head)
                return PTL_E_MALFORMED;
        memcpy(&head, p, sizeof head);
        form = form_of(head.type);
        if (head.magic != PTL_SERVER_MAGIC || !form || head.body_size != form->body_size ||
            !name_size_fits(form->rule, head.name_size) ||
            size != sizeof head + form->body_size + head.name_size)
                return PTL_E_MALFORMED;

        msg.type = (enum ptl_server_type)head.type;
        msg.serial = head.serial;
        msg.name_size = head.name_size;
        memcpy((char *)&msg + BODY, p + sizeof head, form->body_size);
        memcpy(msg.name, p + sizeof head + form->body_size, head.name_size);
        if (memchr(msg.name, 0, msg.name_size) || !is_request_valid(&msg) || !is_answer_valid(&msg))
                return PTL_E_MALFORMED;
        *ret_msg = msg;
        return 0;
}
