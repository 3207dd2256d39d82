/* SPDX-License-Identifier: Apache-2.0 */
/* task/lists.c - what the name server knows: lists and status (portolan/name.h) */
#include "task/task.h"
#include <string.h>

/* An array that grows by one entry for each ITEM. */
struct list {
        char *entries;
        size_t count, room, size;
        void (*fill)(void *entry, const struct ptl_sm_item *item, const char *name);
};

static int add(struct ptl_request *request, const struct ptl_sm_item *item, const char *name)
{
        struct list *list = request->arg;

        if (!item) {
                list->count = 0;
                return 0;
        }
        if (list->count == list->room) {
                size_t room = list->room ? 2 * list->room : 16;
                char *grown = realloc(list->entries, room * list->size);

                if (!grown)
                        return -ENOMEM;
                list->entries = grown;
                list->room = room;
        }
        memset(list->entries + list->count * list->size, 0, list->size);
        list->fill(list->entries + list->count * list->size, item, name);
        list->count++;
        return 0;
}

static int ask(uint32_t what, struct list *list)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_LIST, .list.what = what},
                                      .fd = -EBADF,
                                      .item = add,
                                      .arg = list};
        struct ptl_task *task;
        int r = ptl_task_enter(&task);

        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = ptl_server_ask(task, &request, PTL_NOW);
        ptl_unlock(&task->space.lock);
        ptl_close(request.answer_fd);
        if (!r)
                r = request.answer.type == PTL_SM_RESULT ? request.answer.result.outcome
                                                         : PTL_E_MALFORMED;
        if (r)
                free(list->entries);
        return r == PTL_E_TIMEOUT ? PTL_E_NO_SERVER : r;
}

static void fill_name(void *entry, const struct ptl_sm_item *item, const char *name)
{
        struct ptl_name_entry *e = entry;

        strncpy(e->name, name, sizeof e->name - 1);
        e->kind = item->kind;
        e->owner = item->a;
        e->size = item->size;
}

static void fill_task(void *entry, const struct ptl_sm_item *item, const char *name)
{
        struct ptl_task_entry *e = entry;

        (void)name;
        e->identity = item->a;
        memcpy(e->command, item->command, sizeof e->command);
        e->command[sizeof e->command - 1] = 0;
        e->links = item->links;
        e->names = item->names;
}

static void fill_link(void *entry, const struct ptl_sm_item *item, const char *name)
{
        struct ptl_link_entry *e = entry;

        (void)name;
        e->a = item->a;
        e->b = item->b;
}

int ptl_server_list_names(struct ptl_name_entry **ret_entries, size_t *ret_count)
{
        struct list list = {.size = sizeof **ret_entries, .fill = fill_name};
        int r;

        if (!ret_entries || !ret_count)
                return PTL_E_INVALID;
        r = ask(PTL_SM_LIST_NAMES, &list);
        if (r)
                return r;
        *ret_entries = (struct ptl_name_entry *)(void *)list.entries;
        *ret_count = list.count;
        return 0;
}

int ptl_server_list_tasks(struct ptl_task_entry **ret_entries, size_t *ret_count)
{
        struct list list = {.size = sizeof **ret_entries, .fill = fill_task};
        int r;

        if (!ret_entries || !ret_count)
                return PTL_E_INVALID;
        r = ask(PTL_SM_LIST_TASKS, &list);
        if (r)
                return r;
        *ret_entries = (struct ptl_task_entry *)(void *)list.entries;
        *ret_count = list.count;
        return 0;
}

int ptl_server_list_links(struct ptl_link_entry **ret_entries, size_t *ret_count)
{
        struct list list = {.size = sizeof **ret_entries, .fill = fill_link};
        int r;

        if (!ret_entries || !ret_count)
                return PTL_E_INVALID;
        r = ask(PTL_SM_LIST_LINKS, &list);
        if (r)
                return r;
        *ret_entries = (struct ptl_link_entry *)(void *)list.entries;
        *ret_count = list.count;
        return 0;
}

int ptl_server_get_status(struct ptl_server_status *ret_status)
{
        struct ptl_request request = {.msg = {.type = PTL_SM_STATUS}, .fd = -EBADF};
        struct ptl_task *task;
        int r;

        if (!ret_status)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (r)
                return r;
        ptl_lock(&task->space.lock);
        r = ptl_server_ask(task, &request, PTL_NOW);
        if (!r && request.answer.type != PTL_SM_STATUS_REPLY)
                r = PTL_E_MALFORMED;
        if (!r) {
                const struct ptl_sm_status *s = &request.answer.status;

                *ret_status = (struct ptl_server_status){.server = s->server,
                                                         .protocol = s->protocol,
                                                         .tasks = s->tasks,
                                                         .names = s->names,
                                                         .introductions = s->introductions,
                                                         .uptime_ns = s->uptime_ns,
                                                         .tasks_max = s->tasks_max,
                                                         .names_max = s->names_max,
                                                         .look_ups_max = s->look_ups_max,
                                                         .descriptors = s->descriptors,
                                                         .descriptors_max = s->descriptors_max};
                memcpy(ret_status->socket, task->server.path, sizeof ret_status->socket);
                memcpy(ret_status->version, s->version, sizeof ret_status->version);
        }
        ptl_unlock(&task->space.lock);
        ptl_close(request.answer_fd);
        return r == PTL_E_TIMEOUT ? PTL_E_NO_SERVER : r;
}

int ptl_task_identity(struct ptl_identity *ret_identity)
{
        struct ptl_server_status status;
        struct ptl_task *task = &ptl_the_task;
        int r = 0;

        if (!ret_identity)
                return PTL_E_INVALID;
        r = ptl_task_enter(&task);
        if (!r && task->server.state != PTL_SERVER_READY)
                r = ptl_server_get_status(&status);
        if (!r)
                *ret_identity = task->identity;
        return r;
}
