/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench_report.c - see bench_report.h */
#include "cmd/bench_report.h"
#include "cmd/json.h"
#include "cmd/text.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- for machines ---- */

static const char *reference_name(enum bench_reference reference)
{
        static const char *const names[] = {
                [BENCH_NO_REFERENCE] = NULL,         [BENCH_BY_RING] = "ring",
                [BENCH_BY_HANDLE] = "ring, 64 bytes", [BENCH_BY_COPY] = "ring, copying",
                [BENCH_BY_PIPE] = "pipe",            [BENCH_BY_ITSELF] = "without",
        };

        return names[reference];
}

static void print_json(const struct bench_row *row)
{
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "bench", row->cell->name);
        json_u64(&j, "size", row->cell->size);
        json_u64(&j, "batch", row->cell->batch);
        json_string(&j, "placement", bench_placement_name(row->placement));
        json_string(&j, "wait", bench_wait_name(row->cell->wait));
        json_f64(&j, "p50_ns", row->p50_ns, 1);
        json_f64(&j, "p99_ns", row->p99_ns, 1);
        json_f64(&j, "rate_per_s", row->rate_per_s, 0);
        json_f64(&j, "bytes_per_s", row->bytes_per_s, 0);
        json_f64(&j, "cpu_ns_per_msg", row->cpu_ns_per_msg, 1);
        json_string(&j, "reference", reference_name(row->cell->reference));
        json_f64(&j, "reference_p50_ns", row->reference_p50_ns, 1);
        json_f64(&j, "reference_rate_per_s", row->reference_rate_per_s, 0);
        json_f64(&j, "reference_cpu_ns_per_msg", row->reference_cpu_ns_per_msg, 1);
        json_f64(&j, "ratio", row->ratio, 3);
        if (!isnan(row->cpu_ns_per_s))
                json_f64(&j, "cpu_ns_per_s", row->cpu_ns_per_s, 0);
        if (!isnan(row->memory_bytes)) {
                json_f64(&j, "look_up_ns", row->look_up_ns, 0);
                json_f64(&j, "memory_bytes_per_link", row->memory_bytes, 0);
        }
        if (!isnan(row->beyond_ns))
                json_f64(&j, "beyond_reference_ns", row->beyond_ns, 1);
        if (!isnan(row->owner_bytes)) {
                json_f64(&j, "bytes_per_right_owner", row->owner_bytes, 1);
                json_f64(&j, "bytes_per_right_holder", row->holder_bytes, 1);
        }
        json_u64(&j, "samples", row->samples);
        json_u64(&j, "noisy", row->noisy);
        json_end(&j);
}

/* The same keys: nothing is known, and that is said. */
static void print_json_absent(const char *group, enum bench_placement placement)
{
        static const char *const keys[] = {
                "p50_ns", "p99_ns", "rate_per_s", "bytes_per_s", "cpu_ns_per_msg",
                "reference_p50_ns", "reference_rate_per_s", "ratio",
        };
        struct json j;

        json_begin(&j, stdout);
        json_string(&j, "bench", group);
        json_string(&j, "size", NULL);
        json_string(&j, "placement", bench_placement_name(placement));
        json_string(&j, "wait", NULL);
        for (size_t i = 0; i < PTL_ARRAY_LEN(keys); i++)
                json_string(&j, keys[i], NULL);
        json_u64(&j, "samples", 0);
        json_string(&j, "note", "this placement never appeared in this run");
        json_end(&j);
}

/* ---- for people ---- */

static const char *time_text(char buffer[24], double ns)
{
        if (isnan(ns))
                return "";
        if (ns < 1000)
                snprintf(buffer, 24, "%.0f ns", ns);
        else if (ns < 1e6)
                snprintf(buffer, 24, "%.2f us", ns / 1e3);
        else
                snprintf(buffer, 24, "%.2f ms", ns / 1e6);
        return buffer;
}

static const char *count_text(char buffer[24], double count)
{
        if (isnan(count))
                return "";
        if (count < 1e4)
                snprintf(buffer, 24, "%.0f", count);
        else
                snprintf(buffer, 24, count < 1e6 ? "%.1f k" : "%.2f M", count / (count < 1e6 ? 1e3 : 1e6));
        return buffer;
}

static const char *scaled_text(char buffer[24], double value, double unit, const char *format)
{
        if (isnan(value))
                return "";
        snprintf(buffer, 24, unit == 1e9 ? "%.2f" : format, value / unit);
        return buffer;
}

