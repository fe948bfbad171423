/* SPDX-License-Identifier: MIT */
/*
 * A host of Lua scripts that it does not trust: two tenants, each a Lua state on a
 * thread of its own, share one pool of 4 MiB. Each has an account in it with a
 * limit of 2 MiB. One of them takes all that it can get; the other does its work
 * as if it were alone.
 *
 *   cc -Icore -I/usr/include/lua5.4 examples/host.c build/libheapwright.a \
 *      -llua5.4 -lpthread -o host
 */
#include <heapwright.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct tenant {
    const char *name, *script;
    hpw_pool *pool;
    bool finished;
    char said[120];          /* its result, or what ended it */
    hpw_account_stats stats; /* as they were when it ended */
} tenant;

/* Opening the libraries may already fail for want of memory: this runs under lua_pcall. */
static int serve(lua_State *L) {
    const tenant *self = lua_touserdata(L, 1);
    luaL_openlibs(L);
    if (luaL_loadbuffer(L, self->script, strlen(self->script), self->name) != LUA_OK) lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

static void run(tenant *self, lua_State *L) {
    lua_pushcfunction(L, serve);
    lua_pushlightuserdata(L, self);
    self->finished = lua_pcall(L, 1, 1, 0) == LUA_OK;
    const char *text = lua_tostring(L, -1);
    snprintf(self->said, sizeof self->said, "%s", text ? text : "?");
    lua_close(L);
}

static void *run_tenant(void *ud) {
    tenant *self = ud;
    hpw_account *account = hpw_open_account(self->pool, &(hpw_account_config){.limit = 2 << 20}, NULL);
    if (!account) return NULL;
    lua_State *L = lua_newstate(hpw_lua_alloc, account);
    if (L) run(self, L);
    hpw_get_account_stats(account, &self->stats);
    hpw_close_account(account); /* gives everything back; refused while a block is live */
    return NULL;
}

static const char bomb[] = "local all = {}\n"
                           "while true do all[#all + 1] = ('x'):rep(1000) .. #all end\n";

static const char worker[] = "local seen, words = {}, 0\n"
                             "for round = 1, 200 do\n"
                             "  for word in ('the pool is shared, the limit is not'):gmatch '%a+' do\n"
                             "    local key = word .. round % 50\n"
                             "    seen[key] = (seen[key] or 0) + 1\n"
                             "    words = words + 1\n"
                             "  end\n"
                             "end\n"
                             "local distinct = 0\n"
                             "for _ in pairs(seen) do distinct = distinct + 1 end\n"
                             "return words .. ' words, ' .. distinct .. ' distinct'\n";

int main(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 4 << 20}, NULL);
    if (!pool) return 1;
    tenant tenants[] = {{.name = "=bomb", .script = bomb, .pool = pool},
                        {.name = "=worker", .script = worker, .pool = pool}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run_tenant, &tenants[i])) return 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);

    for (int i = 0; i < 2; i++) {
        const hpw_account_stats *stats = &tenants[i].stats;
        printf("%-7s %s: %s\n", tenants[i].name + 1, tenants[i].finished ? "finished" : "was stopped",
               tenants[i].said);
        printf("        its limit %s; at its end it holds %llu bytes\n",
               stats->over_limit ? "refused what it asked for" : "was never reached",
               (unsigned long long)stats->in_use);
    }
    hpw_stats left;
    hpw_get_stats(pool, &left);
    printf("in the pool of 4 MiB are %llu live blocks; check: %s\n", (unsigned long long)left.live_blocks,
           hpw_error_name(hpw_check(pool, NULL)));
    hpw_close(pool);
    return 0;
}

/*
 * Output:
 * bomb    was stopped: not enough memory
 *         its limit refused what it asked for; at its end it holds 0 bytes
 * worker  finished: 1600 words, 300 distinct
 *         its limit was never reached; at its end it holds 0 bytes
 * in the pool of 4 MiB are 0 live blocks; check: ok
 */
