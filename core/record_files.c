/* SPDX-License-Identifier: MIT */
/*
 * The files of a recording: finding those of the children by name (FILE.N-NAME,
 * N a number) and by their first bytes, removing the old, reading the new.
 * O(names in the folder), and one pass over each trace.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "record_files.h"

#include "trace_chunk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* N, where `name` is BASE.N-NAME; 0 where it is not. */
static uint64_t child_number(const char *name, const char *base) {
    size_t n = strlen(base);
    if (strncmp(name, base, n) != 0 || name[n] != '.') return 0;
    uint64_t number = 0;
    const char *digit = name + n + 1;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        if (number > UINT64_MAX / 10 - 1) return 0;
        number = number * 10 + (uint64_t)(*digit - '0');
    }
    return *digit == '-' ? number : 0;
}

static bool is_trace(const char *file) {
    char magic[sizeof HPW_TRACE_MAGIC - 1];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return false;
    bool is = read(fd, magic, sizeof magic) == sizeof magic && !memcmp(magic, HPW_TRACE_MAGIC, sizeof magic);
    close(fd);
    return is;
}

/* Calls visit for each trace of a child. False where visit is, or without memory. */
static bool each_child(const char *file, bool (*visit)(void *ud, const char *file, uint64_t child),
                       void *ud) {
    const char *base = strrchr(file, '/') + 1;
    char *folder = strndup(file, (size_t)(base - file));
    DIR *listing = folder ? opendir(folder) : NULL;
    bool well = folder != NULL;
    struct dirent *entry;
    while (well && listing && (entry = readdir(listing))) {
        uint64_t child = child_number(entry->d_name, base);
        char *name = NULL;
        if (!child) continue;
        well = asprintf(&name, "%s%s", folder, entry->d_name) >= 0;
        if (!well) break;
        if (is_trace(name)) well = visit(ud, name, child);
        free(name);
    }
    if (listing) closedir(listing);
    free(folder);
    return well;
}

static void remove_count(const char *file) {
    char *count = NULL;
    if (asprintf(&count, "%s.count", file) < 0) return;
    unlink(count);
    free(count);
}

static bool remove_one(void *ud, const char *file, uint64_t child) {
    (void)ud;
    (void)child;
    unlink(file);
    return true;
}

void hpw_record_remove(const char *file) {
    unlink(file);
    remove_count(file);
    each_child(file, remove_one, NULL);
}

/* ---- Listing ------------------------------------------------------------------------------ */

static bool add(void *ud, const char *file, uint64_t child) {
    hpw_recording *recording = ud;
    size_t n = recording->count;
    if (!(n & (n - 1))) { /* full at powers of two */
        hpw_recorded *larger = realloc(recording->traces, (n ? n * 2 : 1) * sizeof *larger);
        if (!larger) return false;
        recording->traces = larger;
    }
    hpw_recorded *trace = &recording->traces[n];
    *trace = (hpw_recorded){.file = strdup(file), .child = child};
    if (!trace->file) return false;
    recording->count++;
    return true;
}

static int by_child(const void *a, const void *b) {
    const hpw_recorded *one = a, *two = b;
    return (one->child > two->child) - (one->child < two->child);
}

static void read_trace(hpw_recorded *trace) {
    hpw_trace_summary summary;
    hpw_trace_error error;
    if (!hpw_trace_scan(trace->file, &summary, &error)) {
        snprintf(trace->warning, sizeof trace->warning, "%s", error.message);
        return;
    }
    memcpy(trace->program, summary.program, sizeof trace->program);
    memcpy(trace->warning, summary.warning, sizeof trace->warning);
    trace->events = summary.events;
    trace->peak = summary.peak_in_use;
}

bool hpw_record_list(const char *file, hpw_recording *recording) {
    remove_count(file);
    bool main_recorded = access(file, F_OK) == 0;
    if (main_recorded && !add(recording, file, 0)) return false;
    if (!each_child(file, add, recording)) return false;
    if (recording->count) qsort(recording->traces, recording->count, sizeof *recording->traces, by_child);
    for (size_t i = 0; i < recording->count; i++) read_trace(&recording->traces[i]);
    if (!main_recorded)
        snprintf(recording->warning, sizeof recording->warning,
                 "no trace of the program itself: it allocated nothing, is statically linked, or runs with "
                 "privileges under which nothing can be preloaded");
    return true;
}

void hpw_recording_free(hpw_recording *recording) {
    for (size_t i = 0; i < recording->count; i++) free(recording->traces[i].file);
    free(recording->traces);
    *recording = (hpw_recording){0};
}
