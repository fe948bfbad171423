/* SPDX-License-Identifier: MIT */
/* Programs that heapwright.replay has loaded, for the files that ask them other things: replay.c, part.c. */
#ifndef HPW_PROGRAMS_H
#define HPW_PROGRAMS_H

#include <lua.h>

#include "replay.h"

/* Argument 1 as an open program; raises where it is none. */
const hpw_program *programs_check(lua_State *L);

/* The question that the table at `index` puts: policy, order, seed, granule, capacity. Raises where it is
 * wrong.
 */
hpw_question programs_question(lua_State *L, int index);

/* A program's method part, and the type of what it gives: see part.c. */
int programs_part(lua_State *L);
void programs_open_parts(lua_State *L);

#endif
