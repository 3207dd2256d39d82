/* SPDX-License-Identifier: Apache-2.0 */
/* portolan/outcome.h - the one enum of outcomes */
#ifndef PORTOLAN_OUTCOME_H
#define PORTOLAN_OUTCOME_H

#include <portolan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Every function that can fail returns int:
 *   0    success;
 *   < 0  -errno: the environment failed (memory, descriptors, a system call). Pass it up;
 *   > 0  enum ptl_outcome: the protocol said no. Documented per function.
 *
 * On failure nothing was consumed: rights, buffers, descriptors and regions are the caller's as they
 * were. A call (ptl_call) whose request was sent says so by the outcomes PTL_E_UNANSWERED, PTL_E_NO_REPLY
 * and, when the receiver died with it, PTL_E_DEAD: then the request may have been carried out, and what
 * it moved is gone.
 */
#define PTL_OUTCOMES(X)                                                                            \
        X(FULL, 1, "the port's queue is full")                                                     \
        X(EMPTY, 2, "no message is queued")                                                        \
        X(TIMEOUT, 3, "the deadline passed first")                                                 \
        X(UNANSWERED, 4, "the request was sent, but no reply came before the deadline")            \
        X(DEAD, 5, "the port's receiver is gone")                                                  \
        X(NO_REPLY, 6, "the receiver dropped the request without a reply")                         \
        X(NAME, 7, "no right has this name in this task")                                          \
        X(RIGHT, 8, "the name does not carry the right that this call needs")                      \
        X(FORKED, 9, "the name belongs to the parent of this process")                             \
        X(INVALID, 10, "an argument is not valid")                                                 \
        X(TOO_BIG, 11, "larger than a limit")                                                      \
        X(QUOTA, 12, "a quota is used up")                                                         \
        X(NOT_FOUND, 13, "the name server does not know this name")                                \
        X(EXISTS, 14, "the name is taken")                                                         \
        X(REFUSED, 15, "not permitted for this user or task")                                      \
        X(NO_SERVER, 16, "no name server is reachable and none could be started")                  \
        X(VERSION, 17, "the other side speaks another version of the protocol")                    \
        X(MALFORMED, 18, "the other side sent something no correct program sends")                 \
        X(BUSY, 19, "the object is in use in a way that excludes this call")                       \
        X(UNSUPPORTED, 20, "not supported for this object")                                        \
        X(LOST, 21, "a descriptor that was announced did not arrive")

enum ptl_outcome {
        PTL_OK = 0,
#define PTL_OUTCOME_ENUM(name, value, text) PTL_E_##name = value,
        PTL_OUTCOMES(PTL_OUTCOME_ENUM)
#undef PTL_OUTCOME_ENUM
        PTL_E_COUNT_ /* one above the last; not an outcome */
};

/**
 * ptl_outcome_text - what an outcome means, for people
 * @outcome: any value a function of this library returned: 0, -errno or enum ptl_outcome
 *
 * Return: a static string in English, no full stop; "unknown outcome" for values of no meaning.
 * Thread-safe, async-signal-safe, no system call.
 */
PTL_PUBLIC const char *ptl_outcome_text(int outcome);

/**
 * ptl_outcome_name - the outcome's name as it stands in the source ("PTL_E_DEAD", "-ENOMEM", "0")
 * @outcome: as for ptl_outcome_text()
 *
 * Return: a static string; "?" for values of no meaning. Thread-safe, async-signal-safe.
 */
PTL_PUBLIC const char *ptl_outcome_name(int outcome);

/**
 * ptl_outcome_errno - the errno value nearest to an outcome, for callers that must set errno
 * @outcome: as for ptl_outcome_text()
 *
 * Return: a positive errno value, 0 for 0. Every outcome has one (ADR 0002 lists them).
 */
PTL_PUBLIC int ptl_outcome_errno(int outcome);

#ifdef __cplusplus
}
#endif
#endif
