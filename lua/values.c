/* SPDX-License-Identifier: MIT */
/*
 * The copy of values between states: see values.h.
 *
 * A value is a tag and what it needs, in the machine's own form. A table is its
 * tag, the number of items 1 ... n that lua_next gave first and of other entries,
 * the items without keys, and the entries as key and value. Tables and long strings
 * are numbered in the order in which they begin; a second meeting is REFERENCE and
 * the number. Encoding finds them again by address in an open hash table: O(1) each.
 */
#include "values.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_TYPE "heapwright.values"

enum { SHARED_STRING = 40 };

typedef enum tag { NIL, FALSE, TRUE, INTEGER, FLOAT, STRING, SHARED, TABLE, REFERENCE } tag;

/* ---- What was met before ---- */

typedef struct meeting {
    const void *object; /* NULL: an empty slot */
    size_t number;
    bool open; /* a table that is being written still: to meet it again is a cycle */
} meeting;

/* Why an encoding stopped. */
typedef enum refusal { NO_MEMORY, CYCLE, DEPTH, KEY, KIND } refusal;

/* One encoding. */
typedef struct encoder {
    values *v;
    lua_State *L;
    meeting *met;
    size_t slots, count; /* a power of two, or 0; of them in use */
    int depth;
    int keys[VALUES_DEPTH]; /* stack indices of the keys on the way */
    refusal refusal;
    size_t wanted; /* bytes in all, where there were not so many */
    int type;      /* of what was refused */
} encoder;

static size_t slot_of(const encoder *e, const void *object) {
    size_t at = (size_t)(((uintptr_t)object >> 3) * 0x9E3779B97F4A7C15U >> 16) & (e->slots - 1);
    while (e->met[at].object && e->met[at].object != object) at = (at + 1) & (e->slots - 1);
    return at;
}

static bool grow_met(encoder *e) {
    encoder larger = *e;
    larger.slots = e->slots ? 2 * e->slots : 64;
    larger.met = calloc(larger.slots, sizeof *larger.met);
    if (!larger.met) return false;
    for (size_t i = 0; i < e->slots; i++)
        if (e->met[i].object) larger.met[slot_of(&larger, e->met[i].object)] = e->met[i];
    free(e->met);
    *e = larger;
    return true;
}

/* ---- Writing ---- */

static bool put(encoder *e, const void *bytes, size_t n) {
    values *v = e->v;
    e->wanted = v->size + n;
    if (n > v->capacity - v->size) {
        size_t capacity = v->capacity ? v->capacity : 64;
        while (capacity - v->size < n) {
            if (capacity > SIZE_MAX / 2) return false;
            capacity *= 2;
        }
        unsigned char *larger = realloc(v->bytes, capacity);
        if (!larger) return false;
        v->bytes = larger;
        v->capacity = capacity;
    }
    if (n) memcpy(v->bytes + v->size, bytes, n);
    v->size += n;
    return true;
}

static bool put_tag(encoder *e, tag t) { return put(e, &(unsigned char){(unsigned char)t}, 1); }

static bool put_number(encoder *e, tag t, uint64_t number) {
    return put_tag(e, t) && put(e, &number, sizeof number);
}

static bool refuse(encoder *e, int type, refusal why) {
    e->type = type;
    e->refusal = why;
    return false;
}

/* Was the object at `index` met before? Then *met, and a reference to it is written; else it has its number
 * now. */
static bool put_reference(encoder *e, int index, bool *met) {
    const void *object = lua_topointer(e->L, index);
    if (e->count >= e->slots / 2 && !grow_met(e)) return false;
    meeting *slot = &e->met[slot_of(e, object)];
    *met = slot->object != NULL;
    if (*met) return slot->open ? refuse(e, LUA_TTABLE, CYCLE) : put_number(e, REFERENCE, slot->number);
    *slot = (meeting){.object = object, .number = e->count++};
    return true;
}

static bool put_string(encoder *e, int index) {
    size_t length;
    const char *text = lua_tolstring(e->L, index, &length);
    tag t = length > SHARED_STRING ? SHARED : STRING;
    bool met = false;
    if (t == SHARED && !put_reference(e, index, &met)) return false;
    if (met) return true;
    return put_number(e, t, length) && put(e, text, length);
}

static bool put_value(encoder *e, int index);

/* The entry whose key and value are the two topmost; *items of the table were written so far. */
static bool put_entry(encoder *e, uint64_t *items, uint64_t *entries) {
    lua_State *L = e->L;
    int key = lua_gettop(L) - 1, type = lua_type(L, key);
    e->keys[e->depth - 1] = key;
    if (*entries == 0 && lua_isinteger(L, key) && lua_tointeger(L, key) == (lua_Integer)*items + 1) {
        ++*items;
        return put_value(e, key + 1);
    }
    ++*entries;
    if (type != LUA_TBOOLEAN && type != LUA_TNUMBER && type != LUA_TSTRING) return refuse(e, type, KEY);
    return put_value(e, key) && put_value(e, key + 1);
}

