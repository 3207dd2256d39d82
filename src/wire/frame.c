/* SPDX-License-Identifier: Apache-2.0 */
/* wire/frame.c - encode and decode the bodies of frames */
#include "wire/frame.h"
#include <portolan/message.h>
#include <string.h>

size_t ptl_rich_head_size(uint32_t n_rights, uint32_t n_regions)
{
        return sizeof(struct ptl_frame_rich) + n_rights * sizeof(struct ptl_frame_right) +
               n_regions * sizeof(struct ptl_frame_region);
}

void ptl_rich_encode(const struct ptl_rich *rich, void *to)
{
        struct ptl_frame_rich head = {
                .where = (uint8_t)rich->where,
                .n_rights = (uint8_t)rich->n_rights,
                .n_regions = (uint8_t)rich->n_regions,
                .n_given = (uint8_t)rich->n_given,
                .block = rich->block,
        };
        char *at = to;

        memcpy(at, &head, sizeof head);
        at += sizeof head;
        memcpy(at, rich->rights, rich->n_rights * sizeof *rich->rights);
        at += rich->n_rights * sizeof *rich->rights;
        memcpy(at, rich->regions, rich->n_regions * sizeof *rich->regions);
        at += rich->n_regions * sizeof *rich->regions;
        if (rich->n_given)
                memcpy(at, rich->given, rich->n_given * sizeof(struct ptl_frame_given));
}

struct ptl_frame_given ptl_rich_given(const struct ptl_rich *rich, uint32_t index)
{
        struct ptl_frame_given given;

        memcpy(&given, (const char *)rich->given + index * sizeof given, sizeof given);
        return given;
}

static bool right_is_valid(const struct ptl_frame_right *right)
{
        bool granted = right->what == PTL_CARRY_SEND || right->what == PTL_CARRY_ONCE;

        return right->what >= PTL_CARRY_SEND && right->what < PTL_CARRY_KINDS &&
               !(granted && !ptl_right_is_granted(right->right)) &&
               !(right->what == PTL_CARRY_COMMITTED && (!right->right || right->limit_messages || right->limit_units));
}

/* Rights GIVEN name their tickets in order, each once. */
static bool given_are_valid(const struct ptl_rich *rich)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < rich->n_rights; i++) {
                const struct ptl_frame_right *right = &rich->rights[i];

                if (right->what != PTL_CARRY_GIVEN_SEND && right->what != PTL_CARRY_GIVEN_ONCE)
                        continue;
                if (right->right != n++ || right->limit_messages || right->limit_units)
                        return false;
        }
        return n == rich->n_given;
}

static bool region_is_valid(const struct ptl_frame_region *region)
{
        return region->fresh <= 1 && region->frozen <= 1 && region->size > 0 &&
               region->size <= PTL_REGION_SIZE_MAX &&
               region->how >= PTL_REGION_VOLATILE && region->how <= PTL_REGION_COPIED &&
               !(region->frozen && !region->fresh);
}

static bool where_is_valid(const struct ptl_frame_rich *head, const struct ptl_rich *rich)
{
        switch ((enum ptl_frame_where)head->where) {
        case PTL_WHERE_INLINE:
                return true;
        case PTL_WHERE_BLOCK:
                return rich->size == 0;
        case PTL_WHERE_REGION:
                return rich->size == 0 && head->block.slot < rich->n_regions &&
                       head->block.size <= rich->regions[head->block.slot].size &&
                       head->block.offset <= rich->regions[head->block.slot].size - head->block.size;
        }
        return false;
}

int ptl_rich_decode(const void *body, uint32_t length, struct ptl_rich *ret_rich)
{
        struct ptl_frame_rich head;
        const char *at = body;
        size_t size;

        if (length < sizeof head)
                return PTL_E_MALFORMED;
        memcpy(&head, at, sizeof head);
        size = ptl_rich_head_size(head.n_rights, head.n_regions) +
               head.n_given * sizeof(struct ptl_frame_given);
        if (head.n_rights > PTL_MESSAGE_RIGHTS_MAX || head.n_regions > PTL_MESSAGE_REGIONS_MAX + (head.where == PTL_WHERE_REGION) ||
            head.reserved2 || length < size)
                return PTL_E_MALFORMED;
        /* One by one: what is behind the rights and regions that came is not looked at, and is large. */
        ret_rich->where = (enum ptl_frame_where)head.where;
        ret_rich->n_rights = head.n_rights;
        ret_rich->n_regions = head.n_regions;
        ret_rich->n_given = head.n_given;
        ret_rich->block = head.block;
        ret_rich->given = at + ptl_rich_head_size(head.n_rights, head.n_regions);
        ret_rich->bytes = at + size;
        ret_rich->size = length - (uint32_t)size;
        at += sizeof head;
        memcpy(ret_rich->rights, at, head.n_rights * sizeof *ret_rich->rights);
        at += head.n_rights * sizeof *ret_rich->rights;
        memcpy(ret_rich->regions, at, head.n_regions * sizeof *ret_rich->regions);
        for (uint32_t i = 0; i < head.n_rights; i++)
                if (!right_is_valid(&ret_rich->rights[i]))
                        return PTL_E_MALFORMED;
        for (uint32_t i = 0; i < head.n_regions; i++)
                if (!region_is_valid(&ret_rich->regions[i]))
                        return PTL_E_MALFORMED;
        return given_are_valid(ret_rich) && where_is_valid(&head, ret_rich) ? 0 : PTL_E_MALFORMED;
}

