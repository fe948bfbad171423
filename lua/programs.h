/* SPDX-License-Identifier: MIT */
/* Programs that heapwright.replay has loaded, for the files that ask them other things: part.c, packing.c,
 * stream.c, contend.c. */
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

/* The fields that all policies share, of the table at `index`: capacity, granule, smallest. Raises. */
hpw_question programs_common(lua_State *L, int index);

/* The { policy =, order =, seed = } on the stack's top, into *question. Raises where it is wrong, or the
 * policy's choice is a function of this Lua state. */
void programs_policy(lua_State *L, hpw_question *question);

/* Pushes the answer's table, `bound` the lower bound, 0 unknown; and the source's. */
void programs_push_answer(lua_State *L, const hpw_question *question, const hpw_answer *answer,
                          uint64_t bound);
void programs_push_source(lua_State *L, const char *name, const hpw_trace_summary *summary);

/* The name of argument 1, an open program. Lives as long as it is open. */
const char *programs_name(lua_State *L);

/* Argument 1 as an open program that can't be closed until programs_release; raises where it is none. Nothing
 * may raise in between. */
const hpw_program *programs_hold(lua_State *L);
void programs_release(lua_State *L);

/* A program's method part, and the type of what it gives: see part.c. */
int programs_part(lua_State *L);
void programs_open_parts(lua_State *L);

/* A program's method pack: see packing.c. */
int programs_pack(lua_State *L);

/* A program's method contend, and the function stream: see contend.c, stream.c. */
int programs_contend(lua_State *L);
int programs_stream(lua_State *L);

/* A program's method write_history: see history.c. */
int programs_write_history(lua_State *L);

#endif
