/* SPDX-License-Identifier: MIT */
/* A pool as lua_Alloc: accounts. */
#include <string.h>

#include "heapwright.h"

struct hpw_account {
    hpw_pool *pool;
    uint64_t limit;
    hpw_account_stats stats;
};

const char *hpw_lua_kind_name(hpw_lua_kind kind) {
    static const char *const names[HPW_LUA_KINDS] = {
        [HPW_LUA_OTHER] = "other",       [HPW_LUA_STRING] = "string",       [HPW_LUA_TABLE] = "table",
        [HPW_LUA_FUNCTION] = "function", [HPW_LUA_USERDATA] = "userdata",   [HPW_LUA_THREAD] = "thread",
        [HPW_LUA_UPVALUE] = "upvalue",   [HPW_LUA_PROTOTYPE] = "prototype",
    };
    return (unsigned)kind < HPW_LUA_KINDS ? names[kind] : "unknown";
}

hpw_account *hpw_open_account(hpw_pool *pool, const hpw_account_config *config, hpw_error *error) {
    hpw_account *account = hpw_calloc(pool, 1, sizeof *account);
    if (error) *error = account ? HPW_OK : HPW_NO_MEMORY;
    if (!account) return NULL;
    account->pool = pool;
    account->stats.limit = config && config->limit ? config->limit : HPW_NO_LIMIT;
    account->stats.headroom = config ? config->headroom : 0;
    return account;
}

hpw_error hpw_close_account(hpw_account *account) {
    if (!account) return HPW_OK;
    if (account->stats.in_use) return HPW_INVALID_ARGUMENT;
    return hpw_free(account->pool, account);
}

void hpw_set_limit(hpw_account *account, uint64_t bytes) { account->stats.limit = bytes; }
void hpw_set_headroom(hpw_account *account, uint64_t bytes) { account->stats.headroom = bytes; }
void hpw_get_account_stats(const hpw_account *account, hpw_account_stats *out) { *out = account->stats; }
bool hpw_account_pressure(hpw_account *account) {
    bool pressure = account->stats.pressure;
    account->stats.pressure = false;
    return pressure;
}

static void *count(hpw_account_stats *stats, void *ptr, uint64_t less, uint64_t more) {
    if (!ptr) {
        stats->over_pool++;
        stats->pressure = true;
        return NULL;
    }
    stats->in_use += more - less;
    if (stats->in_use > stats->peak_in_use) stats->peak_in_use = stats->in_use;
    return ptr;
}

void *hpw_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    hpw_account *account = ud;
    hpw_account_stats *stats = &account->stats;
    if (!ptr) osize = 0;
    if (nsize == 0) {
        if (ptr) stats->frees++;
        stats->in_use -= osize;
        hpw_free(account->pool, ptr);
        return NULL;
    }
    if (nsize > osize && nsize - osize > stats->limit - stats->in_use) {
        stats->over_limit++;
        return NULL;
    }
    if (!ptr) {
        stats->allocations++;
        return count(stats, hpw_malloc(account->pool, nsize), 0, nsize);
    }
    stats->reallocations++;
    void *moved = hpw_realloc(account->pool, ptr, nsize);
    return count(stats, !moved && nsize <= osize ? ptr : moved, osize, nsize);
}
