/* SPDX-License-Identifier: MIT */
/*
 * The table of a what-if, replay.load's third argument, and what it means to the core:
 *
 *      { granule = 16, header = 16, align = 32, scale = { 3, 2 },    -- 3/2
 *        threads = { 1, 2 }, from = 1000, to = 2000 }
 *
 * Each field may be absent. Private to the module: the command has looked at them.
 */
#ifndef HPW_WHAT_IF_FIELDS_H
#define HPW_WHAT_IF_FIELDS_H

#include <lua.h>

#include "what_if.h"

enum { WHAT_IF_THREADS = 64 };

typedef struct what_if_threads {
    uint32_t numbers[WHAT_IF_THREADS];
} what_if_threads;

/* The table at `index`, nil or none: the trace as it is. Raises where a field is no number. */
hpw_what_if what_if_read(lua_State *L, int index, what_if_threads *threads);

#endif
