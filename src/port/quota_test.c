/* SPDX-License-Identifier: Apache-2.0 */
/* port/quota_test.c - whose use is counted together, which limit counts for whom, and what is remembered */
#include "port/quota.h"
#include "port/receiver.h"
#include "tst.h"
#include <sys/resource.h>

enum { OWN = 1000, OTHER = 2000, THIRD = 3000 };

static struct ptl_space space;

static void begin(const char *limits)
{
        struct ptl_limits *l = &space.quota.limits;

        memset(&space, 0, sizeof space);
        CHECK(unsetenv("PORTOLAN_LIMITS") == 0 && unsetenv("XDG_CONFIG_HOME") == 0 && unsetenv("HOME") == 0);
        ptl_quota_start(&space.quota, OWN);
        ptl_limits_init(l);
        ptl_limits_parse(l, limits, strlen(limits), ',', PTL_QUOTA_BY_CALL, "here");
        CHECK_EQ(l->n_faults, 0);
}

static struct ptl_identity process(int32_t pid, uint32_t uid)
{
        return (struct ptl_identity){.task = {1, (uint64_t)pid}, .pid = pid, .uid = uid, .start_time = 7};
}

/* A link's part that is counted. */
static struct ptl_peer *link_of(int32_t pid, uint32_t uid)
{
        struct ptl_peer *p = calloc(1, sizeof *p);

        CHECK(p);
        p->space = &space;
        p->link.identity = process(pid, uid);
        CHECK_EQ(ptl_quota_open(p, &p->link.identity), 0);
        ptl_quota_charge(p, PTL_QUOTA_LINKS, 1);
        return p;
}

static void end_link(struct ptl_peer *p)
{
        ptl_quota_give(p, PTL_QUOTA_LINKS, 1);
        ptl_quota_close(p);
        free(p);
}

static void check_empty(void)
{
        CHECK(!space.quota.accounts);
        for (int i = 0; i < PTL_QUOTA_KINDS; i++)
                CHECK_EQ(space.quota.all.use[i], 0);
}

TEST(links_of_one_process_are_counted_together_and_nothing_is_left_of_them)
{
        struct ptl_peer *a, *b, *c;

        begin("");
        a = link_of(1, OTHER), b = link_of(1, OTHER), c = link_of(2, OTHER);
        CHECK(a->account == b->account && a->account != c->account);
        CHECK(a->account->above == c->account->above);
        CHECK_EQ(a->account->use[PTL_QUOTA_LINKS], 2);
        CHECK_EQ(a->account->above->use[PTL_QUOTA_LINKS], 3);
        end_link(a);
        CHECK_EQ(b->account->use[PTL_QUOTA_LINKS], 1);
        end_link(b);
        CHECK_EQ(c->account->above->use[PTL_QUOTA_LINKS], 1);
        end_link(c);
        check_empty();
}

TEST(a_process_is_known_by_its_task_where_its_pid_is_not)
{
        struct ptl_identity unknown = {.task = {1, 5}, .uid = OTHER}, same = unknown;
        struct ptl_identity another = {.task = {1, 6}, .uid = OTHER};
        struct ptl_peer *p;

        begin("links.task=1");
        p = link_of(0, OTHER);
        p->account->who = unknown;
        CHECK_EQ(ptl_quota_admit(&space, &same), PTL_QUOTA_LIMIT(PTL_QUOTA_LINKS, PTL_QUOTA_TASK));
        CHECK_EQ(ptl_quota_admit(&space, &another), 0);
        end_link(p);
}

TEST(a_pid_that_is_used_again_is_another_process)
{
        struct ptl_identity later = {.task = {1, 99}, .pid = 1, .uid = OTHER, .start_time = 8};
        struct ptl_peer *p;

        begin("links.task=1");
        p = link_of(1, OTHER);
        CHECK_EQ(ptl_quota_admit(&space, &later), 0);
        end_link(p);
}