static void add_heading(struct table *t)
{
        static const char *const names[] = {"bench", "size", "wait", "placement", "p50", "p99", "msg/s",
                                            "GB/s", "CPU/msg", "reference", "ratio", "samples"};

        for (size_t i = 0; i < PTL_ARRAY_LEN(names); i++)
                table_add(t, "%s", names[i]);
        t->columns = PTL_ARRAY_LEN(names);
}

static void add_reference(struct table *t, const struct bench_row *row)
{
        const char *name = reference_name(row->cell->reference);
        char text[24];

        if (!name)
                table_add(t, "%s", "");
        else if (row->cell->shape == BENCH_SEND || row->cell->reference == BENCH_BY_COPY)
                table_add(t, "%s %s/s", name, count_text(text, row->reference_rate_per_s));
        else
                table_add(t, "%s %s", name, time_text(text, row->reference_p50_ns));
        table_add(t, "%s", scaled_text(text, row->ratio, 1, "%.2f"));
}

static void add_row(struct table *t, const struct bench_row *row)
{
        char text[24];

        table_add(t, "%s", row->cell->name);
        table_add(t, "%s", text_size(text, row->cell->size));
        table_add(t, "%s", bench_wait_name(row->cell->wait));
        table_add(t, "%s", bench_placement_name(row->placement));
        table_add(t, "%s", time_text(text, row->p50_ns));
        table_add(t, "%s", time_text(text, row->p99_ns));
        table_add(t, "%s", count_text(text, row->rate_per_s));
        table_add(t, "%s", scaled_text(text, row->bytes_per_s, 1e9, ""));
        table_add(t, "%s", time_text(text, row->cpu_ns_per_msg));
        add_reference(t, row);
        table_add(t, "%zu%s", row->samples, row->noisy ? " (others ran too)" : "");
}

static void print_notes(const struct bench_row *rows, size_t count)
{
        char text[24], more[24];

        for (size_t i = 0; i < count; i++) {
                if (!isnan(rows[i].cpu_ns_per_s))
                        printf("  idle, %s: %s of CPU time a second\n", bench_wait_name(rows[i].cell->wait),
                               time_text(text, rows[i].cpu_ns_per_s));
                if (!isnan(rows[i].memory_bytes))
                        printf("  links, %s: name found after %s; a link takes %s of shared memory\n",
                               bench_placement_name(rows[i].placement), time_text(text, rows[i].look_up_ns),
                               text_size(more, (uint64_t)rows[i].memory_bytes));
                if (!isnan(rows[i].beyond_ns))
                        printf("  %s, %s: %s more than without\n", rows[i].cell->name,
                               bench_placement_name(rows[i].placement), time_text(text, rows[i].beyond_ns));
                if (!isnan(rows[i].owner_bytes))
                        printf("  a right held takes %.1f bytes of its port's task, %.1f of its holder\n",
                               rows[i].owner_bytes, rows[i].holder_bytes);
        }
}

static void print_table(const struct bench_row *rows, size_t count)
{
        struct table t = {0};

        if (count == 0)
                return;
        add_heading(&t);
        for (size_t i = 0; i < count; i++)
                add_row(&t, &rows[i]);
        table_print(&t, stdout, 0x5f2);
        print_notes(rows, count);
}

/* ---- a group ---- */

static bool has_appeared(const struct bench_row *rows, size_t count, enum bench_placement placement)
{
        for (size_t i = 0; i < count; i++)
                if (rows[i].placement == placement)
                        return true;
        return false;
}

static void print_absent(const struct bench_report *report, const char *group,
                         const struct bench_row *rows, size_t count)
{
        for (int p = BENCH_NEAREST; p <= BENCH_FAR; p++) {
                if (has_appeared(rows, count, (enum bench_placement)p))
                        continue;
                if (report->json)
                        print_json_absent(group, (enum bench_placement)p);
                else
                        printf("  %s, %s: never appeared in this run\n", group,
                               bench_placement_name((enum bench_placement)p));
        }
}

void bench_report_group(struct bench_report *report, const char *group,
                        const struct bench_found *found, bool has_two_cpus)
{
        struct bench_row *rows = report->rows + report->count;
        size_t count = 0;

        for (size_t i = 0; i < bench_cells_count; i++)
                for (int p = 0; p < BENCH_PLACEMENTS && !strcmp(bench_cells[i].group, group); p++)
                        count += bench_row_make(&bench_cells[i], &found[i], (enum bench_placement)p,
                                                &rows[count]);
        report->count += count;
        for (size_t i = 0; report->json && i < count; i++)
                print_json(&rows[i]);
        if (!report->json)
                print_table(rows, count);
        if (has_two_cpus)
                print_absent(report, group, rows, count);
        fflush(stdout);
}
