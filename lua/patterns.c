/* SPDX-License-Identifier: MIT */
/*
 * string.find, match, gmatch and gsub of a state whose budget is watched. Lua's own
 * are one call in C each, whose work can grow as n^k, for a text of n bytes and k
 * repetitions in the pattern, and no hook interrupts them: 20 of them on 40 bytes
 * take longer than anyone lives.
 *
 * So the search is rehearsed first, by a matcher that takes the same steps and counts
 * them: it is charged, looks at the clock, and raises where the budget ends. A search
 * that was rehearsed to its end is then left to Lua, whose call takes no longer than
 * the rehearsal did. What the matcher finds is used for nothing else, so that scripts
 * get what Lua says in every case, errors of patterns among it: the rehearsal ends at
 * them. Searches that can't take more than FEW steps are not rehearsed.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "budget.h"
#include "sandbox.h"

enum {
    FEW = 1024,         /* steps that need no rehearsal */
    COUNTED = 4096,     /* steps that are charged at once */
    AN_INSTRUCTION = 4, /* so many steps */
    DEPTH = 200,        /* where Lua finds a pattern too complex */
    CAPTURES = 32,
    BYTES_A_STEP = 16 /* of what memcmp and memchr do */
};

typedef struct capture {
    const char *start;
    ptrdiff_t length; /* OPEN, POSITION */
} capture;

enum { OPEN = -1, POSITION = -2 };

typedef struct search {
    lua_State *L;
    const char *text, *text_end, *pattern, *pattern_end;
    uint64_t steps; /* not charged yet */
    int depth, level;
    bool stopped; /* at what Lua will call an error */
    capture captures[CAPTURES];
} search;

static void count(search *s, uint64_t steps) {
    s->steps += steps;
    if (s->steps < COUNTED) return;
    budget_charge(s->L, s->steps / AN_INSTRUCTION);
    s->steps = 0;
}

static const char *stop(search *s) {
    s->stopped = true;
    return NULL;
}

/* ---- One character ---- */

/* Behind the class that begins at p: a character, %x, or a set. NULL: malformed. */
static const char *class_end(search *s, const char *p) {
    if (p == s->pattern_end) return stop(s);
    if (*p == '%') return p + 1 == s->pattern_end ? stop(s) : p + 2;
    if (*p != '[') return p + 1;
    p += p[1] == '^' ? 2 : 1;
    const char *first = p;
    for (; p < s->pattern_end; p++) {
        if (*p == ']' && p > first) return p + 1;
        if (*p == '%') p++;
    }
    return stop(s);
}

static bool in_class(int c, char class) {
    static const char letters[] = "acdglpsuwxz";
    bool in;
    int lower = class | 0x20;
    if (!((lower >= 'a' && lower <= 'z') && strchr(letters, lower))) return class == (char)c;
    switch (lower) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    default:
        in = c == 0;
    }
    return in == (class == lower);
}

