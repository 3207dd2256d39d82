/* SPDX-License-Identifier: Apache-2.0 */
/* port/quota.c - see quota.h */
#include "port/quota.h"
#include "base/clock.h"
#include "port/handoff.h"
#include "port/receiver.h"
#include "port/regions.h"
#include <string.h>
#include <sys/resource.h>

/* For these a peer is held back; the others are refused one by one. */
static const enum ptl_quota in_queues[] = {PTL_QUOTA_MESSAGES, PTL_QUOTA_BYTES, PTL_QUOTA_CARRIED,
                                           PTL_QUOTA_REGIONS};

void ptl_quota_start(struct ptl_quota_state *quota, uint32_t own_uid)
{
        ptl_limits_read_all(&quota->limits);
        quota->own_uid = own_uid;
        quota->all.scope = PTL_QUOTA_ALL;
        quota->n_refusals = 0;
}

void ptl_quota_forked(struct ptl_quota_state *quota)
{
        /* The accounts stay with the parent's peers, which point to them and are never used here. */
        quota->accounts = NULL;
        quota->all = (struct ptl_account){.scope = PTL_QUOTA_ALL};
        quota->restrained = NULL;
        quota->n_refusals = 0;
}

/* --- limits --- */

/* A link takes three descriptors: a quarter of what there is may be others' links, a quarter is left. */
static uint64_t links_of_all(const struct ptl_quota_state *quota)
{
        const struct ptl_limit *limit = &quota->limits.at[PTL_QUOTA_LINKS][PTL_QUOTA_ALL];
        struct rlimit files = {RLIM_INFINITY, RLIM_INFINITY};
        enum { SHARE = 4 };

        if (limit->value)
                return limit->value;
        (void)!getrlimit(RLIMIT_NOFILE, &files);
        return files.rlim_cur == RLIM_INFINITY ? PTL_QUOTA_UNLIMITED : files.rlim_cur / SHARE;
}

uint64_t ptl_quota_limit(const struct ptl_quota_state *quota, uint32_t kind, const struct ptl_account *a)
{
        const struct ptl_limit *limit = &quota->limits.at[kind][a->scope];
        bool is_ours = a->scope == PTL_QUOTA_UID && (a->who.uid == quota->own_uid || a->who.uid == 0);
        uint64_t all;

        if (is_ours && limit->origin == PTL_QUOTA_BY_DEFAULT)
                return PTL_QUOTA_UNLIMITED;
        if (limit->value)
                return limit->value;
        all = links_of_all(quota);
        return a->scope == PTL_QUOTA_ALL || all == PTL_QUOTA_UNLIMITED ? all : all / 2;
}

/* --- refusals --- */

static struct ptl_quota_refusal *older(struct ptl_quota_refusal *a, struct ptl_quota_refusal *b)
{
        return !a || b->last < a->last ? b : a;
}

/* Its place in the list: its own; that of its culprit's longest silent, who may not push out the others; a free
 * one; or that of the one longest silent. */
static struct ptl_quota_refusal *place(struct ptl_quota_state *quota, uint32_t limit, bool is_ours,
                                       const struct ptl_identity *who)
{
        struct ptl_quota_refusal *oldest = NULL, *same = NULL;
        enum { OF_ONE = 4 };
        unsigned of_one = 0;

        for (uint32_t i = 0; i < quota->n_refusals; i++) {
                struct ptl_quota_refusal *r = &quota->refusals[i];

                oldest = older(oldest, r);
                if (r->pid != who->pid || r->uid != who->uid)
                        continue;
                if (r->limit == limit && r->is_ours == is_ours)
                        return r;
                of_one++;
                same = older(same, r);
        }
        if (of_one >= OF_ONE)
                oldest = same;
        else if (quota->n_refusals < PTL_QUOTA_REFUSALS)
                oldest = &quota->refusals[quota->n_refusals++];
        *oldest = (struct ptl_quota_refusal){
                .limit = limit, .is_ours = is_ours, .pid = who->pid, .uid = who->uid, .first = ptl_now()};
        return oldest;
}

/* Returns whether it is the first of its kind. */
static bool remember(struct ptl_quota_state *quota, uint32_t limit, bool is_ours,
                     const struct ptl_identity *who, uint64_t value, uint64_t use)
{
        struct ptl_quota_refusal *r = place(quota, limit, is_ours, who);

        r->value = value;
        r->use = use;
        r->count++;
        r->last = ptl_now();
        return r->count == 1;
}

static bool refuse(struct ptl_quota_state *quota, const struct ptl_account *at, uint32_t limit,
                   const struct ptl_identity *who)
{
        uint32_t kind = (limit - 1) / PTL_QUOTA_SCOPES;

        return remember(quota, limit, true, who, ptl_quota_limit(quota, kind, at), at->use[kind]);
}