static bool put_table(encoder *e, int index) {
    lua_State *L = e->L;
    uint64_t counts[2] = {0, 0};
    bool met;
    if (!put_reference(e, index, &met)) return false;
    if (met) return true;
    if (e->depth == VALUES_DEPTH) return refuse(e, LUA_TTABLE, DEPTH);
    if (!lua_checkstack(L, 4)) return false;
    e->met[slot_of(e, lua_topointer(L, index))].open = true;
    if (!put_tag(e, TABLE)) return false;
    size_t header = e->v->size;
    if (!put(e, counts, sizeof counts)) return false;
    e->depth++;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!put_entry(e, &counts[0], &counts[1])) return false;
        lua_pop(L, 1);
    }
    e->depth--;
    memcpy(e->v->bytes + header, counts, sizeof counts);
    e->met[slot_of(e, lua_topointer(L, index))].open = false;
    return true;
}

static bool put_value(encoder *e, int index) {
    lua_State *L = e->L;
    lua_Number number;
    int type = lua_type(L, index);
    switch (type) {
    case LUA_TNIL:
        return put_tag(e, NIL);
    case LUA_TBOOLEAN:
        return put_tag(e, lua_toboolean(L, index) ? TRUE : FALSE);
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) return put_number(e, INTEGER, (uint64_t)lua_tointeger(L, index));
        number = lua_tonumber(L, index);
        return put_tag(e, FLOAT) && put(e, &number, sizeof number);
    case LUA_TSTRING:
        return put_string(e, index);
    case LUA_TTABLE:
        return put_table(e, index);
    default:
        return refuse(e, type, KIND);
    }
}

/* ---- What is wrong, and where ---- */

static bool is_name(const char *text, size_t length) {
    if (!length || (text[0] >= '0' && text[0] <= '9')) return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c != '_' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return false;
    }
    return true;
}

/* ".name", "[3]", ["a text"]; long texts are cut. */
static void key_text(lua_State *L, int key, char *text, size_t room) {
    enum { SHOWN = 24 };
    size_t length;
    const char *name;
    switch (lua_type(L, key)) {
    case LUA_TSTRING:
        name = lua_tolstring(L, key, &length);
        if (is_name(name, length) && length <= SHOWN)
            snprintf(text, room, ".%s", name);
        else
            snprintf(text, room, "[\"%.*s%s\"]", SHOWN, name, length > SHOWN ? "..." : "");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, key))
            snprintf(text, room, "[%lld]", (long long)lua_tointeger(L, key));
        else
            snprintf(text, room, "[%.14g]", (double)lua_tonumber(L, key));
        break;
    case LUA_TBOOLEAN:
        snprintf(text, room, "[%s]", lua_toboolean(L, key) ? "true" : "false");
        break;
    default:
        snprintf(text, room, "[a %s]", lua_typename(L, lua_type(L, key)));
    }
}

/* "argument 2 at .a.b[3]": the whole way, or its beginning. */
static void place_text(const encoder *e, const char *what, int number, char *text, size_t room) {
    size_t used = (size_t)snprintf(text, room, "%s %d%s", what, number, e->depth ? " at " : "");
    for (int i = 0; i < e->depth && used < room; i++) {
        char key[64];
        key_text(e->L, e->keys[i], key, sizeof key);
        if (used + strlen(key) + 4 >= room) {
            snprintf(text + used, room - used, "...");
            return;
        }
        used += (size_t)snprintf(text + used, room - used, "%s", key);
    }
}

static void explain(const encoder *e, const char *what, int number) {
    static const char crossing[] = "nil, booleans, numbers, strings and tables of these can be copied";
    values *v = e->v;
    const char *type = lua_typename(e->L, e->type);
    char place[VALUES_MESSAGE / 2];
    place_text(e, what, number, place, sizeof place);
    v->error = HPW_INVALID_ARGUMENT;
    switch (e->refusal) {
    case NO_MEMORY:
        v->error = HPW_NO_MEMORY;
        snprintf(v->message, sizeof v->message, "%s: no memory for a copy of %zu bytes", place, e->wanted);
        break;
    case CYCLE:
        snprintf(v->message, sizeof v->message, "%s is a table that contains it: cycles can't be copied",
                 place);
        break;
    case DEPTH:
        snprintf(v->message, sizeof v->message, "%s is nested more than %d tables deep", place, VALUES_DEPTH);
        break;
    case KEY:
        snprintf(v->message, sizeof v->message, "%s is under a key that is a %s: %s", place, type, crossing);
        break;
    case KIND:
        snprintf(v->message, sizeof v->message, "%s is a %s: %s", place, type, crossing);
        break;
    }
}

