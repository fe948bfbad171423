/* SPDX-License-Identifier: MIT */
/*
 * What Lua may ask a pool: blocks, sizes, statistics, a drawing, a check. A
 * walk takes the pool's lock once a block, so it sees each block as it is when
 * the walk comes to it, and Lua runs between steps.
 */
#include "binding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

/* ---- One block ---- */

/* size(address): as it was asked for */
static int method_size(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t requested;
    hpw_report report;
    if (hpw_size(self->pool, arg_address(L, 2), &requested, NULL, &report))
        return fail_block(L, "size", &report, self);
    push_bytes(L, requested);
    return 1;
}

/* usable_size(address): as it was granted */
static int method_usable_size(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t granted;
    hpw_report report;
    if (hpw_size(self->pool, arg_address(L, 2), NULL, &granted, &report))
        return fail_block(L, "usable_size", &report, self);
    push_bytes(L, granted);
    return 1;
}

/* owner(address): start and requested size of the block around it */
static int method_owner(lua_State *L) {
    lua_pool *self = pool_reader(L);
    uint64_t start, requested;
    hpw_report report;
    if (hpw_owner(self->pool, arg_address(L, 2), &start, &requested, &report))
        return fail_block(L, "owner", &report, self);
    push_bytes(L, start);
    push_bytes(L, requested);
    return 2;
}

/* ---- All blocks ---- */

/* The step of blocks(): upvalue 1 the pool, upvalue 2 where it goes on. */
static int next_block(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pool *self = pool_reader(L);
    uint64_t cursor = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
    hpw_block block;
    if (!hpw_next_block(self->pool, &cursor, &block)) return 0;
    push_bytes(L, cursor);
    lua_replace(L, lua_upvalueindex(2));
    push_bytes(L, block.address);
    push_bytes(L, block.size);
    if (block.live) {
        push_bytes(L, block.requested);
        return 3;
    }
    if (!block.quarantined) return 2;
    lua_pushnil(L);
    lua_pushboolean(L, true);
    return 4;
}

/* blocks(): an iterator of address, size, requested (nil for a free block), whether it is in quarantine */
static int method_blocks(lua_State *L) {
    pool_reader(L);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_block, 2);
    return 1;
}

/* The live blocks that leaks() has found so far, in memory of Lua's. */
typedef struct live_list {
    hpw_block *blocks;
    size_t count, room;
} live_list;

/* Makes the list, the userdata at `index`, hold twice as many. */
static void grow_list(lua_State *L, int index, live_list *list) {
    size_t room = list->room ? list->room * 2 : 64;
    hpw_block *blocks = lua_newuserdatauv(L, room * sizeof *blocks, 0);
    if (list->count) memcpy(blocks, list->blocks, list->count * sizeof *blocks);
    lua_replace(L, index);
    list->blocks = blocks;
    list->room = room;
}

