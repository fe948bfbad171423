/* SPDX-License-Identifier: MIT */
/*
 * The free blocks of a pool as a policy in Lua is shown them, read-only: the first
 * argument of its `choose`, and good until that returns. No table of all free blocks
 * is made; by_size makes an array of what it was asked for, and keeps it as a heap,
 * so that who takes the first few pays for these alone.
 *
 * Cost: a step of blocks, first, largest, before, after and place O(log capacity); by_size
 * O(free blocks), and O(log) a step.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "binding.h"
#include "chooser.h"
#include "fields.h"

#define VIEW_TYPE "heapwright.free"

typedef struct free_view {
    chooser *of; /* user value 1 */
} free_view;

/* ---- Self ---- */

static chooser *check_self(lua_State *L) {
    const free_view *self = luaL_checkudata(L, 1, VIEW_TYPE);
    if (!self->of->shown)
        luaL_error(L, "%s is not choosing: the free blocks are shown while it does", self->of->info->name);
    return self->of;
}

static uint64_t arg_alignment(lua_State *L, int arg) {
    lua_Integer alignment = luaL_optinteger(L, arg, 1);
    luaL_argcheck(L, alignment > 0 && !(alignment & (alignment - 1)), arg, "an alignment is a power of two");
    return (uint64_t)alignment;
}

static int push_pair(lua_State *L, uint64_t address, uint64_t size) {
    push_bytes(L, address);
    push_bytes(L, size);
    return 2;
}

/* ---- By address ---- */

/* The step of blocks(): view, the address before */
static int next_block(lua_State *L) {
    const chooser *of = check_self(L);
    uint64_t cursor = lua_isnil(L, 2) ? 0 : arg_address(L, 2) + 1, address, size;
    return hpw_free_next(of->shown, &cursor, &address, &size) ? push_pair(L, address, size) : 0;
}

/* blocks(): an iterator of address and size, lowest address first */
static int method_blocks(lua_State *L) {
    check_self(L);
    lua_pushcfunction(L, next_block);
    lua_pushvalue(L, 1);
    return 2;
}

/* first(size [, alignment [, from]]): address and size of the first that holds it, at `from` or after */
static int method_first(lua_State *L) {
    const chooser *of = check_self(L);
    uint64_t size = arg_size(L, 2), alignment = arg_alignment(L, 3), address, block_size;
    uint64_t from = lua_isnoneornil(L, 4) ? 0 : arg_address(L, 4);
    return hpw_free_first(of->shown, from, size, alignment, &address, &block_size)
               ? push_pair(L, address, block_size)
               : 0;
}

/* largest(): address and size, the first of equals */
static int method_largest(lua_State *L) {
    uint64_t address, size;
    return hpw_free_largest(check_self(L)->shown, &address, &size) ? push_pair(L, address, size) : 0;
}

/* ---- Around a block ---- */

static int push_block(lua_State *L, const hpw_block *block) {
    push_pair(L, block->address, block->size);
    lua_pushboolean(L, block->live);
    return 3;
}

/* before(address): start, size and whether it is live, of the block that ends where the one around address
 * begins */
static int method_before(lua_State *L) {
    const chooser *of = check_self(L);
    hpw_block block;
    if (!hpw_free_look(of->shown, arg_address(L, 2), &block) || !block.address) return 0;
    return hpw_free_look(of->shown, block.address - 1, &block) ? push_block(L, &block) : 0;
}

/* after(address): the same of the block that begins where the one around address ends */
static int method_after(lua_State *L) {
    const chooser *of = check_self(L);
    hpw_block block;
    if (!hpw_free_look(of->shown, arg_address(L, 2), &block)) return 0;
    return hpw_free_look(of->shown, block.address + block.size, &block) ? push_block(L, &block) : 0;
}

/* place(address, size [, alignment]): where the request would lie if this were chosen; nil: it does not fit
 */
static int method_place(lua_State *L) {
    const chooser *of = check_self(L);
    uint64_t address = arg_address(L, 2), size = arg_size(L, 3), place;
    if (hpw_free_place(of->shown, address, size, arg_alignment(L, 4), &place, NULL)) return 0;
    push_bytes(L, place);
    return 1;
}

/* capacity(): of the pool, free or not */
static int method_capacity(lua_State *L) {
    push_bytes(L, hpw_free_capacity(check_self(L)->shown));
    return 1;
}

static int meta_len(lua_State *L) {
    push_bytes(L, hpw_free_count(check_self(L)->shown));
    return 1;
}

/* ---- By size ---- */

typedef struct sized {
    uint64_t size, address;
} sized;

/* A heap: each comes before its two children, at 2i + 1 and 2i + 2. */
typedef struct by_size {
    uint64_t asked; /* of that call of choose */
    size_t count;
    sized blocks[];
} by_size;

static bool comes_first(const sized *a, const sized *b) {
    return a->size != b->size ? a->size < b->size : a->address < b->address;
}

