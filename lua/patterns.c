/* SPDX-License-Identifier: MIT */
/*
 * string.find, match, gmatch and gsub of a state whose budget is watched. Lua's own
 * are one call in C each, whose work can grow as n^k, for a text of n bytes and k
 * repetitions in the pattern, and no hook interrupts them: 20 of them on 40 bytes
 * take longer than anyone lives.
 *
 * So the search is rehearsed first, by a matcher (search.c) that takes the same steps
 * and counts them: it is charged, looks at the clock, and raises where the budget
 * ends. A search that was rehearsed to its end is then left to Lua, whose call takes
 * about as long as the rehearsal did. What the matcher finds is used for nothing else,
 * so that scripts get what Lua says in every case, errors of patterns among it: the
 * rehearsal ends at them. Searches that can't take more than FEW steps are not
 * rehearsed.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "sandbox.h"
#include "search.h"

enum { FEW = 1024 }; /* steps that need no rehearsal */

/* Can the search take more than FEW steps? At most n + 1 times for the beginning and for each repetition. */
static bool is_long(const search *s) {
    double n = (double)(s->text_end - s->text) + 1;
    double most = n * (double)(s->pattern_end - s->pattern + 1);
    for (const char *p = s->pattern; p < s->pattern_end && most <= FEW; p++)
        if (memchr("*+-?b", *p, 5)) most *= n;
    return most > FEW;
}

/*
 * The first match at or after *t that does not end at `last`, where the one before
 * did (NULL: none); *t is where it begins, or behind the end.
 */
static const char *first_match(search *s, const char **t, bool anchored, const char *last) {
    for (; *t <= s->text_end; ++*t) {
        const char *found = search_at(s, *t);
        if (s->stopped || (found && found != last)) return found;
        if (anchored) break;
    }
    *t = s->text_end + 1;
    return NULL;
}

/* A search for the pattern as it stands. */
static void rehearse_plain(search *s, const char *t) {
    size_t length = (size_t)(s->pattern_end - s->pattern);
    while (t <= s->text_end && length && length <= (size_t)(s->text_end - t)) {
        const char *found = memchr(t, *s->pattern, (size_t)(s->text_end - t) - length + 1);
        if (!found) return;
        search_count(s, 1 + (uint64_t)(found - t) / SEARCH_BYTES_A_STEP + length / SEARCH_BYTES_A_STEP);
        if (memcmp(found, s->pattern, length) == 0) return;
        t = found + 1;
    }
}

/* Arguments 1 and 2 as a search. False where they are no texts: Lua says so. */
static bool read_search(lua_State *L, search *s) {
    size_t length;
    if (!lua_isstring(L, 1) || !lua_isstring(L, 2)) return false;
    s->L = L;
    s->text = lua_tolstring(L, 1, &length);
    s->text_end = s->text + length;
    s->pattern = lua_tolstring(L, 2, &length);
    s->pattern_end = s->pattern + length;
    s->steps = 0;
    s->stopped = false;
    return true;
}

static bool skip_anchor(search *s) {
    bool anchored = s->pattern < s->pattern_end && *s->pattern == '^';
    if (anchored) s->pattern++;
    return anchored;
}

/* Where argument 3 says that the search begins: behind the end at most by one. */
static const char *beginning(lua_State *L, const search *s) {
    lua_Integer init = lua_tointeger(L, 3), length = s->text_end - s->text;
    if (lua_isnoneornil(L, 3) || init == 0 || init < -length) init = 1;
    if (init < 0) init += length + 1;
    return init > length + 1 ? s->text_end + 1 : s->text + (init - 1);
}

static void rehearse(search *s, const char *t) {
    bool anchored = skip_anchor(s);
    first_match(s, &t, anchored, NULL);
}

/* match(text, pattern, init) */
static int match_text(lua_State *L) {
    search s;
    if (read_search(L, &s) && is_long(&s)) {
        rehearse(&s, beginning(L, &s));
        search_charge(&s);
    }
    return guarded_original(L);
}

static bool has_specials(const search *s) {
    for (const char *p = s->pattern; p < s->pattern_end; p++)
        if (memchr("^$*+?.([%-", *p, 10)) return true;
    return false;
}

