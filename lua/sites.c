/* SPDX-License-Identifier: MIT */
/* Places in a hash table of chains under a mutex: there are as many as a script has lines that allocate. */
#include "sites.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 1024 };

typedef struct place {
    struct place *next;
    int line;
    char source[];
} place;

struct sites {
    pthread_mutex_t lock;
    uint64_t number; /* 1, 2, 3 ..., never again: an address comes back */
    place *chains[CHAINS];
};

static _Thread_local uint64_t entered, entered_number; /* the place, and of which sites it is one */

sites *sites_open(void) {
    static atomic_uint_least64_t last;
    sites *of = calloc(1, sizeof *of);
    if (!of) return NULL;
    of->number = atomic_fetch_add(&last, 1) + 1;
    pthread_mutex_init(&of->lock, NULL);
    return of;
}

void sites_close(sites *of) {
    if (!of) return;
    for (size_t i = 0; i < CHAINS; i++) {
        for (place *next; of->chains[i]; of->chains[i] = next) {
            next = of->chains[i]->next;
            free(of->chains[i]);
        }
    }
    pthread_mutex_destroy(&of->lock);
    free(of);
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint32_t hash_of(const char *source, int line) {
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)line;
    for (; *source; source++) hash = (hash ^ (unsigned char)*source) * UINT32_C(16777619);
    return hash;
}

static place *find(place *chain, const char *source, int line) {
    while (chain && (chain->line != line || strcmp(chain->source, source) != 0)) chain = chain->next;
    return chain;
}

static place *add(place **chain, const char *source, int line) {
    size_t length = strlen(source) + 1;
    place *made = malloc(sizeof *made + length);
    if (!made) return NULL;
    made->next = *chain;
    made->line = line;
    memcpy(made->source, source, length);
    *chain = made;
    return made;
}

void sites_enter(sites *of, const char *source, int line) {
    place **chain = &of->chains[hash_of(source, line) % CHAINS];
    pthread_mutex_lock(&of->lock);
    place *here = find(*chain, source, line);
    if (!here) here = add(chain, source, line);
    pthread_mutex_unlock(&of->lock);
    entered = (uint64_t)(uintptr_t)here;
    entered_number = of->number;
}

uint64_t sites_now(void *of) { return entered_number == ((const sites *)of)->number ? entered : 0; }

void sites_text(uint64_t site, char *text, size_t size) {
    const place *here = (const place *)(uintptr_t)site;
    if (here)
        snprintf(text, size, "%s:%d", here->source, here->line);
    else
        *text = 0;
}
