/* SPDX-License-Identifier: MIT */
/*
 * Closes every descriptor, those of the recorder too, opens files of its own
 * under all these numbers, allocates 50,000 blocks, and sees that nobody wrote
 * into its files.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) return 1;
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
