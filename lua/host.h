/* SPDX-License-Identifier: MIT */
/* What the command needs of the operating system and Lua does not have: see host.c. */
#ifndef HPW_HOST_H
#define HPW_HOST_H

#include <lua.h>

/* Ends the process cleanly on SIGINT, SIGTERM, SIGHUP and SIGPIPE, with 128 + the signal. */
void hpw_host_handle_signals(void);

/* The Lua module "heapwright.host". */
int luaopen_heapwright_host(lua_State *L);

#endif
