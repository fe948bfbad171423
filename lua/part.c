/* SPDX-License-Identifier: MIT */
/*
 * A part of a program that still fails, as Lua tries to make it smaller (core/part.h):
 *
 *      local part = program:part { policy = "best-fit", capacity = 65536 }
 *                               --> or nil, message, code: "limit" where nothing is refused
 *      part:count()             --> blocks, events, frees and resizes, allocations and resizes
 *      part:fragmented()        --> would all of it go into the pool, but for where it lies?
 *      part:drop_blocks(1, 10)  --> does it fail without these? Then that is the part now
 *      part:drop_changes(1, 10) --> likewise; also drop_freed(events), drop_smaller(size)
 *      part:size(1)             --> of the first allocation or resize
 *      part:set_size(1, 100)    --> does it fail so? Then that is the part now
 *      part:text()              --> as a text trace
 *
 * Numbers count from 1. A try in which a policy in Lua raises gives nil,
 * message, code.
 */
#include <lauxlib.h>
#include <stdio.h>

#include "module.h"
#include "part.h"
#include "programs.h"

#define PART_TYPE "heapwright.part"

enum { LINE_ROOM = 80 };

typedef struct held {
    hpw_part *part;
    chooser *chooser; /* of a policy in Lua, else NULL; kept by the user value */
} held;

static hpw_part *check_part(lua_State *L) {
    held *self = luaL_checkudata(L, 1, PART_TYPE);
    luaL_argcheck(L, self->part, 1, "the part is closed");
    return self->part;
}

/* The part, of which a try is to be replayed. */
static hpw_part *enter(lua_State *L) {
    hpw_part *part = check_part(L);
    const held *self = lua_touserdata(L, 1);
    if (self->chooser) chooser_enter(L, self->chooser);
    return part;
}

static int fail(lua_State *L, const char *message, hpw_error code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, hpw_error_name(code));
    return 3;
}

int programs_part(lua_State *L) {
    programs_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    chooser *scripted;
    hpw_question question = programs_question(L, 2, &scripted);
    luaL_argcheck(L, question.capacity, 2, "capacity is missing");
    held *self = lua_newuserdatauv(L, sizeof *self, 1);
    *self = (held){.chooser = scripted};
    luaL_setmetatable(L, PART_TYPE);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    hpw_error error;
    if (scripted) chooser_enter(L, scripted);
    self->part =
        hpw_part_open(programs_check(L), &question, &error); /* again: the table may have closed it */
    if (scripted && chooser_push_error(L, scripted))
        return fail(L, lua_tostring(L, -1), HPW_INVALID_ARGUMENT);
    if (self->part) return 1;
    return fail(L, error == HPW_LIMIT ? "nothing is refused" : "the replay failed", error);
}

static int close_part(lua_State *L) {
    held *self = luaL_checkudata(L, 1, PART_TYPE);
    hpw_part_close(self->part);
    self->part = NULL;
    return 0;
}

static int count(lua_State *L) {
    hpw_part_counts counts = hpw_part_count(check_part(L));
    lua_pushinteger(L, (lua_Integer)counts.blocks);
    lua_pushinteger(L, (lua_Integer)counts.events);
    lua_pushinteger(L, (lua_Integer)counts.changes);
    lua_pushinteger(L, (lua_Integer)counts.sizes);
    return 4;
}

static int fragmented(lua_State *L) {
    lua_pushboolean(L, hpw_part_is_fragmented(check_part(L)));
    return 1;
}

/* Argument `arg`, a number from 1, counted from 0. */
static uint64_t number_at(lua_State *L, int arg) {
    lua_Integer number = luaL_checkinteger(L, arg);
    luaL_argcheck(L, number >= 1, arg, "numbers count from 1");
    return (uint64_t)number - 1;
}

