/* SPDX-License-Identifier: MIT */
/*
 * Block objects: mem:block(n), a userdata that owns n zeroed bytes of a pool and frees
 * them at <close>, at collection or by `free`; and mem:compact(), which may move them.
 * Offsets count from the block's first byte. Each access finds the block where it lies
 * just now, under the mutex of movables.h, so a compaction by another thread waits for
 * it, as it waits for that.
 *
 * An object keeps its handle of the pool alive. A handle that is closed frees the blocks of its
 * objects; a reset, by whichever state, tells them that they have none. Cost of an access: that of
 * the pool's own, and of the mutex.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "fields.h"

#define BLOCK_TYPE "heapwright.block"

typedef struct lua_block {
    movable *m;     /* NULL: not made yet */
    lua_pool *pool; /* user value 1 */
} lua_block;

enum { SMALL = 1024, FORMAT = 3, TEXT = 48 };

/* ---- Self ---- */

/* For methods that change nothing: they are answered while the pool's policy, in Lua, chooses, too. */
static lua_block *block_reader(lua_State *L) {
    lua_block *self = luaL_checkudata(L, 1, BLOCK_TYPE);
    if (!self->m || !self->pool->pool) luaL_argerror(L, 1, "pool is closed");
    return self;
}

static lua_block *block_self(lua_State *L) {
    lua_block *self = block_reader(L);
    if (self->pool->chooser) pool_enter_chosen(L, self->pool);
    return self;
}

static movables *all_of(const lua_block *self) { return share_movables(self->pool->share); }

/* ---- What is wrong ---- */

static int fail_gone(lua_State *L, const char *operation, movable_state state) {
    return fail_with(L, HPW_UNALLOCATED, "%s: the block was freed%s", operation,
                     state == MOVABLE_RESET ? " by a reset of its pool" : "");
}

/* [offset, offset + n) does not lie in the block. */
static int fail_range(lua_State *L, const char *operation, uint64_t offset, uint64_t n, uint64_t size) {
    int64_t at = (int64_t)offset;
    char what[2 * TEXT], where[2 * TEXT];
    snprintf(what, sizeof what, "%.16s of %" PRIu64 " %s at offset %" PRId64, operation, n,
             n == 1 ? "byte" : "bytes", at);
    bool starts_past = offset > size;
    uint64_t past = starts_past ? offset - size : offset + n - size;
    if (at < 0)
        snprintf(where, sizeof where, "starts before the");
    else
        snprintf(where, sizeof where, "%s %" PRIu64 " %s past the", starts_past ? "starts" : "runs", past,
                 past == 1 ? "byte" : "bytes");
    return fail_with(L, HPW_OUT_OF_BOUNDS, "%s %s %" PRIu64 "-byte block", what, where, size);
}

/* ---- Access ---- */

/* A range of a block, and what a call found of it. */
typedef struct range {
    const char *operation;
    uint64_t offset, n;
    uint64_t size; /* the block's, and its state, when it was looked at */
    movable_state state;
    hpw_report report;
} range;

/* Does the block hold the range? Of no bytes, at its end, nothing is left to ask the pool. The mutex is held.
 */
static bool holds(const movable *m, range *r) {
    r->size = m->size;
    r->state = m->state;
    return m->state == MOVABLE_LIVE && r->offset <= m->size && r->n <= m->size - r->offset;
}

static int fail(lua_State *L, const lua_block *self, const range *r) {
    if (r->report.error) return fail_access(L, r->operation, &r->report, self->pool);
    if (r->state != MOVABLE_LIVE) return fail_gone(L, r->operation, r->state);
    return fail_range(L, r->operation, r->offset, r->n, r->size);
}

static int succeed(lua_State *L) {
    lua_pushboolean(L, true);
    return 1;
}

static bool fits(const lua_block *self, range *r) {
    movables *all = all_of(self);
    movables_enter(all);
    bool well = holds(self->m, r);
    movables_leave(all);
    return well;
}

static bool read_bytes(const lua_block *self, range *r, void *to) {
    movables *all = all_of(self);
    movables_enter(all);
    bool well = holds(self->m, r) && (!r->n || !hpw_read(self->pool->pool, self->m->address + r->offset, to,
                                                         (size_t)r->n, &r->report));
    movables_leave(all);
    return well;
}

static bool write_bytes(const lua_block *self, range *r, const void *from) {
    movables *all = all_of(self);
    movables_enter(all);
    bool well = holds(self->m, r) && (!r->n || !hpw_write(self->pool->pool, self->m->address + r->offset,
                                                          from, (size_t)r->n, &r->report));
    movables_leave(all);
    return well;
}

