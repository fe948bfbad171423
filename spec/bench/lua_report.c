/* SPDX-License-Identifier: MIT */
/* Medians, means, goals, tables and JSON of the bench of Lua programs: see lua_report.h. */
#include "lua_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_OF_NOTE = 1000000 }; /* bytes: heaps above this enter the median of footprints */

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *figures, size_t count) {
    qsort(figures, count, sizeof *figures, by_value);
    return count % 2 ? figures[count / 2] : (figures[count / 2 - 1] + figures[count / 2]) / 2;
}

/* How one program's times with two backends are made into one figure. */
typedef double ratio_of(const lua_report *r, const lua_times *one, size_t backend, size_t against);

/* The median over the rounds of the ratio in the same round. */
static double ratio(const lua_report *r, const lua_times *one, size_t backend, size_t against) {
    double ratios[MAX_LUA_ROUNDS];
    for (int i = 0; i < r->rounds; i++) ratios[i] = one->seconds[backend][i] / one->seconds[against][i];
    return median(ratios, (size_t)r->rounds);
}

static double least(const lua_report *r, const double *seconds) {
    double found = seconds[0];
    for (int i = 1; i < r->rounds; i++) found = fmin(found, seconds[i]);
    return found;
}

static double least_ratio(const lua_report *r, const lua_times *one, size_t backend, size_t against) {
    return least(r, one->seconds[backend]) / least(r, one->seconds[against]);
}

static double seconds_of(const lua_report *r, const lua_times *one, size_t backend) {
    double seconds[MAX_LUA_ROUNDS];
    memcpy(seconds, one->seconds[backend], (size_t)r->rounds * sizeof *seconds);
    return median(seconds, (size_t)r->rounds);
}

/* Geometric mean of the ratios of one group's programs; NAN where none was run. */
static double mean_ratio(const lua_report *r, bool heavy, ratio_of *of, size_t backend, size_t against) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < r->time_count; i++) {
        if (r->times[i].program->heavy != heavy) continue;
        sum += log(of(r, &r->times[i], backend, against));
        count++;
    }
    return count ? exp(sum / (double)count) : (double)NAN;
}

/* ---- Goals ---- */

typedef enum goal_of { HEAVY, LIGHT, LARGE_HEAPS, SMALL_STATE } goal_of;

static const struct goal {
    const char *says;
    goal_of of;
    const char *backend, *against; /* of the times */
    double most;
} goals[] = {
    {"CPU time, allocation-heavy, small pages / glibc", HEAVY, "heapwright/small-pages", "glibc", 0.78},
    {"CPU time, allocation-heavy, small pages / mimalloc", HEAVY, "heapwright/small-pages", "mimalloc", 0.96},
    {"CPU time, allocation-heavy, huge pages / glibc", HEAVY, "heapwright", "glibc", 0.70},
    {"CPU time, allocating little, small pages / glibc", LIGHT, "heapwright/small-pages", "glibc", 1.01},
    {"CPU time, allocating little, huge pages / glibc", LIGHT, "heapwright", "glibc", 1.01},
    {"footprint, heaps above 1 MB, median", LARGE_HEAPS, NULL, NULL, 1.10},
    {"footprint, a state of 55 KB", SMALL_STATE, NULL, NULL, 1.50},
};

static size_t find_backend(const lua_report *r, const char *name) {
    size_t i = 0;
    while (i < r->backend_count && strcmp(r->backends[i].name, name) != 0) i++;
    return i;
}

static double find_footprint(const lua_report *r, bool small) {
    double found[MAX_LUA_PROGRAMS + 1];
    size_t count = 0;
    for (size_t i = 0; i < r->memory_count; i++)
        if (small ? r->memory[i].small : r->memory[i].peak > HEAP_OF_NOTE)
            found[count++] = r->memory[i].footprint;
    return count ? median(found, count) : (double)NAN;
}

/* NAN where what it is about was not measured. */
static double find_value(const lua_report *r, const struct goal *g) {
    if (!g->backend) return find_footprint(r, g->of == SMALL_STATE);
    size_t backend = find_backend(r, g->backend), against = find_backend(r, g->against);
    if (backend == r->backend_count || against == r->backend_count) return (double)NAN;
    return mean_ratio(r, g->of == HEAVY, ratio, backend, against);
}

static void print_goals(const lua_report *r) {
    printf("\n%-52s %6s %8s\n", "goal", "most", "found");
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
        double found = find_value(r, &goals[i]);
        if (goals[i].backend ? !r->rounds : !r->memory_count) continue;
        if (isnan(found))
            printf("%-52s %6.2f %8s  not measured\n", goals[i].says, goals[i].most, "-");
        else
            printf("%-52s %6.2f %8.3f  %s\n", goals[i].says, goals[i].most, found,
                   found <= goals[i].most ? "met" : "missed");
    }
}

/* ---- Tables ---- */

/* "/small-pages" for "heapwright/small-pages", so that a line fits 80 columns. */
static const char *column_of(const lua_report *r, size_t backend) {
    const char *name = r->backends[backend].name, *slash = strchr(name, '/');
    return slash ? slash : name;
}

