/* SPDX-License-Identifier: MIT */
/*
 * heapwright.new's options and the sizes that people write: "1M", "64K",
 * "1.5G", "12KiB". Whatever is not understood raises, with its name.
 */
#include "binding.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* ---- Sizes ---- */

typedef struct size_unit {
    const char *name;
    unsigned shift;
} size_unit;

static const size_unit units[] = {
    {"", 0},     {"B", 0},  {"K", 10},   {"KiB", 10}, {"M", 20},
    {"MiB", 20}, {"G", 30}, {"GiB", 30}, {"T", 40},   {"TiB", 40},
};

static const char units_known[] = "B, K, KiB, M, MiB, G, GiB, T, TiB";

/* Are these the same letters, whatever their case? */
static bool same_letters(const char *a, const char *b) {
    while (*a && toupper((unsigned char)*a) == toupper((unsigned char)*b)) a++, b++;
    return *a == *b;
}

static const size_unit *unit_named(const char *name) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (same_letters(units[i].name, name)) return &units[i];
    return NULL;
}

/*
 * The digits after the point as so many bytes of a unit of 2^shift, exactly:
 * fraction / 10^digits * 2^shift is whole if and only if 5^digits divides the
 * fraction and digits <= shift, once trailing zeros are gone.
 */
static bool whole_fraction(const char *digits, size_t count, unsigned shift, uint64_t *value) {
    uint64_t fraction = 0, fives = 1;
    while (count && digits[count - 1] == '0') count--;
    if (count > shift || count > 18) return false;
    for (size_t i = 0; i < count; i++) {
        fraction = fraction * 10 + (uint64_t)(digits[i] - '0');
        fives *= 5;
    }
    if (fraction % fives) return false;
    *value = fraction / fives << (shift - count);
    return true;
}

/* Bytes that `text` says; NULL, or what is wrong with it. */
static const char *size_of_text(const char *text, uint64_t *bytes) {
    uint64_t whole = 0, part = 0;
    const char *c = text, *fraction;
    if (*c == '-') return "negative";
    if (!isdigit((unsigned char)*c)) return "not a size";
    for (; isdigit((unsigned char)*c); c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (whole > (INT64_MAX - digit) / 10) return "too large";
        whole = whole * 10 + digit;
    }
    fraction = c;
    if (*c == '.') {
        fraction = ++c;
        if (!isdigit((unsigned char)*c)) return "not a size";
        while (isdigit((unsigned char)*c)) c++;
    }
    size_t digits = (size_t)(c - fraction);
    while (*c == ' ') c++;
    const size_unit *unit = unit_named(c);
    if (!unit) return "not a size";
    if (!whole_fraction(fraction, digits, unit->shift, &part)) return "not a whole number of bytes";
    if (whole > (uint64_t)INT64_MAX >> unit->shift) return "too large";
    *bytes = (whole << unit->shift) + part;
    return NULL;
}

uint64_t options_size(lua_State *L, int index, int arg, const char *option) {
    const char *name = option ? option : "", *colon = option ? ": " : "", *wrong = NULL;
    uint64_t bytes = 0;
    lua_Integer value;
    int is_integer;
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        value = lua_tointegerx(L, index, &is_integer);
        wrong = !is_integer ? "not a whole number of bytes" : value < 0 ? "negative" : NULL;
        if (!wrong) return (uint64_t)value;
        break;
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        wrong = strlen(text) == length ? size_of_text(text, &bytes) : "not a size";
        if (!wrong) return bytes;
        break;
    }
    default:
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "%s%ssize expected, got %s", name, colon, luaL_typename(L, index)));
    }
    const char *text = luaL_tolstring(L, index, NULL);
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s%s'%s' is %s; a size is a number of bytes, or one with a unit of %s",
                                  name, colon, text, wrong, units_known));
    return 0;
}

int options_parse_size(lua_State *L) {
    luaL_checkany(L, 1);
    push_bytes(L, options_size(L, 1, 1, NULL));
    return 1;
}

/* ---- Names ---- */

/* Joins what name_at gives for 0, 1 ... with commas, and leaves the string on the stack. */
const char *options_push_names(lua_State *L, const char *(*name_at)(size_t)) {
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    const char *name;
    for (size_t i = 0; (name = name_at(i)) != NULL; i++) {
        if (i) luaL_addstring(&buffer, ", ");
        luaL_addstring(&buffer, name);
    }
    luaL_pushresult(&buffer);
    return lua_tostring(L, -1);
}

static const char *policy_name(size_t number) {
    const hpw_policy_info *info = hpw_policy_at(number);
    return info ? info->name : NULL;
}

