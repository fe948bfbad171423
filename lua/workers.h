/* SPDX-License-Identifier: MIT */
/* Processes that work for the command: see workers.c. */
#ifndef HPW_WORKERS_H
#define HPW_WORKERS_H

#include <lua.h>

/* The Lua module "heapwright.workers". */
int luaopen_heapwright_workers(lua_State *L);

#endif
