/* SPDX-License-Identifier: MIT */
/*
 * Kinds and lines of a Lua state's blocks: see consumers.h. Live blocks lie in the
 * traces' own table, by pointer: `id` is the line's index, `slot` the kind. Lines
 * lie in an array, found through a table of indices (open addressing, linear
 * probing, at most half full).
 */
#include "consumers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_record.h"
#include "trace_live.h"

enum {
    MOST_RUNNING = 256, /* coroutines that resume each other: Lua stops at 200 C calls */
    MOST_FRAMES = 64    /* looked through for one of Lua */
};

struct hpw_consumers {
    lua_Alloc next;
    void *next_ud;
    lua_State *running[MOST_RUNNING]; /* the main thread, what it resumed, what that resumed ... */
    volatile int depth;               /* how many; volatile for the signal handler */
    char label[LUA_IDSIZE];
    hpw_live_table live;
    hpw_consumer *lines;
    size_t count, room;
    uint32_t *index; /* of lines, + 1; 0: free */
    size_t index_mask;
    uint64_t in_use, peak_in_use;
    uint64_t lost;
    hpw_kind_use kinds[HPW_LUA_KINDS];
};

hpw_consumers *hpw_consumers_new(lua_Alloc next, void *ud) {
    hpw_consumers *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    self->next = next;
    self->next_ud = ud;
    return self;
}

void hpw_consumers_free(hpw_consumers *self) {
    if (!self) return;
    hpw_live_free(&self->live);
    free(self->lines);
    free(self->index);
    free(self);
}

void hpw_consumers_label(hpw_consumers *self, const char *label) {
    snprintf(self->label, sizeof self->label, "%s", label);
}

/* ---- Which coroutine runs ------------------------------------------------------------ */

/* The hook that never comes due, or once in two thousand million instructions. */
static void do_nothing(lua_State *L, lua_Debug *ar) {
    (void)L;
    (void)ar;
}

void hpw_consumers_attach(hpw_consumers *self, lua_State *L) {
    self->running[0] = L;
    self->depth = 1;
    lua_sethook(L, do_nothing, LUA_MASKCOUNT, INT_MAX); /* new coroutines take it over */
}

lua_State *hpw_consumers_running(const hpw_consumers *self) {
    int depth = self->depth;
    return depth ? self->running[depth - 1] : NULL;
}

/* The linker gives lua_resume these two names: -Wl,--wrap=lua_resume. */
int __real_lua_resume(lua_State *L, lua_State *from, int narg, int *nres);
int __wrap_lua_resume(lua_State *L, lua_State *from, int narg, int *nres);

/*
 * An error that passes through here leaves L in the chain: it is off it when the
 * coroutine below ends, or when L is freed.
 */
int __wrap_lua_resume(lua_State *L, lua_State *from, int narg, int *nres) {
    void *ud;
    hpw_consumers *self = lua_getallocf(L, &ud) == hpw_consumers_alloc ? ud : NULL;
    if (!self || !self->depth || self->depth == MOST_RUNNING) return __real_lua_resume(L, from, narg, nres);
    int depth = self->depth;
    self->running[depth] = L;
    self->depth = depth + 1;
    int status = __real_lua_resume(L, from, narg, nres);
    if (self->depth > depth) self->depth = depth;
    return status;
}

/* A coroutine whose memory is being freed is in no chain, nor is what it resumed. */
static void forget_coroutine(hpw_consumers *self, uintptr_t block) {
    for (int i = 0; i < self->depth; i++)
        if (block == (uintptr_t)self->running[i] - LUA_EXTRASPACE) self->depth = i;
}

/* ---- Lines ------------------------------------------------------------------------------ */

/* The innermost function of Lua, of a coroutine or of whoever resumed it. */
static bool find_line(const hpw_consumers *self, lua_Debug *ar) {
    for (int i = self->depth; i-- > 0;) {
        lua_State *L = self->running[i];
        for (int level = 0; level < MOST_FRAMES && lua_getstack(L, level, ar); level++) {
            lua_getinfo(L, "l", ar);
            if (ar->currentline < 0) continue;
            lua_getinfo(L, "S", ar);
            return true;
        }
    }
    return false;
}

static size_t hash(const char *source, int line) {
    uint64_t h = (uint64_t)line * 0x9e3779b97f4a7c15U;
    for (; *source; source++) h = (h ^ (unsigned char)*source) * 0x100000001b3U;
    return (size_t)(h ^ h >> 29);
}

/* Where the line is in the index, or would be. */
static uint32_t *index_slot(const hpw_consumers *self, const char *source, int line) {
    for (size_t i = hash(source, line);; i++) {
        uint32_t *slot = &self->index[i & self->index_mask];
        if (!*slot) return slot;
        const hpw_consumer *found = &self->lines[*slot - 1];
        if (found->line == line && strcmp(found->source, source) == 0) return slot;
    }
}

