/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor.h - what `portolan doctor` looks at: one check finds one thing */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum doctor_verdict {
        DOCTOR_OK,
        DOCTOR_NOTE,    /* works, but it is well to know */
        DOCTOR_PROBLEM, /* something does not work */
};

/**
 * struct doctor_finding - what a check found
 * @value:  as it is
 * @effect: what follows from it; static; NULL where nothing does
 * @mend:   how to change it; static; NULL where nothing is to be mended or can be
 * @pid:    whose doing it is; 0 where it is nobody's, or not known
 */
struct doctor_finding {
        enum doctor_verdict verdict;
        char value[200];
        const char *effect, *mend;
        int32_t pid;
};

struct doctor_check {
        const char *key;  /* in JSON */
        const char *what; /* for people */
        void (*look)(struct doctor_finding *f);
};

struct doctor_group {
        const char *title;
        const struct doctor_check *checks;
        size_t count;
};

extern const struct doctor_group doctor_memory, doctor_limits, doctor_place, doctor_server,
        doctor_tasks, doctor_quota;

/* Does somebody listen at the server's place? Starts none. */
bool doctor_server_listens(void);

/* Fills @f; @format is the value's. */
void doctor_say(struct doctor_finding *f, enum doctor_verdict verdict, const char *effect,
                const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* First line of a small file without its newline; false and "" if it cannot be read. */
bool doctor_read(const char *path, char *ret, size_t size);

/* The number a file consists of; @otherwise if there is none. "max" is UINT64_MAX. */
uint64_t doctor_read_number(const char *path, uint64_t otherwise);

/*
 * A file of this process's control group: @file in version 2's tree, @file_v1 of @controller in
 * version 1's. The nearest group up the tree that has it, first line.
 */
bool doctor_read_cgroup(const char *file, const char *controller, const char *file_v1, char *ret,
                        size_t size);
