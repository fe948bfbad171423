/* SPDX-License-Identifier: MIT */
/*
 * A C program that brings its own memory: a pool in a static buffer, as firmware
 * would have it. Nothing is asked of the system, and nothing is written outside
 * of the buffer.
 *
 *   cc -Icore examples/embed.c build/libheapwright.a -lpthread -o embed
 */
#include <heapwright.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned char buffer[64 * 1024];

/* A list of messages whose nodes live in the pool. */
typedef struct message {
    struct message *next;
    char text[];
} message;

static message *push(hpw_pool *pool, message *next, const char *text) {
    message *m = hpw_malloc(pool, sizeof *m + strlen(text) + 1);
    if (m == NULL) return next; /* the pool is full: the list stays as it was */
    m->next = next;
    memcpy(m->text, text, strlen(text) + 1);
    return m;
}

static void show(const hpw_pool *pool, const char *when) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    printf("%-15s %" PRIu64 " blocks, %" PRIu64 " bytes in use, %" PRIu64 " free, peak %" PRIu64 "\n", when,
           stats.live_blocks, stats.in_use, stats.free, stats.peak_in_use);
}

int main(void) {
    hpw_config config = {.policy = "good-fit", .single_threaded = true};
    hpw_error error;
    hpw_pool *pool = hpw_open_in(buffer, sizeof buffer, &config, &error);
    if (pool == NULL) {
        fprintf(stderr, "no pool: %s\n", hpw_error_name(error));
        return 1;
    }
    show(pool, "at first:");

    message *list = NULL;
    list = push(pool, list, "a pool in a static buffer");
    list = push(pool, list, "needs no operating system");
    list = push(pool, list, "and no header on any block");
    for (const message *m = list; m != NULL; m = m->next) printf("  %s\n", m->text);
    show(pool, "three messages:");

    message *second = list->next;
    printf("free: %s\n", hpw_error_name(hpw_free(pool, second)));
    printf("free it again: %s\n", hpw_error_name(hpw_free(pool, second)));
    printf("free the middle of one: %s\n", hpw_error_name(hpw_free(pool, list->text + 8)));
    printf("ask for too much: %s\n", hpw_malloc(pool, sizeof buffer) == NULL ? "NULL" : "granted");

    hpw_reset(pool);
    show(pool, "after a reset:");
    hpw_close(pool);
    return 0;
}

/*
 * Output:
 * at first:       0 blocks, 0 bytes in use, 61504 free, peak 0
 *   and no header on any block
 *   needs no operating system
 *   a pool in a static buffer
 * three messages: 3 blocks, 103 bytes in use, 61360 free, peak 103
 * free: ok
 * free it again: double_free
 * free the middle of one: invalid_free
 * ask for too much: NULL
 * after a reset:  0 blocks, 0 bytes in use, 61504 free, peak 103
 */
