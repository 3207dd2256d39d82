/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.pml - a board is copied while its owner writes it, or was stopped there
 *
 * Stands for: wire/board.h (ptl_board_begin, ptl_board_end), wire/board.c (ptl_board_copy).
 *
 * The writer writes WRITINGS times, each time the same number into every word, and may be stopped for ever between
 * any two steps. The reader tries TRIES times. At the end
 *   - it has ended, wherever the writer was stopped;
 *   - a copy that it calls whole has the same number in every word.
 *
 * What is taken out:            spin-expect-fail: -DNO_ODD
 *                               spin-expect-fail: -DNO_SECOND_LOOK
 *                               spin-expect-fail: -DODD_IS_COPIED
 * Orders of memory are not modelled: E1 and E2 are the two edges at which this model is sequential.
 * spin-cc: -DSAFETY -DCOLLAPSE
 * spin-pan: -m100000
 * spin-quick: -DWRITINGS=2
 */
#ifndef WRITINGS
#define WRITINGS 4
#endif
#define TRIES 3
#define WORDS 3

byte sequence, word[WORDS];
bool reader_done;

active proctype writer()
{
        byte n = 0, i;

        do
        :: n < WRITINGS ->
                n++;
#ifndef NO_ODD
                sequence++;
#endif
                i = 0;
                do
                :: i < WORDS -> word[i] = n; i++
                :: i < WORDS -> goto stopped /* SIGSTOP, SIGKILL */
                :: i == WORDS -> break
                od;
#ifdef NO_ODD
                sequence = sequence + 2
#else
                sequence++
#endif
        :: n == WRITINGS -> break
        od;
stopped:
        skip
}

active proctype reader()
{
        byte tries = 0, i, before, after, copy[WORDS];
        bool whole = false;

        do
        :: tries < TRIES && !whole ->
                tries++;
                before = sequence;
                i = 0;
                do
                :: i < WORDS -> copy[i] = word[i]; i++
                :: i == WORDS -> break
                od;
                after = sequence;
#ifdef NO_SECOND_LOOK
                whole = before % 2 == 0
#else
#ifdef ODD_IS_COPIED
                whole = before == after
#else
                whole = before % 2 == 0 && before == after
#endif
#endif
        :: tries == TRIES || whole -> break
        od;
        assert(!whole || (copy[0] == copy[1] && copy[1] == copy[2]));
        reader_done = true
}