/* The names of the policies that take an order. */
static const char *ordered_name(size_t number) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++)
        if (info->takes_order && number-- == 0) return info->name;
    return NULL;
}

static const char *order_name(size_t number) {
    static const char *const names[] = {"address", "fifo", "lifo", "random"};
    _Static_assert(sizeof names / sizeof *names == HPW_ORDER_COUNT, "an order without a name");
    return number < HPW_ORDER_COUNT ? names[number] : NULL;
}

static const char *guard_name(size_t number) {
    static const char *const names[] = {"off", "check", "full"};
    _Static_assert(sizeof names / sizeof *names == HPW_GUARD_COUNT, "a guard without a name");
    return number < HPW_GUARD_COUNT ? names[number] : NULL;
}

/* The number of the name at the stack's top; raises with the names there are. */
static size_t read_name(lua_State *L, int arg, const char *option, const char *(*name_at)(size_t)) {
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_argerror(L, arg,
                      lua_pushfstring(L, "%s: string expected, got %s", option, luaL_typename(L, -1)));
    size_t length;
    const char *wanted = lua_tolstring(L, -1, &length), *name;
    for (size_t i = 0; (name = name_at(i)) != NULL; i++)
        if (strlen(name) == length && memcmp(name, wanted, length) == 0) return i;
    luaL_argerror(
        L, arg,
        lua_pushfstring(L, "%s: unknown '%s' (known: %s)", option, wanted, options_push_names(L, name_at)));
    return 0;
}

/* ---- Options ---- */

/* What the table says. */
typedef struct options {
    int arg;
    uint64_t granule;
    bool has_capacity, has_seed, has_thread_safe;
    const hpw_policy_info *policy; /* one in Lua: kept by its definition, which lies at `definition` */
    int definition;                /* stack index, where nil lies before; 0: the policy is built in */
    hpw_config *config;
} options;

/* Each takes the value at the stack's top. */
static void read_capacity(lua_State *L, options *o, const char *name) {
    o->config->capacity = options_size(L, -1, o->arg, name);
    o->has_capacity = true;
}
static void read_max_capacity(lua_State *L, options *o, const char *name) {
    o->config->max_capacity = options_size(L, -1, o->arg, name);
    if (!o->config->max_capacity) luaL_argerror(L, o->arg, "max_capacity: 0 is below the capacity");
}
static void read_granule(lua_State *L, options *o, const char *name) {
    o->granule = options_size(L, -1, o->arg, name);
    if (o->granule < 8 || o->granule > 4096 || (o->granule & (o->granule - 1)))
        luaL_argerror(
            L, o->arg,
            lua_pushfstring(L, "granule: %I is not a power of two from 8 to 4096", (LUAI_UACINT)o->granule));
}
/* Raises with the names of all policies: the one at the stack's top is none. */
static void refuse_policy(lua_State *L, const options *o, const char *name) {
    const char *wanted = lua_tostring(L, -1), *names = options_push_names(L, policy_name);
    const hpw_policy_info *info;
    for (lua_Integer i = 1; (info = chooser_at(L, i)) != NULL; i++) {
        names = lua_pushfstring(L, "%s, %s", names, info->name);
        luaL_checkstack(L, LUA_MINSTACK, NULL);
    }
    luaL_argerror(L, o->arg, lua_pushfstring(L, "%s: unknown '%s' (known: %s)", name, wanted, names));
}

/* The policy that the text at the stack's top names; false: there is none. */
static bool find_policy(lua_State *L, options *o) {
    size_t length;
    const char *wanted = lua_tolstring(L, -1, &length);
    const hpw_policy_info *info;
    o->config->chooser = (hpw_chooser){0};
    if (strlen(wanted) < length) return false;
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++)
        if (strcmp(info->name, wanted) == 0) break;
    if (!info && (info = chooser_find(L, wanted)) != NULL) {
        lua_replace(L, o->definition);
        o->config->chooser = chooser_functions(NULL);
    }
    if (info) o->policy = info;
    return info;
}