/* Room for one more line in the array and in the index. */
static bool make_room(hpw_consumers *self) {
    if (self->count < self->room) return true;
    size_t room = self->room ? self->room * 2 : 256;
    if (room > UINT32_MAX / 2) return false;
    hpw_consumer *lines = realloc(self->lines, room * sizeof *lines);
    if (!lines) return false;
    self->lines = lines;
    uint32_t *index = calloc(room * 2, sizeof *index);
    if (!index) return false;
    free(self->index);
    self->index = index;
    self->index_mask = room * 2 - 1;
    self->room = room;
    for (size_t i = 0; i < self->count; i++)
        *index_slot(self, lines[i].source, lines[i].line) = (uint32_t)i + 1;
    return true;
}

/* The number of the line that runs now. False: no memory. */
static bool line_now(hpw_consumers *self, uint64_t *number) {
    lua_Debug ar;
    bool of_lua = find_line(self, &ar);
    const char *source = of_lua ? ar.short_src : self->label;
    int line = of_lua ? ar.currentline : 0;
    if (!make_room(self)) return false;
    uint32_t *slot = index_slot(self, source, line);
    if (!*slot) {
        hpw_consumer *one = &self->lines[self->count];
        *one = (hpw_consumer){.line = line};
        snprintf(one->source, sizeof one->source, "%s", source);
        *slot = (uint32_t)++self->count;
    }
    *number = *slot - 1;
    return true;
}

/* ---- Counting ------------------------------------------------------------------------------ */

/* Counts `grown` bytes more (modulo 2^64: fewer). */
static void count(hpw_consumers *self, const hpw_live *live, uint64_t grown) {
    hpw_consumer *line = &self->lines[live->id];
    line->in_use += grown;
    if (line->in_use > line->peak_in_use) line->peak_in_use = line->in_use;
    self->kinds[live->slot].in_use += grown;
    self->in_use += grown;
    if (self->in_use <= self->peak_in_use) return;
    self->peak_in_use = self->in_use;
    for (int kind = 0; kind < HPW_LUA_KINDS; kind++) self->kinds[kind].at_peak = self->kinds[kind].in_use;
}

static void add(hpw_consumers *self, const void *block, hpw_lua_kind kind, uint64_t line, uint64_t size) {
    hpw_live live = {.key = (uintptr_t)block, .id = line, .size = size, .slot = kind};
    if (!hpw_live_add(&self->live, &live)) {
        self->lost++;
        return;
    }
    self->lines[line].blocks++;
    self->lines[line].allocated += size;
    self->kinds[kind].blocks++;
    self->kinds[kind].allocated += size;
    count(self, &live, size);
}

static void take(hpw_consumers *self, uintptr_t block) {
    hpw_live *live = hpw_live_find(&self->live, block);
    if (!live) return; /* one that was lost */
    self->lines[live->id].blocks--;
    self->kinds[live->slot].blocks--;
    count(self, live, 0 - live->size);
    hpw_live_remove(&self->live, live);
}

static void move(hpw_consumers *self, uintptr_t from, const void *to, uint64_t size) {
    hpw_live *found = hpw_live_find(&self->live, from);
    if (!found) return;
    hpw_live moved = *found;
    uint64_t before = moved.size;
    moved.key = (uintptr_t)to;
    moved.size = size;
    hpw_live_remove(&self->live, found);
    hpw_live_add(&self->live, &moved); /* where one left there is room */
    if (size > before) {
        self->lines[moved.id].allocated += size - before;
        self->kinds[moved.slot].allocated += size - before;
    }
    count(self, &moved, size - before);
}

void *hpw_consumers_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    hpw_consumers *self = ud;
    uintptr_t from = (uintptr_t)ptr;
    uint64_t line = 0;
    bool noted = true;
    if (!from && nsize) noted = line_now(self, &line);
    void *block = self->next(self->next_ud, ptr, osize, nsize);
    if (!noted) {
        self->lost += block != NULL;
    } else if (!nsize) {
        if (!from) return block;
        if (self->depth) forget_coroutine(self, from);
        take(self, from);
    } else if (block) {
        if (from)
            move(self, from, block, nsize);
        else
            add(self, block, hpw_lua_kind_of(osize), line, nsize);
    }
    return block;
}

/* ---- Answers -------------------------------------------------------------------------------- */

const hpw_kind_use *hpw_consumers_kinds(const hpw_consumers *self) { return self->kinds; }

uint64_t hpw_consumers_lost(const hpw_consumers *self) { return self->lost; }

/* By peak, then by what is in use, then by name: the same order in every run. */
static int compare(const hpw_consumer *a, const hpw_consumer *b) {
    if (a->peak_in_use != b->peak_in_use) return a->peak_in_use < b->peak_in_use ? 1 : -1;
    if (a->in_use != b->in_use) return a->in_use < b->in_use ? 1 : -1;
    int names = strcmp(a->source, b->source);
    return names ? names : (a->line > b->line) - (a->line < b->line);
}

size_t hpw_consumers_largest(const hpw_consumers *self, hpw_consumer *to, size_t most) {
    size_t taken = 0;
    for (size_t i = 0; i < self->count; i++) {
        const hpw_consumer *line = &self->lines[i];
        if (taken == most && (!most || compare(line, &to[taken - 1]) >= 0)) continue;
        size_t at = taken < most ? taken++ : taken - 1;
        for (; at && compare(line, &to[at - 1]) < 0; at--) to[at] = to[at - 1];
        to[at] = *line;
    }
    return taken;
}