/* The first account, from the process up, whose limit is reached; NULL: none. */
static const struct ptl_account *full(const struct ptl_quota_state *quota, const struct ptl_account *a,
                                      enum ptl_quota kind)
{
        while (a && a->use[kind] < ptl_quota_limit(quota, kind, a))
                a = a->above;
        return a;
}

static struct ptl_quota_state *quota_of(const struct ptl_peer *peer) { return &peer->space->quota; }

static void count_refused(struct ptl_account *a)
{
        for (; a; a = a->above)
                a->refused++;
}

/* --- accounts --- */

static bool is_of_process(const struct ptl_identity *a, const struct ptl_identity *b)
{
        return (a->pid && a->pid == b->pid && a->start_time == b->start_time) ||
               (a->task.high == b->task.high && a->task.low == b->task.low);
}

static struct ptl_account *find(struct ptl_quota_state *quota, uint32_t scope, const struct ptl_identity *who)
{
        struct ptl_account *a = scope == PTL_QUOTA_ALL ? NULL : quota->accounts;

        while (a && (a->scope != scope ||
                     !(scope == PTL_QUOTA_UID ? a->who.uid == who->uid : is_of_process(&a->who, who))))
                a = a->next;
        return scope == PTL_QUOTA_ALL ? &quota->all : a;
}

static void unref(struct ptl_quota_state *quota, struct ptl_account *a)
{
        struct ptl_account **at = &quota->accounts, *above = a->above;

        if (--a->references || a == &quota->all)
                return;
        while (*at && *at != a)
                at = &(*at)->next;
        if (*at)
                *at = a->next;
        free(a);
        unref(quota, above);
}

/* Found or made, and what is above it; NULL: no memory. */
static struct ptl_account *account(struct ptl_quota_state *quota, uint32_t scope,
                                   const struct ptl_identity *who)
{
        struct ptl_account *a = find(quota, scope, who), *above;

        if (a) {
                a->references++;
                return a;
        }
        above = account(quota, scope + 1, who);
        a = above ? calloc(1, sizeof *a) : NULL;
        if (!a) {
                if (above)
                        unref(quota, above);
                return NULL;
        }
        *a = (struct ptl_account){
                .next = quota->accounts, .above = above, .references = 1, .scope = scope, .who = *who};
        quota->accounts = a;
        return a;
}

int ptl_quota_open(struct ptl_peer *peer, const struct ptl_identity *who)
{
        peer->account = account(quota_of(peer), PTL_QUOTA_TASK, who);
        return peer->account ? 0 : -ENOMEM;
}

void ptl_quota_close(struct ptl_peer *peer)
{
        if (!peer->account)
                return;
        ptl_quota_give(peer, PTL_QUOTA_ORPHANS, peer->orphans * 64);
        unref(quota_of(peer), peer->account);
        peer->account = NULL;
}

/* Who has no account yet has nothing; its user may have. */
uint32_t ptl_quota_admit(struct ptl_space *space, const struct ptl_identity *who)
{
        struct ptl_quota_state *quota = &space->quota;

        for (uint32_t scope = PTL_QUOTA_TASK; scope < PTL_QUOTA_SCOPES; scope++) {
                const struct ptl_account none = {.scope = scope, .who = *who};
                struct ptl_account *a = find(quota, scope, who);
                const struct ptl_account *at = a ? a : &none;
                uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_LINKS, scope);

                if (at->use[PTL_QUOTA_LINKS] < ptl_quota_limit(quota, PTL_QUOTA_LINKS, at))
                        continue;
                count_refused(find(quota, PTL_QUOTA_TASK, who));
                refuse(quota, at, limit, who);
                return limit;
        }
        return 0;
}

/* --- charging --- */

void ptl_quota_charge(struct ptl_peer *peer, enum ptl_quota kind, uint64_t n)
{
        for (struct ptl_account *a = peer->account; a; a = a->above)
                a->use[kind] += n;
}

void ptl_quota_give(struct ptl_peer *peer, enum ptl_quota kind, uint64_t n)
{
        for (struct ptl_account *a = peer->account; a; a = a->above)
                a->use[kind] -= n;
}

uint32_t ptl_quota_refuses(struct ptl_peer *peer, enum ptl_quota kind)
{
        const struct ptl_account *at = full(quota_of(peer), peer->account, kind);
        uint32_t limit;

        if (!at)
                return 0;
        limit = PTL_QUOTA_LIMIT(kind, at->scope);
        count_refused(peer->account);
        refuse(quota_of(peer), at, limit, &peer->link.identity);
        return limit;
}

uint32_t ptl_quota_take(struct ptl_peer *peer, enum ptl_quota kind)
{
        uint32_t limit = ptl_quota_refuses(peer, kind);

        if (!limit)
                ptl_quota_charge(peer, kind, 1);
        return limit;
}

/* --- queues --- */

