/* SPDX-License-Identifier: Apache-2.0 */
/*
 * no_syscalls_test.c - between tasks that are awake a message costs no system call
 *
 * A client and a server poll, warm up, and then confine themselves by seccomp: any
 * system call ends the process, and the case says which. What they did comes out through memory.
 *
 * With a sanitizer, which makes system calls of its own, there is no filter: only the traffic.
 *
 * With PTL_WAIT_MEMORY the filter kills on any. With PTL_WAIT_SPIN one call is let through, and counted:
 * the look at the epoll set that a thread which never sleeps takes every ms (DESIGN §5), for deaths and
 * newcomers. It is a call per ms, not per message; the filter answers for the kernel that there is
 * nothing.
 */
#include "roles.h"
#include "sanitizer.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { CLIENT, SERVER, SIDES };
enum { KIND_CONFINE = 95, SMALL = 64, LARGE = 70000, BATCH = 32, MANY = 1000000, SECONDS = 15 };
enum { PATIENCE = 6, FORBIDDEN = 99 };

/* What a side has to tell. */
struct side {
        int forbidden;       /* the system call that it was stopped at; -1: none */
        unsigned long looks; /* at the epoll set */
        int64_t begun_ns, ended_ns;
        unsigned messages;
};

struct traffic {
        const char *name;
        unsigned (*client)(ptl_port to, unsigned n); /* returns how many it got through */
        void (*server)(ptl_port from);
        unsigned n, warm_up;
        uint32_t limit; /* messages of the server's port */
        enum ptl_wait how;
};

static struct side *sides, *me; /* shared by the three processes */

/* ---- the filter ---- */

static void on_system_call(int sig, siginfo_t *info, void *context)
{
        ucontext_t *uc = context;

        (void)sig;
        if (info->si_syscall != SYS_epoll_pwait
#ifdef SYS_epoll_wait
            && info->si_syscall != SYS_epoll_wait
#endif
        ) {
                me->forbidden = info->si_syscall;
                _exit(FORBIDDEN);
        }
        me->looks++;
#if defined(__x86_64__)
        uc->uc_mcontext.gregs[REG_RAX] = 0;
#elif defined(__aarch64__)
        uc->uc_mcontext.regs[0] = 0;
#elif defined(__arm__)
        uc->uc_mcontext.arm_r0 = 0;
#else
#error "which register holds what a system call returns?"
#endif
}

/* Every call but the two that end a handler and a process is trapped; or kills. */
static void confine(enum ptl_wait how)
{
        uint32_t verdict = how == PTL_WAIT_MEMORY ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP;
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, verdict),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {ARRAY_LEN(code), code};
        struct sigaction action = {.sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO};

        CHECK(sigaction(SIGSYS, &action, NULL) == 0);
        me->forbidden = -1;
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0);
        me->begun_ns = ptl_now();
        if (HAS_SANITIZER)
                return;
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* ---- the two sides ---- */

/* A message between two that poll may take seconds where many want their CPUs; to say so would be a system call. */
static ptl_time patiently(void) { return ptl_after_ms(tst_deadline_ms(SECONDS * 4000)); }

static void pin_to(int which)
{
        cpu_set_t all, one;

        CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &all) && which-- == 0) {
                        CPU_ZERO(&one);
                        CPU_SET(cpu, &one);
                        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
                        return;
                }
        SKIP("one CPU: two tasks are never awake together");
}

static ptl_port look_up_patiently(void)
{
        ptl_port p = PTL_NULL;

        OK(ptl_name_look_up("awake", &p, patiently()));
        return p;
}

static void *grown_heap(void)
{
        void *volatile p = malloc(1 << 20); /* more than there is at first */

        return p;
}

/* The memory that messages are copied to is malloc's, whose own system calls are not looked for. */
static void become(int side, enum ptl_wait how)
{
        me = &sides[side];
        pin_to(side);
        mallopt(M_MMAP_THRESHOLD, 1 << 30);
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        mallopt(M_TOP_PAD, 64 << 20);
        free(grown_heap()); /* padded is only what grows: it is to grow now, not behind the filter */
        OK(ptl_task_set_wait(how, 0));
}

