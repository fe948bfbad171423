/* SPDX-License-Identifier: MIT */
/*
 * Accounts: opening, closing, limits, statistics. What other threads may do with
 * a running account goes through counters alone: they set its limit and ask it to
 * look (`line` = 0), read its counts, and tell it that somebody was refused.
 */
#include "account.h"

#include <string.h>

const char *hpw_lua_kind_name(hpw_lua_kind kind) {
    static const char *const names[HPW_LUA_KINDS] = {
        [HPW_LUA_OTHER] = "other",       [HPW_LUA_STRING] = "string",       [HPW_LUA_TABLE] = "table",
        [HPW_LUA_FUNCTION] = "function", [HPW_LUA_USERDATA] = "userdata",   [HPW_LUA_THREAD] = "thread",
        [HPW_LUA_UPVALUE] = "upvalue",   [HPW_LUA_PROTOTYPE] = "prototype",
    };
    return (unsigned)kind < HPW_LUA_KINDS ? names[kind] : "unknown";
}

/* ---- Open and close ---- */

static void join_pool(hpw_account *account) {
    hpw_pool *pool = account->pool;
    pool_enter(pool);
    account->next = pool->accounts;
    if (account->next) account->next->previous = account;
    pool->accounts = account;
    pool_leave(pool);
}

static void leave_pool(hpw_account *account) {
    hpw_pool *pool = account->pool;
    pool_enter(pool);
    *(account->previous ? &account->previous->next : &pool->accounts) = account->next;
    if (account->next) account->next->previous = account->previous;
    pool_leave(pool);
}

hpw_account *hpw_open_account(hpw_pool *pool, const hpw_account_config *config, hpw_error *error) {
    hpw_account *account = hpw_calloc(pool, 1, sizeof *account);
    if (error) *error = account ? HPW_OK : HPW_NO_MEMORY;
    if (!account) return NULL;
    account->pool = pool;
    counter_set(&account->limit, config && config->limit ? config->limit : HPW_NO_LIMIT);
    counter_set(&account->headroom, config ? config->headroom : 0);
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++)
        for (unsigned class = 0; class < CLASSES; class ++) account->bins[kind][class] = &account->full;
    account_took(account, hpw_usable_size(pool, account));
    join_pool(account);
    return account;
}

hpw_error hpw_close_account(hpw_account *account) {
    if (!account) return HPW_OK;
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++)
        if (counter_get(&account->kinds[kind].blocks)) return HPW_INVALID_ARGUMENT;
    slabs_give_back(account);
    leave_pool(account);
    return hpw_free(account->pool, account);
}

/* ---- Limits ---- */

/*
 * `line` is what the owner's thread looks at. Who changes a limit sets it first and
 * the line to 0 then; the owner sets its line first and looks at the limits then:
 * whichever way the two meet, the last line set is 0 or made from the new limit.
 */
static void look_again(hpw_account *account) { counter_put(&account->line, 0); }

void hpw_set_limit(hpw_account *account, uint64_t bytes) {
    counter_put(&account->limit, bytes);
    look_again(account);
}

void hpw_set_headroom(hpw_account *account, uint64_t bytes) {
    counter_put(&account->headroom, bytes);
    look_again(account);
}

static uint64_t soft_limit(uint64_t limit, uint64_t headroom) {
    if (!headroom || limit == HPW_NO_LIMIT) return limit;
    return limit > headroom ? limit - headroom : 0;
}

/* Is this object sent back, for a collection first? Says where the next one is. */
static bool asks(hpw_account *account, uint64_t in_use, uint64_t soft, uint64_t headroom, bool object) {
    if (counter_get(&account->in_use) < soft && !account->asked) account->asks_at = soft;
    if (account->asked) { /* collected; was it enough? */
        account->asked = false;
        account->asks_at = in_use <= soft ? soft : in_use + headroom / 8;
        return false;
    }
    account->asked = object && in_use > account->asks_at;
    return account->asked;
}

bool account_may_have(hpw_account *account, uint64_t more, bool object) {
    uint64_t in_use = counter_get(&account->in_use) + more, limit, headroom;
    bool sent_back = false;
    do {
        limit = counter_look(&account->limit);
        headroom = counter_look(&account->headroom);
        uint64_t soft = soft_limit(limit, headroom);
        if (soft == limit)
            account->asks_at = limit;
        else if (!sent_back && in_use <= limit)
            sent_back = asks(account, in_use, soft, headroom, object);
        counter_put(&account->line, account->asked ? 0 : account->asks_at < limit ? account->asks_at : limit);
    } while (limit != counter_look(&account->limit) || headroom != counter_look(&account->headroom));
    if (in_use < more || in_use > limit) {
        counter_add(&account->over_limit, 1);
        return false;
    }
    if (sent_back) counter_add(&account->over_headroom, 1);
    return !sent_back;
}

void account_took(hpw_account *account, uint64_t bytes) {
    counter_add(&account->granted, bytes);
    uint64_t granted = counter_get(&account->granted);
    if (granted > counter_get(&account->peak_granted)) counter_set(&account->peak_granted, granted);
}

/* ---- Pressure ---- */

void account_refused(hpw_account *account) {
    hpw_pool *pool = account->pool;
    counter_add(&account->over_pool, 1);
    pool_enter(pool);
    for (hpw_account *each = pool->accounts; each; each = each->next) {
        counter_put(&each->pressure, 1);
        if (each != account) counter_put(&each->squeezed, 1);
    }
    pool_leave(pool);
}

bool hpw_account_pressure(hpw_account *account) { return counter_swap(&account->pressure, 0); }

/* ---- Statistics ---- */

void hpw_get_account_stats(const hpw_account *account, hpw_account_stats *out) {
    *out = (hpw_account_stats){
        .limit = counter_get(&account->limit),
        .headroom = counter_get(&account->headroom),
        .in_use = counter_get(&account->in_use),
        .peak_in_use = counter_get(&account->peak_in_use),
        .granted = counter_get(&account->granted),
        .peak_granted = counter_get(&account->peak_granted),
        .allocations = counter_get(&account->allocations),
        .reallocations = counter_get(&account->reallocations),
        .over_limit = counter_get(&account->over_limit),
        .over_pool = counter_get(&account->over_pool),
        .over_headroom = counter_get(&account->over_headroom),
        .pressure = counter_get(&account->pressure),
    };
    out->frees = out->allocations;
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        out->kinds[kind].in_use = counter_get(&account->kinds[kind].in_use);
        out->kinds[kind].blocks = counter_get(&account->kinds[kind].blocks);
        out->frees -= out->kinds[kind].blocks;
    }
}