/* Of a third task's port, or a dead one's, or none at all: not one of few. */
static bool right_is_plain(const struct ptl_frame_right *right)
{
        return right->what <= PTL_CARRY_BACK_ONCE && right_is_valid(right);
}

bool ptl_few_decode(const void *body, uint32_t length, struct ptl_few *ret_few)
{
        struct ptl_frame_rich head;
        const char *at = body;
        uint32_t size;

        if (length < sizeof head)
                return false;
        memcpy(&head, at, sizeof head);
        size = ptl_few_head_size(head.n_rights);
        if (head.where != PTL_WHERE_INLINE || head.n_rights - 1u >= PTL_FEW_RIGHTS || head.n_regions || head.n_given ||
            head.reserved2 || length < size)
                return false;
        ret_few->n_rights = head.n_rights;
        ret_few->bytes = at + size;
        ret_few->size = length - size;
        at += sizeof head;
        for (uint32_t i = 0; i < head.n_rights; i++) {
                memcpy(&ret_few->rights[i], at + i * sizeof *ret_few->rights, sizeof *ret_few->rights);
                if (!right_is_plain(&ret_few->rights[i]))
                        return false;
        }
        return true;
}

int ptl_give_decode(const void *body, uint32_t length, struct ptl_give *ret_give)
{
        struct ptl_frame_give head;
        uint32_t rest = length - (uint32_t)sizeof head, n = rest / sizeof *ret_give->items;

        if (length < sizeof head || rest % sizeof *ret_give->items || n < 1 || n > PTL_GIVE_MAX)
                return PTL_E_MALFORMED;
        memcpy(&head, body, sizeof head);
        ret_give->grantee = head.grantee;
        ret_give->count = n;
        memcpy(ret_give->items, (const char *)body + sizeof head, n * sizeof *ret_give->items);
        for (uint32_t i = 0; i < n; i++) {
                const struct ptl_frame_give_item *item = &ret_give->items[i];

                if (!ptl_ticket_index(item->ticket) ||
                    (item->kind != PTL_CARRY_SEND && item->kind != PTL_CARRY_ONCE))
                        return PTL_E_MALFORMED;
        }
        return 0;
}

int ptl_frame_body(const void *body, uint32_t length, void *ret, size_t size)
{
        if (length != size)
                return PTL_E_MALFORMED;
        memcpy(ret, body, size);
        return 0;
}

const char *ptl_frame_kind_name(unsigned kind)
{
        static const char *const names[PTL_FRAME_KINDS] = {
                [PTL_FRAME_NONE] = "NONE",       [PTL_FRAME_PAD] = "PAD",
                [PTL_FRAME_GROW] = "GROW",       [PTL_FRAME_INLINE] = "INLINE",
                [PTL_FRAME_BLOCK] = "BLOCK",     [PTL_FRAME_RICH] = "RICH",
                [PTL_FRAME_CLAIM] = "CLAIM",     [PTL_FRAME_CONFIRM] = "CONFIRM",
                [PTL_FRAME_WINDOW] = "WINDOW",   [PTL_FRAME_DEAD] = "DEAD",
                [PTL_FRAME_RELEASE] = "RELEASE", [PTL_FRAME_RETIRE] = "RETIRE",
                [PTL_FRAME_GIVE] = "GIVE",       [PTL_FRAME_SETTLED] = "SETTLED",
                [PTL_FRAME_WITHDRAW] = "WITHDRAW", [PTL_FRAME_REDEEM] = "REDEEM",
                [PTL_FRAME_ASK] = "ASK",         [PTL_FRAME_READ_OUT] = "READ_OUT",
                [PTL_FRAME_LIMIT] = "LIMIT",     [PTL_FRAME_MOVED] = "MOVED",
                [PTL_FRAME_STAYS] = "STAYS",     [PTL_FRAME_MOVE] = "MOVE",
                [PTL_FRAME_HOLDER] = "HOLDER",   [PTL_FRAME_COUNT] = "COUNT",
                [PTL_FRAME_QUEUED] = "QUEUED",   [PTL_FRAME_COMMIT] = "COMMIT",
                [PTL_FRAME_ABANDON] = "ABANDON", [PTL_FRAME_BEHIND] = "BEHIND",
                [PTL_FRAME_DONE] = "DONE",       [PTL_FRAME_PASS] = "PASS",
                [PTL_FRAME_CLAIM_MOVED] = "CLAIM_MOVED", [PTL_FRAME_FORGET] = "FORGET",
        };

        return kind < PTL_FRAME_KINDS ? names[kind] : "?";
}
