/* SPDX-License-Identifier: MIT */
/* What an account counts, as fields. */
#include "fields.h"

void set_account_counts(lua_State *L, const hpw_account_stats *stats) {
    if (stats->limit != HPW_NO_LIMIT) set_count(L, "limit", stats->limit);
    set_count(L, "headroom", stats->headroom);
    set_count(L, "in_use", stats->in_use);
    set_count(L, "peak_in_use", stats->peak_in_use);
    set_count(L, "granted", stats->granted);
    set_count(L, "peak_granted", stats->peak_granted);
    set_count(L, "allocations", stats->allocations);
    set_count(L, "frees", stats->frees);
    set_count(L, "reallocations", stats->reallocations);
    set_count(L, "over_limit", stats->over_limit);
    set_count(L, "over_pool", stats->over_pool);
    set_count(L, "over_headroom", stats->over_headroom);
    set_count(L, "injected", stats->injected);
}
