/* SPDX-License-Identifier: MIT */
#include "thread.h"
int module_spawn(lua_State *L) { return luaL_error(L, "not yet"); }
void threads_open(lua_State *L) { (void)L; }