static void read_policy(lua_State *L, options *o, const char *name) {
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "%s: string expected, got %s", name, luaL_typename(L, -1)));
    if (!find_policy(L, o)) refuse_policy(L, o, name);
}
static void read_order(lua_State *L, options *o, const char *name) {
    o->config->order = (hpw_order)read_name(L, o->arg, name, order_name);
}
static void read_seed(lua_State *L, options *o, const char *name) {
    int is_integer;
    lua_Integer seed = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_integer)
        luaL_argerror(
            L, o->arg,
            lua_pushfstring(L, "%s: an integer expected, got %s", name, luaL_tolstring(L, -1, NULL)));
    o->config->seed = (uint64_t)seed;
    o->has_seed = true;
}
static void read_guard(lua_State *L, options *o, const char *name) {
    o->config->guard = (hpw_guard)read_name(L, o->arg, name, guard_name);
}
/* A size of which 0 is none. */
static uint64_t size_or_none(lua_State *L, const options *o, const char *name) {
    uint64_t size = options_size(L, -1, o->arg, name);
    return size ? size : HPW_NONE;
}
static void read_red_zone(lua_State *L, options *o, const char *name) {
    o->config->red_zone = size_or_none(L, o, name);
}
static void read_quarantine(lua_State *L, options *o, const char *name) {
    o->config->quarantine = size_or_none(L, o, name);
}
static bool read_boolean(lua_State *L, const options *o, const char *name) {
    if (!lua_isboolean(L, -1))
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "%s: boolean expected, got %s", name, luaL_typename(L, -1)));
    return lua_toboolean(L, -1);
}
static void read_thread_safe(lua_State *L, options *o, const char *name) {
    o->config->single_threaded = !read_boolean(L, o, name);
    o->has_thread_safe = true;
}
static void read_small_pages(lua_State *L, options *o, const char *name) {
    o->config->small_pages = read_boolean(L, o, name);
}
static void read_thread_caches(lua_State *L, options *o, const char *name) {
    int is_integer;
    lua_Integer count = lua_tointegerx(L, -1, &is_integer);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || count < 0 || count > HPW_MOST_THREAD_CACHES)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "%s: an integer from 0 to %d expected, got %s", name,
                                      HPW_MOST_THREAD_CACHES, luaL_tolstring(L, -1, NULL)));
    o->config->thread_caches = (uint32_t)count;
}

typedef struct option {
    const char *name;
    void (*read)(lua_State *L, options *o, const char *name);
} option;

static const option known[] = {
    {"capacity", read_capacity},
    {"max_capacity", read_max_capacity},
    {"granule", read_granule},
    {"policy", read_policy},
    {"order", read_order},
    {"seed", read_seed},
    {"guard", read_guard},
    {"red_zone", read_red_zone},
    {"quarantine", read_quarantine},
    {"thread_safe", read_thread_safe},
    {"small_pages", read_small_pages},
    {"thread_caches", read_thread_caches},
};

const char *options_name(size_t number) {
    return number < sizeof known / sizeof *known ? known[number].name : NULL;
}

/* One option: its name at -2, its value at -1. */
static void read_option(lua_State *L, options *o) {
    if (lua_type(L, -2) == LUA_TSTRING) {
        size_t length;
        const char *name = lua_tolstring(L, -2, &length);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (strlen(known[i].name) != length || memcmp(known[i].name, name, length) != 0) continue;
            known[i].read(L, o, name);
            return;
        }
    }
    const char *name = luaL_tolstring(L, -2, NULL);
    luaL_argerror(
        L, o->arg,
        lua_pushfstring(L, "unknown option '%s' (known: %s)", name, options_push_names(L, options_name)));
}

static void check_caches(lua_State *L, const options *o, const hpw_policy_info *policy) {
    const hpw_config *config = o->config;
    const char *wrong = NULL;
    if (!config->thread_caches) return;
    if (config->guard == HPW_GUARD_FULL) wrong = "a pool with guard full has none";
    if (!policy->takes_caches) wrong = lua_pushfstring(L, "%s takes none", policy->name);
    if (config->single_threaded) wrong = "a pool that is not thread_safe has one thread";
    if (o->granule != 16) wrong = lua_pushfstring(L, "granules of 16 wanted, not %d", (int)o->granule);
    if (config->max_capacity && config->max_capacity != (o->has_capacity ? config->capacity : 1 << 20))
        wrong = "the pool may not grow";
    if (wrong) luaL_argerror(L, o->arg, lua_pushfstring(L, "thread_caches: %s", wrong));
}

/* A policy in Lua is for one thread. */
static void check_scripted(lua_State *L, const options *o) {
    hpw_config *config = o->config;
    if (!config->chooser.choose) return;
    if (o->has_thread_safe && !config->single_threaded)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "thread_safe: %s is a function of this Lua state, for one thread",
                                      o->policy->name));
    config->single_threaded = true;
}