/* Brings what is at `i` down to where it belongs. */
static void sift(by_size *all, size_t i) {
    sized moved = all->blocks[i];
    for (size_t child; (child = 2 * i + 1) < all->count; i = child) {
        if (child + 1 < all->count && comes_first(&all->blocks[child + 1], &all->blocks[child])) child++;
        if (!comes_first(&all->blocks[child], &moved)) break;
        all->blocks[i] = all->blocks[child];
    }
    all->blocks[i] = moved;
}

/* The step of by_size(): upvalue 1 the view, upvalue 2 the heap. */
static int next_by_size(lua_State *L) {
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    const chooser *of = check_self(L);
    by_size *all = lua_touserdata(L, lua_upvalueindex(2));
    if (all->asked != of->asked)
        luaL_error(L, "these free blocks were shown to an earlier call of %s", of->info->name);
    if (!all->count) return 0;
    sized first = all->blocks[0];
    all->blocks[0] = all->blocks[--all->count];
    if (all->count) sift(all, 0);
    return push_pair(L, first.address, first.size);
}

/* by_size([least]): an iterator of address and size of those of at least that size, the smallest first, by
 * address among equals */
static int method_by_size(lua_State *L) {
    const chooser *of = check_self(L);
    uint64_t least = lua_isnoneornil(L, 2) ? 0 : arg_size(L, 2), cursor = 0;
    lua_settop(L, 1);
    size_t room = (size_t)hpw_free_count(of->shown);
    by_size *all = lua_newuserdatauv(L, sizeof *all + room * sizeof(sized), 0);
    *all = (by_size){.asked = of->asked};
    for (sized next; all->count < room && hpw_free_next(of->shown, &cursor, &next.address, &next.size);)
        if (next.size >= least) all->blocks[all->count++] = next;
    for (size_t i = all->count / 2; i-- > 0;) sift(all, i);
    lua_pushcclosure(L, next_by_size, 2);
    return 1;
}

static int meta_tostring(lua_State *L) {
    const free_view *self = luaL_checkudata(L, 1, VIEW_TYPE);
    lua_pushfstring(L, "free blocks of a heapwright pool (%s)", self->of->info->name);
    return 1;
}

/* ---- What is wrong with a choice ---- */

enum { FAULT_TEXT = 160 };

void free_view_push_fault(lua_State *L, const chooser *self, uint64_t size, uint64_t alignment,
                          const hpw_report *report) {
    char why[FAULT_TEXT], aligned[FAULT_TEXT / 4] = "";
    uint64_t end = report->block + report->block_size, address = report->address;
    bool negative = address > INT64_MAX;
    if (!report->in_live_block && !report->in_free_block)
        snprintf(why, sizeof why, "that is outside of the pool's %" PRIu64 " bytes",
                 hpw_free_capacity(self->shown));
    else if (report->in_live_block)
        snprintf(why, sizeof why, "the block of %" PRIu64 " bytes at 0x%" PRIx64 " is live",
                 report->block_size, report->block);
    else if (size > end - address && !strstr(report->what, "granule"))
        snprintf(why, sizeof why, "the free block there has %" PRIu64 " bytes%s", end - address,
                 address == report->block ? "" : " from there on");
    else
        snprintf(why, sizeof why, "%s", report->what);
    if (strstr(why, "so aligned")) snprintf(aligned, sizeof aligned, " aligned to %" PRIu64, alignment);
    lua_pushfstring(L, "%s chose %s", self->info->name, negative ? "-" : "");
    char text[2 * FAULT_TEXT];
    snprintf(text, sizeof text, "0x%" PRIx64 " for %" PRIu64 " bytes%s: %s", negative ? 0 - address : address,
             size, aligned, why);
    lua_pushstring(L, text);
    lua_concat(L, 2);
}

/* ---- The type ---- */

static const luaL_Reg methods[] = {
    {"blocks", method_blocks},   {"by_size", method_by_size},   {"first", method_first},
    {"largest", method_largest}, {"before", method_before},     {"after", method_after},
    {"place", method_place},     {"capacity", method_capacity}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__len", meta_len},
    {"__tostring", meta_tostring},
    {NULL, NULL},
};

static void open_type(lua_State *L) {
    if (luaL_getmetatable(L, VIEW_TYPE) == LUA_TNIL) { /* known by its name only once it is whole */
        lua_newtable(L);
        luaL_setfuncs(L, metamethods, 0);
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        set_flag(L, "__metatable", false);
        set_string(L, "__name", VIEW_TYPE);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, VIEW_TYPE);
        lua_replace(L, -2);
    }
}

void free_view_push(lua_State *L, int index) {
    index = lua_absindex(L, index);
    luaL_checkstack(L, 5, NULL);
    free_view *self = lua_newuserdatauv(L, sizeof *self, 1);
    self->of = lua_touserdata(L, index);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, 1);
    open_type(L);
    lua_setmetatable(L, -2);
}
