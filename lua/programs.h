/* SPDX-License-Identifier: MIT */
/* Programs that heapwright.replay has loaded, for the files that ask them other things: part.c, packing.c. */
#ifndef HPW_PROGRAMS_H
#define HPW_PROGRAMS_H

#include <lua.h>

#include "chooser.h"
#include "replay.h"

/* Argument 1 as an open program; raises where it is none. */
const hpw_program *programs_check(lua_State *L);

/* The question that the table at `index` puts: policy, order, seed, granule, capacity. Raises where it is
 * wrong. Pushes what keeps *scripted, the chooser of a policy in Lua; NULL: it is built in.
 */
hpw_question programs_question(lua_State *L, int index, chooser **scripted);

/* A program's method part, and the type of what it gives: see part.c. */
int programs_part(lua_State *L);
void programs_open_parts(lua_State *L);

/* A program's method pack: see packing.c. */
int programs_pack(lua_State *L);

#endif
