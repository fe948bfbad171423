/* SPDX-License-Identifier: MIT */
/*
 * Eight threads that pass blocks to each other: each allocates, resizes and
 * frees what lies in a slot that all share. Sizes 1000 to 1999 are theirs.
 * Thread-local destructors that free, after the recorder's own, included.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS = 8, STEPS = 20000, SLOTS = 256 };

static void *_Atomic slots[SLOTS];
static pthread_key_t key;

static void *work(void *number) {
    uint64_t random = (uintptr_t)number * 2654435761u + 1;
    pthread_setspecific(key, malloc(1999));
    for (int i = 0; i < STEPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned slot = (unsigned)(random >> 40) % SLOTS;
        void *mine = malloc(1000 + (random >> 50) % 500);
        void *other = __atomic_exchange_n((void **)&slots[slot], mine, __ATOMIC_ACQ_REL);
        if (i % 4 == 0) other = realloc(other, 1500 + (random >> 45) % 499);
        free(other);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_key_create(&key, free);
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    return 0;
}