/* Lies it there now? Before Lua's memory is asked for so many bytes. */
static bool has_range(const lua_block *self, range *r) {
    movables *all = all_of(self);
    movables_enter(all);
    bool well = holds(self->m, r);
    movables_leave(all);
    return well;
}

/* Pushes the range; false with what is wrong. */
static bool push_range(lua_State *L, const lua_block *self, range *r) {
    if (r->n <= SMALL) {
        char bytes[SMALL];
        if (!read_bytes(self, r, bytes)) return false;
        lua_pushlstring(L, bytes, (size_t)r->n);
        return true;
    }
    if (!has_range(self, r)) return false;
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, (size_t)r->n);
    block_reader(L); /* a finalizer may have closed the pool */
    if (!read_bytes(self, r, bytes)) return false;
    luaL_pushresultsize(&buffer, (size_t)r->n);
    return true;
}

/* From the offset to the block's end. */
static uint64_t rest(const lua_block *self, uint64_t offset) {
    uint64_t size = self->m->size;
    return offset < size ? size - offset : 0;
}

/* read([offset [, n]]) */
static int method_read(lua_State *L) {
    lua_block *self = block_reader(L);
    range r = {.operation = "read"};
    if (!lua_isnoneornil(L, 2)) r.offset = arg_address(L, 2);
    r.n = lua_isnoneornil(L, 3) ? rest(self, r.offset) : arg_size(L, 3);
    return push_range(L, self, &r) ? 1 : fail(L, self, &r);
}

/* write(offset, string) */
static int method_write(lua_State *L) {
    range r = {.operation = "write"};
    size_t n;
    block_self(L);
    r.offset = arg_address(L, 2);
    const char *bytes = luaL_checklstring(L, 3, &n);
    lua_block *self = block_self(L); /* a finalizer may have closed the pool while a number became a string */
    r.n = n;
    return write_bytes(self, &r, bytes) ? succeed(L) : fail(L, self, &r);
}

/* fill(offset, byte, n) */
static int method_fill(lua_State *L) {
    lua_block *self = block_self(L);
    range r = {.operation = "fill", .offset = arg_address(L, 2)};
    lua_Integer byte = luaL_checkinteger(L, 3);
    luaL_argcheck(L, byte >= 0 && byte <= 255, 3, "a byte is 0 to 255");
    r.n = arg_size(L, 4);
    movables *all = all_of(self);
    movables_enter(all);
    bool well = holds(self->m, &r) &&
                (!r.n || !hpw_fill(self->pool->pool, self->m->address + r.offset, (int)byte, r.n, &r.report));
    movables_leave(all);
    return well ? succeed(L) : fail(L, self, &r);
}

/* Does the block hold [a, a + n) and [b, b + n)? Else r->offset is the first that is wrong. The mutex is
 * held. */
static bool holds_both(const movable *m, range *r, uint64_t a, uint64_t b) {
    r->offset = a;
    if (!holds(m, r)) return false;
    r->offset = b;
    return holds(m, r);
}

/* copy(to, from, n): within the block */
static int method_copy(lua_State *L) {
    lua_block *self = block_self(L);
    uint64_t to = arg_address(L, 2), from = arg_address(L, 3), start;
    range r = {.operation = "copy", .n = arg_size(L, 4)};
    movables *all = all_of(self);
    movables_enter(all);
    start = self->m->address;
    bool well = holds_both(self->m, &r, from, to) &&
                (!r.n || !hpw_copy(self->pool->pool, start + to, start + from, r.n, &r.report));
    movables_leave(all);
    return well ? succeed(L) : fail(L, self, &r);
}

/* compare(a, b, n): within the block */
static int method_compare(lua_State *L) {
    lua_block *self = block_reader(L);
    uint64_t a = arg_address(L, 2), b = arg_address(L, 3), start;
    range r = {.operation = "compare", .n = arg_size(L, 4)};
    movables *all = all_of(self);
    int order = 0;
    movables_enter(all);
    start = self->m->address;
    bool well = holds_both(self->m, &r, a, b) &&
                (!r.n || !hpw_compare(self->pool->pool, start + a, start + b, r.n, &order, &r.report));
    movables_leave(all);
    if (!well) return fail(L, self, &r);
    lua_pushinteger(L, order);
    return 1;
}

