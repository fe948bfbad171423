/* SPDX-License-Identifier: MIT */
/* Files that only grow: see journal.c. */
#ifndef HPW_JOURNAL_H
#define HPW_JOURNAL_H

#include <lua.h>

/* The Lua module "heapwright.journal". */
int luaopen_heapwright_journal(lua_State *L);

#endif
