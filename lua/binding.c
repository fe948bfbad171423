/* SPDX-License-Identifier: MIT */
/*
 * `heapwright.pool`: pools for Lua. Opens and closes handles of them, allocates,
 * resizes, frees, and records their events. Each method is: check, call, result; its
 * name is that of the C function it binds. Misuse of a type raises; what a
 * script has to expect (no memory, a bad address) is nil, message, code.
 */
#include "binding.h"

#include <string.h>

#include "fields.h"
#include "module.h"
#include "watch.h"

/* ---- Self ---- */

_Atomic(lua_pool *) pools_seen[SEEN];

void pool_enter_chosen(lua_State *L, lua_pool *self) {
    chooser_enter(L, self->chooser);
    if (self->chooser->orphans) blocks_sweep(self);
}

static lua_pool *check(lua_State *L, bool changes) {
    lua_pool *self = luaL_checkudata(L, 1, POOL_TYPE);
    if (!self->pool) luaL_argerror(L, 1, "pool is closed");
    if (!self->chooser)
        atomic_store_explicit(seen_slot(self), self, memory_order_relaxed);
    else if (changes || !self->chooser->choosing)
        pool_enter_chosen(L, self);
    return self;
}

lua_pool *pool_check(lua_State *L) { return check(L, true); }

lua_pool *pool_check_reader(lua_State *L) { return check(L, false); }

lua_Integer arg_negative(lua_State *L, int arg, lua_Integer value) {
    return luaL_argerror(L, arg, lua_pushfstring(L, "negative size %I", (LUAI_UACINT)value));
}

bool pool_find_caller(lua_State *L, lua_Debug *caller) {
    for (int level = 1; lua_getstack(L, level, caller) && lua_getinfo(L, "Sl", caller); level++)
        if (caller->currentline > 0) return true;
    return false;
}

void pool_note_site(lua_State *L, const lua_pool *self) {
    lua_Debug caller;
    if (pool_find_caller(L, &caller))
        sites_enter(self->sites, caller.short_src, caller.currentline);
    else
        sites_enter(self->sites, "[C]", 0);
}

/* ---- Allocation ---- */

/* Pushes the address of a block just granted. */
static int push_granted(lua_State *L, const lua_pool *self, const void *block) {
    push_bytes(L, (uint64_t)((const unsigned char *)block - self->bytes));
    return 1;
}

/* By address, each step checked: with guard full, so that it is known which bytes were written; and see
 * zeroes_apart. */
static int allocate_checked(lua_State *L, lua_pool *self, uint64_t size, bool zeroed) {
    uint64_t address;
    hpw_report report;
    note_site(L, self);
    if (hpw_allocate(self->pool, size, 0, &address, &report)) return fail_request(L, &report, size, 0, self);
    if (zeroed) hpw_fill(self->pool, address, 0, size, NULL);
    push_bytes(L, address);
    return 1;
}

/* Grants `size` bytes, not zeroed. */
static int allocate(lua_State *L, lua_pool *self, uint64_t size) {
    if (self->sites) return allocate_checked(L, self, size, false);
    void *block = hpw_malloc(self->pool, as_size(size));
    return block ? push_granted(L, self, block) : fail_memory(L, size, 0, NULL, self);
}

/*
 * Small blocks are zeroed in line, by stores of a fixed size from both ends that
 * may overlap: to call memset costs as much as they all do.
 */
enum { ZEROED_IN_LINE = 128 };

static inline void zero(unsigned char *block, size_t n) {
    if (n < 16 || n > ZEROED_IN_LINE) {
        memset(block, 0, n);
        return;
    }
    memset(block, 0, 16);
    memset(block + n - 16, 0, 16);
    if (n <= 32) return;
    memset(block + 16, 0, 16);
    memset(block + n - 32, 0, 16);
    if (n <= 64) return;
    memset(block + 32, 0, 32);
    memset(block + n - 64, 0, 32);
}

/*
 * Is a new block to be zeroed by a call of its own, and not where it lies, with no lock? With guard full, and
 * where others have the pool: a thread that guesses the address can free it meanwhile, and then links of the
 * index lie there.
 */
static inline bool zeroes_apart(const lua_pool *self) {
    return self->sites || share_holders(self->share) > 1;
}