/* pack(offset, format, ...); upvalue 1 is string.pack */
static int method_pack(lua_State *L) {
    range r = {.operation = "pack"};
    size_t n;
    block_self(L);
    r.offset = arg_address(L, 2);
    luaL_checkstring(L, FORMAT);
    if (format_size(L, 2, &r.n) && r.n > SMALL) { /* what is large and does not fit is not made first */
        const lua_block *self = block_self(L);
        if (!fits(self, &r)) return fail(L, self, &r);
    }
    if (format_call(L, 1, lua_gettop(L) - FORMAT + 1, 1) != LUA_OK) return format_raise(L);
    const char *bytes = lua_tolstring(L, -1, &n);
    lua_block *self = block_self(L);
    r.n = n;
    return write_bytes(self, &r, bytes) ? succeed(L) : fail(L, self, &r);
}

/* unpack(offset, format); upvalue 1 is string.unpack, 2 string.packsize */
static int method_unpack(lua_State *L) {
    range r = {.operation = "unpack"};
    block_reader(L);
    r.offset = arg_address(L, 2);
    const char *format = luaL_checkstring(L, FORMAT);
    lua_settop(L, FORMAT);
    bool fixed = format_size(L, 2, &r.n);
    lua_block *self = block_reader(L);
    if (!fixed) r.n = rest(self, r.offset);
    lua_settop(L, FORMAT);
    lua_pushvalue(L, FORMAT);
    if (!push_range(L, self, &r)) return fail(L, self, &r);
    if (format_call(L, 1, 2, LUA_MULTRET) == LUA_OK) {
        lua_pop(L, 1); /* where the next would be read */
        return lua_gettop(L) - FORMAT;
    }
    if (!format_ran_out(lua_tostring(L, -1))) return format_raise(L);
    return fail_with(L, HPW_OUT_OF_BOUNDS,
                     "unpack of '%.40s' at offset %" PRIu64 " runs past the block's end, %" PRIu64 " %s on",
                     format, r.offset, r.n, r.n == 1 ? "byte" : "bytes");
}

/* ---- The block as a whole ---- */

/* What is known of the block just now. */
static movable look(const lua_block *self) {
    movables *all = all_of(self);
    movables_enter(all);
    movable now = *self->m;
    movables_leave(all);
    return now;
}

/* size() */
static int method_size(lua_State *L) {
    movable now = look(block_reader(L));
    if (now.state != MOVABLE_LIVE) return fail_gone(L, "size", now.state);
    push_bytes(L, now.size);
    return 1;
}

/* address(): until the next compaction */
static int method_address(lua_State *L) {
    movable now = look(block_reader(L));
    if (now.state != MOVABLE_LIVE) return fail_gone(L, "address", now.state);
    push_bytes(L, now.address);
    return 1;
}

/* resize(n): what is new is zero */
static int method_resize(lua_State *L) {
    lua_block *self = block_self(L);
    uint64_t size = arg_size(L, 2);
    hpw_report report;
    note_site(L, self->pool);
    hpw_error error = movables_resize(all_of(self), self->m, size, &report);
    if (!error) return succeed(L);
    if (error == HPW_NO_MEMORY) return fail_memory(L, size, 0, NULL, self->pool);
    return report.error ? fail_block(L, "resize", &report, self->pool)
                        : fail_gone(L, "resize", look(self).state);
}

/* Frees the block where there is one; the pool is open. */
static hpw_error give(lua_State *L, const lua_block *self, hpw_report *report) {
    note_site(L, self->pool);
    return movables_give(all_of(self), self->m, report);
}

/* free() */
static int method_free(lua_State *L) {
    const lua_block *self = block_self(L);
    uint64_t size = self->m->size;
    hpw_report report;
    if (!give(L, self, &report)) return succeed(L);
    if (report.error) return fail_block(L, "free", &report, self->pool);
    if (look(self).state == MOVABLE_RESET) return fail_gone(L, "free", MOVABLE_RESET);
    return fail_with(L, HPW_DOUBLE_FREE, "double free of a block object of %" PRIu64 " %s", size,
                     size == 1 ? "byte" : "bytes");
}

/* close(), __close: freeing it again does nothing */
static int method_close(lua_State *L) {
    const lua_block *self = luaL_checkudata(L, 1, BLOCK_TYPE);
    hpw_report report;
    if (self->m && self->pool->pool && self->pool->chooser) chooser_rest(L, self->pool->chooser);
    if (!self->m || !self->pool->pool || !give(L, self, &report) || !report.error) return succeed(L);
    return fail_block(L, "close", &report, self->pool);
}

/* Gives the block where it is live, and ends what is known of it: it is in the handle's list. */
static void drop(lua_pool *pool, movable *m) {
    movables_drop(share_movables(pool->share), m);
    if (m->next) m->next->previous = m->previous;
    *(m->previous ? &m->previous->next : &pool->movables) = m->next;
    free(m);
}

