/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_stream.c - tour: a real stream, this machine's own files, proved by SHA-256 at both ends
 */
#include "cmd/sha256.h"
#include "cmd/tour.h"
#include "cmd/tour_files.h"
#include <inttypes.h>
#include <math.h>
#include <portolan/portolan.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 256 << 10, REPORT_EVERY = 8 << 20, STREAM_MS = 60000 };
enum { KIND_DATA = 1, KIND_END = 2 };

/* The last message. */
struct end {
        uint64_t bytes, files;
        uint8_t digest[SHA256_SIZE];
};

/* Where a side's time goes. */
struct spent {
        ptl_time reading, hashing, passing, last;
};

/* What passed since the last call goes to @account. */
static void spend(struct spent *s, ptl_time *account)
{
        ptl_time now = ptl_now();

        *account += now - s->last;
        s->last = now;
}

static void report_spent(const struct spent *s)
{
        role_report("reading", "%.4f", (double)s->reading / 1e9);
        role_report("hashing", "%.4f", (double)s->hashing / 1e9);
        role_report("passing", "%.4f", (double)s->passing / 1e9);
}

/* One block, read from the files straight into memory of the link. */
static size_t produce_block(ptl_port port, struct files *files, struct sha256 *sha, size_t size,
                            struct spent *spent)
{
        struct ptl_outgoing out = {.kind = KIND_DATA};
        struct ptl_loan loan;
        size_t n;

        role_must(ptl_loan_reserve(port, size, &loan, ptl_after_ms(ROLE_DEADLINE_MS)),
                  "borrow room");
        spend(spent, &spent->passing);
        n = files_read(files, loan.data, size);
        spend(spent, &spent->reading);
        sha256_add(sha, loan.data, n);
        spend(spent, &spent->hashing);
        role_must(ptl_loan_publish(&loan, n, &out, ptl_after_ms(ROLE_DEADLINE_MS)), "send a block");
        spend(spent, &spent->passing);
        return n;
}

int role_stream_producer(int argc, char **argv)
{
        uint64_t total = role_number(argv[1]);
        ptl_port port = role_find(argv[0]);
        struct files *files = files_new();
        struct spent spent = {.last = ptl_now()};
        struct ptl_outgoing out = {.kind = KIND_END};
        struct end end = {0};
        struct sha256 sha;

        role_check(files, "no memory");
        sha256_init(&sha);
        while (end.bytes < total) {
                uint64_t left = total - end.bytes;
                size_t n = produce_block(port, files, &sha, left < BLOCK ? left : BLOCK, &spent);

                role_check(n, "no file of this machine can be read");
                end.bytes += n;
        }
        end.files = files_count(files);
        files_free(files);
        sha256_end(&sha, end.digest);
        out.data = &end;
        out.size = sizeof end;
        role_must(ptl_send_message(port, &out, ptl_after_ms(ROLE_DEADLINE_MS)), "send the end");
        report_spent(&spent);
        return 0;
}

static void report_end(const struct ptl_message *m, struct sha256 *sha, uint64_t bytes)
{
        char hex[SHA256_HEX_SIZE];
        uint8_t digest[SHA256_SIZE];
        struct end end;

        role_check(m->kind == KIND_END && m->size == sizeof end, "an end of %zu bytes", m->size);
        memcpy(&end, m->data, sizeof end);
        sha256_hex(end.digest, hex);
        role_report("theirs", "%s", hex);
        sha256_end(sha, digest);
        sha256_hex(digest, hex);
        role_report("mine", "%s", hex);
        role_report("announced", "%" PRIu64, end.bytes);
        role_report("files", "%" PRIu64, end.files);
        role_report("bytes", "%" PRIu64, bytes);
}

