/* SPDX-License-Identifier: MIT */
/*
 * The matcher of patterns that counts: see search.h. Backtracking by recursion, one
 * level an item that may be matched in several ways; its work can grow as n^k, for a
 * text of n bytes and k repetitions.
 */
#include "search.h"

#include <ctype.h>
#include <string.h>

#include "budget.h"

enum {
    DEPTH = 200 /* where Lua finds a pattern too complex */
};

/* Lengths of captures that are none: not closed yet; "()". */
enum { OPEN = -1, POSITION = -2 };

void search_charge(search *s) {
    uint64_t steps = s->steps;
    s->steps = 0;
    budget_charge(s->L, steps / SEARCH_STEPS_AN_INSTRUCTION);
}

static const char *stop(search *s) {
    s->stopped = true;
    return NULL;
}

/* ---- One character ---- */

/* Behind the class that begins at p: a character, %x, or a set. NULL: malformed. */
static const char *class_end(search *s, const char *p) {
    if (p == s->pattern_end) return stop(s);
    if (*p == '%') return p + 1 == s->pattern_end ? stop(s) : p + 2;
    if (*p != '[') return p + 1;
    p += p[1] == '^' ? 2 : 1;
    const char *first = p;
    for (; p < s->pattern_end; p++) {
        if (*p == ']' && p > first) return p + 1;
        if (*p == '%') p++;
    }
    return stop(s);
}

static bool in_class(int c, char class) {
    static const char letters[] = "acdglpsuwxz";
    bool in;
    int lower = class | 0x20;
    if (!((lower >= 'a' && lower <= 'z') && strchr(letters, lower))) return class == (char)c;
    switch (lower) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    default:
        in = c == 0;
    }
    return in == (class == lower);
}

