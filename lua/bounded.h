/* SPDX-License-Identifier: MIT */
/* The Lua module "heapwright.bounded": scripts run as the stand-alone interpreter would, see bounded.c. */
#ifndef HPW_BOUNDED_H
#define HPW_BOUNDED_H

#include <lua.h>

int luaopen_heapwright_bounded(lua_State *L);

#endif
