/* SPDX-License-Identifier: MIT */
/* Policies in Lua: their registry, and how the core asks them. See chooser.h. */
#include "chooser.h"

#include <string.h>

#include "binding.h"

/* User values. */
enum { CHOOSE = 1, ROUND, FUNCTIONS = ROUND };                       /* of a definition */
enum { DEFINITION = 1, VIEW, STATE, KEPT_ERROR, KEPT = KEPT_ERROR }; /* of a chooser */

enum { NAME_ARG = 1, FIELDS_ARG = 2 }; /* of heapwright.policy */

/* Keys of the registry, by their addresses: a table of definitions, by name and by number; and one from a
 * chooser's address to itself, weak, by which a callback finds it. */
static const char registered, choosers;

/* A definition: the info, and behind it the texts that it points to. */
typedef struct definition {
    hpw_policy_info info; /* first */
    char texts[];
} definition;

/* ---- The registry ---- */

/* Pushes the table under `key`; made where there is none, with weak values if asked. */
static void push_table(lua_State *L, const void *key, bool weak) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    if (weak) {
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* What the table below it holds at the stack's top: stays in its place. */
static const hpw_policy_info *keep_definition(lua_State *L) {
    lua_remove(L, -2);
    const definition *found = lua_touserdata(L, -1);
    if (found) return &found->info;
    lua_pop(L, 1);
    return NULL;
}

const hpw_policy_info *chooser_find(lua_State *L, const char *name) {
    luaL_checkstack(L, 3, NULL);
    push_table(L, &registered, false);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    return keep_definition(L);
}

const hpw_policy_info *chooser_at(lua_State *L, lua_Integer number) {
    luaL_checkstack(L, 3, NULL);
    push_table(L, &registered, false);
    lua_rawgeti(L, -1, number);
    return keep_definition(L);
}

/*
 * Where the policy named by argument 1 stands in the list at `list`, whose definition it pushes: nil for
 * none, which comes behind the last. From here to the change nothing collects garbage, so no finalizer
 * registers another.
 */
static lua_Integer find_place(lua_State *L, int list) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, list), at = 1;
    lua_pushvalue(L, NAME_ARG);
    if (lua_rawget(L, list) == LUA_TNIL) return count + 1;
    for (bool found = false; at <= count; at++) {
        lua_rawgeti(L, list, at);
        found = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (found) break;
    }
    return at;
}

/* Sets the policy's place by its name to what is on top. */
static void set_by_name(lua_State *L, int list) {
    lua_pushvalue(L, NAME_ARG);
    lua_insert(L, -2);
    lua_rawset(L, list);
}

/* Takes the policy out; false: there was none. */
static bool forget(lua_State *L) {
    push_table(L, &registered, false);
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list), at = find_place(L, list);
    for (lua_Integer i = at; i <= count; i++) {
        lua_rawgeti(L, list, i + 1);
        lua_rawseti(L, list, i);
    }
    lua_pushnil(L);
    set_by_name(L, list);
    return at <= count;
}

/* The definition on top takes the place of one of the same name, or the last. */
static void enter(lua_State *L) {
    int index = lua_gettop(L);
    push_table(L, &registered, false);
    lua_Integer at = find_place(L, index + 1);
    lua_pushvalue(L, index);
    lua_rawseti(L, index + 1, at);
    lua_pushvalue(L, index);
    set_by_name(L, index + 1);
}

/* ---- heapwright.policy ---- */

enum { TEXTS = 4 };

static const char *const text_fields[TEXTS] = {"chooses", "index", "bound", "source"};
static const char fields_known[] = "choose, round, chooses, index, bound, source";