/* alloc(size): not zeroed */
static int method_alloc(lua_State *L) {
    lua_pool *self = pool_self(L);
    return allocate(L, self, arg_size(L, 2));
}

/* malloc(size): zeroed */
static int method_malloc(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t size = arg_size(L, 2);
    if (zeroes_apart(self)) return allocate_checked(L, self, size, true);
    void *block = hpw_malloc(self->pool, as_size(size));
    if (!block) return fail_memory(L, size, 0, NULL, self);
    zero(block, (size_t)size);
    return push_granted(L, self, block);
}

/* calloc(count, size): zeroed */
static int method_calloc(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t count = arg_size(L, 2), size = arg_size(L, 3);
    if (zeroes_apart(self) && (!size || count <= UINT64_MAX / size))
        return allocate_checked(L, self, count * size, true);
    void *block = hpw_calloc(self->pool, as_size(count), as_size(size));
    if (block) return push_granted(L, self, block);
    if (size && count > UINT64_MAX / size)
        return fail_with(L, HPW_NO_MEMORY, "calloc of %llu times %llu bytes: no pool holds so many",
                         (unsigned long long)count, (unsigned long long)size);
    return fail_memory(L, count * size, 0, NULL, self);
}

/* aligned_alloc(alignment, size): not zeroed */
static int method_aligned_alloc(lua_State *L) {
    lua_pool *self = pool_self(L);
    lua_Integer alignment = luaL_checkinteger(L, 2);
    uint64_t size = arg_size(L, 3), address;
    hpw_report report;
    if (alignment <= 0 || (alignment & (alignment - 1)))
        return fail_with(L, HPW_INVALID_ARGUMENT, "aligned_alloc: the alignment %lld is not a power of two",
                         (long long)alignment);
    note_site(L, self);
    if (hpw_allocate(self->pool, size, (uint64_t)alignment, &address, &report))
        return fail_request(L, &report, size, (uint64_t)alignment, self);
    push_bytes(L, address);
    return 1;
}

/* Of the address of a block object, which frees and resizes itself. */
static int fail_object(lua_State *L, const char *operation, uint64_t address) {
    return fail_with(L, HPW_INVALID_FREE, "%s of 0x%llx: a block object has it", operation,
                     (unsigned long long)address);
}

/* realloc(address or nil, size) */
static int method_realloc(lua_State *L) {
    lua_pool *self = pool_self(L);
    if (lua_isnil(L, 2)) return allocate(L, self, arg_size(L, 3));
    uint64_t address = arg_address(L, 2), size = arg_size(L, 3), moved;
    hpw_report report;
    if (movables_has(share_movables(self->share), address)) return fail_object(L, "realloc", address);
    note_site(L, self);
    hpw_error error = hpw_resize(self->pool, address, size, &moved, &report);
    if (error == HPW_NO_MEMORY) return fail_memory(L, size, 0, &address, self);
    if (error) return fail_block(L, "realloc", &report, self);
    push_bytes(L, moved);
    return 1;
}

/* free(address) */
static int method_free(lua_State *L) {
    lua_pool *self = pool_self(L);
    uint64_t address = arg_address(L, 2);
    hpw_report report;
    if (movables_has(share_movables(self->share), address)) return fail_object(L, "free", address);
    note_site(L, self);
    if (hpw_release(self->pool, address, &report)) return fail_block(L, "free", &report, self);
    lua_pushboolean(L, true);
    return 1;
}

/* reset(): frees every block at once */
static int method_reset(lua_State *L) {
    lua_pool *self = pool_self(L);
    if (movables_reset(share_movables(self->share)))
        return fail_with(L, HPW_INVALID_ARGUMENT, "reset: %zu Lua states live in the pool",
                         share_states(self->share));
    lua_pushboolean(L, true);
    return 1;
}