static int tell(lua_State *L, hpw_error error, bool fails) {
    const held *self = lua_touserdata(L, 1);
    if (self->chooser && chooser_push_error(L, self->chooser))
        return fail(L, lua_tostring(L, -1), HPW_INVALID_ARGUMENT);
    if (error) return fail(L, "no memory for a replay", error);
    lua_pushboolean(L, fails);
    return 1;
}

typedef hpw_error dropping(hpw_part *part, uint64_t first, uint64_t last, bool *fails);

static int drop(lua_State *L, dropping *leave_out) {
    hpw_part *part = enter(L);
    uint64_t first = number_at(L, 2), last = number_at(L, 3);
    bool fails;
    hpw_error error = leave_out(part, first, last, &fails);
    return tell(L, error, fails);
}

static int drop_blocks(lua_State *L) { return drop(L, hpw_part_drop_blocks); }

static int drop_changes(lua_State *L) { return drop(L, hpw_part_drop_changes); }

static int drop_freed(lua_State *L) {
    hpw_part *part = enter(L);
    lua_Integer events = luaL_checkinteger(L, 2);
    luaL_argcheck(L, events >= 0, 2, "negative");
    bool fails;
    hpw_error error = hpw_part_drop_freed(part, (uint64_t)events, &fails);
    return tell(L, error, fails);
}

static int drop_smaller(lua_State *L) {
    hpw_part *part = enter(L);
    lua_Integer least = luaL_checkinteger(L, 2);
    luaL_argcheck(L, least >= 0, 2, "negative");
    bool fails;
    hpw_error error = hpw_part_drop_smaller(part, (uint64_t)least, &fails);
    return tell(L, error, fails);
}

static int size(lua_State *L) {
    hpw_part *part = check_part(L);
    uint64_t number = number_at(L, 2);
    luaL_argcheck(L, number < hpw_part_count(part).sizes, 2, "there are not so many sizes");
    lua_pushinteger(L, (lua_Integer)hpw_part_size(part, number));
    return 1;
}

static int set_size(lua_State *L) {
    hpw_part *part = enter(L);
    uint64_t number = number_at(L, 2);
    luaL_argcheck(L, number < hpw_part_count(part).sizes, 2, "there are not so many sizes");
    lua_Integer wanted = luaL_checkinteger(L, 3);
    luaL_argcheck(L, wanted >= 0, 3, "negative");
    bool fails;
    hpw_error error = hpw_part_set_size(part, number, (uint64_t)wanted, &fails);
    return tell(L, error, fails);
}

/* One event as a line of a text trace; its length. */
static int put_line(char line[LINE_ROOM], const hpw_trace_event *event) {
    unsigned long long id = event->id, bytes = event->size, alignment = event->alignment;
    if (event->kind == HPW_TRACE_FREE) return snprintf(line, LINE_ROOM, "f %llu\n", id);
    if (event->kind == HPW_TRACE_RESIZE) return snprintf(line, LINE_ROOM, "r %llu %llu\n", id, bytes);
    if (!alignment) return snprintf(line, LINE_ROOM, "a %llu %llu\n", id, bytes);
    return snprintf(line, LINE_ROOM, "a %llu %llu %llu\n", id, bytes, alignment);
}

static int text(lua_State *L) {
    const hpw_part *part = check_part(L);
    uint64_t events = hpw_part_count(part).events;
    char line[LINE_ROOM];
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (uint64_t i = 0; i < events; i++) {
        hpw_trace_event event = hpw_part_event(part, i);
        luaL_addlstring(&buffer, line, (size_t)put_line(line, &event));
    }
    luaL_pushresult(&buffer);
    return 1;
}

void programs_open_parts(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"count", count},
        {"fragmented", fragmented},
        {"drop_blocks", drop_blocks},
        {"drop_changes", drop_changes},
        {"drop_freed", drop_freed},
        {"drop_smaller", drop_smaller},
        {"size", size},
        {"set_size", set_size},
        {"text", text},
        {"close", close_part},
        {"__gc", close_part},
        {"__close", close_part},
        {NULL, NULL},
    };
    if (luaL_newmetatable(L, PART_TYPE)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
}
