/* SPDX-License-Identifier: MIT */
/*
 * Errors as Lua gets them: nil, a sentence that names the numbers, and the code.
 * Addresses read in hexadecimal, negative ones with their sign, sizes in bytes.
 */
#include "binding.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESS_TEXT = 24, MESSAGE = 720, PLACE = 192, BY = 32, ORIGIN = 360 };

static const char *address_text(uint64_t address, char text[ADDRESS_TEXT]) {
    bool negative = address > INT64_MAX;
    snprintf(text, ADDRESS_TEXT, "%s0x%" PRIx64, negative ? "-" : "", negative ? 0 - address : address);
    return text;
}

static const char *bytes(uint64_t count) { return count == 1 ? "byte" : "bytes"; }

const char *path_at(lua_State *L, int index, int arg) {
    size_t length;
    const char *path = lua_tolstring(L, index, &length);
    if (strlen(path) < length) luaL_argerror(L, arg, "a path with a zero byte");
    return path;
}

int fail_with(lua_State *L, hpw_error error, const char *format, ...) {
    char message[MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, hpw_error_name(error));
    return 3;
}

/* Who allocated the report's block, and who freed it: how a sentence ends where that is known. */
static void origin_text(const hpw_report *report, char text[ORIGIN]) {
    char allocated[SITE_TEXT], freed[SITE_TEXT], by[BY] = "", and_by[BY] = "";
    const hpw_origin *from = &report->origin;
    *text = 0;
    if (!from->allocated_site) return;
    sites_text(from->allocated_site, allocated, sizeof allocated);
    sites_text(from->freed_site, freed, sizeof freed);
    if (from->freed_site && from->allocated_thread != from->freed_thread) {
        snprintf(by, sizeof by, " by thread %" PRIu32, from->allocated_thread);
        snprintf(and_by, sizeof and_by, " by thread %" PRIu32, from->freed_thread);
    }
    if (report->in_live_block)
        snprintf(text, ORIGIN, ", allocated at %s", allocated);
    else if (*freed)
        snprintf(text, ORIGIN, "; it was allocated at %s%s and freed at %s%s", allocated, by, freed, and_by);
}

/* Where the address of a report lies, as the end of a sentence. */
static void place_text(const hpw_report *report, const lua_pool *self, char text[PLACE]) {
    char block[ADDRESS_TEXT];
    address_text(report->block, block);
    if (report->in_live_block) {
        snprintf(text, PLACE, "inside the %" PRIu64 "-byte block at %s%s", report->block_size, block,
                 report->claimed ? ", which is a Lua state's" : "");
    } else if (report->quarantined) {
        snprintf(text, PLACE, "inside a freed block of %" PRIu64 " bytes at %s, in quarantine",
                 report->block_size, block);
    } else if (report->in_free_block) {
        snprintf(text, PLACE, "inside a free block of %" PRIu64 " bytes at %s", report->block_size, block);
    } else {
        hpw_stats stats;
        hpw_get_stats(self->pool, &stats);
        snprintf(text, PLACE, "outside of the pool's %" PRIu64 " bytes", stats.capacity);
    }
}

/* A byte that nobody should have written to: in a canary, in a freed block, in a size record. */
static int fail_damaged(lua_State *L, const char *operation, const hpw_report *report) {
    char at[ADDRESS_TEXT], block[ADDRESS_TEXT], origin[ORIGIN];
    uint64_t end = report->block + report->block_size;
    address_text(report->address, at);
    address_text(report->block, block);
    origin_text(report, origin);
    if (report->quarantined)
        return fail_with(L, report->error,
                         "%s: the byte at %s was written to after its block of %" PRIu64
                         " bytes at %s was freed, which stays out of use%s",
                         operation, at, report->block_size, block, origin);
    if (report->in_live_block && report->address >= end)
        return fail_with(L, report->error,
                         "%s: the byte at %s was overwritten, %" PRIu64 " %s past the %" PRIu64
                         "-byte block at %s%s",
                         operation, at, report->address - end, bytes(report->address - end),
                         report->block_size, block, origin);
    return fail_with(L, report->error, "%s of %s: %s%s", operation, at, report->what, origin);
}

int fail_refused(lua_State *L, const char *operation, const lua_pool *self) {
    hpw_report report;
    if (!hpw_refuses(self->pool, &report)) return 0;
    return fail_with(L, HPW_CORRUPTED, "%s: at 0x%" PRIx64 " %s; the pool refuses further work until reset",
                     operation, report.address, report.what);
}

int fail_block(lua_State *L, const char *operation, const hpw_report *report, const lua_pool *self) {
    char at[ADDRESS_TEXT], place[PLACE], origin[ORIGIN];
    if (self->chooser) chooser_raise(L, self->chooser);
    int refused =
        report->error == HPW_CORRUPTED && report->in_free_block ? fail_refused(L, operation, self) : 0;
    if (refused) return refused;
    address_text(report->address, at);
    place_text(report, self, place);
    origin_text(report, origin);
    switch (report->error) {
    case HPW_DOUBLE_FREE:
        if (strcmp(operation, "free") == 0)
            return fail_with(L, report->error, "double free of %s: it is now %s%s", at, place, origin);
        return fail_with(L, report->error, "%s of %s: its block was freed, it is now %s%s", operation, at,
                         place, origin);
    case HPW_INVALID_FREE:
        if (report->in_free_block)
            return fail_with(L, report->error, "%s of %s: no block was ever allocated there, it is %s%s",
                             operation, at, place, origin);
        return fail_with(L, report->error, "%s of %s: %s%s", operation, at, place, origin);
    case HPW_CORRUPTED:
        return fail_damaged(L, operation, report);
    default:
        return fail_with(L, report->error, "%s of %s: %s%s", operation, at, place, origin);
    }
}

