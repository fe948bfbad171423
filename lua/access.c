/* SPDX-License-Identifier: MIT */
/*
 * Checked access from Lua: read, write, fill, copy, compare, pack, unpack, and the
 * words by which scripts on several threads agree: load, store, fetch_add, cas.
 * The core checks each range and moves the bytes; here they become strings and
 * integers.
 */
#include "binding.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Copies of up to so many bytes go through the C stack, which is cheaper than a buffer of Lua's. */
enum { SMALL = 1024 };

/* May [address, address + n) be read? Reads nothing where it may not. */
static hpw_error check_range(const lua_pool *self, uint64_t address, uint64_t n, hpw_report *report) {
    uint64_t start, requested;
    if (hpw_owner(self->pool, address, &start, &requested, NULL) == HPW_OK && address - start <= requested &&
        n <= requested - (address - start))
        return HPW_OK;
    int order;
    return hpw_compare(self->pool, address, address, n, &order, report); /* for the report */
}

/* push_range where there may be other threads in the pool: by way of a copy. */
static bool push_copy(lua_State *L, const lua_pool *self, uint64_t address, uint64_t n, hpw_report *report) {
    if (n <= SMALL) {
        char bytes[SMALL];
        if (hpw_read(self->pool, address, bytes, (size_t)n, report)) return false;
        lua_pushlstring(L, bytes, (size_t)n);
        return true;
    }
    if (check_range(self, address, n, report)) return false;
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, (size_t)n);
    pool_reader(L); /* a finalizer may have closed it: so after whatever asks Lua for memory */
    if (hpw_read(self->pool, address, bytes, (size_t)n, report)) return false; /* another thread freed it */
    luaL_pushresultsize(&buffer, (size_t)n);
    return true;
}

/*
 * Pushes the n bytes at `address`; false with *report where they can't be read:
 * only when they can may Lua's memory be asked for n bytes.
 *
 * Where nobody else may be in the pool they go right from its memory into the
 * string, with no lock held. lua_pushlstring copies before it lets the collector
 * do its step, and a collection because memory is short runs no finalizers: so
 * nothing closes the pool, or frees the block, before the bytes are out of it.
 */
static bool push_range(lua_State *L, const lua_pool *self, uint64_t address, uint64_t n, hpw_report *report) {
    const void *bytes;
    if (hpw_view(self->pool, address, n, &bytes, report)) return false;
    if (!bytes) return push_copy(L, self, address, n, report);
    lua_pushlstring(L, bytes, (size_t)n);
    return true;
}

/* Bytes from `address` to the end of its block, 0 past the end; false where no live block holds it. */
static bool rest_of_block(const lua_pool *self, uint64_t address, uint64_t *rest, hpw_report *report) {
    uint64_t start, requested;
    if (hpw_owner(self->pool, address, &start, &requested, report)) return false;
    *rest = address - start < requested ? requested - (address - start) : 0;
    return true;
}

/* read(address [, n]) */
static int method_read(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t address = arg_address(L, 2), n = 0;
    int is_integer;
    lua_Integer count = lua_tointegerx(L, 3, &is_integer);
    hpw_report report;
    if (is_integer && count >= 0)
        n = (uint64_t)count;
    else if (!lua_isnoneornil(L, 3))
        n = arg_size(L, 3); /* which raises */
    else if (!rest_of_block(self, address, &n, &report))
        return fail_access(L, "read", &report, self);
    return push_range(L, self, address, n, &report) ? 1 : fail_access(L, "read", &report, self);
}

static int succeed(lua_State *L) {
    lua_pushboolean(L, true);
    return 1;
}

/* write(address, string) */
static int method_write(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2);
    size_t n;
    const char *bytes = lua_tolstring(L, 3, &n);
    if (!bytes) bytes = luaL_checklstring(L, 3, &n); /* which raises */
    if (!self->pool) pool_check(L); /* a finalizer may have closed it while a number became a string */
    hpw_report report;
    if (hpw_write(self->pool, address, bytes, n, &report)) return fail_access(L, "write", &report, self);
    return succeed(L);
}