static bool is_letter(char c) {
    return c == '-' || c == '_' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

static const char *read_name(lua_State *L) {
    const hpw_policy_info *info;
    size_t length, letters = 0;
    luaL_checktype(L, NAME_ARG, LUA_TSTRING);
    const char *name = lua_tolstring(L, NAME_ARG, &length);
    while (letters < length && is_letter(name[letters])) letters++;
    if (!length || letters < length)
        luaL_argerror(L, NAME_ARG,
                      lua_pushfstring(L, "the name '%s': letters, digits, '-', '_' and '.' expected", name));
    if (length > HPW_POLICY_NAME)
        luaL_argerror(L, NAME_ARG,
                      lua_pushfstring(L, "the name '%s' has %d bytes, %d are the most", name, (int)length,
                                      HPW_POLICY_NAME));
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++)
        if (strcmp(info->name, name) == 0)
            luaL_argerror(L, NAME_ARG, lua_pushfstring(L, "'%s' is built in", name));
    return name;
}

/* The type of a field's values; NULL: there is no such field. */
static const char *type_of_field(const char *name) {
    for (int i = 0; i < TEXTS; i++)
        if (strcmp(name, text_fields[i]) == 0) return "string";
    return strcmp(name, "choose") == 0 || strcmp(name, "round") == 0 ? "function" : NULL;
}

/* A field of the table: its name at -2, its value at -1. Is it known, and of its type? */
static void check_field(lua_State *L) {
    size_t length = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &length) : "";
    const char *wanted = strlen(name) == length ? type_of_field(name) : NULL;
    if (!wanted)
        luaL_argerror(
            L, FIELDS_ARG,
            lua_pushfstring(L, "unknown field '%s' (known: %s)", luaL_tolstring(L, -2, NULL), fields_known));
    else if (strcmp(wanted, luaL_typename(L, -1)) != 0)
        luaL_argerror(L, FIELDS_ARG,
                      lua_pushfstring(L, "%s: %s expected, got %s", name, wanted, luaL_typename(L, -1)));
}

/* Pushes the field, raw. */
static int push_field(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    return lua_rawget(L, FIELDS_ARG);
}

/* Pushes a text for each of text_fields, where the table has none a usual one. */
static void push_texts(lua_State *L) {
    lua_Debug where;
    push_field(L, "choose");
    lua_getinfo(L, ">S", &where);
    for (int i = 0; i < TEXTS; i++) {
        if (push_field(L, text_fields[i]) == LUA_TSTRING) continue;
        lua_pop(L, 1);
        if (i == 0)
            lua_pushliteral(L, "what its function of Lua names");
        else if (i == 1)
            lua_pushliteral(L, "first fit's, read by its function");
        else if (i == 2)
            lua_pushliteral(L, "its function's own");
        else if (where.linedefined > 0)
            lua_pushfstring(L, "%s:%d", where.short_src, where.linedefined);
        else
            lua_pushliteral(L, "a function of C");
    }
}

/* Pushes the definition; its texts are at `first`. */
static void push_definition(lua_State *L, const char *name, int first) {
    size_t size = strlen(name) + 1;
    for (int i = 0; i < TEXTS; i++) size += strlen(lua_tostring(L, first + i)) + 1;
    definition *made = lua_newuserdatauv(L, sizeof *made + size, FUNCTIONS);
    made->info = (hpw_policy_info){.name = made->texts};
    const char **const fields[TEXTS] = {&made->info.chooses, &made->info.index, &made->info.bound,
                                        &made->info.source};
    char *next = made->texts;
    next += strlen(strcpy(next, name)) + 1;
    for (int i = 0; i < TEXTS; i++) {
        *fields[i] = next;
        next += strlen(strcpy(next, lua_tostring(L, first + i))) + 1;
    }
    push_field(L, "choose");
    lua_setiuservalue(L, -2, CHOOSE);
    push_field(L, "round");
    lua_setiuservalue(L, -2, ROUND);
}

int module_policy(lua_State *L) {
    const char *name = read_name(L);
    luaL_checkany(L, FIELDS_ARG);
    lua_settop(L, FIELDS_ARG);
    if (lua_isnil(L, FIELDS_ARG)) {
        lua_pushboolean(L, forget(L));
        return 1;
    }
    luaL_checktype(L, FIELDS_ARG, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, FIELDS_ARG); lua_settop(L, FIELDS_ARG + 1)) check_field(L);
    if (push_field(L, "choose") == LUA_TNIL)
        luaL_argerror(L, FIELDS_ARG, "choose: function expected, got nil");
    lua_pop(L, 1);
    push_texts(L);
    push_definition(L, name, FIELDS_ARG + 1);
    enter(L);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- Choosers ---- */