/* The set from '[' at p to ']' at end - 1. */
static bool in_set(search *s, int c, const char *p, const char *end) {
    bool wanted = p[1] != '^';
    search_count(s, (uint64_t)(end - p));
    for (p += wanted ? 1 : 2, end--; p < end; p++) {
        if (*p == '%') {
            p++;
            if (in_class(c, *p)) return wanted;
        } else if (p + 2 < end && p[1] == '-') {
            if ((unsigned char)*p <= c && c <= (unsigned char)p[2]) return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

/* Does the character at t fit the class from p to end? */
static bool fits(search *s, const char *t, const char *p, const char *end) {
    search_count(s, 1);
    if (t >= s->text_end) return false;
    int c = (unsigned char)*t;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, p[1]);
    case '[':
        return in_set(s, c, p, end);
    default:
        return (unsigned char)*p == c;
    }
}

/* ---- The matcher: where the pattern from p on ends when it begins at t; NULL: nowhere ---- */

static const char *match(search *s, const char *t, const char *p);

/* As often as it can, then less. */
static const char *match_most(search *s, const char *t, const char *p, const char *end) {
    ptrdiff_t i = 0;
    while (fits(s, t + i, p, end)) i++;
    for (; i >= 0 && !s->stopped; i--) {
        const char *found = match(s, t + i, end + 1);
        if (found) return found;
    }
    return NULL;
}

/* As seldom as it can, then more. */
static const char *match_least(search *s, const char *t, const char *p, const char *end) {
    for (; !s->stopped; t++) {
        const char *found = match(s, t, end + 1);
        if (found) return found;
        if (!fits(s, t, p, end)) break;
    }
    return NULL;
}

static const char *open_capture(search *s, const char *t, const char *p, ptrdiff_t kind) {
    if (s->level == SEARCH_CAPTURES) return stop(s);
    s->captures[s->level++] = (capture){.start = t, .length = kind};
    const char *found = match(s, t, p);
    if (!found) s->level--;
    return found;
}

static const char *close_capture(search *s, const char *t, const char *p) {
    int i = s->level - 1;
    while (i >= 0 && s->captures[i].length != OPEN) i--;
    if (i < 0) return stop(s);
    s->captures[i].length = t - s->captures[i].start;
    const char *found = match(s, t, p);
    if (!found) s->captures[i].length = OPEN;
    return found;
}

/* Behind the balanced text that begins at t. */
static const char *balanced(search *s, const char *t, const char *p) {
    if (p + 1 >= s->pattern_end) return stop(s);
    if (t >= s->text_end || *t != p[0]) return NULL;
    ptrdiff_t open = 1;
    while (++t < s->text_end) {
        search_count(s, 1);
        if (*t == p[1]) {
            if (--open == 0) return t + 1;
        } else if (*t == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* Behind what the capture holds, if it comes again at t. */
static const char *again(search *s, const char *t, char digit) {
    int i = digit - '1';
    if (i < 0 || i >= s->level || s->captures[i].length == OPEN) return stop(s);
    size_t length = (size_t)s->captures[i].length;
    if (length > (size_t)(s->text_end - t)) return NULL; /* a position is longer than any text */
    search_count(s, length / SEARCH_BYTES_A_STEP);
    return memcmp(s->captures[i].start, t, length) == 0 ? t + length : NULL;
}

/* Does the set at p begin to fit between t - 1 and t? Then behind it. */
static const char *frontier(search *s, const char *t, const char *p) {
    if (p >= s->pattern_end || *p != '[') return stop(s);
    const char *end = class_end(s, p);
    if (!end) return NULL;
    int before = t == s->text ? 0 : (unsigned char)t[-1], at = (unsigned char)*t;
    return !in_set(s, before, p, end) && in_set(s, at, p, end) ? end : NULL;
}

/*
 * One item at p that is a class, with what follows it. True: goes on at *t, *p; false:
 * *found is the answer. Recursion is where Lua's is, so that it is as deep as Lua's.
 */
static bool match_class(search *s, const char **t, const char **p, const char **found) {
    const char *class = *p, *end = class_end(s, class);
    *found = NULL;
    if (!end) return false;
    char repeat = end < s->pattern_end ? *end : '\0';
    bool repeated = repeat && strchr("*+?-", repeat);
    if (!fits(s, *t, class, end)) {
        *p = end + 1;
        return repeated && repeat != '+';
    }
    if (!repeated) {
        ++*t;
        *p = end;
        return true;
    }
    if (repeat == '?') {
        *found = match(s, *t + 1, end + 1);
        *p = end + 1;
        return !*found && !s->stopped;
    }
    *found = repeat == '-' ? match_least(s, *t, class, end)
                           : match_most(s, repeat == '+' ? *t + 1 : *t, class, end);
    return false;
}

/* An item that is no class; *t NULL: it does not fit. False: it is one. */
static bool match_special(search *s, const char **t, const char **p) {
    const char *next;
    if (**p != '%' || *p + 1 >= s->pattern_end) return false;
    switch ((*p)[1]) {
    case 'b':
        *t = balanced(s, *t, *p + 2);
        *p += 4;
        return true;
    case 'f':
        next = frontier(s, *t, *p + 2);
        if (next)
            *p = next;
        else
            *t = NULL;
        return true;
    default:
        if ((*p)[1] < '0' || (*p)[1] > '9') return false;
        *t = again(s, *t, (*p)[1]);
        *p += 2;
        return true;
    }
}

static const char *match_items(search *s, const char *t, const char *p) {
    const char *found;
    while (t && !s->stopped && p < s->pattern_end) {
        search_count(s, 1);
        if (*p == '(') {
            bool position = p + 1 < s->pattern_end && p[1] == ')';
            return open_capture(s, t, p + (position ? 2 : 1), position ? POSITION : OPEN);
        }
        if (*p == ')') return close_capture(s, t, p + 1);
        if (*p == '$' && p + 1 == s->pattern_end) return t == s->text_end ? t : NULL;
        if (!match_special(s, &t, &p) && !match_class(s, &t, &p, &found)) return found;
    }
    return s->stopped ? NULL : t;
}

static const char *match(search *s, const char *t, const char *p) {
    if (++s->depth > DEPTH) return stop(s);
    const char *found = match_items(s, t, p);
    s->depth--;
    return found;
}

const char *search_at(search *s, const char *t) {
    s->level = 0;
    s->depth = 0;
    return match(s, t, s->pattern);
}