/* What it is charged for; the same as long as it is queued. */
static uint64_t cost(const struct ptl_queued *q, enum ptl_quota kind)
{
        uint64_t bytes;

        switch (kind) {
        case PTL_QUOTA_MESSAGES:
                return 1;
        case PTL_QUOTA_BYTES:
                bytes = ptl_orphan_cost(1, q->units) * 64;
                for (uint32_t i = 0; i < q->n_regions; i++) /* a copy is this task's memory */
                        if (q->regions[i].region && !q->regions[i].region->foreign &&
                            !(q->bytes == PTL_BYTES_REGION && i == q->slot))
                                bytes += q->regions[i].region->size;
                return bytes;
        case PTL_QUOTA_CARRIED:
                return q->n_rights;
        case PTL_QUOTA_REGIONS:
                return q->n_regions;
        case PTL_QUOTA_LINKS:
        case PTL_QUOTA_RIGHTS:
        case PTL_QUOTA_PARKED:
        case PTL_QUOTA_ORPHANS:
        case PTL_QUOTA_KINDS:
                break;
        }
        return 0;
}

bool ptl_quota_enqueue(struct ptl_queued *q)
{
        bool reached = false;

        for (size_t i = 0; i < PTL_ARRAY_LEN(in_queues); i++) {
                uint64_t n = cost(q, in_queues[i]);

                if (!n)
                        continue;
                ptl_quota_charge(q->peer, in_queues[i], n);
                reached |= full(quota_of(q->peer), q->peer->account, in_queues[i]) != NULL;
        }
        q->charged = true;
        return reached;
}

uint32_t ptl_quota_reached(const struct ptl_peer *peer)
{
        for (size_t i = 0; i < PTL_ARRAY_LEN(in_queues); i++) {
                const struct ptl_account *at = full(quota_of(peer), peer->account, in_queues[i]);

                if (at)
                        return PTL_QUOTA_LIMIT(in_queues[i], at->scope);
        }
        return 0;
}

/* A quarter below each limit (of few: one), so that it is not held back at its next message again. Who has
 * nothing in any queue has room, whatever others of its user have: the program may wait for just that. */
static bool has_room(const struct ptl_peer *peer)
{
        if (peer->account->use[PTL_QUOTA_MESSAGES] == 0)
                return true;
        for (const struct ptl_account *a = peer->account; a; a = a->above)
                for (size_t i = 0; i < PTL_ARRAY_LEN(in_queues); i++) {
                        uint64_t limit = ptl_quota_limit(quota_of(peer), in_queues[i], a);
                        uint64_t low = limit - limit / 4 - (limit < 4);

                        if (a->use[in_queues[i]] > low)
                                return false;
                }
        return true;
}

void ptl_quota_review(struct ptl_space *space)
{
        struct ptl_peer *next;

        for (struct ptl_peer *p = space->quota.restrained; p; p = next) {
                next = p->restrained_next;
                if (has_room(p))
                        space->let_go(space, p);
        }
}

void ptl_quota_dequeue(struct ptl_space *space, struct ptl_queued *q)
{
        if (!q->charged)
                return;
        q->charged = false;
        for (size_t i = 0; i < PTL_ARRAY_LEN(in_queues); i++) {
                uint64_t n = cost(q, in_queues[i]);

                if (n)
                        ptl_quota_give(q->peer, in_queues[i], n);
        }
        if (PTL_UNLIKELY(space->quota.restrained))
                ptl_quota_review(space);
}

/* Of the peer's accounts the one that a limit is about. */
static const struct ptl_account *account_of(const struct ptl_peer *peer, uint32_t limit)
{
        const struct ptl_account *a = peer->account;

        while (a->above && a->scope != (limit - 1) % PTL_QUOTA_SCOPES)
                a = a->above;
        return a;
}

uint64_t ptl_quota_value(const struct ptl_peer *peer, uint32_t limit)
{
        return ptl_quota_limit(quota_of(peer), (limit - 1) / PTL_QUOTA_SCOPES, account_of(peer, limit));
}

bool ptl_quota_remember_restrained(struct ptl_peer *peer, uint32_t limit)
{
        count_refused(peer->account);
        return refuse(quota_of(peer), account_of(peer, limit), limit, &peer->link.identity);
}

bool ptl_quota_owes_answer(const struct ptl_peer *peer)
{
        if (peer->handoff && peer->handoff->redeems)
                return true;
        for (uint32_t i = 1; i < peer->granted.fresh; i++) {
                const struct ptl_grant *g = ptl_table_at(&peer->granted, i);

                if (g->kind == PTL_GRANT_ONCE && g->receiver)
                        return true;
        }
        return false;
}

bool ptl_quota_told(struct ptl_peer *peer, uint32_t limit, uint64_t value)
{
        if (!ptl_quota_name(limit))
                return false;
        remember(quota_of(peer), limit, false, &peer->link.identity, value, 0);
        return true;
}
