/* SPDX-License-Identifier: MIT */
/* What replay.c reads and answers, for the other files that put questions to a policy: stream.c, contend.c.
 */
#ifndef HPW_QUESTIONS_H
#define HPW_QUESTIONS_H

#include <lua.h>

#include "replay.h"

/* The fields that all policies share, of the table at `index`: capacity, granule, smallest. Raises. */
hpw_question question_read(lua_State *L, int index);

/* The { policy =, order =, seed = } on the stack's top, into *question. Raises where it is wrong. */
void question_read_policy(lua_State *L, hpw_question *question);

/* Pushes the answer's table, `bound` the lower bound, 0 unknown; and the source's. */
void question_push_answer(lua_State *L, const hpw_question *question, const hpw_answer *answer,
                          uint64_t bound);
void question_push_source(lua_State *L, const char *name, const hpw_trace_summary *summary);

/* Argument 1 as an open program. Raises where it is none. */
const hpw_program *question_program(lua_State *L);

/* The function replay.stream, of stream.c; a program's method contend, of contend.c. */
int replay_stream(lua_State *L);
int program_contend(lua_State *L);

#endif