chooser *chooser_push(lua_State *L, int index) {
    index = lua_absindex(L, index);
    const definition *by = lua_touserdata(L, index);
    luaL_checkstack(L, 6, NULL);
    chooser *self = lua_newuserdatauv(L, sizeof *self, KEPT);
    *self = (chooser){.info = &by->info, .fresh = true};
    self->rounds = lua_getiuservalue(L, index, ROUND) != LUA_TNIL;
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, DEFINITION);
    free_view_push(L, -1);
    lua_setiuservalue(L, -2, VIEW);
    push_table(L, &choosers, true);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, self);
    lua_pop(L, 1);
    return self;
}

/* Pushes the chooser itself, asking for no memory; false with nil: it is being collected, with its pool. */
static bool push_self(lua_State *L, const chooser *self) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &choosers);
    int type = lua_rawgetp(L, -1, self);
    lua_remove(L, -2);
    return type == LUA_TUSERDATA;
}

void chooser_rest(lua_State *L, const chooser *self) {
    if (self->choosing)
        luaL_error(L, "%s is choosing: until it has, its pool answers questions and changes nothing",
                   self->info->name);
}

void chooser_enter(lua_State *L, chooser *self) {
    chooser_rest(L, self);
    self->L = L;
    self->thread = pthread_self();
    self->failed = false;
}

/* Pushes what is kept, and keeps it no more; false: nothing is. */
static bool push_kept(lua_State *L, chooser *self) {
    if (!self->failed) return false;
    self->failed = false;
    luaL_checkstack(L, 6, NULL);
    if (self->reason) {
        self->own_words = true;
        lua_pushfstring(L, "%s %s", self->info->name, self->reason);
        return true;
    }
    if (!push_self(L, self)) return true;
    lua_getiuservalue(L, -1, KEPT_ERROR);
    lua_pushnil(L);
    lua_setiuservalue(L, -3, KEPT_ERROR);
    lua_remove(L, -2);
    return true;
}

