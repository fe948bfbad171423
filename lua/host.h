/* SPDX-License-Identifier: MIT */
/* What the command needs of the operating system and Lua does not have: see host.c. */
#ifndef HPW_HOST_H
#define HPW_HOST_H

#include <lua.h>

/* Ends the process cleanly on SIGINT, SIGTERM, SIGHUP and SIGPIPE, with 128 + the signal. */
void hpw_host_handle_signals(void);

/* Writes "heapwright: " and the message to standard error; the exit code for what broke. */
int hpw_host_complain(const char *message);

/* The exit code, 2 instead of 0 where standard output did not take all that was written, which it tells. */
int hpw_host_flush(int code);

/* The Lua module "heapwright.host". */
int luaopen_heapwright_host(lua_State *L);

#endif
