/* SPDX-License-Identifier: MIT */
/*
 * A Lua script run as the stand-alone interpreter runs one, in a state of any
 * allocator: see script.c.
 */
#ifndef HPW_SCRIPT_H
#define HPW_SCRIPT_H

#include <lua.h>

#include "consumers.h"

typedef struct hpw_script {
    int argc;
    char **argv;              /* as main has it, NULL behind the last */
    int script;               /* where the script's name stands in argv */
    lua_CFunction exit;       /* os.exit in the script; upvalue 1 is exit_ud */
    void *exit_ud;            /* a light userdata */
    hpw_consumers *consumers; /* told what runs; may be NULL */
} hpw_script;

/*
 * Opens the libraries and the module, runs LUA_INIT and the script. LUA_OK, or an
 * error's status with its message, a string, on L's stack. Never raises.
 */
int hpw_script_run(lua_State *L, const hpw_script *script);

/* A message handler: makes any error value a message, with a traceback. */
int hpw_script_traceback(lua_State *L);

#endif
