/* SPDX-License-Identifier: MIT */
/*
 * Library functions of a state whose budget is watched, where those of Lua's own
 * would let a script past it:
 *
 *  - coroutine.create, coroutine.wrap: a new coroutine draws from the budget.
 *  - coroutine.close, and what wrap does with a coroutine that failed: one that the
 *    hook ended has hooks off for good, and closing it would run its __close
 *    functions so. Once the budget has ended none is closed.
 *  - xpcall: an error raised in the hook calls the message handler with hooks off.
 *  - table.concat, insert, move, remove, sort: loops in C over as many elements as
 *    a border or two integers say, of which a table of 64 entries can pretend to
 *    have 2^62. They are charged by the element before they begin.
 *    sort also by what it compares, where there are long strings.
 *  - string.rep: a loop of 2^62 rounds that adds nothing.
 *  - functions whose work is linear in a text: charged an instruction for 8 bytes
 *    where the texts have more than 1 KiB; collectgarbage by what there is to visit.
 *    A thousand such calls between two looks at the clock, or as many in C, as the
 *    replacement of gsub or the comparison of sort, take seconds.
 *
 * Searches for patterns: patterns.c.
 *
 * A guard runs the original in its own frame, so that what the original says of its
 * arguments, its caller and its continuation stays true.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "budget.h"
#include "sandbox.h"

/* ---- Coroutines ---- */

/* create(function) */
static int create(lua_State *L) {
    int results = guarded_original(L);
    budget_adopt(L, lua_tothread(L, -1));
    return results;
}

/* What came back from a coroutine, moved to L: how many values. */
static int take_results(lua_State *L, lua_State *from, int count) {
    if (!lua_checkstack(L, count + 1)) {
        lua_pop(from, count);
        return luaL_error(L, "too many results to resume");
    }
    lua_xmove(from, L, count);
    return count;
}