/* fill(address, byte, n) */
static int method_fill(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2);
    lua_Integer byte = luaL_checkinteger(L, 3);
    luaL_argcheck(L, byte >= 0 && byte <= 255, 3, "a byte is 0 to 255");
    uint64_t n = arg_size(L, 4);
    hpw_report report;
    if (hpw_fill(self->pool, address, (int)byte, n, &report)) return fail_access(L, "fill", &report, self);
    return succeed(L);
}

/* copy(to, from, n) */
static int method_copy(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t to = arg_address(L, 2), from = arg_address(L, 3), n = arg_size(L, 4);
    hpw_report report;
    if (hpw_copy(self->pool, to, from, n, &report)) return fail_access(L, "copy", &report, self);
    return succeed(L);
}

/* compare(a, b, n) */
static int method_compare(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t a = arg_address(L, 2), b = arg_address(L, 3), n = arg_size(L, 4);
    int order = 0;
    hpw_report report;
    if (hpw_compare(self->pool, a, b, n, &order, &report)) return fail_access(L, "compare", &report, self);
    lua_pushinteger(L, order);
    return 1;
}

/* ---- Words ---- */

/* An integer as the word that it is in memory, and back. */
static uint64_t arg_word(lua_State *L, int arg) { return (uint64_t)luaL_checkinteger(L, arg); }

static int push_word(lua_State *L, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    return 1;
}

/* load(address) */
static int method_load(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t value;
    hpw_report report;
    if (hpw_load(self->pool, arg_address(L, 2), &value, &report))
        return fail_access(L, "load", &report, self);
    return push_word(L, value);
}

/* store(address, value) */
static int method_store(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2), value = arg_word(L, 3);
    hpw_report report;
    if (hpw_store(self->pool, address, value, &report)) return fail_access(L, "store", &report, self);
    return succeed(L);
}

/* fetch_add(address, n): the value before */
static int method_fetch_add(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2), addend = arg_word(L, 3), before;
    hpw_report report;
    if (hpw_fetch_add(self->pool, address, addend, &before, &report))
        return fail_access(L, "fetch_add", &report, self);
    return push_word(L, before);
}

/* cas(address, old, new): whether it was `old`, and what it was */
static int method_cas(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2), found = arg_word(L, 3), desired = arg_word(L, 4);
    bool exchanged;
    hpw_report report;
    if (hpw_compare_exchange(self->pool, address, &found, desired, &exchanged, &report))
        return fail_access(L, "cas", &report, self);
    lua_pushboolean(L, exchanged);
    push_word(L, found);
    return 2;
}

/* ---- pack and unpack: string.pack's formats ---- */

enum { FORMAT = 3 }; /* the argument that holds the format, here and in blocks; it is string.pack's first */

/* Their argument 1 is our FORMAT. */
int format_raise(lua_State *L) {
    const char *message = lua_tostring(L, -1), *colon;
    int number = 1;
    if (!message) return lua_error(L);
    if (sscanf(message, "bad argument #%d to ", &number) == 1 && (colon = strstr(message, "' (")) != NULL) {
        size_t length = strlen(colon + 3);
        lua_pushlstring(L, colon + 3, length ? length - 1 : 0); /* less the closing parenthesis */
        message = lua_tostring(L, -1);
    }
    return luaL_argerror(L, FORMAT + number - 1, message);
}

int format_call(lua_State *L, int upvalue, int count, int results) {
    lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_insert(L, -count - 1);
    int status = lua_pcall(L, count, results, 0);
    if (status != LUA_OK && status != LUA_ERRRUN) lua_error(L);
    return status;
}

