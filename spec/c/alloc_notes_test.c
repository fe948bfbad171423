/* SPDX-License-Identifier: MIT */
/*
 * What stands before a Lua state's allocator, to record or to count, must never be
 * in the way: where the system has no memory for notes, the state still gets all
 * that it asks for, and what is missing is said. The linker leads the calls of
 * malloc, calloc and realloc of what is tested through here (--wrap); the state's
 * own bytes come from an array.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_record.h"
#include "check.h"
#include "consumers.h"
#include "failing_memory.h"

/* ---- A system that has no memory, at will ------------------------------------------------- */

/* ---- The state's bytes ----------------------------------------------------------------------- */

static unsigned char bytes[8 << 20];
static size_t used;
static uint64_t in_use;

/* Grants the next bytes; nothing is reused before the next state. */
static void *grant(void *ud, void *ptr, size_t osize, size_t nsize) {
    (void)ud;
    if (!ptr) osize = 0;
    in_use += nsize - osize;
    if (!nsize) return NULL;
    if (ptr && nsize <= osize) return ptr;
    if (!CHECK(used + nsize + 16 <= sizeof bytes)) return NULL;
    void *block = bytes + used;
    used += (nsize + 15) & ~(size_t)15;
    if (ptr) memcpy(block, ptr, osize);
    return block;
}

static const char script[] = "local held = {}\n"
                             "for i = 1, 300 do held[i] = { 'text ' .. i } end\n"
                             "local co = coroutine.wrap(function()\n"
                             "  for i = 1, 50 do held[i] = { ('x'):rep(i) } coroutine.yield() end\n"
                             "end)\n"
                             "for i = 1, 50 do co() end\n"
                             "for i = 1, 300 do load('local x' .. i .. ' = 1') end\n"
                             "return #held\n";

/* Runs the script to its end, in a state of this allocator. */
static void run(lua_Alloc alloc, void *ud, hpw_consumers *consumers) {
    used = 0;
    lua_State *L = lua_newstate(alloc, ud);
    if (!CHECK(L)) return;
    if (consumers) hpw_consumers_attach(consumers, L);
    luaL_openlibs(L);
    CHECK(luaL_dostring(L, script) == LUA_OK);
    CHECK(lua_tointeger(L, -1) == 300);
    lua_close(L);
    CHECK(in_use == 0);
}

/* ---- Recording ---------------------------------------------------------------------------------- */

static unsigned long recording_requests; /* of the last recording alone */

/* True: recorded whole. */
static bool record(const char *path) {
    hpw_trace_error error = {0};
    hpw_alloc_record *self =
        hpw_alloc_record_begin(&(hpw_alloc_record_config){.path = path, .next = grant}, &error);
    if (!self) {
        CHECK(error.code == HPW_NO_MEMORY);
        return false;
    }
    run(hpw_alloc_record_alloc, self, NULL);
    bool whole = hpw_alloc_record_end(self, &error);
    hpw_alloc_figures figures = *hpw_alloc_record_figures(self);
    CHECK(whole || error.code == HPW_NO_MEMORY);
    CHECK(hpw_alloc_record_end(self, &error)); /* again: nothing */
    hpw_alloc_record_free(self);
    recording_requests = requests;
    fail_from(0, false);
    if (!whole) return false;
    hpw_trace_summary summary;
    CHECK(hpw_trace_scan(path, &summary, &error));
    CHECK(summary.events == figures.events && summary.peak_in_use == figures.peak_in_use);
    CHECK(summary.live_blocks == 0 && figures.in_use == 0);
    return true;
}

static void record_without_memory(const char *path) {
    fail_from(0, false);
    CHECK(record(path));
    unsigned long all = recording_requests, failed = 0;
    CHECK(all > 4);
    for (unsigned long number = 1; number <= all; number++) {
        for (int on = 0; on < 2; on++) {
            fail_from(number, on);
            failed += !record(path);
        }
    }
    fail_from(0, false);
    CHECK_EQ(failed, 2 * all); /* each of them said so */
}

/* ---- Counting -------------------------------------------------------------------------------------- */

/* What could not be noted; UINT64_MAX: not even begun. */
static uint64_t consume(void) {
    hpw_consumers *self = hpw_consumers_new(grant, NULL);
    if (!self) return UINT64_MAX;
    run(hpw_consumers_alloc, self, self);
    uint64_t lost = hpw_consumers_lost(self);
    const hpw_kind_use *kinds = hpw_consumers_kinds(self);
    for (int kind = 0; kind < HPW_LUA_KINDS; kind++)
        CHECK(kinds[kind].in_use == 0 && kinds[kind].blocks == 0);
    hpw_consumer largest[4];
    size_t count = hpw_consumers_largest(self, largest, 4);
    for (size_t i = 0; i < count; i++) {
        CHECK(largest[i].in_use == 0 && largest[i].blocks == 0);
        CHECK(largest[i].peak_in_use <= largest[i].allocated);
        CHECK(!i || largest[i].peak_in_use <= largest[i - 1].peak_in_use);
    }
    if (!lost) CHECK(count == 4 && hpw_consumers_largest(self, largest, 0) == 0);
    hpw_consumers_free(self);
    return lost;
}

static void consume_without_memory(void) {
    fail_from(0, false);
    CHECK(consume() == 0);
    unsigned long all = requests;
    CHECK(all > 4);
    for (unsigned long number = 1; number <= all; number++) {
        fail_from(number, false);
        uint64_t once = consume();
        fail_from(number, true);
        uint64_t lost = consume();
        CHECK(once > 0 && lost >= once);
    }
    fail_from(0, false);
}

/* ---- Kinds ------------------------------------------------------------------------------------------ */

static void kinds(void) {
    for (size_t tag = 0; tag < 20; tag++)
        CHECK(tag == 0 || tag > 10 || tag < 4 || hpw_lua_kind_of(tag) != HPW_LUA_OTHER);
    CHECK(hpw_lua_kind_of(LUA_TTABLE) == HPW_LUA_TABLE && hpw_lua_kind_of(0) == HPW_LUA_OTHER);
    CHECK(hpw_lua_kind_of(SIZE_MAX) == HPW_LUA_OTHER);
}

int main(void) {
    char path[] = "/tmp/heapwright-notes-XXXXXX";
    int file = mkstemp(path);
    if (!CHECK(file >= 0)) return CHECK_DONE();
    kinds();
    record_without_memory(path);
    consume_without_memory();
    remove(path);
    return CHECK_DONE();
}
