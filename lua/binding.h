/* SPDX-License-Identifier: MIT */
/*
 * A pool as Lua sees it, for the files that bind it: binding.c opens, closes
 * and allocates; share.c counts who holds a pool, and records it; options.c reads
 * heapwright.new's table and sizes; plan.c reads inject's; access.c reads and writes; queries.c asks;
 * failure.c turns an error into nil, message, code.
 *
 * Rules of all of them: no Lua function runs while the pool's lock is held (the
 * core takes and releases it inside each call, and its only callback, the sink
 * of a recording, is C); whatever may raise is done before the pool is asked.
 */
#ifndef HPW_BINDING_H
#define HPW_BINDING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "chooser.h"
#include "heapwright.h"
#include "share.h"

#define POOL_TYPE "heapwright.pool"

enum { PLACE_TEXT = LUA_IDSIZE + 24 };

/*
 * The userdata: one Lua state's handle of a pool, of which other states may have
 * theirs. Only its own state touches it; what they have in common is the share.
 */
typedef struct lua_pool {
    uintptr_t magic;            /* its name: POOL_MAGIC ^ its own address until it is collected */
    hpw_pool *pool;             /* the share's; NULL: this handle is closed */
    const unsigned char *bytes; /* the pool's first: addresses count from it */
    const hpw_policy_info *policy;
    pool_share *share;            /* of which it is a holder; NULL: closed */
    sites *sites;                 /* the share's; NULL: it keeps none */
    char injected_at[PLACE_TEXT]; /* script:line of the first request since inject that failed by plan; "":
                                     none */
    struct movable *movables;     /* of the block objects that were made by this handle */
    chooser *chooser;             /* of a policy in Lua: user value 1; NULL: the policy is built in */
} lua_pool;

#define POOL_MAGIC ((uintptr_t)0x6865617077726967U)

/* The slow way: raises where argument 1 is no pool, or a closed one; or one whose policy, in Lua, is
 * choosing. */
lua_pool *pool_check(lua_State *L);

/* The same, for calls that change nothing: they are answered while the policy chooses, too. */
lua_pool *pool_check_reader(lua_State *L);

/* Raises where the policy is choosing, or lets it be asked by the call that is being made by L. */
void pool_enter_chosen(lua_State *L, lua_pool *self);

/*
 * The userdata that a call had as its pool lately, by a hash of where they lie:
 * set by pool_check, which knows their type, forgotten at collection. Shared by
 * all states of the process: an entry says what lies there, whoever's it is.
 */
enum { SEEN = 64 };
extern _Atomic(lua_pool *) pools_seen[SEEN];

static inline _Atomic(lua_pool *) *seen_slot(const lua_pool *self) {
    return &pools_seen[((uintptr_t)self >> 4 ^ (uintptr_t)self >> 12) % SEEN];
}

static inline bool pool_was_seen(const lua_pool *self) {
    return self && atomic_load_explicit(seen_slot(self), memory_order_relaxed) == self &&
           self->magic == (POOL_MAGIC ^ (uintptr_t)self) && self->pool;
}

/*
 * Argument 1 as an open pool: one that was seen, so that what lies there is as
 * large as a pool's userdata, and that holds its own name, since a state that is
 * closing drops what its finalizers make without a word. Of a method that checks
 * nothing (21 ns), 0.11 are saved over lua_rawlen for the size, 0.4 over the
 * metatable compared with an upvalue, 1.1 over luaL_checkudata. Who ends a pool
 * unfinalized by other ways has debug.setmetatable, which no check survives.
 */
static inline lua_pool *pool_self(lua_State *L) {
    lua_pool *self = lua_touserdata(L, 1);
    if (pool_was_seen(self)) return self;
    return pool_check(L); /* as always of a policy in Lua, which is never put there */
}

/* The same for methods that change nothing in the pool. */
static inline lua_pool *pool_reader(lua_State *L) {
    lua_pool *self = lua_touserdata(L, 1);
    if (pool_was_seen(self)) return self;
    return pool_check_reader(L);
}

/* The innermost function of Lua, with its file and line, below the method that is being called. False: there
 * is none. */
bool pool_find_caller(lua_State *L, lua_Debug *caller);

/* The slow half of note_site. */
void pool_note_site(lua_State *L, const lua_pool *self);

/* The call that follows comes from the script's line that called the method: with guard full. */
static inline void note_site(lua_State *L, const lua_pool *self) {
    if (self->sites) pool_note_site(L, self);
}

/*
 * Pushes a new handle of the pool in any Lua state, and makes it one more holder;
 * where the state has no pools yet, their type is opened in it first, which needs
 * its string library. For use by another thread than those that have it already,
 * the caller asks share_is_locked first. Raises without memory, and then holds
 * nothing. Returns 1.
 */
int pool_push(lua_State *L, pool_share *share);

/* Pushes a handle that is closed still; and makes it the holder of the share that the caller was. Returns 1.
 */
lua_pool *pool_push_closed(lua_State *L);
int pool_open_handle(lua_pool *self, pool_share *share);

/* Gives the closed handle at the stack's top, where the config says so, a chooser by the definition below it,
 * and the config its functions. */
void pool_take_chooser(lua_State *L, lua_pool *self, hpw_config *config);

/* ---- Arguments ---- */

/* An address: any integer at all; a negative one lies far outside of every pool. */
static inline uint64_t arg_address(lua_State *L, int arg) {
    int is_integer;
    lua_Integer value = lua_tointegerx(L, arg, &is_integer);
    return (uint64_t)(is_integer ? value : luaL_checkinteger(L, arg));
}

