/* SPDX-License-Identifier: MIT */
/*
 * Lua sources inside of the binaries. The tables are C files that
 * .cmake/embed.cmake writes when the project is built.
 */
#ifndef HPW_EMBED_H
#define HPW_EMBED_H

#include <stddef.h>

struct lua_State;

/* One embedded module; a row without a name ends a table. */
typedef struct hpw_embedded {
    const char *name;            /* as `require` knows it: "heapwright.scenario" */
    const char *chunk;           /* as tracebacks show it: "@lua/heapwright/scenario.lua" */
    const unsigned char *source; /* text */
    size_t size;
} hpw_embedded;

extern const hpw_embedded hpw_embedded_library[]; /* lua/heapwright but its cli: for scripts */
extern const hpw_embedded hpw_embedded_command[]; /* the cli, argparse, dkjson: for the command */

/* Makes `require` find the table's modules. What package.preload has already, stays. */
void hpw_embed_preload(struct lua_State *L, const hpw_embedded *table);

/* Pushes the chunk of the module `name`, loaded, not run. Raises where it does not compile. */
void hpw_embed_load(struct lua_State *L, const hpw_embedded *table, const char *name);

#endif
