/* SPDX-License-Identifier: MIT */
/*
 * Allocates 300,000 blocks of 50 bytes, freeing each, while the handlers of two
 * timers, which interrupt each other, do the same with blocks of 60, 20 at a
 * time. Exits with the number of times that they ran, modulo 64, plus 64 if they
 * ran at all. Needs safe_malloc.c.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>

static atomic_int ran;

static void handler(int number) {
    (void)number;
    for (int i = 0; i < 20; i++) free(malloc(60));
    ran++;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    setitimer(ITIMER_PROF, &often, NULL);
    for (int i = 0; i < 300000; i++) free(malloc(50));
    setitimer(ITIMER_REAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
    int times = ran;
    return times % 64 + (times ? 64 : 0);
}