static void tell(ptl_port to, uint32_t kind)
{
        struct ptl_message m;

        OK(ptl_call_message(to, &(struct ptl_outgoing){.kind = kind}, &m, 0, patiently()));
        ptl_message_release(&m);
}

__attribute__((noreturn)) static void be_client(const struct traffic *t)
{
        ptl_port to;

        become(CLIENT, t->how);
        to = look_up_patiently();
        t->client(to, t->warm_up);
        tell(to, KIND_CONFINE);
        confine(t->how);
        me->messages = t->client(to, t->n);
        tell(to, KIND_QUIT);
        me->ended_ns = ptl_now();
        _exit(0);
}

static enum ptl_wait server_waits;

/* Answers what a client tells it; false: to be counted as traffic. */
static bool was_told(struct ptl_message *m)
{
        uint32_t kind = m->kind;

        if (kind != KIND_CONFINE && kind != KIND_QUIT)
                return false;
        if (kind == KIND_QUIT)
                me->ended_ns = ptl_now();
        OK(ptl_reply(m, NULL, 0));
        ptl_message_release(m);
        if (kind == KIND_QUIT)
                _exit(0);
        confine(server_waits);
        return true;
}

__attribute__((noreturn)) static void be_server(const struct traffic *t)
{
        ptl_port from;

        become(SERVER, t->how);
        server_waits = t->how;
        from = new_port_of(t->limit, 0);
        OK(ptl_name_publish("awake", from));
        for (;;)
                t->server(from);
}

/* ---- traffic ---- */

/*
 * Two tasks that poll take turns of ms, not µs, where others want their CPUs. So that this ends, a
 * client stops after SECONDS; what it got through is printed.
 */
static bool is_late(unsigned i)
{
        static int64_t end;

        if (i == 0)
                end = ptl_now() + SECONDS * 1000000000LL;
        return i % 256 == 0 && ptl_now() > end;
}

static unsigned call_of(ptl_port to, unsigned n, size_t size)
{
        static unsigned char data[LARGE], answer[LARGE];
        unsigned i;
        size_t got;

        fill(data, size, n);
        for (i = 0; i < n && !is_late(i); i++) {
                memcpy(data, &i, sizeof i);
                got = size;
                OK(ptl_call(to, data, size, answer, &got, patiently()));
                CHECK(got == size && !memcmp(data, answer, size));
        }
        return i;
}

static unsigned calls(ptl_port to, unsigned n) { return call_of(to, n, SMALL); }

static unsigned large_calls(ptl_port to, unsigned n) { return call_of(to, n, LARGE); }

static void answers(ptl_port from)
{
        struct ptl_message m;

        OK(ptl_receive(from, &m, patiently()));
        if (was_told(&m))
                return;
        OK(ptl_reply(&m, m.data, m.size));
        ptl_message_release(&m);
}

static unsigned send_of(ptl_port to, unsigned n, size_t size)
{
        static unsigned char data[LARGE];
        unsigned i;

        for (i = 0; i < n && !is_late(i); i++) {
                memcpy(data, &i, sizeof i);
                OK(ptl_send(to, data, size, patiently()));
        }
        return i;
}

static unsigned sends(ptl_port to, unsigned n) { return send_of(to, n, SMALL); }

static unsigned large_sends(ptl_port to, unsigned n) { return send_of(to, n, LARGE); }

static void is_next(const struct ptl_message *m)
{
        static unsigned next;
        unsigned i;

        memcpy(&i, m->data, sizeof i);
        next = i ? next : 0; /* behind the warm-up it begins again */
        CHECK_EQ(i, next);
        next++;
}

static void takes(ptl_port from)
{
        struct ptl_message m;

        OK(ptl_receive(from, &m, patiently()));
        if (was_told(&m))
                return;
        is_next(&m);
        ptl_message_release(&m);
}

static unsigned batches(ptl_port to, unsigned n)
{
        static unsigned char data[BATCH][SMALL];
        struct ptl_bytes batch[BATCH];
        size_t sent;
        unsigned i;

        for (i = 0; i < n && !is_late(i); i += BATCH) {
                for (unsigned k = 0; k < BATCH; k++) {
                        unsigned number = i + k;

                        memcpy(data[k], &number, sizeof number);
                        batch[k] = (struct ptl_bytes){data[k], SMALL};
                }
                OK(ptl_send_batch(to, batch, BATCH, &sent, patiently()));
                CHECK_EQ(sent, BATCH);
        }
        return i;
}

