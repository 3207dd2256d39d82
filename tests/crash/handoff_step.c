/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff_step.c - each of three tasks is killed after every instruction of its part in a hand-off
 *
 * The granter as it sends a right of the third's to the survivor; the grantee as it receives one that the
 * survivor gave it, uses it and gives it up; the port's task as the third claims a right that the survivor
 * gave. A right is there if its message is, works, and when all is over none is left: the third is told so,
 * once for each victim. See task_stage.h, task_third.h.
 */
#include "task_play.h"
#include "task_third.h"

static ptl_port given; /* the victim's right to the third's home */

/* ---- the granter ---- */

static void ask_for_send(struct stage *s)
{
        meet_third(s);
        given = ask_third(KIND_SEND_WANTED);
        OK(ptl_right_release(door));
}

static void ask_for_once(struct stage *s)
{
        meet_third(s);
        given = ask_third(KIND_ONCE_WANTED);
        OK(ptl_right_release(door));
}

static void hand_on(struct stage *s, uint32_t how)
{
        struct ptl_right_item item = {given, how};
        struct ptl_outgoing out = {.kind = KIND_PART, .rights = &item, .n_rights = 1};

        OK(send_data(s, ready[0], SMALL, &out, soon()));
}

static void hand_on_copy(struct stage *s) { hand_on(s, PTL_COPY_SEND); }

static void hand_on_last(struct stage *s) { hand_on(s, PTL_MOVE_SEND); }

static void hand_on_once(struct stage *s) { hand_on(s, PTL_MOVE_SEND_ONCE); }

static void use_and_release(struct play *p, ptl_port right)
{
        use_right(right);
        OK(ptl_right_release(right));
}

static void use_up(struct play *p, ptl_port right) { use_right(right); }

/* Told once, and not before: more would be seen here, or by the next victim. */
static bool is_last_sender_gone(const struct play *p)
{
        CHECK(SINCE(p, no_senders) <= 1);
        return is_quiet(p) && SINCE(p, no_senders) == 1;
}

static bool was_used_or_told(const struct play *p)
{
        CHECK(SINCE(p, used) + SINCE(p, onces) <= 1);
        return is_quiet(p) && SINCE(p, used) + SINCE(p, onces) == 1;
}

#define WITH_A_THIRD .third = be_third, .meet = meet_third_first, .size = SMALL

SCENE(a_granter_copies_a_right, WITH_A_THIRD, .prepare = ask_for_send,
      .act = hand_on_copy, .took = use_and_release, .settled = is_last_sender_gone)
SCENE(a_granter_moves_its_right, WITH_A_THIRD, .prepare = ask_for_send,
      .act = hand_on_last, .took = use_and_release, .settled = is_last_sender_gone)
SCENE(a_granter_moves_a_send_once_right, WITH_A_THIRD, .prepare = ask_for_once,
      .act = hand_on_once, .took = use_up, .settled = was_used_or_told)

/* ---- the grantee ---- */

static void meet_and_part(struct stage *s)
{
        meet_third(s);
        OK(ptl_right_release(door));
}

static void give_right(struct play *p)
{
        struct ptl_right_item item = {ask_third(KIND_SEND_WANTED), PTL_MOVE_SEND};

        OK(give(p, SMALL, soon(), &(struct ptl_outgoing){.rights = &item, .n_rights = 1}));
}

static void receive_and_use(struct stage *s)
{
        struct ptl_message m;

        OK(ptl_receive(mine, &m, soon()));
        CHECK_EQ(m.n_rights, 1);
        ptl_store_release(&s->answering, 1);
        use_right(m.rights[0].port);
        ptl_store_release(&s->answered, 1);
        OK(ptl_right_release(m.rights[0].port));
        ptl_message_release(&m);
}

static bool was_used_as_said(const struct play *p)
{
        const struct stage *s = p->stage;

        return is_last_sender_gone(p) && SINCE(p, used) >= ptl_load_acquire(&s->answered) &&
               SINCE(p, used) <= ptl_load_acquire(&s->answering);
}

SCENE(a_grantee_with_a_link, WITH_A_THIRD, .prepare = meet_and_part,
      .before = give_right, .act = receive_and_use, .settled = was_used_as_said)
SCENE(a_grantee_without_a_link, WITH_A_THIRD, .before = give_right,
      .act = receive_and_use, .settled = was_used_as_said)

/* ---- the port's task ---- */

static void give_victims(struct play *p)
{
        struct ptl_right_item item = {p->victim, PTL_COPY_SEND};
        struct ptl_outgoing out = {.kind = KIND_TAKE, .rights = &item, .n_rights = 1};

        OK(ptl_send_message(door, &out, soon()));
}

static void receive_use(struct stage *s)
{
        struct ptl_message m;

        OK(ptl_receive(mine, &m, soon()));
        CHECK_EQ(m.size, 5);
        ptl_message_release(&m);
}

static bool is_right_dead(const struct play *p) { return is_quiet(p) && SINCE(p, deads) == 1; }

SCENE(a_ports_task_with_links_to_both, WITH_A_THIRD, .prepare = meet_and_part,
      .before = give_victims, .act = receive_use, .settled = is_right_dead)
SCENE(a_ports_task_that_its_claimant_has_yet_to_meet, WITH_A_THIRD,
      .before = give_victims, .act = receive_use, .settled = is_right_dead)