int fail_access(lua_State *L, const char *operation, const hpw_report *report, const lua_pool *self) {
    char at[ADDRESS_TEXT], block[ADDRESS_TEXT], place[PLACE], origin[ORIGIN];
    uint64_t n = report->size, end = report->block + report->block_size;
    address_text(report->address, at);
    address_text(report->block, block);
    origin_text(report, origin);
    if (report->error == HPW_UNINITIALISED)
        return fail_with(L, report->error,
                         "%s of %" PRIu64 " %s: the byte at %s of the %" PRIu64
                         "-byte block at %s was never written%s",
                         operation, n, bytes(n), at, report->block_size, block, origin);
    if (report->error == HPW_INVALID_ARGUMENT) /* which is about the address alone */
        return fail_with(L, report->error, "%s of %" PRIu64 " %s at %s: %s", operation, n, bytes(n), at,
                         report->what);
    if (report->error != HPW_OUT_OF_BOUNDS || !report->in_live_block) {
        place_text(report, self, place);
        return fail_with(L, report->error, "%s of %" PRIu64 " %s at %s: %s%s", operation, n, bytes(n), at,
                         report->error == HPW_CORRUPTED && report->what ? report->what : place, origin);
    }
    bool starts_past = report->address > end;
    uint64_t past = starts_past ? report->address - end : report->address + n - end;
    return fail_with(L, report->error,
                     "%s of %" PRIu64 " %s at %s %s %" PRIu64 " %s past the %" PRIu64 "-byte block at %s%s",
                     operation, n, bytes(n), at, starts_past ? "starts" : "runs", past, bytes(past),
                     report->block_size, block, origin);
}

int fail_request(lua_State *L, const hpw_report *report, uint64_t size, uint64_t alignment, lua_pool *self) {
    if (report->error == HPW_NO_MEMORY || (report->error == HPW_CORRUPTED && report->in_free_block))
        return fail_memory(L, size, alignment, NULL, self);
    return fail_block(L, "alloc", report, self);
}

/* Where the script is that called: the innermost function of Lua. */
static void note_place(lua_State *L, char place[PLACE_TEXT]) {
    lua_Debug caller;
    if (pool_find_caller(L, &caller))
        snprintf(place, PLACE_TEXT, "%s:%d", caller.short_src, caller.currentline);
}

static const char *ordinal(uint64_t n) {
    static const char *const ends[] = {"th", "st", "nd", "rd"};
    return n % 10 > 3 || n / 10 % 10 == 1 ? ends[0] : ends[n % 10];
}

static int fail_by_plan(lua_State *L, uint64_t number, uint64_t size, const char *subject, lua_pool *self) {
    if (!*self->injected_at) note_place(L, self->injected_at);
    return fail_with(L, HPW_NO_MEMORY,
                     "%sinjected: the %" PRIu64 "%s request since inject, of %" PRIu64 " %s", subject, number,
                     ordinal(number), size, bytes(size));
}

int fail_memory(lua_State *L, uint64_t size, uint64_t alignment, const uint64_t *of, lua_pool *self) {
    char subject[MESSAGE / 4] = "", aligned[MESSAGE / 4] = "", at[ADDRESS_TEXT];
    uint64_t planned = hpw_refused_by_plan(self->pool);
    hpw_stats stats;
    if (self->chooser) chooser_raise(L, self->chooser);
    snprintf(subject, sizeof subject, "no block of %" PRIu64 " %s", size, bytes(size));
    int refused = fail_refused(L, subject, self);
    if (refused) return refused;
    *subject = 0;
    hpw_get_stats(self->pool, &stats);
    if (of) snprintf(subject, sizeof subject, "realloc of %s: ", address_text(*of, at));
    if (planned) return fail_by_plan(L, planned, size, subject, self);
    if (alignment) snprintf(aligned, sizeof aligned, " aligned to %" PRIu64, alignment);
    if (!stats.free)
        return fail_with(L, HPW_NO_MEMORY,
                         "%sno free block of %" PRIu64 " %s%s: all %" PRIu64 " bytes are granted", subject,
                         size, bytes(size), aligned, stats.capacity);
    if (stats.largest_free >= size && stats.largest_free)
        return fail_with(
            L, HPW_NO_MEMORY,
            "%s%s has no place for %" PRIu64 " %s%s: the largest of %" PRIu64 " free bytes is %" PRIu64,
            subject, self->policy->name, size, bytes(size), aligned, stats.free, stats.largest_free);
    return fail_with(L, HPW_NO_MEMORY,
                     "%sno free block of %" PRIu64 " %s%s: the largest of %" PRIu64 " free bytes is %" PRIu64,
                     subject, size, bytes(size), aligned, stats.free, stats.largest_free);
}