bool format_size(lua_State *L, int upvalue, uint64_t *n) {
    lua_pushvalue(L, FORMAT);
    bool fixed = format_call(L, upvalue, 1, 1) == LUA_OK;
    if (fixed)
        *n = (uint64_t)lua_tointeger(L, -1);
    else if (!lua_isstring(L, -1) || !strstr(lua_tostring(L, -1), "variable-"))
        format_raise(L);
    lua_pop(L, 1);
    return fixed;
}

/*
 * pack(address, format, ...); upvalue 1 is string.pack, 2 string.packsize. What is large and does not fit is
 * not made first: "c2147483647" is a format of 11 bytes.
 */
static int method_pack(lua_State *L) {
    pool_self(L);
    uint64_t address = arg_address(L, 2), size = 0, rest = 0;
    hpw_report report = {.error = HPW_OK};
    luaL_checkstring(L, FORMAT);
    if (format_size(L, 2, &size) && size > SMALL) {
        const lua_pool *self = pool_self(L);
        if (rest_of_block(self, address, &rest, &report) && size > rest)
            check_range(self, address, size, &report);
        if (report.error) return fail_access(L, "pack", &report, self);
    }
    if (format_call(L, 1, lua_gettop(L) - FORMAT + 1, 1) != LUA_OK) return format_raise(L);
    size_t n;
    const char *bytes = lua_tolstring(L, -1, &n);
    lua_pool *self = pool_self(L);
    if (hpw_write(self->pool, address, bytes, n, &report)) return fail_access(L, "pack", &report, self);
    return succeed(L);
}

bool format_ran_out(const char *message) {
    return message && (strstr(message, "data string too short") || strstr(message, "unfinished string"));
}

/* unpack(address, format); upvalue 1 is string.unpack, 2 string.packsize */
static int method_unpack(lua_State *L) {
    pool_reader(L);
    uint64_t address = arg_address(L, 2), n = 0;
    const char *format = luaL_checkstring(L, FORMAT);
    hpw_report report;
    lua_settop(L, FORMAT);
    bool fixed = format_size(L, 2, &n);
    lua_pool *self = pool_reader(L);
    if (!fixed && !rest_of_block(self, address, &n, &report)) return fail_access(L, "unpack", &report, self);
    lua_settop(L, FORMAT);
    lua_pushvalue(L, FORMAT);
    if (!push_range(L, self, address, n, &report)) return fail_access(L, "unpack", &report, self);
    if (format_call(L, 1, 2, LUA_MULTRET) == LUA_OK) {
        lua_pop(L, 1); /* where the next would be read */
        return lua_gettop(L) - FORMAT;
    }
    if (!format_ran_out(lua_tostring(L, -1))) return format_raise(L);
    return fail_with(L, HPW_OUT_OF_BOUNDS,
                     "unpack of '%.40s' at 0x%" PRIx64 " runs past the block's end, %" PRIu64 " %s on",
                     format, address, n, n == 1 ? "byte" : "bytes");
}

/* Pushes string[name]. */
static void push_string_function(lua_State *L, const char *name) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "string") != LUA_TTABLE || lua_getfield(L, -1, name) != LUA_TFUNCTION)
        luaL_error(L, "heapwright needs string.%s: open the string library first", name);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void format_add_methods(lua_State *L, lua_CFunction pack, lua_CFunction unpack) {
    push_string_function(L, "pack");
    push_string_function(L, "packsize");
    lua_pushcclosure(L, pack, 2);
    lua_setfield(L, -2, "pack");
    push_string_function(L, "unpack");
    push_string_function(L, "packsize");
    lua_pushcclosure(L, unpack, 2);
    lua_setfield(L, -2, "unpack");
}

void access_open(lua_State *L) { format_add_methods(L, method_pack, method_unpack); }

const luaL_Reg access_methods[] = {
    {"read", method_read},       {"write", method_write},
    {"fill", method_fill},       {"copy", method_copy},
    {"compare", method_compare}, {"load", method_load},
    {"store", method_store},     {"fetch_add", method_fetch_add},
    {"cas", method_cas},         {NULL, NULL},
};
