/* SPDX-License-Identifier: MIT */
/*
 * Allocates before main (101 bytes), in main (102), in an atexit handler (103),
 * an at_quick_exit handler (104) and a destructor (105), and ends as told.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept;

__attribute__((constructor)) static void before(void) { kept = malloc(101); }
__attribute__((destructor)) static void after(void) { kept = malloc(105); }
static void at_exit(void) { kept = malloc(103); }
static void at_quick(void) { kept = malloc(104); }

static void handler(int number) {
    (void)number;
    kept = malloc(106);
    _exit(5);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "return";
    atexit(at_exit);
    at_quick_exit(at_quick);
    kept = malloc(102);
    if (!strcmp(how, "exit")) exit(1);
    if (!strcmp(how, "_exit")) _exit(2);
    if (!strcmp(how, "_Exit")) _Exit(3);
    if (!strcmp(how, "quick_exit")) quick_exit(4);
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "handler")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    }
    return 0;
}
