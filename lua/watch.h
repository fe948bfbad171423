/* SPDX-License-Identifier: MIT */
/* heapwright.watch, and the table in which recorded allocations are told: see watch.c. */
#ifndef HPW_WATCH_H
#define HPW_WATCH_H

#include <lua.h>

#include "alloc_record.h"

int module_watch(lua_State *L);

/* Pushes a table of them; of `kinds` (bits, zero: all) those that were recorded. Raises without memory. */
void hpw_push_alloc_figures(lua_State *L, const hpw_alloc_figures *figures, unsigned kinds);

#endif
