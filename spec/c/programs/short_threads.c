/* SPDX-License-Identifier: MIT */
/* A thousand threads, one after the other, each of which allocates one block of 3000 bytes. */
#include <pthread.h>
#include <stdlib.h>

static void *work(void *unused) {
    (void)unused;
    return malloc(3000);
}

int main(void) {
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        void *block;
        pthread_create(&thread, NULL, work, NULL);
        pthread_join(thread, &block);
        free(block);
    }
    return 0;
}
