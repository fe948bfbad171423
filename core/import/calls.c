/* SPDX-License-Identifier: MIT */
/*
 * Calls of C's and C++'s allocating functions as tools print them:
 *
 *      malloc(24)    realloc(0x4a43040,100)    memalign(al 64, size 200)    _Znwm(40)
 *
 * A function's arguments have their roles by place, unless they are labelled (al,
 * size). Those behind the ones that are needed are passed over. O(bytes).
 */
#include "import.h"

typedef struct function {
    const char *name;
    hpw_call_kind kind;
    const char *roles; /* of its arguments: size, n elements, alignment, pointer, ? not needed */
} function;

static const function functions[] = {
    {"malloc", HPW_CALL_ALLOC, "s"},
    {"free", HPW_CALL_FREE, "p"},
    {"calloc", HPW_CALL_ALLOC, "ns"},
    {"realloc", HPW_CALL_RESIZE, "ps"},
    {"reallocarray", HPW_CALL_RESIZE, "pns"},
    {"memalign", HPW_CALL_ALLOC, "as"},
    {"aligned_alloc", HPW_CALL_ALLOC, "as"},
    {"posix_memalign", HPW_CALL_UNSEEN, ""},
    {"valloc", HPW_CALL_ALLOC, "s"},
    {"pvalloc", HPW_CALL_ALLOC, "s"},
    {"cfree", HPW_CALL_FREE, "p"},
    {"__builtin_new", HPW_CALL_ALLOC, "s"},
    {"__builtin_vec_new", HPW_CALL_ALLOC, "s"},
    {"__builtin_delete", HPW_CALL_FREE, "p"},
    {"__builtin_vec_delete", HPW_CALL_FREE, "p"},
};

/* C++'s, whose mangled names begin so (Itanium ABI, 5.1.5: nw, na, dl, da). */
static const function new_one = {"_Zn", HPW_CALL_ALLOC, "s"};
static const function new_aligned = {"_Zn", HPW_CALL_ALLOC, "sa"};
static const function delete_one = {"_Zd", HPW_CALL_FREE, "p"};

static bool contains(hpw_field name, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.length; i++)
        if (!memcmp(name.start + i, word, n)) return true;
    return false;
}

static const function *find(hpw_field name) {
    if (name.length > 4 && name.start[0] == '_' && name.start[1] == 'Z') {
        const char *kind = name.start + 2;
        if (!memcmp(kind, "nw", 2) || !memcmp(kind, "na", 2))
            return contains(name, "align_val_t") ? &new_aligned : &new_one;
        if (!memcmp(kind, "dl", 2) || !memcmp(kind, "da", 2)) return &delete_one;
        return NULL;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (hpw_field_is(name, functions[i].name)) return &functions[i];
    return NULL;
}

bool hpw_call_known(hpw_field name) { return find(name) != NULL; }

/* The function whose name and parenthesis stand at line->next, which moves behind them. */
static const function *take_name(hpw_line *line) {
    const char *end = line->next;
    while (end < line->end && (*end == '_' || (*end >= 'a' && *end <= 'z') || (*end >= 'A' && *end <= 'Z') ||
                               (*end >= '0' && *end <= '9')))
        end++;
    if (end == line->end || *end != '(') return NULL;
    const function *known = find((hpw_field){.start = line->next, .length = (size_t)(end - line->next)});
    if (known) line->next = end + 1;
    return known;
}

static bool ends_argument(char c) { return c == ',' || c == ')' || c == ' ' || c == '<'; }

/* The next word of an argument; its length is 0 at the argument's end. */
static hpw_field take_word(hpw_line *line) {
    while (line->next < line->end && *line->next == ' ') line->next++;
    hpw_field f = {.start = line->next};
    if (line->end - line->next >= 5 && !memcmp(line->next, "(nil)", 5)) line->next += 5;
    while (line->next < line->end && !ends_argument(*line->next)) line->next++;
    f.length = (size_t)(line->next - f.start);
    return f;
}

static void put(hpw_call *call, char role, uint64_t n) {
    if (role == 'p') call->address = n;
    if (role == 'a') call->alignment = n;
    if (role == 'n' || role == 's') call->size = hpw_request_product(call->size, n);
}

/* One argument of a role: false where it is no number. */
static bool take_argument(hpw_line *line, char role, hpw_call *call) {
    uint64_t n;
    hpw_field f = take_word(line);
    bool alignment = hpw_field_is(f, "al") || hpw_field_is(f, "alignment"), size = hpw_field_is(f, "size");
    if (alignment) role = 'a';
    if (size) role = 's';
    if (alignment || size) f = take_word(line);
    if (!f.length || !hpw_field_number(f, &n)) return role == '?';
    put(call, role, n);
    return true;
}

bool hpw_call_take(hpw_line *line, hpw_call *call) {
    const function *known = take_name(line);
    if (!known) return false;
    *call = (hpw_call){.kind = known->kind, .sound = true, .size = 1};
    for (const char *role = known->roles; *role && call->sound; role++) {
        call->sound = take_argument(line, *role, call);
        bool more = line->next < line->end && *line->next == ',';
        if (more) line->next++;
        if (!more && role[1]) call->sound = false;
    }
    while (line->next < line->end && *line->next != ')' && *line->next != '<') line->next++;
    if (line->next < line->end && *line->next == ')') line->next++;
    return true;
}

bool hpw_call_result(hpw_line *line, uint64_t *result) {
    hpw_line rest = *line;
    hpw_field equals = hpw_line_field(&rest), f = hpw_line_field(&rest);
    if (!hpw_field_is(equals, "=") || !f.length || !hpw_field_number(f, result)) return false;
    *line = rest;
    return true;
}

int hpw_call_tell(hpw_trace *trace, const hpw_call *call, uint64_t result, hpw_trace_event *event) {
    switch (call->kind) {
    case HPW_CALL_ALLOC:
        return hpw_request_alloc(trace, result, call->size, call->alignment, event);
    case HPW_CALL_RESIZE:
        return hpw_request_resize(trace, call->address, result, call->size, event);
    case HPW_CALL_FREE:
        return hpw_request_free(trace, call->address, event);
    case HPW_CALL_UNSEEN:
        trace->notes.unseen++;
        return 0;
    }
    return 0;
}
