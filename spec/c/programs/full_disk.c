/* SPDX-License-Identifier: MIT */
/*
 * Lets no file grow over 100,000 bytes, allocates 200,000 blocks (far more than
 * a trace of that size holds), and sees that it is left alone: no SIGXFSZ, no
 * errno, its own file as it should be.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

int main(void) {
    struct rlimit limit = {100000, 100000};
    if (setrlimit(RLIMIT_FSIZE, &limit)) return 1;
    errno = 0;
    for (int i = 0; i < 200000; i++) {
        void *block = malloc(24);
        if (!block || errno) return 2;
        free(block);
    }
    return 9;
}
