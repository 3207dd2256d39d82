/* SPDX-License-Identifier: Apache-2.0 */
/* task/relink.c - see relink.h */
#include "task/relink.h"
#include "link/trace_frame.h"
#include "task/seek.h"

enum {
        FIRST_MS = 20, /* between two questions; then twice as long each time */
        DOUBLINGS = 6,
        LAST_MS = 1000,
        PATIENCE_MS = 5000, /* for a peer to become known to a server that came back */
};

/* Something was written, or waits for room: the peer is to have it. */
static bool is_at_stake(const struct ptl_peer *peer)
{
        return peer->link.tx.position || ptl_control_is_pending(peer);
}

static ptl_time next_try(struct ptl_relink *r)
{
        int ms = r->tries > DOUBLINGS ? LAST_MS : FIRST_MS << r->tries;

        r->tries++;
        return ptl_after_ms(ms < LAST_MS ? ms : LAST_MS);
}

bool ptl_relink_begin(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_relink *r = &peer->relink;

        if (!is_at_stake(peer))
                return false;
        if (ptl_trace_is_on())
                ptl_trace_line("link with pid %d is lost", (int)peer->link.identity.pid);
        ptl_wait_unwatch_socket(task, peer, peer->link.socket);
        ptl_lock(&peer->link.lock);
        ptl_link_lose(&peer->link);
        ptl_unlock(&peer->link.lock);
        task->server.lost_links++;
        r->lost = true;
        r->serial = 0;
        r->again_at = r->tries ? next_try(r) : PTL_NOW;
        ptl_relink_step(task);
        return true;
}

void ptl_relink_seek(struct ptl_task *task, struct ptl_peer *peer)
{
        peer->relink.lost = true;
        peer->relink.again_at = PTL_NOW;
        task->server.lost_links++;
        ptl_relink_step(task);
}

void ptl_relink_end(struct ptl_task *task, struct ptl_peer *peer)
{
        task->server.lost_links -= peer->relink.lost;
        peer->relink.lost = false;
}

/* Watched first: behind a HELLO that was sent nothing may fail. */
static int join(struct ptl_task *task, struct ptl_peer *peer, int fd)
{
        int r = ptl_wait_watch_socket(task, peer, fd);

        if (r)
                return r;
        ptl_lock(&peer->link.lock);
        r = ptl_link_rejoin(&peer->link, fd);
        ptl_unlock(&peer->link.lock);
        if (r)
                ptl_wait_unwatch_socket(task, peer, fd);
        return r;
}

bool ptl_relink_join(struct ptl_task *task, struct ptl_peer *peer, int *fd, uint32_t server)
{
        if (join(task, peer, *fd))
                return false;
        (void)ptl_steal_fd(fd);
        ptl_relink_end(task, peer);
        peer->relink.server = server;
        peer->relink.unknown_until = 0;
        if (ptl_trace_is_on())
                ptl_trace_line("link with pid %d goes on", (int)peer->link.identity.pid);
        return true;
}

/* --- asking --- */

static void ask(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_server_msg msg = {.type = PTL_SM_INTRODUCE, .task.id = peer->link.identity.task};

        peer->relink.serial = ptl_server_tell(task, &msg);
        peer->relink.again_at = next_try(&peer->relink); /* if it could not be sent, or brings nothing */
}

static bool is_to_ask(const struct ptl_peer *peer) { return peer->relink.lost && !peer->relink.serial; }

void ptl_relink_step(struct ptl_task *task)
{
        if (!ptl_server_is_ready(task)) /* the links are asked for when it is */
                return;
        for (struct ptl_peer *p = task->space.peers; p; p = p->next)
                if (is_to_ask(p) && ptl_deadline_passed(p->relink.again_at))
                        ask(task, p);
}

ptl_time ptl_relink_due(const struct ptl_task *task)
{
        ptl_time due = PTL_FOREVER;

        for (const struct ptl_peer *p = task->space.peers; p; p = p->next)
                if (is_to_ask(p) && p->relink.again_at < due)
                        due = p->relink.again_at;
        return due;
}

/*
 * It may only not have come back to a server that did. Who introduced us to it has buried it; its TASK_DEAD may
 * have come when the link was not made yet, right behind FOUND.
 */
static void is_unknown(struct ptl_task *task, struct ptl_peer *peer)
{
        struct ptl_relink *r = &peer->relink;

        peer->known_dead = r->server == task->server.welcomes ||
                           (r->unknown_until && ptl_deadline_passed(r->unknown_until));
        if (peer->known_dead)
                ptl_task_unlink(task, peer);
        else if (!r->unknown_until)
                r->unknown_until = ptl_after_ms(PATIENCE_MS);
}

void ptl_relink_answer(struct ptl_task *task, const struct ptl_server_msg *msg, int *fd)
{
        struct ptl_peer *peer = task->space.peers;

        while (peer && !(peer->relink.lost && peer->relink.serial == msg->serial))
                peer = peer->next;
        if (!peer) { /* it has been found otherwise meanwhile */
                ptl_seek_answer(task, msg);
                return;
        }
        peer->relink.serial = 0;
        if (msg->type == PTL_SM_FOUND && !peer->link.identity.pid) /* sought by its id alone */
                peer->link.identity = msg->found.owner;
        if (msg->type == PTL_SM_FOUND && *fd >= 0)
                (void)ptl_relink_join(task, peer, fd, task->server.welcomes); /* else it is asked again */
        else if (msg->type == PTL_SM_RESULT && msg->result.outcome == PTL_E_NOT_FOUND)
                is_unknown(task, peer);
}

void ptl_relink_restart(struct ptl_task *task)
{
        ptl_seek_restart(task);
        for (struct ptl_peer *p = task->server.lost_links ? task->space.peers : NULL; p; p = p->next)
                p->relink = (struct ptl_relink){
                        .lost = p->relink.lost, .server = p->relink.server, .again_at = PTL_NOW};
}
