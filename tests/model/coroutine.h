/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine.h - switch between stacks without a system call
 *
 * swapcontext saves the signal mask, which costs two system calls per step of the explorer. On
 * x86-64 six pushes do; elsewhere ucontext is slower and as good. Internal to explore.c.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(MODEL_UCONTEXT)

enum { COROUTINE_STACK_IS_VISIBLE = 1 }; /* all a stopped coroutine knows is above its sp */

struct coroutine {
        void *sp;
};

/* Saves what the callee must keep (System V ABI 3.2.1) and continues where `to` was left. */
void model_co_switch(void **from_sp, void *to_sp);
__asm__(".text\n"
        ".p2align 4\n"
        ".type model_co_switch,@function\n"
        "model_co_switch:\n"
        "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp,(%rdi)\n"
        "mov %rsi,%rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        "ret\n"
        ".size model_co_switch,.-model_co_switch\n");

static inline void co_start(struct coroutine *c, char *stack, size_t bytes, void (*entry)(void))
{
        uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + bytes) & ~(uintptr_t)15);

        top[-1] = 0; /* entry never returns */
        top[-2] = (uintptr_t)entry;
        memset(top - 8, 0, 6 * sizeof *top);
        c->sp = top - 8;
}

static inline void co_switch(struct coroutine *from, struct coroutine *to)
{
        model_co_switch(&from->sp, to->sp);
}

static inline void *co_sp(const struct coroutine *c) { return c->sp; }

#else
#include <ucontext.h>

enum { COROUTINE_STACK_IS_VISIBLE = 0 };

struct coroutine {
        ucontext_t uc;
};

static inline void co_start(struct coroutine *c, char *stack, size_t bytes, void (*entry)(void))
{
        getcontext(&c->uc);
        c->uc.uc_stack.ss_sp = stack;
        c->uc.uc_stack.ss_size = bytes;
        c->uc.uc_link = NULL;
        makecontext(&c->uc, entry, 0);
}

static inline void co_switch(struct coroutine *from, struct coroutine *to)
{
        swapcontext(&from->uc, &to->uc);
}

static inline void *co_sp(const struct coroutine *c) { return (void *)(uintptr_t)&c->uc; }

#endif