static int width_of(const lua_report *r, size_t backend) {
    int length = (int)strlen(column_of(r, backend));
    return length < 8 ? 8 : length;
}

static void print_means(const lua_report *r, const char *title, bool heavy, ratio_of *of) {
    printf("%-14s %5s", title, "");
    for (size_t b = 1; b < r->backend_count; b++)
        printf(" %*.3f", width_of(r, b), mean_ratio(r, heavy, of, b, 0));
    putchar('\n');
}

static void print_group(const lua_report *r, bool heavy) {
    for (size_t i = 0; i < r->time_count; i++) {
        const lua_times *one = &r->times[i];
        if (one->program->heavy != heavy) continue;
        printf("%-14s %5.0f", one->program->name, seconds_of(r, one, 0) * 1000);
        for (size_t b = 1; b < r->backend_count; b++) printf(" %*.3f", width_of(r, b), ratio(r, one, b, 0));
        putchar('\n');
    }
    if (isnan(mean_ratio(r, heavy, ratio, 0, 0))) return;
    print_means(r, heavy ? "mean, heavy" : "mean, light", heavy, ratio);
    print_means(r, "  of the least", heavy, least_ratio);
}

static void print_times(const lua_report *r) {
    printf("CPU time: milliseconds with %s, then ratios to it in the same round; medians of %d\n",
           r->backends[0].name, r->rounds);
    printf("%-14s %5s", "program", "ms");
    for (size_t b = 1; b < r->backend_count; b++) printf(" %*s", width_of(r, b), column_of(r, b));
    putchar('\n');
    print_group(r, true);
    print_group(r, false);
}

static void print_memory(const lua_report *r) {
    printf("\nMemory: (high water + metadata) / peak of requested bytes\n%-16s %12s %12s %10s %10s\n",
           "program", "requested", "high water", "metadata", "footprint");
    for (size_t i = 0; i < r->memory_count; i++) {
        const lua_memory *m = &r->memory[i];
        printf("%-16s %12llu %12llu %10llu %10.3f\n", m->name, (unsigned long long)m->peak,
               (unsigned long long)m->high_water, (unsigned long long)m->metadata, m->footprint);
    }
}

void lua_report_print(const lua_report *r) {
    if (r->rounds) print_times(r);
    if (r->memory_count) print_memory(r);
    print_goals(r);
}

/* ---- JSON ---- */

/* A checksum is whatever a program returned. */
static void print_json_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if ((unsigned char)*text < ' ') {
            printf("\\u%04x", (unsigned)*text);
            continue;
        }
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void print_json_time(const lua_report *r, const lua_times *one, size_t backend) {
    printf("{\"program\": \"%s\", \"group\": \"%s\", \"backend\": \"%s\", ", one->program->name,
           one->program->heavy ? "heavy" : "light", r->backends[backend].name);
    printf("\"seconds\": %.6f, \"ratio\": %.4f, \"least_ratio\": %.4f, \"page_faults\": %llu, \"checksum\": ",
           seconds_of(r, one, backend), ratio(r, one, backend, 0), least_ratio(r, one, backend, 0),
           (unsigned long long)one->page_faults[backend]);
    print_json_string(one->checksum);
    putchar('}');
}

static void print_json_means(const lua_report *r) {
    const char *comma = "";
    for (int light = 0; light < 2; light++)
        for (size_t b = 0; b < r->backend_count; b++) {
            double mean = mean_ratio(r, !light, ratio, b, 0);
            if (isnan(mean)) continue;
            printf("%s\n  {\"group\": \"%s\", \"backend\": \"%s\", \"ratio\": %.4f, \"least_ratio\": %.4f}",
                   comma, light ? "light" : "heavy", r->backends[b].name, mean,
                   mean_ratio(r, !light, least_ratio, b, 0));
            comma = ",";
        }
}

static void print_json_goals(const lua_report *r) {
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
        double found = find_value(r, &goals[i]);
        printf("%s\n  {\"goal\": \"%s\", \"most\": %.2f", i ? "," : "", goals[i].says, goals[i].most);
        if (!isnan(found))
            printf(", \"found\": %.4f, \"met\": %s", found, found <= goals[i].most ? "true" : "false");
        printf("}");
    }
}

void lua_report_print_json(const lua_report *r) {
    const char *comma = "";
    printf("{\"rounds\": %d, \"times\": [", r->rounds);
    for (size_t i = 0; i < r->time_count; i++)
        for (size_t b = 0; b < r->backend_count; b++, comma = ",") {
            printf("%s\n  ", comma);
            print_json_time(r, &r->times[i], b);
        }
    printf("],\n\"means\": [");
    print_json_means(r);
    printf("],\n\"memory\": [");
    for (size_t i = 0; i < r->memory_count; i++) {
        const lua_memory *m = &r->memory[i];
        printf("%s\n  {\"program\": \"%s\", \"requested\": %llu, \"high_water\": %llu, \"metadata\": %llu, "
               "\"footprint\": %.4f}",
               i ? "," : "", m->name, (unsigned long long)m->peak, (unsigned long long)m->high_water,
               (unsigned long long)m->metadata, m->footprint);
    }
    printf("],\n\"goals\": [");
    print_json_goals(r);
    printf("]}\n");
}