/* find(text, pattern, init, plain) */
static int find(lua_State *L) {
    search s;
    if (read_search(L, &s) && is_long(&s)) {
        if (lua_toboolean(L, 4) || !has_specials(&s))
            rehearse_plain(&s, beginning(L, &s));
        else
            rehearse(&s, beginning(L, &s));
        search_charge(&s);
    }
    return guarded_original(L);
}

/* How many % a replacement that is a text has. */
static uint64_t escapes(lua_State *L) {
    size_t length;
    uint64_t count = 0;
    if (!lua_isstring(L, 3)) return 0;
    const char *p = lua_tolstring(L, 3, &length), *end = p + length;
    while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
        count++;
        p += p + 1 < end ? 2 : 1;
    }
    return count;
}

/*
 * Where captures are empty, a replacement of a million of them adds nothing, and takes
 * its time for each match: more than results that are there could need is refused.
 */
static uint64_t most_escapes(const search *s) { return 10000000 + 16 * (uint64_t)(s->text_end - s->text); }

/* The matches of gsub, at most `left`; each takes an instruction for each of its replacement's escapes. */
static void rehearse_all(search *s, lua_Integer left, uint64_t each) {
    bool anchored = skip_anchor(s);
    const char *t = s->text, *last = NULL;
    uint64_t replaced = 0, most = most_escapes(s);
    while (left-- > 0 && (last = first_match(s, &t, anchored, last)) != NULL) {
        replaced += each;
        search_count(s, each * SEARCH_STEPS_AN_INSTRUCTION);
        if (replaced > most)
            luaL_error(s->L, "captures to replace by: %I and more, of a text of %I bytes %I at most",
                       (LUAI_UACINT)replaced, (LUAI_UACINT)(s->text_end - s->text), (LUAI_UACINT)most);
        if (anchored) return;
        t = last;
    }
}

/* gsub(text, pattern, replacement, n) */
static int gsub(lua_State *L) {
    search s;
    uint64_t each = escapes(L);
    if (read_search(L, &s) && (is_long(&s) || each * (uint64_t)(s.text_end - s.text + 1) > FEW)) {
        rehearse_all(&s, lua_isnoneornil(L, 4) ? LUA_MAXINTEGER : lua_tointeger(L, 4), each);
        search_charge(&s);
    }
    return guarded_original(L);
}

/*
 * A call of what gmatch returned. Upvalues: Lua's own iterator, text, pattern, where
 * the next search begins, where the last match ended (-1: none), both from 0.
 */
static int next_match(lua_State *L) {
    search s;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, lua_upvalueindex(3));
    if (read_search(L, &s) && is_long(&s)) {
        lua_Integer ended = lua_tointeger(L, lua_upvalueindex(5));
        const char *t = s.text + lua_tointeger(L, lua_upvalueindex(4));
        const char *found = first_match(&s, &t, false, ended < 0 ? NULL : s.text + ended);
        lua_pushinteger(L, (found ? found : s.text_end + 1) - s.text);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(4));
        lua_replace(L, lua_upvalueindex(5));
        search_charge(&s);
    }
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    int status = lua_pcall(L, 0, LUA_MULTRET, 0);
    if (status == LUA_OK) return lua_gettop(L);
    if (status != LUA_ERRMEM) { /* what is wrong with the pattern: where comes first */
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* gmatch(text, pattern, init) */
static int gmatch(lua_State *L) {
    search s;
    luaL_checkstring(L, 1); /* what Lua's own would say of them, in this frame */
    luaL_checkstring(L, 2);
    luaL_optinteger(L, 3, 1);
    lua_settop(L, 3);
    read_search(L, &s);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 3, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, beginning(L, &s) - s.text);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, next_match, 5);
    return 1;
}

void patterns_open(lua_State *L) {
    static const luaL_Reg guards[] = {
        {"find", find}, {"match", match_text}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
    lua_getglobal(L, LUA_STRLIBNAME);
    for (const luaL_Reg *g = guards; g->name; g++) {
        lua_getfield(L, -1, g->name);
        lua_pushcclosure(L, g->func, 1);
        lua_setfield(L, -2, g->name);
    }
    lua_pop(L, 1);
}
