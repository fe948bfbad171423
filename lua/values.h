/* SPDX-License-Identifier: MIT */
/*
 * Values on their way from one Lua state to another: a flat run of bytes that
 * belongs to neither, so that they may be on different threads as well.
 *
 * What crosses: nil, booleans, numbers, strings, tables of these, with keys that
 * are booleans, numbers or strings. A table or a string of more than SHARED_STRING
 * bytes that is reached by several ways crosses once, so that a copy is never more
 * than a constant times as large as what was copied; metatables stay behind, and
 * what a table holds is read raw: no script runs. Refused, with the way to it:
 * functions, userdata, threads, tables that contain themselves, and tables
 * nested deeper than VALUES_DEPTH.
 */
#ifndef HPW_VALUES_H
#define HPW_VALUES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heapwright.h"

enum { VALUES_DEPTH = 100, VALUES_MESSAGE = 256 };

/* A zeroed one is empty. */
typedef struct values {
    unsigned char *bytes;
    size_t size, capacity;
    int count; /* values in all */
    hpw_error error;
    char message[VALUES_MESSAGE]; /* what was refused, and where */
} values;

/*
 * Copies the `count` values from stack index `first` on into empty values. Never
 * raises, allocates nothing in the state but stack, leaves that as it was. False,
 * with error and message and nothing in it: HPW_INVALID_ARGUMENT where one of them
 * can't cross, HPW_NO_MEMORY where there is none. The message calls them `what`,
 * "argument" or "result", and counts from `number`.
 */
bool values_encode(values *v, lua_State *L, int first, int count, const char *what, int number);

/*
 * Pushes them all in another state, and returns how many. Raises where that state
 * has no memory or stack for them: v stays as it is, for its owner to free.
 */
int values_decode(lua_State *L, const values *v);

/* Empty again; frees what they take. */
void values_free(values *v);

/* Empty again; keeps what they take for the next, unless that is much. */
void values_empty(values *v);

/* What goes to another state and what comes back. */
typedef struct exchange {
    values arguments, results;
} exchange;

/* Pushes a userdata with empty values, freed at its collection: for callers that may raise. */
exchange *values_push(lua_State *L);

#endif
