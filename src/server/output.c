/* SPDX-License-Identifier: Apache-2.0 */
/* server/output.c - what a client has not taken yet */
#define _GNU_SOURCE
#include "server/output.h"
#include "link/socket.h"
#include "server/quota.h"
#include <string.h>

struct packet {
        struct list link;
        struct descriptor *carried;
        size_t size;
        char data[];
};

void output_init(struct output *out)
{
        *out = (struct output){0};
        list_init(&out->packets);
}

static void drop(struct output *out, struct packet *p)
{
        list_remove(&p->link);
        out->bytes -= sizeof *p + p->size;
        out->descriptors -= p->carried != NULL;
        descriptor_unref(p->carried);
        free(p);
}

void output_fini(struct output *out)
{
        struct packet *p;

        while ((p = list_first(&out->packets, struct packet, link)))
                drop(out, p);
}

void output_move(struct output *from, struct output *to)
{
        while (!list_is_empty(&from->packets)) {
                struct list *last = from->packets.previous;

                list_remove(last);
                list_insert(&to->packets, last);
        }
        to->bytes += from->bytes;
        to->descriptors += from->descriptors;
        from->bytes = from->descriptors = 0;
}

bool output_has_room(const struct output *out, size_t size, bool with_descriptor)
{
        return out->bytes + sizeof(struct packet) + size <= QUOTA_OUTPUT_BYTES &&
               out->descriptors + with_descriptor <= QUOTA_OUTPUT_FDS;
}

bool output_is_for_later(int r)
{
        /* ETOOMANYREFS: more descriptors of this user are in sockets than it may have open. */
        return r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM;
}

static int transmit(int sock, const void *data, size_t size, const struct descriptor *carried)
{
        if (sock < 0)
                return -EAGAIN;
        return ptl_socket_send(sock, data, size, carried ? &carried->fd : NULL, carried ? 1 : 0);
}

static int keep(struct output *out, const void *data, size_t size, struct descriptor *carried)
{
        struct packet *p;

        if (!output_has_room(out, size, carried != NULL))
                return PTL_E_QUOTA;
        p = malloc(sizeof *p + size);
        if (!p)
                return PTL_E_QUOTA; /* the queue is as full as it gets */
        p->carried = carried ? descriptor_ref(carried) : NULL;
        p->size = size;
        memcpy(p->data, data, size);
        list_append(&out->packets, &p->link);
        out->bytes += sizeof *p + size;
        out->descriptors += carried != NULL;
        return 0;
}

int output_put(struct output *out, int sock, const void *data, size_t size,
               struct descriptor *carried)
{
        int sent = -EAGAIN, kept;

        if (list_is_empty(&out->packets))
                sent = transmit(sock, data, size, carried);
        if (sent == 0 || (sent != -EAGAIN && !output_is_for_later(sent)))
                return sent;
        kept = keep(out, data, size, carried);
        return kept ? kept : sent;
}

int output_flush(struct output *out, int sock)
{
        struct packet *p;

        while ((p = list_first(&out->packets, struct packet, link))) {
                int r = transmit(sock, p->data, p->size, p->carried);

                if (r)
                        return r;
                drop(out, p);
        }
        return 0;
}