/* Raises for a negative size. */
lua_Integer arg_negative(lua_State *L, int arg, lua_Integer value);

/* A size or count: 0 ... 2^63 - 1. */
static inline uint64_t arg_size(lua_State *L, int arg) {
    int is_integer;
    lua_Integer value = lua_tointegerx(L, arg, &is_integer);
    if (!is_integer) value = luaL_checkinteger(L, arg);
    if (value < 0) arg_negative(L, arg, value);
    return (uint64_t)value;
}

/* What the core takes as size_t: what is larger is larger than any pool. */
static inline size_t as_size(uint64_t size) { return size > SIZE_MAX ? SIZE_MAX : (size_t)size; }

static inline void push_bytes(lua_State *L, uint64_t bytes) { lua_pushinteger(L, (lua_Integer)bytes); }

/* The text at `index`, which belongs to argument `arg`, as a path; raises where a zero byte would cut it. */
const char *path_at(lua_State *L, int index, int arg);

/* ---- options.c ---- */

/*
 * Reads the options at `arg` (none and nil are the default pool); raises for what it can't take. Where the
 * policy is in Lua, config->chooser says so, by functions that are not to be called yet, and
 * its definition is left on the stack's top.
 */
const hpw_policy_info *options_read(lua_State *L, int arg, hpw_config *config);

/* The list of sizes at the stack's top; and, with the granule known, whether the policy may have them. */
void options_read_classes(lua_State *L, int arg, const char *name, hpw_config *config);
void options_check_classes(lua_State *L, int arg, const hpw_config *config, const hpw_policy_info *policy);

/* The same, where what the table doesn't say is as in the image. NULL: neither does it say a policy nor is
 * the image's, one in Lua, registered. */
const hpw_policy_info *options_read_over(lua_State *L, int arg, const hpw_image *image, hpw_config *config);

/* Raises for an order that the policy takes, but not with this granule: what only opening tells. */
int options_refuse_order(lua_State *L, int arg, const hpw_config *config);

int options_parse_size(lua_State *L);

/* The size at `index`; raises for argument `arg`, with the option's name in front where it has one. */
uint64_t options_size(lua_State *L, int index, int arg, const char *option);

/* The name of the number-th option of heapwright.new, NULL past the last. */
const char *options_name(size_t number);

/* Joins what name_at gives for 0, 1 ... with commas, and leaves the string on the stack. */
const char *options_push_names(lua_State *L, const char *(*name_at)(size_t));

/* ---- failure.c: each pushes nil, message, code and returns 3 ---- */

/* Of an operation on a whole block: free, realloc, size, usable_size. */
int fail_block(lua_State *L, const char *operation, const hpw_report *report, const lua_pool *self);

/* Of a pool that refuses further work; pushes nothing and returns 0 where it doesn't. */
int fail_refused(lua_State *L, const char *operation, const lua_pool *self);

/* Of an operation on bytes: "write of 3 bytes at 0x40 ...". */
int fail_access(lua_State *L, const char *operation, const hpw_report *report, const lua_pool *self);

/* Of a request: refused by plan, or nothing that fits. `alignment` 0: the usual one. `of` NULL: a new block;
 * else the block to resize. */
int fail_memory(lua_State *L, uint64_t size, uint64_t alignment, const uint64_t *of, lua_pool *self);

/* A request that may have found damage too: as report->error says. */
int fail_request(lua_State *L, const hpw_report *report, uint64_t size, uint64_t alignment, lua_pool *self);

/* Any other. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int fail_with(lua_State *L, hpw_error error, const char *format, ...);

/* ---- Methods by file ---- */

extern const luaL_Reg access_methods[];
extern const luaL_Reg query_methods[];
extern const luaL_Reg plan_methods[];
extern const luaL_Reg block_methods[]; /* of pools, about blocks */
extern const luaL_Reg save_methods[];

/* block.c: makes the type of block objects known; and what a handle of a pool does with its own before it
 * closes, and with those that were collected while its policy chose. */
void block_open(lua_State *L);
void blocks_close(lua_pool *self);
void blocks_sweep(lua_pool *self);

/* save.c: load(path [, options]), which pool_open_loaded makes a handle of. */
int module_load(lua_State *L);

/* ---- access.c: string.pack's formats, for methods whose argument 3 is one ---- */

/* Adds pack, with string.pack and string.packsize as its upvalues, and unpack, with string.unpack and
 * string.packsize, to the table on top. */
void format_add_methods(lua_State *L, lua_CFunction pack, lua_CFunction unpack);

/* Calls the function that upvalue `upvalue` keeps on the `count` values at the top; raises what is no error
 * of theirs. */
int format_call(lua_State *L, int upvalue, int count, int results);

/* Raises the error at the stack's top, which string.pack or string.unpack raised, as the method's own. */
int format_raise(lua_State *L);

/* The size of what the format makes, where it is always the same; upvalue `upvalue` is string.packsize.
 * Raises what is wrong with the format. */
bool format_size(lua_State *L, int upvalue, uint64_t *n);

/* Did string.unpack run out of bytes, or is the format at fault? */
bool format_ran_out(const char *message);

/* Pushes what leaks() of the pool at 1 is. */
void queries_push_leaks(lua_State *L);

/* pack and unpack, which keep string.pack, string.unpack and string.packsize; the table of methods is on top.
 */
void access_open(lua_State *L);

#endif