bool values_encode(values *v, lua_State *L, int first, int count, const char *what, int number) {
    encoder e = {.v = v, .L = L};
    int top = lua_gettop(L), done = 0;
    bool well = lua_checkstack(L, LUA_MINSTACK);
    while (well && done < count) {
        well = put_value(&e, first + done);
        if (well) done++;
    }
    if (well) {
        v->count = count;
    } else {
        explain(&e, what, number + done);
        v->size = 0;
    }
    lua_settop(L, top);
    free(e.met);
    return well;
}

/* ---- Reading: the bytes are our own, of this process, so they are believed ---- */

typedef struct decoder {
    lua_State *L;
    const unsigned char *at;
    int references; /* stack index of the table of what has a number; nil until something has */
    lua_Integer count;
} decoder;

static void get(decoder *d, void *to, size_t n) {
    memcpy(to, d->at, n);
    d->at += n;
}

static uint64_t get_number(decoder *d) {
    uint64_t number;
    get(d, &number, sizeof number);
    return number;
}

/* Numbers what is on top. */
static void keep(decoder *d) {
    if (!d->count) {
        lua_newtable(d->L);
        lua_replace(d->L, d->references);
    }
    lua_pushvalue(d->L, -1);
    lua_rawseti(d->L, d->references, ++d->count);
}

static int as_int(uint64_t n) { return n > INT_MAX ? INT_MAX : (int)n; }

static void push_value(decoder *d);

static void push_table(decoder *d) {
    uint64_t items = get_number(d), entries = get_number(d);
    luaL_checkstack(d->L, 8, "no stack for a copy");
    lua_createtable(d->L, as_int(items), as_int(entries));
    keep(d);
    for (uint64_t i = 1; i <= items; i++) {
        push_value(d);
        lua_rawseti(d->L, -2, (lua_Integer)i);
    }
    for (uint64_t i = 0; i < entries; i++) {
        push_value(d);
        push_value(d);
        lua_rawset(d->L, -3);
    }
}

static void push_string(decoder *d, size_t length) {
    lua_pushlstring(d->L, (const char *)d->at, length);
    d->at += length;
}

static void push_value(decoder *d) {
    lua_State *L = d->L;
    lua_Number number;
    switch ((tag)*d->at++) {
    case NIL:
        lua_pushnil(L);
        break;
    case FALSE:
        lua_pushboolean(L, false);
        break;
    case TRUE:
        lua_pushboolean(L, true);
        break;
    case INTEGER:
        lua_pushinteger(L, (lua_Integer)get_number(d));
        break;
    case FLOAT:
        get(d, &number, sizeof number);
        lua_pushnumber(L, number);
        break;
    case STRING:
        push_string(d, (size_t)get_number(d));
        break;
    case SHARED:
        push_string(d, (size_t)get_number(d));
        keep(d);
        break;
    case TABLE:
        push_table(d);
        break;
    case REFERENCE:
        lua_rawgeti(L, d->references, (lua_Integer)get_number(d) + 1);
        break;
    }
}

int values_decode(lua_State *L, const values *v) {
    if (!v->count) return 0;
    luaL_checkstack(L, v->count > INT_MAX - 8 ? INT_MAX : v->count + 8, "too many values to copy");
    lua_pushnil(L);
    decoder d = {.L = L, .at = v->bytes, .references = lua_gettop(L)};
    for (const unsigned char *end = v->bytes + v->size; d.at < end;) push_value(&d);
    lua_remove(L, d.references);
    return v->count;
}

/* ---- Their memory ---- */

void values_free(values *v) {
    free(v->bytes);
    *v = (values){0};
}

void values_empty(values *v) {
    enum { KEPT = 4096 };
    if (v->capacity > KEPT) {
        values_free(v);
        return;
    }
    v->size = 0;
    v->count = 0;
    v->error = HPW_OK;
    v->message[0] = '\0';
}

static int collect(lua_State *L) {
    exchange *both = lua_touserdata(L, 1);
    values_free(&both->arguments);
    values_free(&both->results);
    return 0;
}

exchange *values_push(lua_State *L) {
    if (luaL_getmetatable(L, VALUES_TYPE) == LUA_TNIL) { /* known by its name only once it is whole */
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushcfunction(L, collect);
        lua_setfield(L, -2, "__gc");
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, VALUES_TYPE);
    }
    exchange *both = lua_newuserdatauv(L, sizeof *both, 0);
    memset(both, 0, sizeof *both);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    return both;
}
