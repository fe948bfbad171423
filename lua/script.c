/* SPDX-License-Identifier: MIT */
/*
 * Runs a script as the stand-alone interpreter (lua.c of Lua 5.4, in the manual's
 * chapter 7) does: every library, `arg` with what stands before the script at
 * negative indices, `...`, LUA_INIT, "-" for standard input, the generational
 * collector, warnings off until warn("@on"), SIGINT as the error "interrupted!".
 * `require "heapwright"` finds the module that the command has in itself.
 *
 * What SIGINT interrupts is of the process, as the signal is: one script at a time.
 */
#include "script.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "module.h"

/* ---- Errors and warnings ------------------------------------------------------------ */

int hpw_script_traceback(lua_State *L) {
    const char *message = lua_tostring(L, 1);
    if (message == NULL) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
        message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

/* The three states of warn, each a function as in the manual's lua_setwarnf: L is the ud. */
static void warnings_off(void *ud, const char *message, int to_continue);
static void warnings_on(void *ud, const char *message, int to_continue);

/* Was it "@on" or "@off", or another message for whoever controls warnings? */
static bool control_warnings(lua_State *L, const char *message, int to_continue) {
    if (to_continue || *message != '@') return false;
    if (strcmp(message, "@off") == 0) lua_setwarnf(L, warnings_off, L);
    if (strcmp(message, "@on") == 0) lua_setwarnf(L, warnings_on, L);
    return true;
}

static void warnings_off(void *ud, const char *message, int to_continue) {
    control_warnings(ud, message, to_continue);
}

static void continue_warning(void *ud, const char *message, int to_continue) {
    fputs(message, stderr);
    if (!to_continue) fputc('\n', stderr);
    lua_setwarnf(ud, to_continue ? continue_warning : warnings_on, ud);
}

static void warnings_on(void *ud, const char *message, int to_continue) {
    if (control_warnings(ud, message, to_continue)) return;
    fputs("Lua warning: ", stderr);
    continue_warning(ud, message, to_continue);
}

/* ---- SIGINT ---------------------------------------------------------------------------- */

static lua_State *volatile interruptible;
static const hpw_consumers *volatile interruptible_consumers;
static struct sigaction usual; /* what SIGINT does outside of scripts */

static void interrupt(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "interrupted!");
}

/* Only lua_sethook may be called here. A second SIGINT is as outside of scripts: it ends the command. */
static void on_interrupt(int signal) {
    sigaction(signal, &usual, NULL);
    lua_State *L = NULL;
    if (interruptible_consumers) L = hpw_consumers_running(interruptible_consumers);
    lua_sethook(L ? L : interruptible, interrupt, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT,
                1);
}

/* lua_pcall with a traceback, stopped by SIGINT. */
static int call(lua_State *L, const hpw_script *script, int arguments) {
    int base = lua_gettop(L) - arguments;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    lua_pushcfunction(L, hpw_script_traceback);
    lua_insert(L, base);
    interruptible_consumers = script->consumers;
    interruptible = L;
    sigaction(SIGINT, &action, &usual);
    int status = lua_pcall(L, arguments, 0, base);
    sigaction(SIGINT, &usual, NULL);
    lua_remove(L, base);
    return status;
}

/* ---- The script --------------------------------------------------------------------------- */

static void label(const hpw_script *script, const char *what) {
    if (script->consumers) hpw_consumers_label(script->consumers, what);
}

static void open_libraries(lua_State *L, const hpw_script *script) {
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_heapwright);
    lua_setfield(L, -2, "heapwright");
    lua_getglobal(L, LUA_OSLIBNAME);
    lua_pushlightuserdata(L, script->exit_ud);
    lua_pushcclosure(L, script->exit, 1);
    lua_setfield(L, -2, "exit");
    lua_settop(L, 0);
}

static void set_arg(lua_State *L, const hpw_script *script) {
    lua_createtable(L, script->argc - script->script - 1, script->script + 1);
    for (int i = 0; i < script->argc; i++) {
        lua_pushstring(L, script->argv[i]);
        lua_rawseti(L, -2, i - script->script);
    }
    lua_setglobal(L, "arg");
}

/* Runs what LUA_INIT_5_4, or LUA_INIT, says: code, or @ and a file. */
static int run_init(lua_State *L, const hpw_script *script) {
    const char *name = "=LUA_INIT" LUA_VERSUFFIX, *init = getenv(name + 1);
    if (init == NULL) {
        name = "=LUA_INIT";
        init = getenv(name + 1);
    }
    if (init == NULL) return LUA_OK;
    int status = *init == '@' ? luaL_loadfile(L, init + 1) : luaL_loadbuffer(L, init, strlen(init), name);
    return status == LUA_OK ? call(L, script, 0) : status;
}

/* Pushes the elements of `arg`, which LUA_INIT may have changed. */
static int push_arguments(lua_State *L) {
    if (lua_getglobal(L, "arg") != LUA_TTABLE) luaL_error(L, "'arg' is not a table");
    lua_Integer length = luaL_len(L, -1); /* a __len may say anything */
    int count = length < INT_MAX - 3 ? (int)(length < 0 ? 0 : length) : INT_MAX - 3;
    luaL_checkstack(L, count + 3, "too many arguments to script");
    int table = lua_gettop(L);
    for (int i = 1; i <= count; i++) lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return count;
}

static int run_file(lua_State *L, const hpw_script *script) {
    char **name = &script->argv[script->script];
    bool input = strcmp(name[0], "-") == 0 && strcmp(name[-1], "--") != 0;
    label(script, "(compiling the script)");
    int status = luaL_loadfile(L, input ? NULL : name[0]);
    label(script, "(no line of Lua)");
    if (status != LUA_OK) return status;
    return call(L, script, push_arguments(L));
}

/* Upvalues: none. Arguments: the hpw_script. Results: an error's status and message, or LUA_OK. */
static int protected_run(lua_State *L) {
    const hpw_script *script = lua_touserdata(L, 1);
    luaL_checkversion(L);
    label(script, "(the libraries)");
    open_libraries(L, script);
    set_arg(L, script);
    lua_gc(L, LUA_GCGEN, 0, 0);
    int status = run_init(L, script);
    if (status == LUA_OK) status = run_file(L, script);
    if (status == LUA_OK) lua_pushliteral(L, "");
    lua_pushinteger(L, status);
    lua_insert(L, -2);
    return 2;
}

int hpw_script_run(lua_State *L, const hpw_script *script) {
    lua_setwarnf(L, warnings_off, L);
    lua_pushcfunction(L, protected_run);
    lua_pushlightuserdata(L, (void *)(size_t)script);
    int status = lua_pcall(L, 1, 2, 0);
    if (status == LUA_OK) status = (int)lua_tointeger(L, -2);
    return status;
}
