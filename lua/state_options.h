/* SPDX-License-Identifier: MIT */
/* The options of heapwright.state, which heapwright.spawn takes as well. */
#ifndef HPW_STATE_OPTIONS_H
#define HPW_STATE_OPTIONS_H

#include <lua.h>

#include "child.h"

/*
 * Reads the table at stack index `arg`, or nothing where it is none or nil, and
 * raises for argument `arg` where something in it is unknown or wrong. Fields with
 * other names than strings, and those in `others`, a list that ends in NULL, are the
 * caller's. What *o refers to is the table's: it is to be used before Lua may
 * collect. Leaves the stack as it was.
 */
void state_options_read(lua_State *L, int arg, const char *const *others, child_options *o);

#endif
