/* SPDX-License-Identifier: MIT */
/* Loading chunks of text by pieces: see chunk.h. O(1) a piece beside the parser's own work. */
#include "chunk.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "budget.h"

enum { PIECE = 256, BYTES_AN_INSTRUCTION = 16 };

/* ---- A text ---- */

typedef struct source {
    const char *at; /* what the parser did not get yet */
    size_t left;
    bool charged;  /* counts as instructions */
    bool function; /* at stack index 1, is called for more */
} source;

enum { CHUNK = 1, NAME = 2, ENVIRONMENT = 4, KEPT = 5 }; /* arguments of load, and what the reader returned */

/* Asks the function for a text. It may be a C function, which nothing counts. */
static void refill(lua_State *L, source *s) {
    budget_charge(L, 1);
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, CHUNK);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
    lua_replace(L, KEPT);
    s->at = lua_tolstring(L, KEPT, &s->left);
}

static const char *read_text(lua_State *L, void *ud, size_t *size) {
    source *s = ud;
    if (!s->left && s->function) refill(L, s);
    *size = s->left < PIECE ? s->left : PIECE;
    if (!*size) return NULL;
    budget_look(L);
    if (s->charged) budget_charge(L, *size / BYTES_AN_INSTRUCTION);
    const char *piece = s->at;
    s->at += *size;
    s->left -= *size;
    return piece;
}

int chunk_load_text(lua_State *L, const char *text, size_t length, const char *name) {
    source s = {.at = text, .left = length};
    return lua_load(L, read_text, &s, name, "t");
}

/* ---- load ---- */

int chunk_load_function(lua_State *L) {
    source s = {.charged = true};
    bool has_environment = !lua_isnone(L, ENVIRONMENT);
    s.at = lua_tolstring(L, CHUNK, &s.left);
    const char *name = luaL_optstring(L, NAME, s.at ? s.at : "=(load)");
    luaL_optstring(L, 3, "t");
    if (!s.at) {
        luaL_checktype(L, CHUNK, LUA_TFUNCTION);
        s.left = 0;
        s.function = true;
    }
    lua_settop(L, KEPT);
    if (lua_load(L, read_text, &s, name, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(L, ENVIRONMENT);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return 1;
}

/* ---- A file ---- */

typedef struct file {
    FILE *stream;
    int error; /* errno, 0: none */
    size_t size, used;
    char bytes[PIECE];
} file;

static void fill(file *f) {
    f->used = 0;
    errno = 0;
    f->size = fread(f->bytes, 1, sizeof f->bytes, f->stream);
    if (ferror(f->stream)) f->error = errno;
}

static const char *read_file(lua_State *L, void *ud, size_t *size) {
    file *f = ud;
    budget_look(L);
    if (f->used == f->size) fill(f);
    const char *piece = f->bytes + f->used;
    *size = f->size - f->used;
    f->used = f->size;
    return *size ? piece : NULL;
}

/* The mark, and the first line up to its end, so that lines keep their numbers. */
static void skip_beginning(file *f) {
    static const char mark[] = "\xEF\xBB\xBF";
    fill(f);
    if (f->size >= 3 && memcmp(f->bytes, mark, 3) == 0) f->used = 3;
    if (f->used == f->size || f->bytes[f->used] != '#') return;
    while (f->size) {
        const char *end = memchr(f->bytes + f->used, '\n', f->size - f->used);
        if (end) {
            f->used = (size_t)(end - f->bytes);
            return;
        }
        fill(f);
    }
}

/* The chunk's name is on top: the message takes its place. */
static int fail(lua_State *L, const char *what, int error) {
    lua_pushfstring(L, "cannot %s %s: %s", what, lua_tostring(L, -1) + 1, strerror(error));
    lua_remove(L, -2);
    return LUA_ERRFILE;
}

int chunk_load_file(lua_State *L, const char *path) {
    file f = {.error = 0};
    lua_pushfstring(L, "@%s", path);
    f.stream = fopen(path, "r");
    if (!f.stream) return fail(L, "open", errno);
    skip_beginning(&f);
    int status = lua_load(L, read_file, &f, lua_tostring(L, -1), "t");
    fclose(f.stream);
    if (f.error) {
        lua_pop(L, 1);
        return fail(L, "read", f.error);
    }
    lua_remove(L, -2);
    return status;
}