int chooser_raise(lua_State *L, chooser *self) {
    if (!push_kept(L, self)) return 0;
    if (self->own_words) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

bool chooser_push_error(lua_State *L, chooser *self) {
    if (!push_kept(L, self)) return false;
    if (self->own_words) return true;
    lua_pushfstring(L, "%s: %s", self->info->name, luaL_tolstring(L, -1, NULL));
    return true;
}

int chooser_refuse_sharing(lua_State *L, int arg, const hpw_policy_info *info) {
    return luaL_argerror(
        L, arg,
        lua_pushfstring(L, "%s is a function of this Lua state, which no other can call", info->name));
}

/* ---- Asking ---- */

/* One call of the core's. */
typedef struct question {
    chooser *self;
    uint64_t size, alignment;
    bool rounds;
    bool none; /* no block is named */
    uint64_t answer;
} question;

/* An error of ours, which gets the position of the pool's caller: what is on top. */
static int refuse(lua_State *L, const question *q) {
    q->self->own_words = true;
    return lua_error(L);
}

/* Is what is on top a whole number? If not, pushes it in words. */
static bool is_whole(lua_State *L, uint64_t *value) {
    int whole = 0;
    if (lua_type(L, -1) == LUA_TNUMBER) *value = (uint64_t)lua_tointegerx(L, -1, &whole);
    if (whole) return true;
    if (lua_type(L, -1) == LUA_TNUMBER)
        luaL_tolstring(L, -1, NULL);
    else
        lua_pushfstring(L, "a %s", luaL_typename(L, -1));
    return false;
}

static void read_choice(lua_State *L, question *q) {
    hpw_report report;
    uint64_t place;
    q->none = !lua_toboolean(L, -1);
    if (q->none) return;
    if (!is_whole(L, &q->answer)) {
        lua_pushfstring(L, "%s chose %s for %I bytes: an address or nil expected", q->self->info->name,
                        lua_tostring(L, -1), (LUAI_UACINT)q->size);
        refuse(L, q);
    }
    if (!hpw_free_place(q->self->shown, q->answer, q->size, q->alignment, &place, &report)) return;
    free_view_push_fault(L, q->self, q->size, q->alignment, &report);
    refuse(L, q);
}

static void read_size(lua_State *L, question *q) {
    if (!is_whole(L, &q->answer)) {
        lua_pushfstring(L, "%s rounds %I bytes to %s: a size expected", q->self->info->name,
                        (LUAI_UACINT)q->size, lua_tostring(L, -1));
        refuse(L, q);
    }
    if ((lua_Integer)q->answer >= (lua_Integer)q->size) return;
    lua_pushfstring(L, "%s rounds %I bytes down to %I", q->self->info->name, (LUAI_UACINT)q->size,
                    (LUAI_UACINT)q->answer);
    refuse(L, q);
}

/* Pushes the policy's table of state for this pool, anew where it is fresh. The chooser is at 1. */
static void push_state(lua_State *L, chooser *self) {
    if (self->fresh) {
        lua_newtable(L);
        lua_setiuservalue(L, 1, STATE);
        self->fresh = false;
    }
    lua_getiuservalue(L, 1, STATE);
}

/* ask(chooser, question): calls the function and reads what it answers; under pcall. */
static int ask(lua_State *L) {
    question *q = lua_touserdata(L, 2);
    lua_getiuservalue(L, 1, DEFINITION);
    lua_getiuservalue(L, 3, q->rounds ? ROUND : CHOOSE);
    if (q->rounds) {
        push_bytes(L, q->size);
        lua_call(L, 1, 1);
        read_size(L, q);
        return 0;
    }
    lua_getiuservalue(L, 1, VIEW);
    push_bytes(L, q->size);
    push_bytes(L, q->alignment);
    push_state(L, q->self);
    lua_call(L, 4, 1);
    read_choice(L, q);
    return 0;
}

/* The policy failed, for a reason of ours; or by what it raised, which is kept. */
static hpw_error fail(chooser *self, const char *reason) {
    self->reason = reason;
    self->failed = true;
    return HPW_INVALID_ARGUMENT;
}

static hpw_error put_question(question *q) {
    chooser *self = q->self;
    lua_State *L = self->L;
    if (self->failed) return HPW_INVALID_ARGUMENT;
    if (!pthread_equal(self->thread, pthread_self()))
        return fail(self, "was asked on another thread than its own");
    if (!lua_checkstack(L, 6)) return fail(self, "has no room on Lua's stack");
    lua_pushcfunction(L, ask);
    if (!push_self(L, self)) {
        lua_pop(L, 2);
        return fail(self, "is being collected with its pool");
    }
    lua_pushvalue(L, -1); /* for what it raises */
    lua_insert(L, -3);
    lua_pushlightuserdata(L, q);
    self->own_words = false;
    self->choosing = true;
    self->asked++;
    int status = lua_pcall(L, 2, 0, 0);
    self->choosing = false;
    self->shown = NULL;
    if (status != LUA_OK) lua_setiuservalue(L, -2, KEPT_ERROR);
    lua_pop(L, 1);
    return status == LUA_OK ? HPW_OK : fail(self, NULL);
}

static hpw_error choose(void *ud, const hpw_free_blocks *free, uint64_t size, uint64_t alignment,
                        uint64_t *address) {
    question q = {.self = ud, .size = size, .alignment = alignment};
    q.self->shown = free;
    hpw_error error = put_question(&q);
    *address = q.answer;
    return error ? error : q.none ? HPW_NO_MEMORY : HPW_OK;
}

static hpw_error round_up(void *ud, uint64_t size, uint64_t *granted) {
    question q = {.self = ud, .size = size, .rounds = true};
    hpw_error error = put_question(&q);
    *granted = q.answer;
    return error;
}

static void opened(void *ud) { ((chooser *)ud)->fresh = true; }

hpw_chooser chooser_functions(chooser *self) {
    return (hpw_chooser){
        .ud = self, .choose = choose, .round = self && self->rounds ? round_up : NULL, .opened = opened};
}
