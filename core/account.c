/* SPDX-License-Identifier: MIT */
/*
 * Accounts: opening, closing, limits, statistics. What other threads may do with
 * a running account goes through atomics alone: they set its limit and ask it to
 * look (`line` = 0), and tell it that somebody was refused.
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
    account_note_plan(account, pool->injection.on);
    pool_leave(pool);
}

static void leave_pool(hpw_account *account) {
    hpw_pool *pool = account->pool;
    pool_enter(pool);
    *(account->previous ? &account->previous->next : &pool->accounts) = account->next;
    if (account->next) account->next->previous = account->previous;
    pool_leave(pool);
}

static bool opening_fails(hpw_pool *pool, uint64_t bytes) {
    pool_enter(pool);
    bool fails = inject_refuses(pool, 0, bytes, 0);
    pool_leave(pool);
    return fails;
}

hpw_account *hpw_open_account(hpw_pool *pool, const hpw_account_config *config, hpw_error *error) {
    uint64_t limit = config && config->limit ? config->limit : HPW_NO_LIMIT;
    uint64_t most = pool_bytes(pool, pool->max_capacity);
    if (limit < most) most = limit;
    size_t bytes = slabs_account_bytes(most);
    uint64_t granted = 0;
    hpw_account *account = opening_fails(pool, bytes) ? NULL : claim_take(pool, bytes, 1, 0, &granted);
    if (error) *error = account ? HPW_OK : HPW_NO_MEMORY;
    if (!account) return NULL;
    memset(account, 0, bytes);
    account->pool = pool;
    shared_set(&account->limit, limit);
    shared_set(&account->headroom, config ? config->headroom : 0);
    slabs_open(account, most);
    account->granted = account->peak_granted = granted;
    join_pool(account);
    return account;
}

hpw_error hpw_close_account(hpw_account *account) {
    if (!account) return HPW_OK;
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++)
        if (account->kinds[kind].allocations != account->kinds[kind].frees) return HPW_INVALID_ARGUMENT;
    slabs_give_back(account);
    leave_pool(account);
    uint64_t granted = account->granted;
    claim_give(account->pool, account, &granted);
    return HPW_OK;
}

/* ---- Limits ---- */

/*
 * `line` is what the owner's thread looks at. Who changes a limit sets it first and
 * the line to 0 then; the owner sets its line first and looks at the limits then:
 * whichever way the two meet, the last line set is 0 or made from the new limit.
 */
static void look_again(hpw_account *account) { shared_set(&account->line, 0); }

void hpw_set_limit(hpw_account *account, uint64_t bytes) {
    shared_set(&account->limit, bytes);
    look_again(account);
}

void hpw_set_headroom(hpw_account *account, uint64_t bytes) {
    shared_set(&account->headroom, bytes);
    look_again(account);
}

static uint64_t soft_limit(uint64_t limit, uint64_t headroom) {
    if (!headroom || limit == HPW_NO_LIMIT) return limit;
    return limit > headroom ? limit - headroom : 0;
}

/* Is this object sent back, for a collection first? */
static bool asks(hpw_account *account, uint64_t in_use, uint64_t headroom, bool object) {
    if (account->asked) { /* collected; was it enough? */
        account->asked = false;
        account->asks_at = in_use <= account->soft ? account->soft : in_use + headroom / 8;
        return false;
    }
    if (account->in_use < account->soft) account->asks_at = account->soft;
    account->asked = object && in_use > account->asks_at;
    return account->asked;
}

bool account_may_have(hpw_account *account, uint64_t more, bool object) {
    uint64_t in_use = account->in_use + more, limit, headroom, planned;
    bool sent_back = false, decided = false;
    do {
        limit = shared_look(&account->limit);
        headroom = shared_look(&account->headroom);
        planned = shared_look(&account->planned);
        uint64_t soft = soft_limit(limit, headroom);
        if (account->soft != soft) account->asks_at = account->soft = soft; /* it was set anew */
        if (account->soft == limit) {
            account->asks_at = limit;
            account->asked = sent_back = false;
        } else if (!decided && in_use <= limit) {
            sent_back = asks(account, in_use, headroom, object);
            decided = true;
        }
        uint64_t line = account->asks_at < limit ? account->asks_at : limit;
        shared_set(&account->line, account->asked || planned ? 0 : line);
    } while (limit != shared_look(&account->limit) || headroom != shared_look(&account->headroom) ||
             planned != shared_look(&account->planned));
    if (in_use < more || in_use > limit) {
        account->over_limit++;
        return false;
    }
    if (sent_back) account->over_headroom++;
    return !sent_back;
}

void account_grew(hpw_account *account) {
    if (account->granted > account->peak_granted) account->peak_granted = account->granted;
}

/* ---- Failures by plan ---- */

void account_note_plan(hpw_account *account, bool planned) {
    shared_set(&account->planned, planned);
    look_again(account);
}

bool account_asks_plan(hpw_account *account, uint64_t size) {
    hpw_pool *pool = account->pool;
    pool_enter(pool);
    bool refused = inject_refuses(pool, 0, size, 0);
    pool_leave(pool);
    if (!refused) return false;
    account->injected++;
    account_refused(account);
    return true;
}

/* ---- Pressure ---- */

void account_refused(hpw_account *account) {
    hpw_pool *pool = account->pool;
    account->over_pool++;
    pool_enter(pool);
    for (hpw_account *each = pool->accounts; each; each = each->next) {
        shared_set(&each->pressure, 1);
        if (each != account) shared_set(&each->squeezed, 1);
    }
    pool_leave(pool);
}

bool hpw_account_pressure(hpw_account *account) { return shared_swap(&account->pressure, 0); }

/* ---- Statistics ---- */

void hpw_get_account_stats(const hpw_account *account, hpw_account_stats *out) {
    *out = (hpw_account_stats){
        .limit = shared_get(&account->limit),
        .headroom = shared_get(&account->headroom),
        .in_use = account->in_use,
        .peak_in_use = account->peak_in_use,
        .granted = account->granted,
        .peak_granted = account->peak_granted,
        .reallocations = account->reallocations,
        .over_limit = account->over_limit,
        .over_pool = account->over_pool,
        .over_headroom = account->over_headroom,
        .injected = account->injected,
        .pressure = shared_get(&account->pressure),
    };
    for (unsigned kind = 0; kind < HPW_LUA_KINDS; kind++) {
        const account_kind *of = &account->kinds[kind];
        out->kinds[kind].in_use = of->in_use;
        out->kinds[kind].blocks = of->allocations - of->frees;
        out->allocations += of->allocations;
        out->frees += of->frees;
    }
}