/* What the options say of each other. */
static void check_together(lua_State *L, const options *o, const hpw_policy_info *policy) {
    const hpw_config *config = o->config;
    if (config->order != HPW_ORDER_ADDRESS && !policy->takes_order)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "order: %s places by its own rule, '%s' is for %s", policy->name,
                                      order_name(config->order), options_push_names(L, ordered_name)));
    if (o->has_seed && config->order != HPW_ORDER_RANDOM)
        luaL_argerror(
            L, o->arg,
            lua_pushfstring(L, "seed: of order 'random' alone, not '%s'", order_name(config->order)));
    if (config->guard != HPW_GUARD_FULL && (config->red_zone || config->quarantine))
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "%s: of guard 'full' alone, not '%s'",
                                      config->red_zone ? "red_zone" : "quarantine",
                                      guard_name(config->guard)));
    if (o->has_capacity && config->capacity < o->granule)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "capacity: %I is less than one granule of %I bytes",
                                      (LUAI_UACINT)config->capacity, (LUAI_UACINT)o->granule));
    uint64_t capacity = o->has_capacity ? config->capacity : (uint64_t)1 << 20;
    if (config->max_capacity && config->max_capacity < capacity)
        luaL_argerror(L, o->arg,
                      lua_pushfstring(L, "max_capacity: %I is below the capacity of %I",
                                      (LUAI_UACINT)config->max_capacity, (LUAI_UACINT)capacity));
}

/* Reads onto what *o and its config say already; the definition's place is on top. */
static const hpw_policy_info *read_options(lua_State *L, options *o) {
    int arg = o->arg;
    hpw_config *config = o->config;
    if (!lua_isnoneornil(L, arg)) {
        luaL_checktype(L, arg, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, arg); lua_settop(L, -2)) read_option(L, o);
    }
    config->policy = o->policy->name;
    config->granule = (uint32_t)o->granule;
    check_together(L, o, o->policy);
    check_scripted(L, o);
    check_caches(L, o, o->policy);
    lua_settop(L, config->chooser.choose ? o->definition : o->definition - 1);
    return o->policy;
}

/* Makes room for the definition of a policy in Lua at the stack's top. */
static int place_definition(lua_State *L, int arg) {
    if (lua_gettop(L) < arg) lua_settop(L, arg);
    luaL_checkstack(L, LUA_MINSTACK, "options");
    lua_pushnil(L);
    return lua_gettop(L);
}

const hpw_policy_info *options_read(lua_State *L, int arg, hpw_config *config) {
    *config = (hpw_config){.guard = HPW_GUARD_CHECK};
    options o = {.arg = arg, .granule = 16, .policy = hpw_policy_at(0), .config = config};
    o.definition = place_definition(L, arg);
    return read_options(L, &o);
}

/* The image's policy; false: it is one in Lua that is not registered. */
static bool read_saved_policy(lua_State *L, options *o, const hpw_image *image) {
    lua_pushstring(L, image->chosen[0] ? image->chosen : image->config.policy);
    bool found = find_policy(L, o) && !o->config->chooser.choose == !image->chosen[0];
    lua_settop(L, o->definition);
    return found;
}

static bool says_policy(lua_State *L, int arg) {
    if (!lua_istable(L, arg)) return false;
    lua_pushliteral(L, "policy");
    bool says = lua_rawget(L, arg) != LUA_TNIL;
    lua_pop(L, 1);
    return says;
}

const hpw_policy_info *options_read_over(lua_State *L, int arg, const hpw_image *image, hpw_config *config) {
    const hpw_config *base = &image->config;
    options o = {.arg = arg, .granule = base->granule, .has_capacity = true, .config = config};
    o.definition = place_definition(L, arg);
    *config = *base;
    if (config->max_capacity == config->capacity) config->max_capacity = 0; /* whatever that will be */
    bool found = read_saved_policy(L, &o, image);
    if (!found && !says_policy(L, arg)) return NULL;
    if (!found) o.policy = hpw_policy_at(0);   /* until the table says which */
    config->red_zone = config->quarantine = 0; /* of guard full alone, which may be off now */
    const hpw_policy_info *policy = read_options(L, &o);
    if (config->order != HPW_ORDER_RANDOM) config->seed = 0;
    if (config->guard != HPW_GUARD_FULL) return policy;
    if (!config->red_zone) config->red_zone = base->red_zone;
    if (!config->quarantine) config->quarantine = base->quarantine;
    return policy;
}

int options_refuse_order(lua_State *L, int arg, const hpw_config *config) {
    return luaL_argerror(L, arg,
                         lua_pushfstring(L, "order: %s does not take '%s' with a granule of %d",
                                         config->policy, order_name(config->order), (int)config->granule));
}
