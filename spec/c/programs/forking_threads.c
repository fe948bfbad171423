/* SPDX-License-Identifier: MIT */
/*
 * Four threads allocate (blocks of 500 bytes) while the main one forks 50
 * children, each with 10 of 600. The threads rest now and then, to keep the trace small.
 */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_bool done;

static void *work(void *unused) {
    (void)unused;
    while (!done) {
        for (int i = 0; i < 100; i++) free(malloc(500));
        usleep(200);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 50; i++) {
        if (fork() == 0) {
            for (int n = 0; n < 10; n++)
                if (!malloc(600)) _exit(1);
            _exit(0);
        }
        wait(NULL);
    }
    done = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}
