/* SPDX-License-Identifier: Apache-2.0 */
/* server/store.c - see store.h */
#define _GNU_SOURCE
#include "server/store.h"
#include "server/descriptor.h"
#include "server/ready.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 100 };

enum kept_state { TO_KEEP, KEPT, TO_DROP };

struct kept {
        struct list link;
        enum kept_state state;
        int fd; /* to be kept, or come back and not taken; else -EBADF */
        char name[STORE_NAME_MAX + 1];
};

static size_t read_max(void)
{
        const char *text = getenv("FDSTORE");
        char *end;
        unsigned long value;

        if (!text)
                return STORE_MAX;
        value = strtoul(text, &end, 10);
        return *end || end == text ? STORE_MAX : value;
}

void store_init(struct store *store)
{
        *store = (struct store){.max = read_max(), .retry_at = PTL_FOREVER};
        store->is_there = ready_is_asked_for() && store->max > 0;
        list_init(&store->kept);
}

static void forget(struct store *store, struct kept *k)
{
        list_remove(&k->link);
        ptl_close(k->fd);
        free(k);
        store->n_kept--;
}

void store_fini(struct store *store)
{
        struct kept *k;

        while ((k = list_first(&store->kept, struct kept, link)))
                forget(store, k);
}

/* ---- saying it ---- */

static int say(const struct kept *k)
{
        const char *what = k->state == TO_DROP ? "FDSTOREREMOVE=1" : "FDSTORE=1";
        char text[64 + sizeof STORE_PREFIX + STORE_NAME_MAX];

        /* FDPOLL=0: memory has no end that it could tell of. */
        snprintf(text, sizeof text, "%s\nFDNAME=" STORE_PREFIX "%s%s", what, k->name, k->state == TO_KEEP ? "\nFDPOLL=0" : "");
        return ready_notify_systemd(text, k->state == TO_KEEP ? k->fd : -EBADF);
}

/* False: later. Any error but a full socket means that nobody listens: then nothing is kept. */
static bool settle(struct store *store, struct kept *k)
{
        int r = k->state == KEPT ? 0 : say(k);

        if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS) {
                store->retry_at = ptl_after_ms(RETRY_MS);
                return false;
        }
        if (k->state == TO_DROP) {
                forget(store, k);
        } else if (k->state == TO_KEEP) {
                k->state = KEPT;
                k->fd = ptl_close(k->fd);
        }
        return true;
}

/* In their order: a name that was dropped may be kept again. */
void store_retry(struct store *store)
{
        store->retry_at = PTL_FOREVER;
        for (struct list *l = store->kept.next, *next; l != &store->kept; l = next) {
                next = l->next;
                if (!settle(store, PTL_CONTAINER(l, struct kept, link)))
                        return;
        }
}

/* ---- what is kept ---- */

static bool is_name(const char *name)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
        size_t size = strlen(name);

        return size > 0 && size <= STORE_NAME_MAX && strspn(name, letters) == size;
}

static struct kept *find(const struct store *store, const char *name)
{
        list_for_each(l, &store->kept)
        {
                struct kept *k = PTL_CONTAINER(l, struct kept, link);

                if (k->state != TO_DROP && !strcmp(k->name, name))
                        return k;
        }
        return NULL;
}

static int add(struct store *store, const char *name, enum kept_state state, int *fd)
{
        struct kept *k = calloc(1, sizeof *k);

        if (!k)
                return -ENOMEM;
        strcpy(k->name, name);
        k->state = state;
        k->fd = ptl_steal_fd(fd);
        list_append(&store->kept, &k->link);
        store->n_kept++;
        return 0;
}

int store_adopt(struct store *store, const char *name, int fd)
{
        size_t prefix = sizeof STORE_PREFIX - 1;
        int r;

        if (strncmp(name, STORE_PREFIX, prefix) || !is_name(name + prefix))
                return PTL_E_INVALID;
        if (find(store, name + prefix))
                return PTL_E_EXISTS;
        r = descriptor_check_fixed(fd);
        return r ? r : add(store, name + prefix, KEPT, &fd);
}

int store_keep(struct store *store, const char *name, int fd)
{
        ptl_cleanup(ptl_closep) int copy = -EBADF;
        int r;

        if (!is_name(name))
                return PTL_E_INVALID;
        r = descriptor_check_fixed(fd);
        if (r || !store->is_there)
                return r;
        if (find(store, name))
                return PTL_E_EXISTS;
        if (store->n_kept >= store->max)
                return PTL_E_QUOTA;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        r = add(store, name, TO_KEEP, &copy);
        if (!r)
                store_retry(store);
        return r;
}

int store_take(struct store *store, const char *name, int *ret_fd)
{
        struct kept *k = find(store, name);

        if (!k || k->state != KEPT || k->fd < 0)
                return PTL_E_NOT_FOUND;
        *ret_fd = ptl_steal_fd(&k->fd);
        return 0;
}

void store_disown(struct store *store, const char *name)
{
        int none = -EBADF;

        if (is_name(name + sizeof STORE_PREFIX - 1) && !add(store, name + sizeof STORE_PREFIX - 1, TO_DROP, &none))
                store_retry(store);
}

void store_drop(struct store *store, const char *name)
{
        struct kept *k = find(store, name);

        if (!k)
                return;
        k->fd = ptl_close(k->fd);
        if (k->state == TO_KEEP) { /* nobody has heard of it */
                forget(store, k);
                return;
        }
        k->state = TO_DROP;
        list_remove(&k->link); /* behind what is to be said already */
        list_append(&store->kept, &k->link);
        store_retry(store);
}
