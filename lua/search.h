/* SPDX-License-Identifier: MIT */
/*
 * A search for a Lua pattern that counts its steps, charges them to the budget of the
 * state (budget.h) as it goes, and so ends where that does. It takes the steps that
 * Lua's own matcher takes, in the same order and as deep, and tells only where a match
 * ends.
 */
#ifndef HPW_SEARCH_H
#define HPW_SEARCH_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEARCH_CAPTURES = 32,
    SEARCH_STEPS_AN_INSTRUCTION = 4,
    SEARCH_BYTES_A_STEP = 16,   /* of what memcmp and memchr do */
    SEARCH_STEPS_CHARGED = 4096 /* at once */
};

typedef struct capture {
    const char *start;
    ptrdiff_t length; /* or what is no length: see search.c */
} capture;

typedef struct search {
    lua_State *L;
    const char *text, *text_end, *pattern, *pattern_end; /* zero bytes follow both, as in Lua's strings */
    uint64_t steps;                                      /* not charged yet */
    int depth, level;
    bool stopped; /* at what Lua will call an error */
    capture captures[SEARCH_CAPTURES];
} search;

/* Charges the steps counted so far; raises where the budget ends. */
void search_charge(search *s);

static inline void search_count(search *s, uint64_t steps) {
    s->steps += steps;
    if (s->steps >= SEARCH_STEPS_CHARGED) search_charge(s);
}

/* The end of the match that begins at `t`; NULL: none, or stopped. */
const char *search_at(search *s, const char *t);

#endif
