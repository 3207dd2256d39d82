/* SPDX-License-Identifier: Apache-2.0 */
/* server/introduce.c - introductions: two tasks get one end each of a fresh socket */
#define _GNU_SOURCE
#include "server/introduce.h"
#include "link/socket.h"

static uint64_t hash_of(const struct client *a, const struct client *b)
{
        const struct client *pair[2] = {a < b ? a : b, a < b ? b : a}; /* the same both ways */

        return map_hash(&a->server->introductions, pair, sizeof pair);
}

static struct introduction *find(const struct client *a, const struct client *b)
{
        struct map_node *n = map_first(&a->server->introductions, hash_of(a, b));

        for (; n; n = map_next(n)) {
                struct introduction *i = PTL_CONTAINER(n, struct introduction, in_introductions);

                const struct client *first = i->side[0].client, *second = i->side[1].client;

                if ((first == a && second == b) || (first == b && second == a))
                        return i;
        }
        return NULL;
}

bool introduction_is_made(const struct client *a, const struct client *b)
{
        return a == b || find(a, b);
}

static void add_side(struct introduction *i, int side, struct client *client)
{
        i->side[side].whole = i;
        i->side[side].client = client;
        list_append(&client->introductions, &i->side[side].of_client);
        client->n_introductions++;
}

static void add(struct client *a, struct client *b, struct introduction *i)
{
        struct server *server = a->server;

        add_side(i, 0, a);
        add_side(i, 1, b);
        map_add(&server->introductions, &i->in_introductions, hash_of(a, b));
        roll_add(&server->introduced, &i->in_introduced);
}

/* The two ends, each as a descriptor of its own. */
static int make_ends(struct descriptor *ret_ends[2])
{
        int socks[2], r = ptl_socket_pair(socks);

        if (r)
                return r;
        ret_ends[0] = descriptor_new(socks[0]);
        ret_ends[1] = descriptor_new(socks[1]);
        if (ret_ends[0] && ret_ends[1])
                return 0;
        for (int i = 0; i < 2; i++)
                if (ret_ends[i])
                        descriptor_unref(ret_ends[i]);
                else
                        ptl_close(socks[i]);
        return -ENOMEM;
}

static void send_introduction(struct client *to, const struct client *peer, struct descriptor *end)
{
        struct ptl_server_msg msg = {.type = PTL_SM_INTRODUCTION,
                                     .introduction.peer = peer->identity};

        client_send(to, &msg, end);
}

int introduce(struct client *asker, struct client *other, struct descriptor **ret_socket)
{
        ptl_cleanup(ptl_freep) struct introduction *fresh = NULL;
        struct descriptor *ends[2];
        int r;

        /* Check ... */
        if (!client_has_room_for_descriptor(asker) || !client_has_room_for_descriptor(other))
                return PTL_E_QUOTA;
        if (asker->server->is_short)
                return -EMFILE;
        if (!find(asker, other)) {
                fresh = calloc(1, sizeof *fresh);
                if (!fresh)
                        return -ENOMEM;
        }
        r = make_ends(ends);
        if (r)
                return r;

        /* ... then commit. The other's end goes first: the asker's first frame finds it there. */
        if (fresh)
                add(asker, other, ptl_steal_ptr(&fresh));
        asker->server->n_introductions++;
        send_introduction(other, asker, ends[1]);
        descriptor_unref(ends[1]);
        *ret_socket = ends[0];
        return 0;
}

static void forget(struct server *server, struct introduction *i)
{
        map_remove(&server->introductions, &i->in_introductions);
        list_remove(&i->in_introduced.link);
        for (int s = 0; s < 2; s++) {
                list_remove(&i->side[s].of_client);
                i->side[s].client->n_introductions--;
        }
        free(i);
}

void introduction_end_all(struct client *c)
{
        struct ptl_server_msg msg = {.type = PTL_SM_TASK_DEAD, .task.id = c->identity.task};
        struct introduction_side *mine;

        while ((mine = list_first(&c->introductions, struct introduction_side, of_client))) {
                struct introduction_side *sides = mine->whole->side;
                struct client *other = sides[mine == sides].client;

                forget(c->server, mine->whole);
                client_send(other, &msg, NULL);
        }
}
