/* SPDX-License-Identifier: MIT */
/*
 * Budgets of instructions and time: see budget.h. O(1) an instalment.
 *
 * Lua calls a count hook of n before every n-th instruction: an instalment of n
 * for a thread that has none left is a count of n + 1, and one drawn in the hook,
 * before an instruction that it then has to cover, is a count of n.
 */
#include "budget.h"

#include <lauxlib.h>
#include <stdio.h>
#include <time.h>

enum { INSTALMENT = 1000, COROUTINE_INSTALMENT = 100 };

static const char key; /* of the registry: the budget of a bounded state */

budget *budget_in(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    budget *b = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return b && b->watched ? b : NULL;
}

void budget_register(lua_State *L) {
    lua_pushlightuserdata(L, budget_of(L));
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

uint64_t budget_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void hook(lua_State *L, lua_Debug *unused);

/* The hook stays while the state lives; only its count changes. Setting it costs O(calls on the stack). */
static void set_count(lua_State *L, uint64_t count) {
    if (lua_gethookcount(L) != (int)count || lua_gethook(L) != hook)
        lua_sethook(L, hook, LUA_MASKCOUNT, (int)count);
}

/* ---- Ends ---- */

/* Where the innermost Lua function of L is. */
static void note_place(budget *b, lua_State *L) {
    lua_Debug at;
    b->place[0] = '\0';
    for (int level = 0; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline <= 0) continue;
        snprintf(b->place, sizeof b->place, "%s:%d: ", at.short_src, at.currentline);
        return;
    }
}

static void end(budget *b, lua_State *L, budget_end why) {
    if (b->end) return;
    b->end = why;
    note_place(b, L);
}

/*
 * Raises, at this instruction and at each that follows. What the script sees of
 * it, in what is left of the instalments of threads further out, is this message.
 */
static void raise_end(budget *b, lua_State *L) {
    set_count(L, 1);
    set_count(b->main, 1);
    lua_pushliteral(L, "the call's budget has ended");
    lua_error(L);
}

void budget_check(lua_State *L) {
    budget *b = budget_of(L);
    if (b->end) raise_end(b, L);
}

/* ---- Instalments ---- */

/* Has the time come, or another thread's word? */
static void look(budget *b, lua_State *L) {
    b->unseen = 0;
    if (atomic_load_explicit(&b->cancelled, memory_order_relaxed)) end(b, L, CANCELLED);
    if (b->time != BUDGET_NONE && budget_now() - b->began >= b->time) end(b, L, OUT_OF_TIME);
}

void budget_look(lua_State *L) {
    budget *b = budget_of(L);
    if (!b->watched) return;
    look(b, L);
    if (b->end) raise_end(b, L);
}

/* Up to so many steps; none where the budget has ended, now or before. */
static uint64_t draw(budget *b, lua_State *L, uint64_t most) {
    uint64_t granted = most < b->left ? most : b->left;
    if (b->unseen >= INSTALMENT) look(b, L);
    if (!granted) end(b, L, OUT_OF_INSTRUCTIONS);
    if (b->end) return 0;
    if (b->instructions != BUDGET_NONE) b->left -= granted;
    b->drawn += granted;
    b->unseen += granted;
    return granted;
}

static void hook(lua_State *L, lua_Debug *unused) {
    budget *b = budget_of(L);
    (void)unused;
    uint64_t granted = draw(b, L, L == b->main ? INSTALMENT : COROUTINE_INSTALMENT);
    if (!granted) raise_end(b, L);
    set_count(L, granted);
}

void budget_adopt(lua_State *L, lua_State *coroutine) {
    budget *b = budget_of(L);
    if (!b->watched) return;
    uint64_t granted = draw(b, L, COROUTINE_INSTALMENT);
    if (!granted) raise_end(b, L);
    set_count(coroutine, granted + 1);
}

void budget_charge(lua_State *L, uint64_t steps) {
    budget *b = budget_of(L);
    if (!b->watched) return;
    if (steps > b->left) end(b, L, OUT_OF_INSTRUCTIONS);
    b->unseen = INSTALMENT;
    if (b->end || (steps && draw(b, L, steps) < steps)) raise_end(b, L);
}

/* ---- Calls ---- */

void budget_begin(budget *b) {
    b->left = b->instructions;
    b->drawn = 0;
    b->unseen = INSTALMENT; /* a call cancelled before it began ends at once */
    b->end = GOES_ON;
    b->place[0] = '\0';
    b->began = budget_now();
    if (b->watched) lua_sethook(b->main, hook, LUA_MASKCOUNT, (int)draw(b, b->main, INSTALMENT) + 1);
}

void budget_finish(budget *b) { b->ended = budget_now(); }
