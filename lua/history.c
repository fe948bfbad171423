/* SPDX-License-Identifier: MIT */
/*
 * A program's history under one policy, written as a file by the core.
 *
 *      program:write_history { path = "map.svg", format = "svg", policy = "best-fit", order = nil, seed =
 * nil, capacity = nil, granule = nil, classes = nil, title = nil, label = nil, points = 1000 }
 *          --> { the fields of measure's answers, rectangles, drawn, by_time, back_at },
 *              or nil, message, code
 *
 * Formats: svg, perfetto, csv, curves; see core/history_export.h. It takes as long as two
 * replays; Lua waits, but for a policy in Lua.
 */
#include <lauxlib.h>
#include <string.h>

#include "binding.h"
#include "fields.h"
#include "history_export.h"
#include "programs.h"

enum { POINTS = 1000, MOST_POINTS = 1000000 };

static const char *const known[] = {"path",    "format",  "policy", "order", "seed",  "capacity",
                                    "granule", "classes", "title",  "label", "points"};

/* Raises for a key of the table at 2 that is none. */
static void check_keys(lua_State *L) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        size_t i = 0, count = sizeof known / sizeof *known;
        while (i < count && strcmp(known[i], key) != 0) i++;
        if (i == count) luaL_error(L, "write_history: unknown field '%s'", key);
    }
}

/* A string of the table, which stays on the stack; `otherwise` where it is absent. */
static const char *text_field(lua_State *L, const char *key, const char *otherwise) {
    int type = lua_getfield(L, 2, key);
    if (type == LUA_TNIL && otherwise) return otherwise;
    if (type != LUA_TSTRING) luaL_error(L, "write_history: %s must be a string", key);
    return lua_tostring(L, -1);
}

static hpw_export_format format_field(lua_State *L) {
    const char *name = text_field(L, "format", NULL);
    for (int format = 0; format < HPW_EXPORT_FORMATS; format++)
        if (!strcmp(hpw_export_format_name((hpw_export_format)format), name))
            return (hpw_export_format)format;
    return (hpw_export_format)luaL_error(
        L, "write_history: format '%s' is none of svg, perfetto, csv, curves", name);
}

static size_t points_field(lua_State *L) {
    int is_whole = 1;
    lua_Integer points = lua_getfield(L, 2, "points") == LUA_TNIL ? POINTS : lua_tointegerx(L, -1, &is_whole);
    if (!is_whole || points < 1 || points > MOST_POINTS)
        luaL_error(L, "write_history: points must be a whole number from 1 to %d", MOST_POINTS);
    lua_pop(L, 1);
    return (size_t)points;
}

static int push(lua_State *L, const hpw_question *question, const hpw_exported *exported) {
    programs_push_answer(L, question, &exported->answer, 0);
    set_count(L, "rectangles", exported->rectangles);
    set_count(L, "drawn", exported->drawn);
    set_flag(L, "by_time", exported->by_time);
    if (exported->back_at) set_count(L, "back_at", exported->back_at);
    return 1;
}

int programs_write_history(lua_State *L) {
    programs_check(L);
    check_keys(L);
    lua_settop(L, 2);
    hpw_export what = {.format = format_field(L), .points = points_field(L)};
    text_field(L, "path", NULL);
    what.path = path_at(L, lua_gettop(L), 2);
    what.title = text_field(L, "title", programs_name(L));
    chooser *scripted;
    hpw_question question = programs_question(L, 2, &scripted);
    what.policy = text_field(L, "label", question.policy);
    luaL_checkstack(L, 8, NULL);
    if (scripted) chooser_enter(L, scripted);
    const hpw_program *program =
        programs_hold(L); /* the table may have closed it; the policy's functions can't */
    hpw_exported exported;
    hpw_trace_error error = {0};
    bool well =
        hpw_history_export(program, &question, &what, scripted ? &scripted->failed : NULL, &exported, &error);
    programs_release(L);
    if (scripted && chooser_push_error(L, scripted)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        lua_pushstring(L, hpw_error_name(HPW_INVALID_ARGUMENT));
        return 3;
    }
    if (well) return push(L, &question, &exported);
    lua_pushnil(L);
    lua_pushstring(L, error.message);
    lua_pushstring(L, hpw_error_name(error.code));
    return 3;
}
