/* SPDX-License-Identifier: Apache-2.0 */
/* process/cmd_run.h - run the tool as a user does: arguments, output, exit status */
#pragma once
#include "tst.h"
#include <poll.h>

struct run {
        pid_t pid;
        int out, err, status; /* status: of waitpid(); -1: still running */
        char out_text[65536], err_text[8192];
};

/* Starts $PORTOLAN with arguments; @input is its standard input, NULL: none. */
static inline void run_start(struct run *r, const char *input, const char *const *arguments)
{
        char *argv[24] = {getenv("PORTOLAN")};
        int in[2], out[2], err[2];

        CHECK(argv[0]);
        for (size_t i = 0; arguments[i]; i++)
                argv[i + 1] = (char *)arguments[i];
        CHECK(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC));
        r->pid = fork();
        CHECK(r->pid >= 0);
        if (r->pid == 0) {
                dup2(in[0], 0);
                dup2(out[1], 1);
                dup2(err[1], 2);
                execv(argv[0], argv);
                _exit(127);
        }
        if (input)
                CHECK_EQ(write(in[1], input, strlen(input)), strlen(input));
        close(in[0]), close(in[1]), close(out[1]), close(err[1]);
        r->out = out[0], r->err = err[0], r->status = -1;
        r->out_text[0] = r->err_text[0] = 0;
}

static inline void run_read(int *fd, char *text, size_t room)
{
        size_t have = strlen(text);
        ssize_t n = read(*fd, text + have, room - have - 1);

        if (n <= 0) {
                close(*fd);
                *fd = -1;
        } else {
                text[have + (size_t)n] = 0;
        }
}

/* Reads on until @text is in its output, or both ends are closed. Whether it is. */
static inline bool run_until(struct run *r, const char *text, int ms)
{
        int64_t end = tst_now_ms() + tst_deadline_ms(ms);

        while (!(text && strstr(r->out_text, text)) && (r->out >= 0 || r->err >= 0)) {
                struct pollfd p[2] = {
                        {r->out, POLLIN, 0},
                        {r->err, POLLIN, 0}
                };
                int64_t left = end - tst_now_ms();

                if (left <= 0 || poll(p, 2, (int)left) <= 0)
                        return false;
                if (p[0].revents)
                        run_read(&r->out, r->out_text, sizeof r->out_text);
                if (p[1].revents)
                        run_read(&r->err, r->err_text, sizeof r->err_text);
        }
        return !text || strstr(r->out_text, text);
}

/* Waits for its end. Returns its exit status, 128 + n for signal n. */
static inline int run_end(struct run *r, int ms)
{
        bool ended = run_until(r, NULL, ms) && r->out < 0 && r->err < 0;

        if (!ended) {
                fprintf(stderr, "# it is still running; so far:\n%s%s\n", r->out_text, r->err_text);
                kill(r->pid, SIGKILL);
        }
        if (r->out >= 0)
                close(r->out);
        if (r->err >= 0)
                close(r->err);
        r->out = r->err = -1;
        CHECK_EQ(waitpid(r->pid, &r->status, 0), r->pid);
        CHECK(ended);
        return WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128 + WTERMSIG(r->status);
}

#define RUN_START(r, input, ...) run_start((r), (input), (const char *const[]){__VA_ARGS__, NULL})

/* From start to end. */
#define RUN(r, input, ...) (RUN_START((r), (input), __VA_ARGS__), run_end((r), 10000))
