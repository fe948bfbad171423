/* SPDX-License-Identifier: MIT */
/*
 * The method pack of a loaded program: where its blocks would lie if all of it
 * were known in advance.
 *
 *      local packing = assert(program:pack { granule = 16, nodes = nil, heuristic = false, pieces = true })
 *          --> { pool, overhead, lower_bound, proved, nodes, method,
 *                pieces = { address = {}, size = {}, from = {}, to = {} } }
 *
 * Piece i lies at address[i], takes size[i] bytes, and lives from event from[i]
 * until event to[i], events counted from 1; what is never freed, until one past
 * the last. See packing.h for what a piece is.
 */
#include "packing.h"

#include <lauxlib.h>
#include <string.h>

#include "fields.h"
#include "loaded.h"

#define PACKING_TYPE "heapwright.packing"

static int free_packing(lua_State *L) {
    hpw_packing_free(luaL_checkudata(L, 1, PACKING_TYPE));
    return 0;
}

/* A packing that is freed also where making its table raises. */
static hpw_packing *new_packing(lua_State *L) {
    hpw_packing *packing = lua_newuserdatauv(L, sizeof *packing, 0);
    *packing = (hpw_packing){0};
    if (luaL_newmetatable(L, PACKING_TYPE)) {
        lua_pushcfunction(L, free_packing);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return packing;
}

static uint64_t whole(lua_State *L, const char *key, uint64_t most) {
    int is_whole;
    lua_Integer value = lua_tointegerx(L, -1, &is_whole);
    if (!is_whole || value < 1 || (uint64_t)value > most)
        luaL_error(L, "%s must be a whole number from 1 to %I", key, (LUAI_UACINT)most);
    return (uint64_t)value;
}

/* The field on the stack's top. */
static void read_option(lua_State *L, const char *key, hpw_packing_question *question, bool *pieces) {
    if (!strcmp(key, "granule"))
        question->granule = (uint32_t)whole(L, key, (uint64_t)1 << 31);
    else if (!strcmp(key, "nodes"))
        question->nodes = whole(L, key, INT64_MAX);
    else if (!strcmp(key, "heuristic"))
        question->heuristic = lua_toboolean(L, -1);
    else if (!strcmp(key, "pieces"))
        *pieces = lua_toboolean(L, -1);
    else
        luaL_error(L, "unknown option '%s' of pack; known are granule, nodes, heuristic, pieces", key);
}

static void read_question(lua_State *L, hpw_packing_question *question, bool *pieces) {
    if (lua_isnoneornil(L, 2)) return;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "the options of pack have names");
        read_option(L, lua_tostring(L, -2), question, pieces);
        lua_pop(L, 1);
    }
    if (question->granule & (question->granule - 1))
        luaL_error(L, "granule must be a power of two, not %d", (int)question->granule);
}

enum { ADDRESS, SIZE, FROM, TO, COLUMNS };

static uint64_t column(const hpw_piece *piece, int which) {
    switch (which) {
    case ADDRESS:
        return piece->address;
    case SIZE:
        return piece->size;
    case FROM:
        return piece->begin + 1;
    default:
        return piece->end + 1;
    }
}

static void push_pieces(lua_State *L, const hpw_packing *packing) {
    static const char *const names[COLUMNS] = {"address", "size", "from", "to"};
    lua_createtable(L, 0, COLUMNS);
    for (int which = 0; which < COLUMNS; which++) {
        lua_createtable(L, (int)packing->count, 0);
        for (size_t i = 0; i < packing->count; i++) {
            lua_pushinteger(L, (lua_Integer)column(&packing->pieces[i], which));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        lua_setfield(L, -2, names[which]);
    }
}

static int fail(lua_State *L, hpw_error error) {
    static const char *const reasons[] = {
        [HPW_NO_MEMORY] = "no memory to pack it",
        [HPW_LIMIT] = "every packing tried ends past 2^63 - 1",
        [HPW_CORRUPTED] = "the packing failed its check",
    };
    bool known = (size_t)error < sizeof reasons / sizeof *reasons && reasons[error];
    lua_pushnil(L);
    lua_pushstring(L, known ? reasons[error] : hpw_error_name(error));
    lua_pushstring(L, hpw_error_name(error));
    return 3;
}

int pack_program(lua_State *L) {
    hpw_packing_question question = {0};
    bool pieces = false;
    check_loaded(L);
    read_question(L, &question, &pieces);
    hpw_packing *packing = new_packing(L);
    hpw_error error = hpw_pack(check_loaded(L), &question, NULL, packing);
    if (error) return fail(L, error);
    lua_createtable(L, 0, 8);
    set_count(L, "pool", packing->pool);
    set_count(L, "lower_bound", packing->lower_bound);
    if (packing->lower_bound)
        set_number(L, "overhead", (double)packing->pool / (double)packing->lower_bound - 1.0);
    lua_pushboolean(L, packing->proved);
    lua_setfield(L, -2, "proved");
    set_count(L, "nodes", packing->nodes);
    set_string(L, "method", packing->method);
    if (pieces) {
        push_pieces(L, packing);
        lua_setfield(L, -2, "pieces");
    }
    hpw_packing_free(packing);
    return 1;
}