static int compare(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

/* The largest first, by address among equals. */
static int by_size(const void *a, const void *b) {
    const hpw_block *x = a, *y = b;
    int order = compare(y->requested, x->requested);
    return order ? order : compare(x->address, y->address);
}

/* Those of one site together. */
static int by_site(const void *a, const void *b) {
    const hpw_block *x = a, *y = b;
    return compare(x->origin.allocated_site, y->origin.allocated_site);
}

/* The site with the most bytes first; `size` holds each block's site's sum then. */
static int by_sum(const void *a, const void *b) {
    const hpw_block *x = a, *y = b;
    int order = compare(y->size, x->size);
    if (!order) order = by_site(a, b);
    return order ? order : by_size(a, b);
}

/* In each block's `size`, how many bytes are live of its site. */
static void sum_by_site(live_list *list) {
    qsort(list->blocks, list->count, sizeof *list->blocks, by_site);
    for (size_t from = 0, to; from < list->count; from = to) {
        uint64_t sum = 0;
        for (to = from; to < list->count && by_site(&list->blocks[from], &list->blocks[to]) == 0; to++)
            sum += list->blocks[to].requested;
        for (size_t i = from; i < to; i++) list->blocks[i].size = sum;
    }
}

/* {address, size}, and {site, thread} where they are known. */
static void push_leak(lua_State *L, const hpw_block *block) {
    char site[SITE_TEXT];
    lua_createtable(L, 0, 4);
    bool sited =
        pool_reader(L)->sites; /* after the table: a finalizer may have closed the pool, and its sites */
    set_count(L, "address", block->address);
    set_count(L, "size", block->requested);
    if (!sited || !block->origin.allocated_site) return;
    sites_text(block->origin.allocated_site, site, sizeof site);
    set_string(L, "site", site);
    set_count(L, "thread", block->origin.allocated_thread);
}

void queries_push_leaks(lua_State *L) {
    lua_pool *self = pool_reader(L);
    live_list list = {0};
    lua_settop(L, 1);
    lua_pushnil(L);
    uint64_t cursor = 0;
    for (hpw_block block; hpw_next_block(self->pool, &cursor, &block);) {
        if (!block.live) continue;
        if (list.count == list.room) {
            grow_list(L, 2, &list);
            self = pool_reader(L); /* a finalizer may have closed it */
        }
        list.blocks[list.count++] = block;
    }
    if (list.count && self->sites) sum_by_site(&list);
    if (list.count) qsort(list.blocks, list.count, sizeof *list.blocks, self->sites ? by_sum : by_size);
    lua_createtable(L, (int)(list.count < INT32_MAX ? list.count : 0), 0);
    for (size_t i = 0; i < list.count; i++) {
        push_leak(L, &list.blocks[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* leaks(): an array of {address, size, site, thread} */
static int method_leaks(lua_State *L) {
    queries_push_leaks(L);
    return 1;
}

/* ---- The drawing ---- */

enum { MAP_WIDTH = 64, MAP_WIDTH_MAX = 65536 };

/* Marks with `flag` the columns of `width` that the bytes from `start` to `end` of `capacity` touch. */
static void mark_columns(char *columns, uint64_t width, uint64_t capacity, uint64_t start, uint64_t end,
                         char flag) {
    if (start >= capacity) return;
    if (end > capacity) end = capacity;
    uint64_t first = ((start + 1) * width - 1) / capacity, last = (end * width - 1) / capacity;
    if (width > capacity) first = start * width / capacity; /* several columns a byte */
    for (uint64_t i = first; i <= last; i++) columns[i] |= flag;
}

/* map([width]): '#' wholly live, '.' wholly free or in quarantine, '+' partly */
static int method_map(lua_State *L) {
    pool_reader(L);
    lua_Integer wanted = luaL_optinteger(L, 2, MAP_WIDTH);
    luaL_argcheck(L, wanted >= 1 && wanted <= MAP_WIDTH_MAX, 2, "a width is 1 to 65536 columns");
    size_t width = (size_t)wanted;
    luaL_Buffer buffer;
    char *columns = luaL_buffinitsize(L, &buffer, width);
    lua_pool *self = pool_reader(L); /* after Lua was asked for memory: a finalizer may have closed it */
    hpw_stats stats;
    hpw_get_stats(self->pool, &stats);
    memset(columns, 0, width);
    uint64_t cursor = 0;
    for (hpw_block block; hpw_next_block(self->pool, &cursor, &block);)
        mark_columns(columns, width, stats.capacity, block.address, block.address + block.size,
                     block.live ? 1 : 2);
    for (size_t i = 0; i < width; i++) columns[i] = ".#.+"[(unsigned char)columns[i]];
    luaL_pushresultsize(&buffer, width);
    return 1;
}

/* ---- The whole pool ---- */

/* stats(): a fresh table */
static int method_stats(lua_State *L) {
    lua_pool *self = pool_reader(L);
    hpw_stats stats;
    hpw_get_stats(self->pool, &stats);
    lua_createtable(L, 0, 19);
    set_count(L, "capacity", stats.capacity);
    set_count(L, "in_use", stats.in_use);
    set_count(L, "granted", stats.granted);
    set_count(L, "live_blocks", stats.live_blocks);
    set_count(L, "free_blocks", stats.free_blocks);
    set_count(L, "free", stats.free);
    set_count(L, "largest_free", stats.largest_free);
    set_count(L, "peak_in_use", stats.peak_in_use);
    set_count(L, "peak_granted", stats.peak_granted);
    set_count(L, "high_water", stats.high_water);
    set_count(L, "allocations", stats.allocations);
    set_count(L, "frees", stats.frees);
    set_count(L, "reallocations", stats.reallocations);
    set_count(L, "failures", stats.failures);
    set_count(L, "injected", stats.injected);
    set_count(L, "steps", stats.steps);
    set_count(L, "steps_max", stats.steps_max);
    set_count(L, "quarantined", stats.quarantined);
    lua_pushnumber(L, hpw_internal_fragmentation(&stats));
    lua_setfield(L, -2, "internal_fragmentation");
    lua_pushnumber(L, hpw_external_fragmentation(&stats));
    lua_setfield(L, -2, "external_fragmentation");
    return 1;
}

/* policy(): its name */
static int method_policy(lua_State *L) {
    lua_pushstring(L, pool_reader(L)->policy->name);
    return 1;
}

/* check(): true; or nil, message, "corrupted" */
static int method_check(lua_State *L) {
    lua_pool *self = pool_reader(L);
    hpw_report report;
    hpw_error error = hpw_check(self->pool, &report);
    if (error)
        return report.in_live_block || report.quarantined
                   ? fail_block(L, "check", &report, self)
                   : fail_with(L, error, "at 0x%" PRIx64 ": %s", report.address,
                               report.what ? report.what : "?");
    lua_pushboolean(L, true);
    return 1;
}

const luaL_Reg query_methods[] = {
    {"size", method_size},   {"usable_size", method_usable_size},
    {"owner", method_owner}, {"blocks", method_blocks},
    {"leaks", method_leaks}, {"map", method_map},
    {"stats", method_stats}, {"policy", method_policy},
    {"check", method_check}, {NULL, NULL},
};