/* The set from '[' at p to ']' at end - 1. */
static bool in_set(search *s, int c, const char *p, const char *end) {
    bool wanted = p[1] != '^';
    count(s, (uint64_t)(end - p));
    for (p += wanted ? 1 : 2, end--; p < end; p++) {
        if (*p == '%') {
            p++;
            if (in_class(c, *p)) return wanted;
        } else if (p + 2 < end && p[1] == '-') {
            if ((unsigned char)*p <= c && c <= (unsigned char)p[2]) return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

/* Does the character at t fit the class from p to end? */
static bool fits(search *s, const char *t, const char *p, const char *end) {
    count(s, 1);
    if (t >= s->text_end) return false;
    int c = (unsigned char)*t;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, p[1]);
    case '[':
        return in_set(s, c, p, end);
    default:
        return (unsigned char)*p == c;
    }
}

/* ---- The matcher: where the pattern from p on ends when it begins at t; NULL: nowhere ---- */

static const char *match(search *s, const char *t, const char *p);

/* As often as it can, then less. */
static const char *match_most(search *s, const char *t, const char *p, const char *end) {
    ptrdiff_t i = 0;
    while (fits(s, t + i, p, end)) i++;
    for (; i >= 0 && !s->stopped; i--) {
        const char *found = match(s, t + i, end + 1);
        if (found) return found;
    }
    return NULL;
}

/* As seldom as it can, then more. */
static const char *match_least(search *s, const char *t, const char *p, const char *end) {
    for (; !s->stopped; t++) {
        const char *found = match(s, t, end + 1);
        if (found) return found;
        if (!fits(s, t, p, end)) break;
    }
    return NULL;
}

static const char *open_capture(search *s, const char *t, const char *p, ptrdiff_t kind) {
    if (s->level == CAPTURES) return stop(s);
    s->captures[s->level++] = (capture){.start = t, .length = kind};
    const char *found = match(s, t, p);
    if (!found) s->level--;
    return found;
}

static const char *close_capture(search *s, const char *t, const char *p) {
    int i = s->level - 1;
    while (i >= 0 && s->captures[i].length != OPEN) i--;
    if (i < 0) return stop(s);
    s->captures[i].length = t - s->captures[i].start;
    const char *found = match(s, t, p);
    if (!found) s->captures[i].length = OPEN;
    return found;
}

/* Behind the balanced text that begins at t. */
static const char *balanced(search *s, const char *t, const char *p) {
    if (p + 1 >= s->pattern_end) return stop(s);
    if (t >= s->text_end || *t != p[0]) return NULL;
    ptrdiff_t open = 1;
    while (++t < s->text_end) {
        count(s, 1);
        if (*t == p[1]) {
            if (--open == 0) return t + 1;
        } else if (*t == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* Behind what the capture holds, if it comes again at t. */
static const char *again(search *s, const char *t, char digit) {
    int i = digit - '1';
    if (i < 0 || i >= s->level || s->captures[i].length == OPEN) return stop(s);
    size_t length = (size_t)s->captures[i].length;
    if (length > (size_t)(s->text_end - t)) return NULL; /* a position is longer than any text */
    count(s, length / BYTES_A_STEP);
    return memcmp(s->captures[i].start, t, length) == 0 ? t + length : NULL;
}

/* Does the set at p begin to fit between t - 1 and t? Then behind it. */
static const char *frontier(search *s, const char *t, const char *p) {
    if (p >= s->pattern_end || *p != '[') return stop(s);
    const char *end = class_end(s, p);
    if (!end) return NULL;
    int before = t == s->text ? 0 : (unsigned char)t[-1], at = (unsigned char)*t;
    return !in_set(s, before, p, end) && in_set(s, at, p, end) ? end : NULL;
}

/*
 * One item at p that is a class, with what follows it. True: goes on at *t, *p; false:
 * *found is the answer. Recursion is where Lua's is, so that it is as deep as Lua's.
 */
static bool match_class(search *s, const char **t, const char **p, const char **found) {
    const char *class = *p, *end = class_end(s, class);
    *found = NULL;
    if (!end) return false;
    char repeat = end < s->pattern_end ? *end : '\0';
    bool repeated = repeat && strchr("*+?-", repeat);
    if (!fits(s, *t, class, end)) {
        *p = end + 1;
        return repeated && repeat != '+';
    }
    if (!repeated) {
        ++*t;
        *p = end;
        return true;
    }
    if (repeat == '?') {
        *found = match(s, *t + 1, end + 1);
        *p = end + 1;
        return !*found && !s->stopped;
    }
    *found = repeat == '-' ? match_least(s, *t, class, end)
                           : match_most(s, repeat == '+' ? *t + 1 : *t, class, end);
    return false;
}

/* An item that is no class; *t NULL: it does not fit. False: it is one. */
static bool match_special(search *s, const char **t, const char **p) {
    const char *next;
    if (**p != '%' || *p + 1 >= s->pattern_end) return false;
    switch ((*p)[1]) {
    case 'b':
        *t = balanced(s, *t, *p + 2);
        *p += 4;
        return true;
    case 'f':
        next = frontier(s, *t, *p + 2);
        if (next)
            *p = next;
        else
            *t = NULL;
        return true;
    default:
        if ((*p)[1] < '0' || (*p)[1] > '9') return false;
        *t = again(s, *t, (*p)[1]);
        *p += 2;
        return true;
    }
}

static const char *match_items(search *s, const char *t, const char *p) {
    const char *found;
    while (t && !s->stopped && p < s->pattern_end) {
        count(s, 1);
        if (*p == '(') {
            bool position = p + 1 < s->pattern_end && p[1] == ')';
            return open_capture(s, t, p + (position ? 2 : 1), position ? POSITION : OPEN);
        }
        if (*p == ')') return close_capture(s, t, p + 1);
        if (*p == '$' && p + 1 == s->pattern_end) return t == s->text_end ? t : NULL;
        if (!match_special(s, &t, &p) && !match_class(s, &t, &p, &found)) return found;
    }
    return s->stopped ? NULL : t;
}

static const char *match(search *s, const char *t, const char *p) {
    if (++s->depth > DEPTH) return stop(s);
    const char *found = match_items(s, t, p);
    s->depth--;
    return found;
}

/* ---- Rehearsals ---- */

/* Can the search take more than FEW steps? At most n + 1 times for the beginning and for each repetition. */
static bool is_long(const search *s) {
    double n = (double)(s->text_end - s->text) + 1;
    double most = n * (double)(s->pattern_end - s->pattern + 1);
    for (const char *p = s->pattern; p < s->pattern_end && most <= FEW; p++)
        if (memchr("*+-?b", *p, 5)) most *= n;
    return most > FEW;
}

/* The match that begins at t. */
static const char *match_at(search *s, const char *t) {
    s->level = 0;
    s->depth = 0;
    return match(s, t, s->pattern);
}

/*
 * The first match at or after *t that does not end at `last`, where the one before
 * did (NULL: none); *t is where it begins, or behind the end.
 */
static const char *first_match(search *s, const char **t, bool anchored, const char *last) {
    for (; *t <= s->text_end; ++*t) {
        const char *found = match_at(s, *t);
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
        count(s, 1 + (uint64_t)(found - t) / BYTES_A_STEP + length / BYTES_A_STEP);
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
        budget_charge(L, s.steps / AN_INSTRUCTION);
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
        budget_charge(L, s.steps / AN_INSTRUCTION);
    }
    return guarded_original(L);
}

/* gsub(text, pattern, replacement, n) */
static int gsub(lua_State *L) {
    search s;
    if (read_search(L, &s) && is_long(&s)) {
        lua_Integer left = lua_isnoneornil(L, 4) ? LUA_MAXINTEGER : lua_tointeger(L, 4);
        bool anchored = skip_anchor(&s);
        const char *t = s.text, *last = NULL;
        while (left-- > 0 && (last = first_match(&s, &t, anchored, last)) != NULL && !anchored) t = last;
        budget_charge(L, s.steps / AN_INSTRUCTION);
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
        budget_charge(L, s.steps / AN_INSTRUCTION);
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
