/* SPDX-License-Identifier: Apache-2.0 */
/* task/rich.c - see rich.h */
#include "task/rich.h"
#include "task/resend.h"

/* What lies before the bytes. */
struct front {
        struct ptl_frame_rich head;
        struct ptl_frame_right right;
};

static bool carries_one(const struct ptl_outgoing *out)
{
        return out->n_rights == 1 && !out->n_regions && !out->reply && !out->notify && !out->leave &&
               out->size <= PTL_INLINE_MAX - sizeof(struct front);
}

/* A right that can be sent through now: what ptl_quick_send() asks for, too. (A peer that is held back may owe an
 * answer from then on: the long way.) */
static struct ptl_entry *look_port(const struct ptl_task *task, ptl_port port, uint32_t units)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, port);
        const struct ptl_peer *peer = e ? e->peer : NULL;

        if (!peer || e->flags || ptl_trace_is_on() || ptl_control_is_pending(peer) || !peer->watched_open ||
            peer->restrained)
                return NULL;
        return e->rights == PTL_RIGHT_SEND_ONCE || (e->rights == PTL_RIGHT_SEND && ptl_window_fits(e, units)) ? e
                                                                                                              : NULL;
}

/* A right to a port of this task or of @peer's that may go as the item says. */
static struct ptl_entry *look_right(const struct ptl_task *task, const struct ptl_peer *peer,
                                    const struct ptl_right_item *item)
{
        struct ptl_entry *e = ptl_space_entry(&task->space, item->port);
        bool makes = item->disposition == PTL_MAKE_SEND || item->disposition == PTL_MAKE_SEND_ONCE;
        bool passes = item->disposition == PTL_COPY_SEND || item->disposition == PTL_MOVE_SEND;

        if (!e || e->flags)
                return NULL;
        if (e->rights & PTL_RIGHT_RECEIVE)
                return (makes && !e->receiver->internal) || (passes && e->rights & PTL_RIGHT_SEND) ? e : NULL;
        return passes && e->rights == PTL_RIGHT_SEND && e->peer == peer ? e : NULL;
}

/* False: the peer can hold no more. */
static bool grant(struct ptl_peer *peer, const struct ptl_entry *e, bool once, struct ptl_frame_right *f)
{
        struct ptl_receiver *receiver = e->receiver;
        struct ptl_grant *minted;

        if (!(e->rights & PTL_RIGHT_RECEIVE)) {
                *f = (struct ptl_frame_right){.what = PTL_CARRY_BACK_SEND, .right = e->remote};
                return true;
        }
        *f = (struct ptl_frame_right){
                .what = once ? PTL_CARRY_ONCE : PTL_CARRY_SEND,
                .right = once ? ptl_grant_once(peer, receiver, &minted) : ptl_grant_send(peer, receiver),
                .limit_messages = receiver->limit_messages,
                .limit_units = receiver->limit_units,
        };
        return f->right != 0;
}

/* The line that the reader polls is written last, as ptl_ring_write_small() says why. */
static void write_frame(struct ptl_link *link, const struct front *front, const struct ptl_outgoing *out, uint32_t right,
                        uint32_t token)
{
        const struct ptl_frame_head head = {.right = right, .token = token, .aux = out->kind};
        uint32_t length = (uint32_t)(sizeof *front + out->size);
        char *body = ptl_ring_body(&link->tx);

        ptl_ring_clear_tail(&link->tx, ptl_frame_end(link->tx.position, length)); /* I1 */
        ptl_link_copy(link, body + sizeof *front, out->data, out->size);
        ptl_copy_shared(body, front, sizeof *front);
        ptl_ring_publish_here(&link->tx, PTL_FRAME_RICH, length, &head);
}

