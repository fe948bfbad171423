/* SPDX-License-Identifier: MIT */
/* The userdata of heapwright.replay from the inside: shared by replay.c and packing.c. */
#ifndef HPW_LOADED_H
#define HPW_LOADED_H

#include <lua.h>

#include "replay.h"

/* The program of the first argument; raises where that is none, or is closed. */
const hpw_program *check_loaded(lua_State *L);

/* The method pack, of packing.c. */
int pack_program(lua_State *L);

#endif
