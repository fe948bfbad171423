/* SPDX-License-Identifier: MIT */
/* The option `classes` of heapwright.new: slab's size classes, { 16, 48, "1K" }. */
#include "binding.h"

#include <string.h>

/* The list at the stack's top has nothing beside its `count` items. */
static bool is_list(lua_State *L, size_t count) {
    size_t items = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) items++;
    return items == count;
}

void options_read_classes(lua_State *L, int arg, const char *name, hpw_config *config) {
    if (!lua_istable(L, -1))
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "%s: a list of sizes expected, got %s", name, luaL_typename(L, -1)));
    size_t count = lua_rawlen(L, -1);
    uint64_t before = 0;
    if (!count || !is_list(L, count))
        luaL_argerror(L, arg, lua_pushfstring(L, "%s: a list of sizes expected, and nothing else", name));
    if (count > HPW_MOST_CLASSES)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "%s: %d are too many, a pool has %d at most", name, (int)count,
                                      HPW_MOST_CLASSES));
    memset(config->classes, 0, sizeof config->classes);
    for (size_t i = 0; i < count; before = config->classes[i++]) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        uint64_t size = options_size(L, -1, arg, name);
        if (size <= before)
            luaL_argerror(L, arg,
                          lua_pushfstring(L, "%s: %I after %I: they must ascend, from more than 0", name,
                                          (LUAI_UACINT)size, (LUAI_UACINT)before));
        /* Which of those larger than any are too large, the granule says. */
        config->classes[i] = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
        if (size > UINT32_MAX)
            luaL_argerror(L, arg, lua_pushfstring(L, "%s: %I is too large", name, (LUAI_UACINT)size));
        lua_pop(L, 1);
    }
}

void options_check_classes(lua_State *L, int arg, const hpw_config *config, const hpw_policy_info *policy) {
    if (!config->classes[0]) return;
    uint32_t granule = config->granule, most = granule * HPW_LARGEST_CLASS;
    if (!policy->takes_classes)
        luaL_argerror(L, arg, lua_pushfstring(L, "classes: %s has none", policy->name));
    for (size_t i = 0; i < HPW_MOST_CLASSES && config->classes[i]; i++) {
        uint32_t size = config->classes[i];
        if (size > most)
            luaL_argerror(L, arg,
                          lua_pushfstring(L, "classes: %I is more than %d, %d granules of %d bytes",
                                          (LUAI_UACINT)size, (int)most, HPW_LARGEST_CLASS, (int)granule));
        if (size % granule)
            luaL_argerror(L, arg,
                          lua_pushfstring(L, "classes: %d is no multiple of the granule of %d bytes",
                                          (int)size, (int)granule));
    }
}
