/* SPDX-License-Identifier: MIT */
/* The goals, and the figures beside them: see ratios.h. */
#include "ratios.h"

#include <stdio.h>
#include <string.h>

typedef enum figure_kind {
    TIME,     /* over the fastest of `against` */
    NET_TIME, /* the same, the empty loop's time taken off both */
    SPEED_UP, /* throughput of two threads over one's */
    TIGHTNESS,
    WORST_NS, /* the worst operation */
    FAILURES,
    MEGA_EVENTS, /* replayed a second */
    FIGURE_KINDS
} figure_kind;

static const struct {
    const char *text;
    bool at_least; /* the more, the better */
    int digits;
} kinds[FIGURE_KINDS] = {
    [TIME] = {"time over", false, 2},
    [NET_TIME] = {"time less the loop's over", false, 2},
    [SPEED_UP] = {"throughput over one thread's", true, 2},
    [TIGHTNESS] = {"peak over pool and metadata", true, 3},
    [WORST_NS] = {"worst operation, ns", false, 0},
    [FAILURES] = {"failures", false, 0},
    [MEGA_EVENTS] = {"million events a second", true, 1},
};

typedef struct goal {
    const char *workloads, *backend, *against; /* separated by commas; against: TIME and NET_TIME */
    figure_kind kind;
    double limit;
    bool shown; /* no goal: to be seen beside the others */
} goal;

#define ALL "W1,W2,W3,W4,W5,W6"
#define PEERS "mimalloc,tcmalloc,jemalloc"
#define EXACT "best-fit/nolock"

static const goal goals[] = {
    {"W1,W3,W4", "slab/nolock", PEERS, NET_TIME, 1.00, false},
    {"W1x2", "null", NULL, SPEED_UP, 0, true}, /* 2 where the machine has two idle cores */
    {"W1x2r", "null", "mimalloc", TIME, 0, true},
    {"W1x2", "slab/cached", NULL, SPEED_UP, 1.90, false},
    {"W1x2", "slab/cached", "mimalloc", TIME, 1.10, false},
    {"W1x2r", "slab/cached", "mimalloc", TIME, 0, true},
    {"W1x2", "slab", "mimalloc", TIME, 0, true},
    {"W1", "best-fit/fifo/nolock", "glibc", TIME, 0.85, false},
    {"W2", "best-fit/fifo/nolock", "glibc", TIME, 0.25, false},
    {"W5", "best-fit/fifo/nolock", "glibc", TIME, 0.60, false},
    {"W6", "best-fit/fifo/nolock", "glibc", TIME, 0.40, false},
    {"W5", "best-fit/fifo/nolock", NULL, FAILURES, 0, false},
    {ALL, EXACT, "best-fit/fifo/nolock", TIME, 1.60, false},
    {"W1", "good-fit/nolock", "glibc", TIME, 0.85, false},
    {"W2", "good-fit/nolock", "glibc", TIME, 0.25, false},
    {"W5", "good-fit/nolock", "glibc", TIME, 0.60, false},
    {"W6", "good-fit/nolock", "glibc", TIME, 0.40, false},
    {ALL, "good-fit/nolock", "best-fit/fifo/nolock", TIME, 1.00, false},
    {ALL, "good-fit/nolock", NULL, WORST_NS, 400, false},
    {"W1", "best-fit", NULL, TIGHTNESS, 0.90, false},
    {"W2", "best-fit", NULL, TIGHTNESS, 0.93, false},
    {ALL, "first-fit/nolock", EXACT, TIME, 2.00, false},
    {ALL, "next-fit/nolock", EXACT, TIME, 2.00, false},
    {ALL, "worst-fit/nolock", EXACT, TIME, 2.00, false},
    {ALL, "best-fit/nolock/check", EXACT, TIME, 0, true}, /* what guards cost */
    {ALL, "best-fit/nolock/full", EXACT, TIME, 0, true},
    {ALL, "slab/nolock/check", "slab/nolock", TIME, 0, true},
    {ALL, "slab/nolock/full", "slab/nolock", TIME, 0, true},
    {"W1x2", "best-fit", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "first-fit", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "next-fit", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "worst-fit", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "good-fit", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "buddy", NULL, SPEED_UP, 0.90, false},
    {"W1x2", "slab", NULL, SPEED_UP, 0.90, false},
    {"replay", "slab/nolock", NULL, MEGA_EVENTS, 25, false},
    {"replay", "good-fit/nolock", NULL, MEGA_EVENTS, 25, false},
    {"replay", "best-fit/nolock", NULL, MEGA_EVENTS, 12, false},
    {"replay", "first-fit/nolock", NULL, MEGA_EVENTS, 12, false},
    {"replay", "next-fit/nolock", NULL, MEGA_EVENTS, 12, false},
    {"replay", "worst-fit/nolock", NULL, MEGA_EVENTS, 12, false},
    {"replay", "buddy/nolock", NULL, MEGA_EVENTS, 12, false},
    {"replay", "bump/nolock", NULL, MEGA_EVENTS, 12, false},
};

enum { GOALS = sizeof goals / sizeof *goals };

/* ---- Names ---- */

typedef char short_name[sizeof((backend *)NULL)->name];

/* The next name of a comma-separated list; false at its end. */
static bool next_name(const char **list, short_name name) {
    if (!*list || !**list) return false;
    size_t length = strcspn(*list, ",");
    snprintf(name, sizeof(short_name), "%.*s", (int)length, *list);
    *list += length + ((*list)[length] == ',');
    return true;
}

