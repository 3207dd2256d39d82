/* SPDX-License-Identifier: Apache-2.0 */
/* shm/bell_test.c - armings are counted, and each is rung for once */
#include "shm/bell.h"
#include "tst.h"

/* Arming for frames and wanting room are one protocol on two words: each case runs on both. */
static const struct bell_kind {
        const char *name;
        void (*arm)(struct ptl_bell_words *, struct ptl_bell_sleeper *);
        void (*disarm)(struct ptl_bell_words *, struct ptl_bell_sleeper *);
        bool (*due)(const struct ptl_bell_words *, struct ptl_bell_ringer *);
        size_t word, other; /* offsets in struct ptl_bell_words */
} kinds[] = {
        {"frames", ptl_bell_arm,  ptl_bell_disarm, ptl_bell_due,
         offsetof(struct ptl_bell_words, armed),   offsetof(struct ptl_bell_words, wanting)},
        {"room",   ptl_bell_want, ptl_bell_unwant, ptl_bell_room_due,
         offsetof(struct ptl_bell_words, wanting), offsetof(struct ptl_bell_words, armed)  },
};

/* One sleeper and one ringer. */
struct pair {
        struct ptl_bell_words words;
        struct ptl_bell_sleeper sleeper;
        struct ptl_bell_ringer ringer;
};

static _Atomic uint32_t *word_at(struct pair *p, size_t offset)
{
        return (_Atomic uint32_t *)(void *)((char *)&p->words + offset);
}

static void for_both(void (*check)(size_t i, const struct bell_kind *k, struct pair *p))
{
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                check(i, &kinds[i], &(struct pair){0});
}

static void check_quiet(size_t i, const struct bell_kind *k, struct pair *p)
{
        CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
        k->disarm(&p->words, &p->sleeper);
        CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
}

TEST(nobody_is_rung_before_arming) { for_both(check_quiet); }

static void check_once(size_t i, const struct bell_kind *k, struct pair *p)
{
        for (int arming = 0; arming < 1000; arming++) {
                k->arm(&p->words, &p->sleeper);
                CHECK_ROW(i, k, k->due(&p->words, &p->ringer));
                for (int publications = 0; publications < 3; publications++)
                        CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
                if (arming % 3)
                        k->disarm(&p->words, &p->sleeper);
                CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
        }
}

TEST(each_arming_is_rung_for_once) { for_both(check_once); }

static void check_fresh(size_t i, const struct bell_kind *k, struct pair *p)
{
        uint32_t last = ptl_load_relaxed(word_at(p, k->word));

        for (int arming = 0; arming < 1000; arming++) {
                k->arm(&p->words, &p->sleeper);
                uint32_t now = ptl_load_relaxed(word_at(p, k->word));

                CHECK_ROW(i, k, now % 2 == 1 && now > last);
                last = now;
                for (int n = arming % 3; n--;) {
                        k->disarm(&p->words, &p->sleeper);
                        CHECK_ROW(i, k, ptl_load_relaxed(word_at(p, k->word)) % 2 == 0);
                        last = ptl_load_relaxed(word_at(p, k->word));
                }
        }
}

TEST(each_arming_is_an_odd_number_not_used_before) { for_both(check_fresh); }

/* arm, (not rung), disarm, arm, ring: the second arming is rung for although the first was not */
static void check_missed(size_t i, const struct bell_kind *k, struct pair *p)
{
        k->arm(&p->words, &p->sleeper);
        k->disarm(&p->words, &p->sleeper);
        CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
        k->arm(&p->words, &p->sleeper);
        k->arm(&p->words, &p->sleeper); /* twice in a row: asks anew */
        CHECK_ROW(i, k, k->due(&p->words, &p->ringer));
        CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
}

TEST(arming_anew_is_rung_for_though_an_earlier_one_was_not) { for_both(check_missed); }

static void check_wrap(size_t i, const struct bell_kind *k, struct pair *p)
{
        p->sleeper = (struct ptl_bell_sleeper){UINT32_MAX - 4, UINT32_MAX - 4};
        for (int arming = 0; arming < 10; arming++) {
                k->arm(&p->words, &p->sleeper);
                CHECK_ROW(i, k, k->due(&p->words, &p->ringer));
                CHECK_ROW(i, k, !k->due(&p->words, &p->ringer));
                k->disarm(&p->words, &p->sleeper);
        }
}

TEST(armings_go_on_when_the_count_wraps) { for_both(check_wrap); }

static void check_apart(size_t i, const struct bell_kind *k, struct pair *p)
{
        k->arm(&p->words, &p->sleeper);
        CHECK_ROW(i, k, ptl_load_relaxed(word_at(p, k->other)) == 0);
        CHECK_ROW(i, k, !kinds[1 - i].due(&p->words, &p->ringer));
        CHECK_ROW(i, k, k->due(&p->words, &p->ringer));
}

TEST(asking_for_frames_is_not_asking_for_room) { for_both(check_apart); }

static void check_nonsense(size_t i, const struct bell_kind *k, struct pair *p)
{
        unsigned rings = 0, changes = 0;

        for (uint32_t value = 0; value != 0x9e3779b9u * 1000; value += 0x9e3779b9u, changes++) {
                ptl_store_relaxed(word_at(p, k->word), value);
                for (int publications = 0; publications < 3; publications++)
                        rings += k->due(&p->words, &p->ringer);
        }
        CHECK_ROW(i, k, rings <= changes && rings > 0);
}

TEST(peer_that_writes_nonsense_is_rung_at_most_once_a_change) { for_both(check_nonsense); }
