/* SPDX-License-Identifier: MIT */
/* The Lua module heapwright.live, of the command alone: see live.c. */
#ifndef HPW_LIVE_H
#define HPW_LIVE_H

#include <lua.h>

int luaopen_heapwright_live(lua_State *L);

/* The file that standard output is for whoever asks what is behind it: the terminal, while a picture is live.
 */
int hpw_live_output(void);

/* Ends a live picture. Only async-signal-safe calls; nothing where there is none. */
void hpw_live_end(void);

#endif
