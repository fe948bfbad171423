/* SPDX-License-Identifier: MIT */
/*
 * A family of processes. The parent allocates 3 blocks of 100 bytes and starts
 *  - a fork that allocates nothing (it frees one of its parent's blocks);
 *  - a fork that allocates 5 of 200 and execs this program as "leaf", 7 of 300;
 *  - a vfork that execs a leaf at once, and one whose exec fails;
 *  - a posix_spawn of a leaf;
 *  - a fork whose child forks again, which allocates 2 of 400.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void allocate(int count, size_t size) {
    for (int i = 0; i < count; i++)
        if (!malloc(size)) _exit(1);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "leaf")) {
        allocate(7, 300);
        return 0;
    }
    void *inherited = malloc(100);
    allocate(2, 100);
    char *const leaf[] = {argv[0], "leaf", NULL};
    if (fork() == 0) {
        free(inherited);
        _exit(0);
    }
    wait(NULL);
    if (fork() == 0) {
        allocate(5, 200);
        execl("/nonexistent", "nonexistent", (char *)NULL);
        execl(argv[0], argv[0], "leaf", (char *)NULL);
        _exit(1);
    }
    wait(NULL);
    if (vfork() == 0) {
        execv(argv[0], leaf);
        _exit(1);
    }
    wait(NULL);
    if (vfork() == 0) {
        execv("/nonexistent", leaf);
        _exit(1);
    }
    wait(NULL);
    pid_t spawned;
    if (posix_spawn(&spawned, argv[0], NULL, NULL, leaf, environ)) return 1;
    wait(NULL);
    if (fork() == 0) {
        if (fork() == 0) {
            allocate(2, 400);
            return 0;
        }
        wait(NULL);
        _exit(0);
    }
    wait(NULL);
    free(inherited);
    return 7;
}
