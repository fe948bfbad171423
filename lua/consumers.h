/* SPDX-License-Identifier: MIT */
/*
 * Who holds a Lua state's memory: a lua_Alloc that notes, for each block, its kind
 * and the line of Lua that ran when it was allocated, and hands on to the next one.
 *
 * The line is read from the state while it asks for memory. What makes that safe:
 *  - lua_getstack and lua_getinfo with "l" and "S" allocate nothing, call nothing
 *    and change nothing;
 *  - they are called for new blocks only, before the request is handed on. A state
 *    that is having its stack *resized* may have no valid frames (Lua 5.4.5 and
 *    later turn their pointers into offsets meanwhile); one that allocates a new
 *    stack, frame or object has them all (ldo.c, lstate.c, lvm.c of 5.4);
 *  - lua_Alloc is not told which coroutine runs. The linker leads every lua_resume of
 *    this program through a function here that keeps the chain of those that run,
 *    and a coroutine leaves it at the latest when its memory is freed: see alloc().
 * The virtual machine saves its program counter only where it must, so that a line
 * might be an older one; a count hook that never comes due makes it save it at each
 * instruction. Where a script sets a hook of its own, lines are less exact.
 *
 * A block belongs to the line that first allocated it, also when it is resized.
 * Memory comes from the system: 32 bytes a live block, 128 a line. One state, one
 * thread; O(1) an allocation and O(frames of C functions above the line).
 */
#ifndef HPW_CONSUMERS_H
#define HPW_CONSUMERS_H

#include <lua.h>
#include <stdbool.h>

#include "heapwright.h"

typedef struct hpw_consumers hpw_consumers;

/* Bytes as the state asked for them. */
typedef struct hpw_consumer {
    char source[LUA_IDSIZE];
    int line; /* 0: `source` is a label, no file */
    uint64_t in_use, blocks;
    uint64_t peak_in_use; /* the line's own */
    uint64_t allocated;   /* in all, growth of its blocks included */
} hpw_consumer;

typedef struct hpw_kind_use {
    uint64_t in_use, blocks;
    uint64_t at_peak; /* in use when the state had the most in use */
    uint64_t allocated;
} hpw_kind_use;

/* `next` with `ud` grants. NULL: no memory. */
hpw_consumers *hpw_consumers_new(lua_Alloc next, void *ud);

/* The lua_Alloc; its ud is the hpw_consumers. */
void *hpw_consumers_alloc(void *consumers, void *ptr, size_t osize, size_t nsize);

/* From here on lines are read: of `L`, the main thread of the state that allocates here, and its coroutines.
 */
void hpw_consumers_attach(hpw_consumers *consumers, lua_State *L);

/* What is charged for allocations while no Lua function runs; copied, cut to LUA_IDSIZE. */
void hpw_consumers_label(hpw_consumers *consumers, const char *label);

/* The state or coroutine that runs, NULL before it is attached. May be called from a signal handler. */
lua_State *hpw_consumers_running(const hpw_consumers *consumers);

/* HPW_LUA_KINDS of them. */
const hpw_kind_use *hpw_consumers_kinds(const hpw_consumers *consumers);

/* Copies the lines with the highest peaks, the highest first; at most `most` of them, and says how many. */
size_t hpw_consumers_largest(const hpw_consumers *consumers, hpw_consumer *to, size_t most);

/* Allocations that could not be noted, since the system had no memory. */
uint64_t hpw_consumers_lost(const hpw_consumers *consumers);

/* No state may allocate here any more. NULL is fine. */
void hpw_consumers_free(hpw_consumers *consumers);

#endif