/* A call of what wrap returned; upvalue 1 is the coroutine. */
static int resume_wrapped(lua_State *L) {
    lua_State *coroutine = lua_tothread(L, lua_upvalueindex(1));
    int count = lua_gettop(L), results, status;
    if (!lua_checkstack(coroutine, count)) return luaL_error(L, "too many arguments to resume");
    lua_xmove(L, coroutine, count);
    status = lua_resume(coroutine, L, count, &results);
    if (status == LUA_OK || status == LUA_YIELD) return take_results(L, coroutine, results);
    budget_check(L);
    int now = lua_status(coroutine);
    if (now != LUA_OK && now != LUA_YIELD) { /* it failed, it was not merely refused */
        status = lua_resetthread(coroutine);
        budget_check(L);
    }
    lua_xmove(coroutine, L, 1);
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) { /* where it was called comes first */
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* wrap(function); the original is that of create */
static int wrap(lua_State *L) {
    create(L);
    lua_pushcclosure(L, resume_wrapped, 1);
    return 1;
}

/* close(coroutine) */
static int close_coroutine(lua_State *L) {
    budget_check(L);
    int results = guarded_original(L);
    budget_check(L);
    return results;
}

/* ---- Message handlers ---- */

/* The script's handler is upvalue 1. Where the budget has ended, the message stays as it is. */
static int handle(lua_State *L) {
    lua_settop(L, 1);
    if (budget_of(L)->end) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* xpcall(function, handler, ...) */
static int protected_call(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
    return guarded_original(L);
}

/* ---- Tables ---- */

enum { ALWAYS_VISITED = 1000000, ELEMENT = 8, LONG = 1024, BYTES_COMPARED = 64 };

/*
 * `count` elements are about to be visited, at a cost of `steps`. A state that
 * holds so many has 16 bytes and more for each; a loop over more than could be
 * there, and more than a script's own proxies are likely to pretend, is refused
 * where only a clock would end it.
 */
static void visit(lua_State *L, uint64_t count, uint64_t steps) {
    uint64_t held = (uint64_t)lua_gc(L, LUA_GCCOUNT) * 1024 / ELEMENT + ALWAYS_VISITED;
    if (count > held)
        luaL_error(L, "a loop over %I elements: the state holds no more than %I",
                   (LUAI_UACINT)(count > INT64_MAX ? INT64_MAX : count), (LUAI_UACINT)held);
    budget_charge(L, steps);
}

/* Elements first ... last: none where last is below. */
static void visit_range(lua_State *L, lua_Integer first, lua_Integer last) {
    if (first > last) return;
    uint64_t count = (uint64_t)last - (uint64_t)first + 1;
    visit(L, count ? count : UINT64_MAX, count ? count : UINT64_MAX);
}

/*
 * The length of argument 1. The original asks for it again, and a __len of the
 * script's own could then say something else: refused where it would matter.
 */
static lua_Integer length(lua_State *L) {
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
        luaL_argerror(L, 1, "a table with __len: not in a state with a budget");
    luaL_checktype(L, 1, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, 1);
}

/* concat(table, separator, first, last) */
static int concat(lua_State *L) {
    if (lua_type(L, 1) != LUA_TTABLE) return guarded_original(L); /* which says so */
    if (lua_isnoneornil(L, 4)) {
        lua_settop(L, 3);
        lua_pushinteger(L, luaL_len(L, 1));
    }
    visit_range(L, luaL_optinteger(L, 3, 1), luaL_checkinteger(L, 4));
    return guarded_original(L);
}

/* insert(table, [position,] value) */
static int insert(lua_State *L) {
    if (lua_gettop(L) == 3) visit_range(L, luaL_checkinteger(L, 2), length(L));
    return guarded_original(L);
}

/* move(from, first, last, to, table) */
static int move(lua_State *L) {
    visit_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return guarded_original(L);
}

/* remove(table, position) */
static int remove_element(lua_State *L) {
    if (!lua_isnoneornil(L, 2)) visit_range(L, luaL_checkinteger(L, 2), length(L));
    return guarded_original(L);
}

/* Upvalue 1 of a comparison of long strings is the script's own, a C function, or nil: less than. */
static int compare(lua_State *L) {
    lua_settop(L, 2);
    size_t a = lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0;
    size_t b = lua_type(L, 2) == LUA_TSTRING ? lua_rawlen(L, 2) : 0;
    budget_charge(L, 1 + (a < b ? a : b) / BYTES_COMPARED);
    if (lua_isnil(L, lua_upvalueindex(1))) {
        lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/* Is there a long string among the n elements? */
static bool has_long(lua_State *L, uint64_t n) {
    for (uint64_t i = 1; i <= n; i++) {
        bool is_long = lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TSTRING && lua_rawlen(L, -1) >= LONG;
        lua_pop(L, 1);
        if (is_long) return true;
    }
    return false;
}

/*
 * sort(table, comparison): n elements are charged n * (1 + the bits of n), and each
 * comparison of long strings once more, unless it is a Lua function, which is counted.
 */
static int sort(lua_State *L) {
    uint64_t n = (uint64_t)length(L), bits = 1;
    while (n >> bits && bits < 63) bits++;
    visit(L, n, n > UINT64_MAX / 64 ? UINT64_MAX : n * (bits + 1));
    lua_settop(L, 2);
    if ((lua_isnil(L, 2) || lua_iscfunction(L, 2)) && has_long(L, n)) lua_pushcclosure(L, compare, 1);
    return guarded_original(L);
}

/* ---- Strings ---- */

enum { FREE_BYTES = 1024, BYTES_AN_INSTRUCTION = 8, INSTRUCTIONS_A_KIB = 8 };

static void charge_bytes(lua_State *L, uint64_t bytes) {
    if (bytes > FREE_BYTES) budget_charge(L, bytes / BYTES_AN_INSTRUCTION);
}

/* A function that takes as long as its texts are. */
static int linear(lua_State *L) {
    uint64_t bytes = 0;
    for (int i = lua_gettop(L); i > 0; i--)
        if (lua_type(L, i) == LUA_TSTRING) bytes += lua_rawlen(L, i);
    charge_bytes(L, bytes);
    return guarded_original(L);
}

/* rep(string, n, separator) */
static int repeat(lua_State *L) {
    size_t separator;
    luaL_optlstring(L, 3, "", &separator);
    if (lua_type(L, 1) == LUA_TSTRING && lua_rawlen(L, 1) == 0 && separator == 0) {
        luaL_checkinteger(L, 2);
        lua_pushliteral(L, "");
        return 1;
    }
    int results = guarded_original(L); /* which first refuses what is too large */
    charge_bytes(L, lua_rawlen(L, -1));
    return results;
}

/* ---- Collections ---- */

/* collectgarbage(option, ...): whatever may collect is charged as if it visited all there is */
static int collect(lua_State *L) {
    static const char *const free_of_charge[] = {"count",   "isrunning", "stop",
                                                 "restart", "setpause",  "setstepmul"};
    const char *option = luaL_optstring(L, 1, "collect");
    for (size_t i = 0; i < sizeof free_of_charge / sizeof *free_of_charge; i++)
        if (strcmp(option, free_of_charge[i]) == 0) return guarded_original(L);
    budget_charge(L, (uint64_t)lua_gc(L, LUA_GCCOUNT) * INSTRUCTIONS_A_KIB);
    return guarded_original(L);
}

/* ---- All of them ---- */

typedef struct guard {
    const char *library, *name;
    lua_CFunction function;
    const char *original; /* NULL: of the same name */
} guard;

/* wrap before create, whose original it takes. */
static const guard guards[] = {
    {LUA_COLIBNAME, "wrap", wrap, "create"},
    {LUA_COLIBNAME, "create", create, NULL},
    {LUA_COLIBNAME, "close", close_coroutine, NULL},
    {LUA_GNAME, "xpcall", protected_call, NULL},
    {LUA_TABLIBNAME, "concat", concat, NULL},
    {LUA_TABLIBNAME, "insert", insert, NULL},
    {LUA_TABLIBNAME, "move", move, NULL},
    {LUA_TABLIBNAME, "remove", remove_element, NULL},
    {LUA_TABLIBNAME, "sort", sort, NULL},
    {LUA_STRLIBNAME, "rep", repeat, NULL},
    {LUA_STRLIBNAME, "format", linear, NULL},
    {LUA_STRLIBNAME, "lower", linear, NULL},
    {LUA_STRLIBNAME, "upper", linear, NULL},
    {LUA_STRLIBNAME, "reverse", linear, NULL},
    {LUA_STRLIBNAME, "pack", linear, NULL},
    {LUA_STRLIBNAME, "packsize", linear, NULL},
    {LUA_STRLIBNAME, "unpack", linear, NULL},
    {LUA_UTF8LIBNAME, "codepoint", linear, NULL},
    {LUA_UTF8LIBNAME, "codes", linear, NULL},
    {LUA_UTF8LIBNAME, "len", linear, NULL},
    {LUA_UTF8LIBNAME, "offset", linear, NULL},
    {LUA_OSLIBNAME, "date", linear, NULL},
    {LUA_GNAME, "tonumber", linear, NULL},
    {LUA_GNAME, "collectgarbage", collect, NULL},
};

void guarded_open(lua_State *L) {
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++) {
        const guard *g = &guards[i];
        lua_getglobal(L, g->library);
        lua_getfield(L, -1, g->original ? g->original : g->name);
        lua_pushcclosure(L, g->function, 1);
        lua_setfield(L, -2, g->name);
        lua_pop(L, 1);
    }
}