/* Grants, and mints if @reply is wanted: all or nothing. */
static bool grant_all(struct ptl_peer *peer, const struct ptl_entry *carried, bool once, struct ptl_frame_right *f,
                      struct ptl_receiver *reply, struct ptl_minted *minted)
{
        if (!grant(peer, carried, once, f))
                return false;
        if (!reply)
                return true;
        minted->peer = peer;
        minted->right = ptl_grant_once(peer, reply, &minted->grant);
        if (PTL_UNLIKELY(!minted->right) && f->what != PTL_CARRY_BACK_SEND)
                ptl_grant_revoke(ptl_grant_find(peer, f->right));
        return minted->right != 0;
}

/* Nothing fails behind the grant. */
static bool publish(struct ptl_entry *e, const struct ptl_entry *carried, const struct ptl_outgoing *out,
                    struct ptl_receiver *reply, struct ptl_minted *minted, const void **ret_frame)
{
        bool once = out->rights[0].disposition == PTL_MAKE_SEND_ONCE;
        struct ptl_link *link = &e->peer->link;
        struct front front = {.head = {.where = PTL_WHERE_INLINE, .n_rights = 1}};
        bool done;

        ptl_lock(&link->lock);
        *ret_frame = ptl_ring_body(&link->tx);
        done = PTL_LIKELY(ptl_link_state(link) == PTL_LINK_OPEN &&
                          ptl_ring_fits(&link->tx, (uint32_t)(sizeof front + out->size), PTL_RING_RESERVE) &&
                          grant_all(e->peer, carried, once, &front.right, reply, minted));
        if (PTL_LIKELY(done)) {
                write_frame(link, &front, out, e->remote, minted->right);
                ptl_link_bell(link);
                link->frames_sent++;
        }
        ptl_unlock(&link->lock);
        return done;
}

/* The frame is out: what was moved is the message's. */
static void commit(struct ptl_task *task, struct ptl_entry *carried, uint32_t disposition)
{
        struct ptl_peer *peer = carried->peer;

        if (disposition == PTL_MAKE_SEND)
                carried->made++;
        if (disposition != PTL_MOVE_SEND)
                return;
        if (peer)
                ptl_peer_ref(peer);
        ptl_right_drop(&task->space, carried, 1);
        if (peer)
                ptl_peer_unref(peer);
}

/* Its port may move (S1): it is counted, and kept. */
static PTL_COLD void keep(struct ptl_task *task, struct ptl_entry *e, const struct ptl_outgoing *out, uint32_t units,
                          const struct ptl_receiver *reply, uint32_t minted, const void *frame)
{
        struct ptl_sending s = {.data = out->data,
                                .size = out->size,
                                .kind = out->kind,
                                .reply_port = reply ? reply->name : PTL_NULL,
                                .extras = out,
                                .block = -1,
                                .minted = minted,
                                .frame = frame,
                                .frame_length = (uint32_t)(sizeof(struct front) + out->size)};

        ptl_resend_commit(task, e, &s, out->data, units);
        task->space.ways.unsure = s.way;
}

enum ptl_quick ptl_rich_send(struct ptl_task *task, ptl_port port, const struct ptl_outgoing *out,
                             struct ptl_receiver *reply, struct ptl_minted *ret_minted)
{
        struct ptl_minted minted = {0};
        const void *frame;
        uint32_t units = ptl_units(out->size);
        struct ptl_entry *e = carries_one(out) ? look_port(task, port, units) : NULL;
        struct ptl_entry *carried = e ? look_right(task, e->peer, &out->rights[0]) : NULL;

        if (!carried || (reply && !e->peer->hot) || !publish(e, carried, out, reply, &minted, &frame))
                return PTL_QUICK_NONE;
        if (reply)
                *ret_minted = minted;
        if (PTL_UNLIKELY(ptl_link_open_is_careful(&e->peer->link) && ptl_way_is_unsure(e))) {
                keep(task, e, out, units, reply, minted.right, frame);
                return PTL_QUICK_UNSURE;
        }
        ptl_quick_commit(task, e, out->size, units);
        commit(task, carried, out->rights[0].disposition);
        return PTL_QUICK_SENT;
}
