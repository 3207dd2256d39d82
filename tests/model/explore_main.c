/* SPDX-License-Identifier: Apache-2.0 */
/* explore_main.c - scenarios as TAP cases */
#include "explore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
        bool deep, trace;
        int preemptions, delays; /* -1: the scenario's */
        int argc;
        char **argv;
};

static int parse(int argc, char **argv, struct options *ret)
{
        int names_kept = 0;

        *ret = (struct options){.preemptions = -1, .delays = -1, .argv = argv};
        for (int i = 1; i < argc; i++) {
                if (!strcmp(argv[i], "--deep"))
                        ret->deep = true;
                else if (!strcmp(argv[i], "--trace"))
                        ret->trace = true;
                else if (!strcmp(argv[i], "-p") && i + 1 < argc)
                        ret->preemptions = atoi(argv[++i]);
                else if (!strcmp(argv[i], "-d") && i + 1 < argc)
                        ret->delays = atoi(argv[++i]);
                else if (argv[i][0] != '-')
                        argv[names_kept++] = argv[i];
                else
                        return -1;
        }
        ret->argc = names_kept;
        return 0;
}

static bool wanted(const struct options *op, const char *name)
{
        for (int i = 0; i < op->argc; i++)
                if (!strcmp(op->argv[i], name))
                        return true;
        return op->argc == 0;
}

static struct model_bounds bounds_for(const struct options *op, const struct scenario *sc)
{
        struct model_bounds b = op->deep ? sc->deep : sc->quick;

        if (!b.preemptions && !b.delays)
                b.preemptions = b.delays = op->deep ? 3 : 2;
        if (op->preemptions >= 0)
                b.preemptions = (unsigned)op->preemptions;
        if (op->delays >= 0)
                b.delays = (unsigned)op->delays;
        return b;
}

/* A bound as it is printed; good until the next but one. */
static const char *bound_text(unsigned bound)
{
        static char text[2][16];
        static unsigned turn;

        if (bound == MODEL_UNBOUNDED)
                return "all";
        turn = !turn;
        snprintf(text[turn], sizeof text[turn], "%u", bound);
        return text[turn];
}

static bool run_case(const struct options *op, const struct scenario *sc, unsigned number)
{
        struct model_bounds b = bounds_for(op, sc);
        struct outcome o = sc->expect_failure ? explore_expect_failure(sc, b, op->trace)
                                              : explore(sc, b, true);

        if (!o.ok)
                printf("# %s\n", o.why);
        printf("%sok %u - %s # %lu schedules, longest %u steps, %s preemptions, %s delays%s%s%s\n",
               o.ok ? "" : "not ", number, sc->name, o.schedules, o.longest,
               bound_text(o.bounds.preemptions), bound_text(o.bounds.delays), o.complete ? ", complete" : "",
               o.ok && sc->expect_failure ? ", fails as it should: " : "",
               o.ok && sc->expect_failure ? o.why : "");
        fflush(stdout);
        return o.ok;
}

int explore_main(int argc, char **argv, const struct scenario *list)
{
        struct options op;
        unsigned n = 0, number = 0, bad = 0;

        if (parse(argc, argv, &op)) {
                fprintf(stderr, "usage: %s [--deep] [--trace] [-p N] [-d N] [NAME...]\n", argv[0]);
                return 2;
        }
        for (const struct scenario *sc = list; sc->name; sc++)
                n += wanted(&op, sc->name);
        if (!n) {
                fprintf(stderr, "%s: no such case\n", argv[0]);
                return 2;
        }
        printf("1..%u\n", n);
        for (const struct scenario *sc = list; sc->name; sc++)
                if (wanted(&op, sc->name))
                        bad += !run_case(&op, sc, ++number);
        return bad != 0;
}