/* __gc */
static int meta_gc(lua_State *L) {
    lua_block *self = luaL_checkudata(L, 1, BLOCK_TYPE);
    lua_pool *pool = self->pool;
    movable *m = self->m;
    self->m = NULL;
    if (!m) return 0;
    if (!pool->pool) { /* the list is gone */
        free(m);
    } else if (pool->chooser && pool->chooser->choosing) {
        m->orphan = pool->chooser->orphans = true;
    } else {
        note_site(L, pool);
        drop(pool, m);
    }
    return 0;
}

static int meta_tostring(lua_State *L) {
    const lua_block *self = luaL_checkudata(L, 1, BLOCK_TYPE);
    if (self->m && self->pool->pool && look(self).state == MOVABLE_LIVE)
        lua_pushfstring(L, "heapwright block (%I bytes)", (LUAI_UACINT)self->m->size);
    else
        lua_pushliteral(L, "heapwright block (freed)");
    return 1;
}

/* ---- Methods of a pool ---- */

static lua_block *push_block(lua_State *L) {
    lua_block *self = lua_newuserdatauv(L, sizeof *self, 1);
    *self = (lua_block){.pool = lua_touserdata(L, 1)};
    luaL_setmetatable(L, BLOCK_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return self;
}

/* block(size [, alignment]) */
static int method_block(lua_State *L) {
    pool_self(L);
    uint64_t size = arg_size(L, 2);
    lua_Integer alignment = luaL_optinteger(L, 3, 1);
    if (alignment <= 0 || (alignment & (alignment - 1)))
        return fail_with(L, HPW_INVALID_ARGUMENT, "block: the alignment %lld is not a power of two",
                         (long long)alignment);
    lua_block *self = push_block(L);
    lua_pool *pool = pool_self(L); /* a finalizer may have closed it */
    hpw_report report;
    movable *m = self->m = calloc(1, sizeof *m);
    if (!m) return fail_with(L, HPW_NO_MEMORY, "block: no memory for a block object");
    m->next = pool->movables;
    if (m->next) m->next->previous = m;
    pool->movables = m;
    note_site(L, pool);
    hpw_error error = movables_add(share_movables(pool->share), m, size, (uint64_t)alignment, &report);
    if (!error) return 1;
    if (report.what && strstr(report.what, "object"))
        return fail_with(L, HPW_NO_MEMORY, "block: %s", report.what);
    return fail_request(L, &report, size, alignment > 1 ? (uint64_t)alignment : 0, pool);
}

/* compact(): bytes won, blocks and bytes moved */
static int method_compact(lua_State *L) {
    hpw_compaction done = {0};
    const lua_pool *self = pool_self(L);
    if (movables_compact(share_movables(self->share), &done)) return fail_refused(L, "compact", self);
    push_bytes(L, done.won);
    push_bytes(L, done.moved_blocks);
    push_bytes(L, done.moved_bytes);
    return 3;
}

void blocks_close(lua_pool *self) {
    movables *all = share_movables(self->share);
    for (movable *m = self->movables, *next; m; m = next) {
        next = m->next;
        movables_drop(all, m);
        if (m->orphan) free(m);
    }
    self->movables = NULL;
}

void blocks_sweep(lua_pool *self) {
    self->chooser->orphans = false;
    for (movable *m = self->movables, *next; m; m = next) {
        next = m->next;
        if (m->orphan) drop(self, m);
    }
}

/* ---- The type ---- */

static const luaL_Reg methods[] = {
    {"read", method_read},
    {"write", method_write},
    {"fill", method_fill},
    {"copy", method_copy},
    {"compare", method_compare},
    {"size", method_size},
    {"resize", method_resize},
    {"address", method_address},
    {"free", method_free},
    {"close", method_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", meta_gc},
    {"__close", method_close},
    {"__tostring", meta_tostring},
    {NULL, NULL},
};

void block_open(lua_State *L) {
    if (luaL_getmetatable(L, BLOCK_TYPE) == LUA_TNIL) { /* known by its name only once it is whole */
        lua_newtable(L);
        luaL_setfuncs(L, metamethods, 0);
        luaL_newlib(L, methods);
        format_add_methods(L, method_pack, method_unpack);
        lua_setfield(L, -2, "__index");
        set_flag(L, "__metatable", false);
        set_string(L, "__name", BLOCK_TYPE);
        lua_setfield(L, LUA_REGISTRYINDEX, BLOCK_TYPE);
    }
    lua_settop(L, -2);
}

const luaL_Reg block_methods[] = {
    {"block", method_block},
    {"compact", method_compact},
    {NULL, NULL},
};
