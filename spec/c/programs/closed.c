/* SPDX-License-Identifier: MIT */
/*
 * Closes every descriptor, those of the recorder too, opens files of its own
 * under all the numbers that there are (1024), allocates 50,000 blocks, and sees that nobody wrote
 * into its files. Told "full", it begins with every number taken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not one number left before the first allocation; nobody else's child is to be seen. */
static int full_from_the_start(void) {
    while (open("/dev/null", O_RDONLY) >= 0) continue;
    for (int i = 0; i < 50000; i++) free(malloc(41));
    if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD) return 4;
    if (!fork()) {
        free(malloc(42));
        return 0;
    }
    wait(NULL);
    return 12;
}

int main(int argc, char **argv) {
    if (argc < 2) return 1;
    struct rlimit limit = {1024, 1024};
    if (setrlimit(RLIMIT_NOFILE, &limit)) return 3;
    if (!strcmp(argv[1], "full")) return full_from_the_start();
    free(malloc(10));
    for (int fd = 3; fd < 1200; fd++) close(fd);
    int first = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int fd = first + 1; fd < 1024; fd++) dup2(first, fd);
    for (int i = 0; i < 50000; i++) free(malloc(40));
    struct stat status;
    if (fstat(first, &status) || status.st_size != 0) return 2;
    unlink(argv[1]);
    return 11;
}