TEST(one_user_has_half_of_all_links_but_this_one_and_root)
{
        const struct rlimit files = {64, 64}; /* 16 links */
        struct ptl_peer *peers[8];
        struct ptl_identity other = process(100, OTHER), third = process(101, THIRD), own = process(102, OWN),
                            root = process(103, 0);

        begin("");
        CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
        for (int i = 0; i < 8; i++) {
                CHECK_EQ(ptl_quota_admit(&space, &other), 0);
                peers[i] = link_of(i + 1, OTHER);
        }
        CHECK_EQ(ptl_quota_admit(&space, &other), PTL_QUOTA_LIMIT(PTL_QUOTA_LINKS, PTL_QUOTA_UID));
        CHECK_EQ(space.quota.refusals[0].uid, OTHER);
        CHECK_EQ(space.quota.refusals[0].pid, 100);
        CHECK_EQ(space.quota.refusals[0].value, 8);
        CHECK_EQ(ptl_quota_admit(&space, &third), 0);
        for (int i = 0; i < 8; i++)
                end_link(peers[i]);
        for (int i = 0; i < 8; i++)
                peers[i] = link_of(i + 1, i % 2 ? OWN : 0);
        ptl_quota_charge(peers[0], PTL_QUOTA_LINKS, 8); /* 16 in all */
        CHECK_EQ(ptl_quota_admit(&space, &root), PTL_QUOTA_LIMIT(PTL_QUOTA_LINKS, PTL_QUOTA_ALL));
        ptl_quota_give(peers[0], PTL_QUOTA_LINKS, 1);
        CHECK_EQ(ptl_quota_admit(&space, &root), 0);
        CHECK_EQ(ptl_quota_admit(&space, &own), 0);
        ptl_quota_give(peers[0], PTL_QUOTA_LINKS, 7);
        for (int i = 0; i < 8; i++)
                end_link(peers[i]);
        check_empty();
}

TEST(a_limit_of_users_that_was_set_counts_for_all_of_them)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_PARKED, PTL_QUOTA_UID);
        struct ptl_peer *p;

        begin("parked.uid=1");
        for (uint32_t uid = 0; uid <= OTHER; uid += OWN) {
                p = link_of(1, uid);
                CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), 0);
                CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), limit);
                CHECK_EQ(p->account->use[PTL_QUOTA_PARKED], 1); /* what was refused does not count */
                ptl_quota_give(p, PTL_QUOTA_PARKED, 1);
                CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), 0);
                ptl_quota_give(p, PTL_QUOTA_PARKED, 1);
                end_link(p);
        }
        check_empty();
        begin("");
        for (int i = 0; i < 2; i++) { /* not set: this user's own are not limited together */
                struct ptl_peer *peers[5];

                for (int k = 0; k < 5; k++) {
                        peers[k] = link_of(k + 1, i ? OTHER : OWN);
                        ptl_quota_charge(peers[k], PTL_QUOTA_PARKED, 63);
                }
                CHECK_EQ(ptl_quota_refuses(peers[0], PTL_QUOTA_PARKED), i ? limit : 0);
                for (int k = 0; k < 5; k++) {
                        ptl_quota_give(peers[k], PTL_QUOTA_PARKED, 63);
                        end_link(peers[k]);
                }
        }
        check_empty();
}

TEST(one_process_at_its_limit_is_named_and_others_go_on)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_PARKED, PTL_QUOTA_TASK);
        struct ptl_peer *a, *b;

        begin("parked.task=2");
        a = link_of(1, OTHER), b = link_of(2, OTHER);
        CHECK(ptl_quota_take(a, PTL_QUOTA_PARKED) == 0 && ptl_quota_take(a, PTL_QUOTA_PARKED) == 0);
        for (int i = 0; i < 5; i++)
                CHECK_EQ(ptl_quota_take(a, PTL_QUOTA_PARKED), limit);
        CHECK_EQ(ptl_quota_take(b, PTL_QUOTA_PARKED), 0);
        CHECK_EQ(space.quota.n_refusals, 1);
        CHECK_EQ(space.quota.refusals[0].pid, 1);
        CHECK_EQ(space.quota.refusals[0].count, 5);
        CHECK_EQ(space.quota.refusals[0].value, 2);
        CHECK_EQ(space.quota.refusals[0].use, 2);
        CHECK_EQ(a->account->refused, 5);
        CHECK_EQ(b->account->refused, 0);
        ptl_quota_give(a, PTL_QUOTA_PARKED, 2);
        ptl_quota_give(b, PTL_QUOTA_PARKED, 1);
        end_link(a);
        end_link(b);
        check_empty();
}

