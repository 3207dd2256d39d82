/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_memory_test.c - what send rights held on one link cost either task
 *
 * Of each, the pages that are its own and those of outboxes, which its link shares. Under sanitizers, whose
 * memory is another, fewer rights, and no figure.
 *
 *   RIGHTS_HELD       how many (100000)
 */
#include "roles.h"
#include "sanitizer.h"

enum {
        RIGHTS_MAX = 1000000,
        BYTES_EACH = 64,
        AT_ONCE = PTL_MESSAGE_RIGHTS_MAX,
        USED_EVERY = 1009,
        KIND_MEASURE = 200,
        KIND_TAKE,
        KIND_USE,
        KIND_GIVE_UP,
};

static ptl_port rights[RIGHTS_MAX];

static uint32_t rights_wanted(void)
{
        const char *s = getenv("RIGHTS_HELD");
        long n = s ? atol(s) : 100000;

        if (HAS_SANITIZER && n > 20000)
                n = 20000;
        return (uint32_t)(n < AT_ONCE ? AT_ONCE : n > RIGHTS_MAX ? RIGHTS_MAX : n);
}

/* Bytes that are in memory for this process, but for what it only reads of files. */
static int64_t bytes_held(void)
{
        FILE *f = fopen("/proc/self/smaps_rollup", "re");
        char line[256];
        long long kb, sum = 0;

        CHECK(f);
        while (fgets(line, sizeof line, f))
                if (sscanf(line, "Private_Clean: %lld", &kb) == 1 ||
                    sscanf(line, "Private_Dirty: %lld", &kb) == 1 ||
                    sscanf(line, "Shared_Dirty: %lld", &kb) == 1)
                        sum += kb;
        fclose(f);
        return sum * 1024;
}

static void answer(struct ptl_message *m, int64_t value)
{
        OK(ptl_reply(m, &value, sizeof value));
}

/* holder: keeps all rights that come. */
PEER(holder)
{
        ptl_port port = new_port();
        uint32_t n = 0;
        bool quit = false;

        (void)argc, (void)argv;
        memset(rights, 0xff, sizeof rights); /* in memory before anything is measured */
        OK(ptl_name_publish("holder", port));
        while (!quit) {
                struct ptl_message m;

                OK(ptl_receive(port, &m, PTL_FOREVER));
                for (uint32_t i = 0; i < m.n_rights; i++)
                        rights[n++] = m.rights[i].port;
                if (m.kind == KIND_MEASURE)
                        answer(&m, bytes_held());
                for (uint32_t i = 0; m.kind == KIND_USE && i < n; i += USED_EVERY)
                        OK(ptl_send(rights[i], &i, sizeof i, soon()));
                while (m.kind == KIND_GIVE_UP && n)
                        OK(ptl_right_release(rights[--n]));
                if (m.kind == KIND_TAKE || m.kind == KIND_USE || m.kind == KIND_GIVE_UP)
                        answer(&m, n);
                quit = m.kind == KIND_QUIT;
                ptl_message_release(&m);
        }
}

static int64_t ask(ptl_port holder, uint32_t kind)
{
        struct ptl_message m;
        int64_t value;

        OK(ptl_call_message(holder, &(struct ptl_outgoing){.kind = kind}, &m, 0,
                            ptl_after_ms(tst_deadline_ms(60000))));
        CHECK_EQ(m.size, sizeof value);
        memcpy(&value, m.data, sizeof value);
        ptl_message_release(&m);
        return value;
}

/* One message at a time, so that no ring grows, which would be measured too. */
static void give(ptl_port holder, uint32_t n)
{
        for (uint32_t i = 0; i < n;) {
                struct ptl_right_item items[AT_ONCE];
                uint32_t count = 0;
                struct ptl_message m;

                for (; count < AT_ONCE && i < n; i++)
                        items[count++] = (struct ptl_right_item){rights[i], PTL_MAKE_SEND};
                OK(ptl_call_message(holder, &(struct ptl_outgoing){.kind = KIND_TAKE, .rights = items, .n_rights = count},
                                    &m, 0, soon()));
                ptl_message_release(&m);
        }
}

static void check_cost(const char *who, int64_t bytes, uint32_t n)
{
        fprintf(stderr, "# %.1f bytes a right at %s\n", (double)bytes / n, who);
        CHECK(HAS_SANITIZER || bytes <= (int64_t)BYTES_EACH * n);
}

API_TEST_TIMES(a_send_right_held_on_a_link_costs_either_task_64_bytes_at_most, 6)
{
        uint32_t n = rights_wanted();
        struct peer peer;
        ptl_port holder;
        int64_t ours, theirs;

        memset(rights, 0xff, sizeof rights);
        for (uint32_t i = 0; i < n; i++)
                OK(ptl_port_new(&rights[i], NULL));
        peer_start(&peer, "holder", NULL);
        holder = look_up("holder");
        theirs = ask(holder, KIND_MEASURE);
        ours = bytes_held();
        give(holder, n);
        theirs = ask(holder, KIND_MEASURE) - theirs;
        ours = bytes_held() - ours;
        check_cost("the ports' task", ours, n);
        check_cost("the holder", theirs, n);
        CHECK_EQ(ask(holder, KIND_USE), n);
        for (uint32_t i = 0; i < n; i += USED_EVERY) {
                struct ptl_message m = take_message(rights[i]);

                CHECK_EQ(m.size, sizeof i);
                CHECK(memcmp(m.data, &i, sizeof i) == 0);
                ptl_message_release(&m);
        }
        CHECK_EQ(ask(holder, KIND_GIVE_UP), 0);
        for (uint32_t i = 0; i < n; i++)
                OK(ptl_port_free(rights[i]));
        OK(ptl_send_message(holder, &(struct ptl_outgoing){.kind = KIND_QUIT}, soon()));
        peer_end(&peer);
}