/* trim(): gives back what is kept to be faster */
static int method_trim(lua_State *L) {
    const lua_pool *self = pool_self(L);
    if (hpw_trim(self->pool)) return fail_refused(L, "trim", self);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- Recording ---- */

/* record(path) begins a recording of the pool, by whatever handle; record(), record(false) ends it */
static int method_record(lua_State *L) {
    lua_pool *self = pool_self(L);
    hpw_trace_error error;
    if (lua_isnoneornil(L, 2) || (lua_isboolean(L, 2) && !lua_toboolean(L, 2))) {
        uint64_t events;
        if (!share_end_recording(self->share, &events, &error))
            return fail_with(L, error.code, "%s", error.message);
        lua_pushboolean(L, true);
        push_bytes(L, events);
        return 2;
    }
    luaL_checkstring(L, 2);
    const char *path = path_at(L, 2, 2);
    self = pool_self(L); /* making a string of a number may have collected garbage, and closed it */
    if (!share_begin_recording(self->share, path, &error))
        return fail_with(L, error.code, "%s", error.message);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- Life cycle ---- */

lua_pool *pool_push_closed(lua_State *L) {
    lua_pool *self = lua_newuserdatauv(L, sizeof *self, 1);
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, POOL_TYPE);
    return self;
}

int pool_open_handle(lua_pool *self, pool_share *share) {
    self->share = share;
    self->policy = share_policy(share);
    self->pool = share_pool(share);
    self->bytes = hpw_pointer(self->pool, 0);
    self->sites = share_sites(share);
    self->magic = POOL_MAGIC ^ (uintptr_t)self;
    return 1;
}

void pool_take_chooser(lua_State *L, lua_pool *self, hpw_config *config) {
    if (!config->chooser.choose) return;
    chooser *made = chooser_push(L, -2);
    lua_setiuservalue(L, -2, 1);
    self->chooser = made;
    chooser_enter(L, made);
    config->chooser = chooser_functions(made);
}

/* new([options]) */
static int module_new(lua_State *L) {
    hpw_config config;
    hpw_error error;
    const hpw_policy_info *policy = options_read(L, 1, &config);
    lua_pool *self = pool_push_closed(L);
    self->policy = policy;
    pool_take_chooser(L, self, &config);
    pool_share *share = share_open(&config, policy, &error);
    if (share) return pool_open_handle(self, share);
    uint64_t capacity = config.max_capacity > config.capacity ? config.max_capacity : config.capacity;
    uint64_t most = hpw_max_capacity(config.granule);
    if (capacity > most)
        return fail_with(L, HPW_NO_MEMORY, "a pool of %llu bytes: with granules of %lu, %llu are the most",
                         (unsigned long long)capacity, (unsigned long)config.granule,
                         (unsigned long long)most);
    if (error == HPW_INVALID_ARGUMENT && config.order != HPW_ORDER_ADDRESS)
        return options_refuse_order(L, 1, &config);
    return fail_with(L, error, "a pool of %llu bytes: the system does not give that many",
                     (unsigned long long)capacity);
}

/* Closes the handle, and the pool where nobody else holds it; closing it again does nothing. */
static bool close_handle(lua_pool *self, hpw_trace_error *error) {
    pool_share *share = self->share;
    if (!share) return true;
    blocks_close(self);
    self->pool = NULL;
    self->share = NULL;
    self->sites = NULL;
    return share_release_telling(share, error);
}

/* Does closing the handle end a pool that knows where its live blocks come from? */
static bool tells_leaks(const lua_pool *self) {
    return self->pool && self->sites && share_holders(self->share) == 1;
}

/* close(): true; with guard full also what leaks() says, where something is live and nobody else has the pool
 */
static int method_close(lua_State *L) {
    lua_pool *self = luaL_checkudata(L, 1, POOL_TYPE);
    hpw_trace_error error;
    if (self->pool && self->chooser) chooser_rest(L, self->chooser);
    bool tells = tells_leaks(self);
    if (tells) {
        blocks_close(self); /* which leak nothing */
        queries_push_leaks(L);
    }
    if (!close_handle(self, &error)) return fail_with(L, error.code, "%s", error.message);
    lua_pushboolean(L, true);
    if (!tells || lua_rawlen(L, -2) == 0) return 1;
    lua_insert(L, -2);
    return 2;
}

/* __close */
static int meta_close(lua_State *L) {
    lua_pool *self = luaL_checkudata(L, 1, POOL_TYPE);
    if (self->pool && self->chooser) chooser_rest(L, self->chooser);
    close_handle(self, NULL);
    return 0;
}

/* __gc: nothing may take for a pool what will lie here next */
static int meta_gc(lua_State *L) {
    meta_close(L);
    lua_pool *self = lua_touserdata(L, 1), *seen = self;
    self->magic = 0;
    atomic_compare_exchange_strong_explicit(seen_slot(self), &seen, NULL, memory_order_relaxed,
                                            memory_order_relaxed);
    return 0;
}

static int meta_tostring(lua_State *L) {
    const lua_pool *self = luaL_checkudata(L, 1, POOL_TYPE);
    if (!self->pool) {
        lua_pushfstring(L, "heapwright pool (%s, closed)", self->policy->name);
        return 1;
    }
    hpw_stats stats;
    hpw_get_stats(self->pool, &stats);
    lua_pushfstring(L, "heapwright pool (%s, %I of %I bytes in use)", self->policy->name,
                    (LUAI_UACINT)stats.in_use, (LUAI_UACINT)stats.capacity);
    return 1;
}

/* ---- The module ---- */

/* Adds what is known of a policy to the array on top. */
static void add_policy(lua_State *L, const hpw_policy_info *info, bool scripted) {
    lua_createtable(L, 0, 10);
    set_string(L, "name", info->name);
    set_string(L, "chooses", info->chooses);
    set_string(L, "index", info->index);
    set_string(L, "bound", info->bound);
    set_string(L, "source", info->source);
    set_flag(L, "takes_order", info->takes_order);
    set_flag(L, "takes_caches", info->takes_caches);
    set_flag(L, "takes_classes", info->takes_classes);
    set_flag(L, "exact", info->exact);
    set_flag(L, "monotone", info->monotone);
    set_flag(L, "scripted", scripted);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* policies(): an array of fresh tables; those in Lua come last */
static int module_policies(lua_State *L) {
    const hpw_policy_info *info;
    lua_newtable(L);
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++) add_policy(L, info, false);
    for (lua_Integer i = 1; (info = chooser_at(L, i)) != NULL; i++) { /* its definition keeps the texts */
        lua_insert(L, -2);
        add_policy(L, info, true);
        lua_remove(L, -2);
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"alloc", method_alloc},
    {"malloc", method_malloc},
    {"calloc", method_calloc},
    {"aligned_alloc", method_aligned_alloc},
    {"realloc", method_realloc},
    {"free", method_free},
    {"reset", method_reset},
    {"record", method_record},
    {"trim", method_trim},
    {"close", method_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", meta_gc},
    {"__close", meta_close},
    {"__tostring", meta_tostring},
    {NULL, NULL},
};

static const luaL_Reg module[] = {
    {"new", module_new},
    {"load", module_load},
    {"policy", module_policy},
    {"policies", module_policies},
    {"watch", module_watch},
    {"parse_size", options_parse_size},
    {NULL, NULL},
};

/*
 * The type's metatable is found by its name only once it is whole: who ran out of
 * memory while making it makes it anew. A second opening finds that of the first:
 * pools of both are alike.
 */
static void open_type(lua_State *L) {
    block_open(L);
    if (luaL_getmetatable(L, POOL_TYPE) == LUA_TNIL) {
        lua_newtable(L);
        luaL_setfuncs(L, metamethods, 0);
        luaL_newlib(L, methods);
        luaL_setfuncs(L, access_methods, 0);
        luaL_setfuncs(L, query_methods, 0);
        luaL_setfuncs(L, plan_methods, 0);
        luaL_setfuncs(L, block_methods, 0);
        luaL_setfuncs(L, save_methods, 0);
        access_open(L);
        lua_setfield(L, -2, "__index");
        set_flag(L, "__metatable", false);
        set_string(L, "__name", POOL_TYPE);
        lua_setfield(L, LUA_REGISTRYINDEX, POOL_TYPE);
    }
    lua_pop(L, 1);
}

int pool_push(lua_State *L, pool_share *share) {
    luaL_checkstack(L, 8, "no room for a pool");
    open_type(L);
    lua_pool *self = pool_push_closed(L); /* the last that may raise */
    return pool_open_handle(self, share_hold(share));
}

int luaopen_heapwright_pool(lua_State *L) {
    open_type(L);
    luaL_newlib(L, module);
    set_string(L, "version", HPW_VERSION);
    return 1;
}
