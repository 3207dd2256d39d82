/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tour_print.c - how the tour looks, to people and to machines */
#include "cmd/tour.h"
#include <portolan/version.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

enum { LABEL_WIDTH = 30, BAR_WIDTH = 40 };

static int cpus(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

void tour_print_head(struct tour *t)
{
        struct utsname u = {0};

        uname(&u);
        if (t->is_json)
                return;
        printf("%sPortolan %s%s - a tour of ports, rights and messages\n", t->paint->bold,
               ptl_version(), t->paint->off);
        printf("%s%d CPU%s, Linux %s. Every process below is executed apart; they share a name, "
               "and a\n"
               "name server of their own.%s\n",
               t->paint->dim, cpus(), cpus() == 1 ? "" : "s", u.release, t->paint->off);
}

/* Every line of the text indented. */
static void print_indented(const char *text)
{
        for (size_t n; *text; text += n + (text[n] == '\n')) {
                n = strcspn(text, "\n");
                printf("   %.*s\n", (int)n, text);
        }
}

void tour_begin_step(struct tour *t, const struct tour_step *step)
{
        t->steps++;
        t->is_step_ok = true;
        if (t->is_json) {
                json_begin(&t->json, stdout);
                json_u64(&t->json, "step", t->steps);
                json_string(&t->json, "name", step->key);
                json_string(&t->json, "title", step->title);
                return;
        }
        printf("\n%s%u  %s%s\n%s", t->paint->bold, t->steps, step->title, t->paint->off,
               t->paint->dim);
        print_indented(step->about);
        fputs(t->paint->off, stdout);
        fflush(stdout);
}

void tour_result(struct tour *t, bool ok, const char *key, const char *label, const char *format,
                 ...)
{
        char value[240];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(value, sizeof value, format, arguments);
        va_end(arguments);
        t->is_step_ok = t->is_step_ok && ok;
        if (t->is_json) {
                json_string(&t->json, key, value);
                if (!ok)
                        json_string(&t->json, "failed", key);
                return;
        }
        if (ok)
                printf("  %s    ok%s  %-*s  %s\n", t->paint->green, t->paint->off, LABEL_WIDTH,
                       label, value);
        else
                printf("  %sFAILED  %-*s  %s%s\n", t->paint->red, LABEL_WIDTH, label, value,
                       t->paint->off);
        fflush(stdout);
}

void tour_note(struct tour *t, const char *format, ...)
{
        va_list arguments;

        if (t->is_json)
                return;
        va_start(arguments, format);
        printf("%s          ", t->paint->dim);
        vprintf(format, arguments);
        printf("%s\n", t->paint->off);
        va_end(arguments);
}

void tour_number(struct tour *t, const char *key, double value, int decimals)
{
        if (t->is_json)
                json_f64(&t->json, key, value, decimals);
}

bool tour_end_actor(struct tour *t, struct actor *a, int ms)
{
        char why[160];
        bool ok = actor_end(&t->cast, a, ms);

        if (!ok && !t->cast.interrupted)
                tour_result(t, false, "error", a ? a->role : "an actor", "%s", actor_fault(a, why));
        actor_free(a);
        return ok;
}

void tour_progress(struct tour *t, double done, const char *text)
{
        static const char bar[] = "========================================";
        int full = (int)(done * BAR_WIDTH);

        if (t->is_json)
                return;
        if (!t->is_tty) {
                if (text && (int)(done * 4) > t->quarters)
                        tour_note(t, "%s", text);
                t->quarters = (int)(done * 4);
                return;
        }
        full = full < 0 ? 0 : full > BAR_WIDTH ? BAR_WIDTH : full;
        if (text)
                printf("\r          [%.*s%*s] %s\033[K", full, bar, BAR_WIDTH - full, "", text);
        else
                fputs("\r\033[K", stdout); /* done: the result takes its place */
        fflush(stdout);
}

void tour_finish_step(struct tour *t, double seconds)
{
        t->steps_failed += !t->is_step_ok;
        if (!t->is_json)
                return;
        json_f64(&t->json, "seconds", seconds, 3);
        json_bool(&t->json, "ok", t->is_step_ok);
        json_end(&t->json);
}

void tour_print_end(struct tour *t, double seconds)
{
        bool ok = t->steps_failed == 0 && !t->cast.interrupted;

        if (t->is_json) {
                json_begin(&t->json, stdout);
                json_u64(&t->json, "steps", t->steps);
                json_u64(&t->json, "steps_failed", t->steps_failed);
                json_bool(&t->json, "interrupted", t->cast.interrupted != 0);
                json_f64(&t->json, "seconds", seconds, 3);
                json_bool(&t->json, "ok", ok);
                json_end(&t->json);
                return;
        }
        printf("\n%s%s", t->paint->bold, ok ? t->paint->green : t->paint->red);
        if (t->cast.interrupted)
                printf("Interrupted: %s", strsignal(t->cast.interrupted));
        else if (ok)
                printf("All %u steps ok", t->steps);
        else
                printf("%u of %u steps FAILED", t->steps_failed, t->steps);
        printf("%s in %.1f s; nothing is left behind.\n", t->paint->off, seconds);
}