int role_stream_consumer(int argc, char **argv)
{
        ptl_port port = role_publish(argv[0], 0);
        uint64_t bytes = 0, messages = 0;
        struct spent spent = {0};
        struct sha256 sha;
        ptl_time begun = 0;

        sha256_init(&sha);
        for (;;) {
                struct ptl_message m;

                role_must(ptl_receive_with(port, &m, PTL_IN_PLACE, ptl_after_ms(ROLE_DEADLINE_MS)),
                          "receive a block");
                if (!messages++)
                        begun = spent.last = ptl_now();
                spend(&spent, &spent.passing);
                if (m.kind != KIND_DATA) {
                        report_end(&m, &sha, bytes);
                        ptl_message_release(&m);
                        break;
                }
                sha256_add(&sha, m.data, m.size);
                spend(&spent, &spent.hashing);
                if (bytes / REPORT_EVERY != (bytes + m.size) / REPORT_EVERY)
                        role_report("progress", "%" PRIu64, bytes + m.size);
                bytes += m.size;
                ptl_message_release(&m);
                spend(&spent, &spent.passing);
        }
        report_spent(&spent);
        role_report("seconds", "%.4f", (double)(ptl_now() - begun) / 1e9);
        return 0;
}

static void watch(struct tour *t, struct actor *consumer, double total)
{
        ptl_time end = ptl_after_ms(STREAM_MS);
        char text[64], value[24];

        while (!actor_text(consumer, "seconds", value, sizeof value) && consumer->reports >= 0) {
                double done = actor_number(consumer, "progress");

                if (ptl_now() > end || t->cast.interrupted)
                        break;
                done = isnan(done) ? 0 : done;
                snprintf(text, sizeof text, "%3.0f of %.0f MiB", done / (1 << 20),
                         total / (1 << 20));
                tour_progress(t, done / total, text);
                cast_listen(&t->cast, 200);
        }
        tour_progress(t, 1, NULL);
}

static void show_speed(struct tour *t, const struct actor *producer, const struct actor *consumer)
{
        double seconds = actor_number(consumer, "seconds"), bytes = actor_number(consumer, "bytes");
        double reading = actor_number(producer, "reading"),
               hashing = actor_number(producer, "hashing");
        double all = reading + hashing + actor_number(producer, "passing");
        double theirs = actor_number(consumer, "hashing");

        tour_result(t, seconds > 0, "speed", "end to end", "%.2f GB/s: %.0f MiB in %.2f s",
                    bytes / seconds / 1e9, bytes / (1 << 20), seconds);
        tour_number(t, "gb_per_s", bytes / seconds / 1e9, 3);
        tour_note(t, "%s: the producer read files %.0f %% of its",
                  reading + hashing > all / 2 || theirs > seconds / 2
                          ? "Reading and hashing are the limit"
                          : "Where the time went",
                  100 * reading / all);
        tour_note(t, "time and hashed %.0f %%, the consumer hashed %.0f %% (by %s).",
                  100 * hashing / all, 100 * theirs / seconds, sha256_how());
        tour_note(t, "The last step measures the transport alone.");
}

static void show(struct tour *t, const struct actor *producer, const struct actor *consumer,
                 double total)
{
        double bytes = actor_number(consumer, "bytes");
        char mine[80], theirs[80];

        actor_text(consumer, "mine", mine, sizeof mine);
        actor_text(consumer, "theirs", theirs, sizeof theirs);
        tour_result(t, bytes >= total && bytes == actor_number(consumer, "announced"), "bytes",
                    "bytes sent and received", "%.0f, of %.0f files", bytes,
                    actor_number(consumer, "files"));
        tour_result(t, mine[0] && !strcmp(mine, theirs), "sha256", "SHA-256 at both ends",
                    "%.16s... %s %.16s...", theirs, strcmp(mine, theirs) ? "is not" : "=", mine);
        show_speed(t, producer, consumer);
}

static void run(struct tour *t)
{
        double total = t->is_quick ? 32 << 20 : 256 << 20;
        struct actor *consumer, *producer;
        char bytes[24];

        snprintf(bytes, sizeof bytes, "%.0f", total);
        consumer = ACTOR(&t->cast, "stream-consumer", "files");
        producer = ACTOR(&t->cast, "stream-producer", "files", bytes);
        if (consumer && producer)
                watch(t, consumer, total);
        /* before they are freed */
        actor_await(&t->cast, producer, "passing", ROLE_DEADLINE_MS);
        if (actor_await(&t->cast, consumer, "seconds", 0))
                show(t, producer, consumer, total);
        tour_end_actor(t, producer, 1000);
        tour_end_actor(t, consumer, 1000);
}

const struct tour_step tour_stream = {
        "stream", "A producer and a consumer of a real stream",
        "This machine's own files go through a port in messages of 256 KiB, read straight into "
        "memory that\n"
        "both sides map; both hash all of it where it lies. Between them nothing is copied.",
        run};