static bool lists(const char *list, const char *wanted) {
    short_name name;
    while (next_name(&list, name))
        if (!strcmp(name, wanted)) return true;
    return false;
}

bool ratios_want_backend(const char *name) {
    if (!strcmp(name, "null")) return true;
    for (size_t i = 0; i < GOALS; i++)
        if (!strcmp(goals[i].backend, name) || lists(goals[i].against, name)) return true;
    return false;
}

bool ratios_want_workload(const char *name) {
    for (size_t i = 0; i < GOALS; i++)
        if (lists(goals[i].workloads, name)) return true;
    return false;
}

/* ---- Figures ---- */

/* What a goal came to on one workload. */
typedef struct finding {
    const goal *of;
    short_name workload;
    short_name against; /* the fastest that was measured; empty: none */
    double figure;
    bool measured, met;
} finding;

static const row *find_fastest(const results *r, const char *on, const char *list, short_name fastest) {
    const row *found = NULL;
    short_name name;
    while (next_name(&list, name)) {
        const row *other = results_find(r, on, name);
        if (!other || (found && other->ns_per_op >= found->ns_per_op)) continue;
        found = other;
        memcpy(fastest, name, sizeof(short_name));
    }
    return found;
}

static bool find_time(const results *r, finding *f) {
    bool net = f->of->kind == NET_TIME;
    const row *own = results_find(r, f->workload, f->of->backend);
    const row *peer = find_fastest(r, f->workload, f->of->against, f->against);
    const row *null = results_find(r, f->workload, "null");
    if (!own || !peer || (net && !null)) return false;
    double loop = net ? null->ns_per_op : 0;
    f->figure = (own->ns_per_op - loop) / (peer->ns_per_op - loop);
    return peer->ns_per_op > loop;
}

static bool find_figure(const results *r, finding *f) {
    if (f->of->kind == TIME || f->of->kind == NET_TIME) return find_time(r, f);
    const row *own = results_find(r, f->workload, f->of->backend);
    if (!own) return false;
    switch (f->of->kind) {
    case SPEED_UP:
        f->figure = own->speed_up;
        return own->speed_up > 0;
    case TIGHTNESS:
        f->figure = own->tightness;
        return own->tightness > 0;
    case MEGA_EVENTS:
        f->figure = own->events_per_second / 1e6;
        return own->events_per_second > 0;
    case WORST_NS:
        f->figure = (double)own->max_ns;
        return own->one_by_one;
    default:
        f->figure = (double)own->failures;
        return true;
    }
}

/* The next of the goal's workloads; false past the last. */
static bool next_finding(const results *r, const goal *g, const char **workloads, finding *f) {
    *f = (finding){.of = g};
    if (!next_name(workloads, f->workload)) return false;
    f->measured = find_figure(r, f);
    f->met = kinds[g->kind].at_least ? f->figure >= g->limit : f->figure <= g->limit;
    return true;
}

/* ---- Printing ---- */

/* A goal's line: every workload's figure, those that miss it in bold. */
static void print_goal(const results *r, const goal *g, size_t *measured, size_t *met) {
    const char *workloads = g->workloads, *comma = "";
    size_t all = 0, missed = 0;
    printf("| `%s` | %s%s%s | ", g->backend, kinds[g->kind].text, g->against ? " " : "",
           g->against ? g->against : "");
    if (!g->shown) printf("%s %.*f", kinds[g->kind].at_least ? "≥" : "≤", kinds[g->kind].digits, g->limit);
    printf(" | ");
    for (finding f; next_finding(r, g, &workloads, &f);) {
        if (!f.measured) continue;
        const char *bold = f.met || g->shown ? "" : "**";
        printf("%s%s %s%.*f%s", comma, f.workload, bold, kinds[g->kind].digits, f.figure, bold);
        if (strcmp(f.against, g->against ? g->against : "") != 0) printf(" (%s)", f.against);
        comma = ", ";
        all++;
        missed += !f.met;
    }
    if (!all) printf("%s", g->workloads);
    printf(" | %s |\n", !all ? "not measured" : g->shown ? "" : missed ? "not met" : "met");
    *measured += all && !g->shown;
    *met += all && !g->shown && !missed;
}

void ratios_print_table(const results *r) {
    size_t measured = 0, met = 0;
    printf("\n| backend | figure | goal | measured | |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < GOALS; i++) print_goal(r, &goals[i], &measured, &met);
    printf("\n%zu of the %zu goals measured are met\n", met, measured);
    fflush(stdout);
}

static void print_finding(const finding *f) {
    const goal *g = f->of;
    printf("\n  {\"workload\": \"%s\", \"backend\": \"%s\", \"figure\": \"%s\"", f->workload, g->backend,
           kinds[g->kind].text);
    if (*f->against) printf(", \"against\": \"%s\"", f->against);
    printf(", \"value\": %.4f", f->figure);
    if (!g->shown) printf(", \"goal\": %.4g, \"met\": %s", g->limit, f->met ? "true" : "false");
    printf("}");
}

void ratios_print_json(const results *r) {
    const char *comma = "";
    printf("[");
    for (size_t i = 0; i < GOALS; i++) {
        const char *workloads = goals[i].workloads;
        for (finding f; next_finding(r, &goals[i], &workloads, &f);) {
            if (!f.measured) continue;
            printf("%s", comma);
            print_finding(&f);
            comma = ",";
        }
    }
    printf("\n]");
}
