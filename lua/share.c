/* SPDX-License-Identifier: MIT */
/*
 * Shares: a count of holders that threads change without a lock, and a mutex
 * under which recordings begin and end, one at a time. The pool's own lock orders
 * a recording's begin and end with the events in between: the sink runs under it.
 * O(1); beginning a recording is O(live blocks).
 */
#include "share.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct pool_share {
    atomic_size_t holders;
    atomic_size_t states; /* Lua states that live in the pool */
    hpw_pool *pool;
    const hpw_policy_info *policy;
    sites *sites;
    bool locked;
    pthread_mutex_t recording; /* held while one begins or ends, never while Lua runs */
    hpw_trace_writer *writer;  /* NULL: the pool is not recorded */
    uint64_t events;           /* written so far; changed under the pool's lock */
    movables movables;
};

/* ---- Holders ---- */

/* Of an image, where there is a path. */
static bool open_pool(pool_share *share, const char *path, const hpw_config *config, hpw_image_error *error) {
    hpw_config sited = *config;
    if (config->guard == HPW_GUARD_FULL) {
        share->sites = sites_open();
        if (!share->sites) return false;
        sited.host.site = sites_now;
        sited.host.ud = share->sites;
    }
    share->pool = path ? hpw_open_image(path, &sited, error) : hpw_open(&sited, &error->code);
    return share->pool;
}

static pool_share *open_share(const char *path, const hpw_config *config, const hpw_policy_info *policy,
                              hpw_image_error *error) {
    pool_share *share = calloc(1, sizeof *share);
    *error = (hpw_image_error){.code = HPW_NO_MEMORY, .message = "no memory for a pool"};
    if (!share) return NULL;
    if (!open_pool(share, path, config, error)) {
        sites_close(share->sites);
        free(share);
        return NULL;
    }
    atomic_init(&share->holders, 1);
    atomic_init(&share->states, 0);
    share->policy = policy;
    share->locked = !config->single_threaded;
    pthread_mutex_init(&share->recording, NULL);
    movables_open(&share->movables, share->pool, share->locked);
    return share;
}

pool_share *share_open(const hpw_config *config, const hpw_policy_info *policy, hpw_error *error) {
    hpw_image_error why;
    pool_share *share = open_share(NULL, config, policy, &why);
    if (!share) *error = why.code;
    return share;
}

pool_share *share_load(const char *path, const hpw_config *config, const hpw_policy_info *policy,
                       hpw_image_error *error) {
    return open_share(path, config, policy, error);
}

pool_share *share_hold(pool_share *share) {
    atomic_fetch_add_explicit(&share->holders, 1, memory_order_relaxed);
    return share;
}

bool share_release_telling(pool_share *share, hpw_trace_error *error) {
    uint64_t events;
    /* What each holder did to the pool comes before its end. */
    if (atomic_fetch_sub_explicit(&share->holders, 1, memory_order_acq_rel) > 1) return true;
    bool recorded = share_end_recording(share, &events, error);
    hpw_close(share->pool);
    sites_close(share->sites);
    movables_close(&share->movables);
    pthread_mutex_destroy(&share->recording);
    free(share);
    return recorded;
}

void share_release(pool_share *share) { share_release_telling(share, NULL); }

hpw_pool *share_pool(const pool_share *share) { return share->pool; }

movables *share_movables(pool_share *share) { return &share->movables; }

const hpw_policy_info *share_policy(const pool_share *share) { return share->policy; }

size_t share_holders(const pool_share *share) {
    return atomic_load_explicit(&share->holders, memory_order_relaxed);
}

sites *share_sites(const pool_share *share) { return share->sites; }

bool share_is_locked(const pool_share *share) { return share->locked; }

void share_add_state(pool_share *share) {
    atomic_fetch_add_explicit(&share->states, 1, memory_order_relaxed);
}

void share_remove_state(pool_share *share) {
    atomic_fetch_sub_explicit(&share->states, 1, memory_order_relaxed);
}

size_t share_states(const pool_share *share) {
    return atomic_load_explicit(&share->states, memory_order_relaxed);
}

/* ---- Recording ---- */

/* Called with the pool's lock held: counts what is written, and writes it. */
static void record_event(void *ud, const hpw_event *event) {
    pool_share *share = ud;
    if (event->kind != HPW_EVENT_FAILURE) share->events++;
    hpw_trace_sink(share->writer, event);
}

static hpw_trace_format format_of_name(const char *path) {
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".hwt") == 0 ? HPW_TRACE_BINARY : HPW_TRACE_TEXT;
}

bool share_begin_recording(pool_share *share, const char *path, hpw_trace_error *error) {
    bool begun = false;
    pthread_mutex_lock(&share->recording);
    if (share->writer) {
        hpw_trace_fail(error, HPW_INVALID_ARGUMENT, "record: the pool is being recorded already");
    } else if ((share->writer = hpw_trace_create(path, format_of_name(path), error)) != NULL) {
        share->events = 0;
        hpw_set_sink_with_live(share->pool, record_event, share);
        begun = true;
    }
    pthread_mutex_unlock(&share->recording);
    return begun;
}

bool share_end_recording(pool_share *share, uint64_t *events, hpw_trace_error *error) {
    bool well = true;
    *events = 0;
    pthread_mutex_lock(&share->recording);
    if (share->writer) {
        hpw_set_sink(share->pool, NULL, NULL); /* from here on no event is on its way to the writer */
        *events = share->events;
        well = hpw_trace_finish(share->writer, error);
        share->writer = NULL;
    }
    pthread_mutex_unlock(&share->recording);
    return well;
}