static void takes_batches(ptl_port from)
{
        struct ptl_message batch[BATCH];
        size_t n;

        OK(ptl_receive_batch(from, batch, BATCH, &n, 0, patiently()));
        for (size_t i = 0; i < n; i++)
                if (!was_told(&batch[i])) {
                        is_next(&batch[i]);
                        ptl_message_release(&batch[i]);
                }
}

/* ---- running ---- */

static void check_side(const struct traffic *t, int side)
{
        static const char *const names[] = {"client", "server"};
        const struct side *s = &sides[side];
        int64_t ms = (s->ended_ns - s->begun_ns) / 1000000;

        if (s->forbidden >= 0)
                fprintf(stderr, "# the %s made system call %d\n", names[side], s->forbidden);
        CHECK(s->forbidden < 0);
        fprintf(stderr, "# %s: %s: %u messages in %lld ms, %lu looks at the epoll set\n", t->name,
                names[side], sides[CLIENT].messages, (long long)ms, s->looks);
        CHECK(sides[CLIENT].messages >= t->n / 100);
        CHECK(s->looks <= (unsigned long)ms + 1);
}

static void play(const struct traffic *t)
{
        pid_t pids[SIDES];
        int status[SIDES];

        tst_private_server();
        sides = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(sides != MAP_FAILED);
        for (int i = 0; i < SIDES; i++) {
                sides[i].forbidden = -1;
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i] == 0 && i == CLIENT)
                        be_client(t);
                if (pids[i] == 0)
                        be_server(t);
        }
        for (int i = 0; i < SIDES; i++)
                CHECK(waitpid(pids[i], &status[i], 0) == pids[i]);
        for (int i = 0; i < SIDES; i++)
                if (WIFEXITED(status[i]) && WEXITSTATUS(status[i]) == TST_SKIPPED)
                        SKIP("one CPU");
        for (int i = 0; i < SIDES; i++) {
                check_side(t, i);
                CHECK_EQ(status[i], 0);
        }
        munmap(sides, 4096);
}

#define TRAFFIC(fn, ...)                                                                           \
        TEST_TIMES(fn, PATIENCE)                                                                   \
        {                                                                                          \
                static const struct traffic traffic = {.name = #fn, __VA_ARGS__};                  \
                                                                                                   \
                play(&traffic);                                                                    \
        }

#define CALLS       .client = calls, .server = answers, .n = MANY, .warm_up = 20000
#define LARGE_CALLS .client = large_calls, .server = answers, .n = 20000, .warm_up = 2000
#define SENDS       .client = sends, .server = takes, .n = MANY, .warm_up = 20000, .limit = 64
#define LARGE_SENDS .client = large_sends, .server = takes, .n = 20000, .warm_up = 2000, .limit = 16
#define BATCHES     .client = batches, .server = takes_batches, .n = MANY, .warm_up = 20000 / BATCH * BATCH

TRAFFIC(a_million_calls_live_under_a_filter_that_kills_on_any, CALLS, .how = PTL_WAIT_MEMORY)
TRAFFIC(calls_with_blocks_live_under_a_filter_that_kills_on_any, LARGE_CALLS, .how = PTL_WAIT_MEMORY)
TRAFFIC(a_million_calls_make_no_system_call, CALLS, .how = PTL_WAIT_SPIN)
TRAFFIC(a_million_sends_with_flow_control_make_no_system_call, SENDS, .how = PTL_WAIT_SPIN)
TRAFFIC(calls_with_blocks_make_no_system_call, LARGE_CALLS, .how = PTL_WAIT_SPIN)
TRAFFIC(sends_of_blocks_make_no_system_call, LARGE_SENDS, .how = PTL_WAIT_SPIN)
TRAFFIC(a_million_sends_in_batches_make_no_system_call, BATCHES, .how = PTL_WAIT_SPIN)
