/* SPDX-License-Identifier: MIT */
/* Traces made up, for Lua: a function of heapwright.traces. */
#ifndef HPW_GENERATE_H
#define HPW_GENERATE_H

#include <lua.h>

/*
 * generate { path =, format = "binary" or "text", events =, live =, sizes = { ... }, seed = 0,
 *            resizes = 0, threads = 0, passed = 0 }
 *      --> true, or nil, message, code. See core/trace_generate.h.
 */
int traces_generate(lua_State *L);

#endif