TEST(of_more_refusals_than_are_remembered_the_latest_stay)
{
        struct ptl_quota_refusal latest[PTL_QUOTA_REFUSALS];
        struct ptl_peer *first, *p;

        begin("parked.task=1");
        first = link_of(1, OTHER);
        CHECK_EQ(ptl_quota_take(first, PTL_QUOTA_PARKED), 0);
        for (int32_t pid = 2; pid < 100; pid++) {
                p = link_of(pid, OTHER);
                CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), 0);
                CHECK(ptl_quota_take(p, PTL_QUOTA_PARKED) != 0);
                ptl_quota_give(p, PTL_QUOTA_PARKED, 1);
                end_link(p);
                CHECK(ptl_quota_take(first, PTL_QUOTA_PARKED) != 0); /* goes on, and so stays */
        }
        CHECK_EQ(space.quota.n_refusals, PTL_QUOTA_REFUSALS);
        CHECK_EQ(ptl_quota_latest(&space.quota, latest), PTL_QUOTA_REFUSALS);
        CHECK_EQ(latest[0].pid, 1);
        CHECK_EQ(latest[0].count, 98);
        for (int i = 1; i < PTL_QUOTA_REFUSALS; i++) {
                CHECK_EQ(latest[i].pid, 100 - i);
                CHECK(latest[i].last <= latest[i - 1].last);
        }
        ptl_quota_give(first, PTL_QUOTA_PARKED, 1);
        end_link(first);
        check_empty();
}

TEST(one_peer_cannot_push_the_others_out_of_the_list)
{
        struct ptl_peer *a, *b;

        begin("parked.task=1");
        a = link_of(1, OTHER), b = link_of(2, OTHER);
        CHECK_EQ(ptl_quota_take(a, PTL_QUOTA_PARKED), 0);
        CHECK(ptl_quota_take(a, PTL_QUOTA_PARKED) != 0);
        for (uint32_t limit = 1; limit <= PTL_QUOTA_LIMITS; limit++)
                CHECK(ptl_quota_told(b, limit, limit));
        CHECK_EQ(space.quota.n_refusals, 5);
        CHECK_EQ(space.quota.refusals[0].pid, 1);
        ptl_quota_give(a, PTL_QUOTA_PARKED, 1);
        end_link(a);
        end_link(b);
        check_empty();
}

TEST(what_a_peer_says_of_its_limits_is_remembered_apart)
{
        const uint32_t limit = PTL_QUOTA_LIMIT(PTL_QUOTA_PARKED, PTL_QUOTA_TASK);
        struct ptl_peer *p;

        begin("parked.task=1");
        p = link_of(1, OTHER);
        CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), 0);
        CHECK_EQ(ptl_quota_take(p, PTL_QUOTA_PARKED), limit);
        CHECK(ptl_quota_told(p, limit, 5));
        CHECK(!ptl_quota_told(p, 0, 5) && !ptl_quota_told(p, PTL_QUOTA_LIMITS + 1, 5));
        CHECK_EQ(space.quota.n_refusals, 2);
        CHECK(space.quota.refusals[0].is_ours == 1 && space.quota.refusals[0].value == 1);
        CHECK(space.quota.refusals[1].is_ours == 0 && space.quota.refusals[1].value == 5);
        ptl_quota_give(p, PTL_QUOTA_PARKED, 1);
        end_link(p);
}
