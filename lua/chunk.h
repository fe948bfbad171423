/* SPDX-License-Identifier: MIT */
/*
 * Loading chunks of text so that a budget (budget.h) ends it. Lua's parser is one
 * call in C, and not linear: each `elseif` walks the jumps of those before it, each
 * label the labels of its function, so that 4 MB of them take minutes. It is handed
 * the text by pieces of 256 bytes, before each of which the clock is looked at.
 *
 * Each pushes the function, or a message, and returns Lua's status; LUA_ERRFILE where
 * a file can't be opened or read. What ended at a budget has a status like any error.
 */
#ifndef HPW_CHUNK_H
#define HPW_CHUNK_H

#include <lua.h>
#include <stddef.h>

/* A text of the host's, which must stay as it is meanwhile: counts no instructions. */
int chunk_load_text(lua_State *L, const char *text, size_t length, const char *name);

/* A file, as luaL_loadfile has it: without a byte order mark and a first line that begins with #. */
int chunk_load_file(lua_State *L, const char *path);

/*
 * What load(chunk, name, mode, env) of a state does, its arguments on the stack, whatever
 * the mode: text only, an instruction for every 16 bytes.
 */
int chunk_load_function(lua_State *L);

#endif
