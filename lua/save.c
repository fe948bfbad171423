/* SPDX-License-Identifier: MIT */
/*
 * Pools in files: mem:save(path) and heapwright.load(path [, options]). The core
 * writes, verifies and restores; here options are read over those that the file
 * says, and a failure becomes nil, message, code.
 */
#include "binding.h"

/* save(path) */
static int method_save(lua_State *L) {
    hpw_image_error error;
    pool_reader(L);
    luaL_checkstring(L, 2);
    const char *path = path_at(L, 2, 2);
    const lua_pool *self =
        pool_reader(L); /* making a string of a number may have collected garbage, and closed it */
    if (hpw_save(self->pool, path, &error)) return fail_with(L, error.code, "save: %s", error.message);
    lua_pushboolean(L, true);
    return 1;
}

int module_load(lua_State *L) {
    hpw_image image;
    hpw_image_error error;
    hpw_config config;
    luaL_checkstring(L, 1);
    const char *path = path_at(L, 1, 1);
    if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
    if (hpw_examine(path, &image, &error)) return fail_with(L, error.code, "load: %s", error.message);
    lua_settop(L, 2);
    const hpw_policy_info *policy = options_read_over(L, 2, &image, &config);
    if (!policy)
        return fail_with(
            L, HPW_INVALID_ARGUMENT,
            "load: %s: its policy '%s' is one in Lua that is not registered here: register it with "
            "heapwright.policy, or name another",
            path, image.chosen);
    lua_pool *self = pool_push_closed(L);
    self->policy = policy;
    pool_take_chooser(L, self, &config);
    pool_share *share = share_load(path, &config, policy, &error);
    if (!share && self->chooser) chooser_raise(L, self->chooser);
    if (!share) return fail_with(L, error.code, "load: %s", error.message);
    return pool_open_handle(self, share);
}

const luaL_Reg save_methods[] = {
    {"save", method_save},
    {NULL, NULL},
};
