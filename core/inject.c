/* SPDX-License-Identifier: MIT */
/* Failures by plan: setting a plan, and which request it refuses. See inject.h. */
#include "inject.h"

#include "account.h"
#ifndef HPW_FREESTANDING
#include "caches.h"
#endif

enum { RANDOM_BITS = 53 }; /* of a double's fraction: a probability times 2^53 is exact */

/* ---- Which thread's refusal ---- */

#ifdef HPW_FREESTANDING
uint64_t inject_latest(const hpw_pool *pool) { return pool->injection.latest; }
void inject_note_latest(hpw_pool *pool, uint64_t number) { pool->injection.latest = number; }
#else
/* A call that was refused asks for it before it returns, when other threads may have been refused since. */
static _Thread_local uint64_t latest_of_thread;

uint64_t inject_latest(const hpw_pool *pool) {
    (void)pool;
    return latest_of_thread;
}

void inject_note_latest(hpw_pool *pool, uint64_t number) {
    (void)pool;
    latest_of_thread = number;
}
#endif

/* ---- Which request ---- */

static uint64_t draw(injection *i) {
    uint64_t z = i->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) >> (64 - RANDOM_BITS);
}

/* Does the newest of the requests fail? */
static bool falls(injection *i) {
    const hpw_injection *plan = &i->plan;
    if (plan->after) return plan->persistent ? i->requests >= plan->after : i->requests == plan->after;
    if (plan->every) return i->requests % plan->every == 0;
    if (i->below) return draw(i) < i->below;
    return true; /* by its size alone */
}

bool inject_refuses(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t alignment) {
    injection *i = &pool->injection;
    if (!i->on || size < i->plan.size_at_least) return false;
    i->requests++;
    if (!falls(i)) return false;
    i->injected++;
    i->ever++;
    pool_refuse(pool, address, size, alignment);
    inject_note_latest(pool, i->requests);
    return true;
}

void *inject_allocate(hpw_pool *pool, uint64_t size) {
    return inject_refuses(pool, 0, size, 0) ? NULL : pool_general(pool)->allocate(pool, size);
}

void *inject_pass(hpw_pool *pool, uint64_t size) {
    return pool->injection.on ? pool_general(pool)->allocate(pool, size) : pool->inner.allocate(pool, size);
}

hpw_error inject_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved,
                        hpw_report *report) {
    granule_t at, granules;
    uint64_t requested;
    bool grows = pool_find_user(pool, address, &at, &granules, &requested) && size > requested &&
                 pool_damage(pool, at, granules, requested) == UINT64_MAX; /* which is told as ever */
    if (grows && inject_refuses(pool, address, size, 0))
        return pool_report_refused(pool, report, address, size);
    return pool_resize(pool, address, size, moved, report);
}

/* ---- The plan ---- */

static bool is_plan(const hpw_injection *plan) {
    int ways = (plan->after != 0) + (plan->every != 0) + !(plan->probability == 0);
    if (ways > 1 || (!ways && !plan->size_at_least)) return false;
    if (plan->persistent && !plan->after) return false;
    return plan->probability >= 0 && plan->probability <= 1; /* which no NaN is */
}

/* In 53 random bits; the least probability that there is never rounds to none. */
static uint64_t bits_below_which(double probability) {
    uint64_t below = (uint64_t)(int64_t)(probability * (double)((uint64_t)1 << RANDOM_BITS));
    return below || probability == 0 ? below : 1;
}

/* Everybody who has a way of their own goes it, or asks the plan. The pool is entered. */
static void tell_all(hpw_pool *pool) {
    pool_choose_way(pool);
#ifndef HPW_FREESTANDING
    if (pool->caches) caches_note_sink(pool);
#endif
    for (hpw_account *each = pool->accounts; each; each = each->next)
        account_note_plan(each, pool->injection.on);
}

hpw_error hpw_inject(hpw_pool *pool, const hpw_injection *plan) {
    if (plan && !is_plan(plan)) return HPW_INVALID_ARGUMENT;
    pool_enter(pool);
    injection *i = &pool->injection;
    if (plan) {
        i->plan = *plan;
        i->requests = i->injected = 0;
        i->random = plan->seed;
        i->below = bits_below_which(plan->probability);
    }
    i->on = plan != NULL;
    tell_all(pool);
    pool_leave(pool);
    return HPW_OK;
}

bool hpw_get_injected(const hpw_pool *pool, uint64_t *requests, uint64_t *injected) {
    pool_enter(pool);
    bool on = pool->injection.on;
    if (requests) *requests = pool->injection.requests;
    if (injected) *injected = pool->injection.injected;
    pool_leave(pool);
    return on;
}

uint64_t hpw_refused_by_plan(const hpw_pool *pool) { return inject_latest(pool); }
