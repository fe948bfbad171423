/* SPDX-License-Identifier: MIT */
/*
 * Images in files: at every moment one whole image is under the name. Children that
 * save are killed at random moments; files grow no further than a limit; folders can't
 * be written.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "heapwright.h"

static char folder[] = "/tmp/heapwright-image-XXXXXX";
static char path[64];

/* Every byte of every block is the generation's. */
static hpw_pool *generation(unsigned char byte, unsigned blocks) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 1 << 20}, NULL);
    for (unsigned i = 0; i < blocks; i++) {
        uint64_t address;
        if (hpw_allocate(pool, 5000, 0, &address, NULL)) break;
        hpw_fill(pool, address, byte, 5000, NULL);
    }
    return pool;
}

/* The generation of the image in the file; -1: it is none, or of several. */
static int loaded(void) {
    hpw_image_error error;
    hpw_pool *pool = hpw_open_image(path, NULL, &error);
    if (!pool) {
        printf("  %s\n", error.message);
        return -1;
    }
    uint64_t cursor = 0;
    hpw_block block;
    int byte = -1;
    while (hpw_next_block(pool, &cursor, &block)) {
        const unsigned char *bytes = hpw_pointer(pool, block.address);
        for (uint64_t i = 0; block.live && i < block.requested; i++) {
            if (byte < 0) byte = bytes[i];
            if (bytes[i] != byte) byte = 1000;
        }
    }
    if (hpw_check(pool, NULL)) byte = -1;
    hpw_close(pool);
    return byte;
}

/* Files in the folder; those beside `path` are removed where asked. */
static int count_files(bool clean) {
    DIR *listing = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        count++;
        if (clean && strcmp(entry->d_name, "pool.img") != 0) unlinkat(dirfd(listing), entry->d_name, 0);
    }
    closedir(listing);
    return count;
}

static void save_for_ever(void) {
    hpw_pool *pools[] = {generation(10, 150), generation(20, 100), generation(30, 200)};
    for (unsigned i = 0;; i++)
        if (hpw_save(pools[i % 3], path, NULL)) _exit(1);
}

static void test_killed(void) {
    hpw_pool *pool = generation(10, 3);
    CHECK_EQ(hpw_save(pool, path, NULL), HPW_OK);
    hpw_close(pool);
    int unfinished = 0, seen[32] = {0};
    unsigned seed = 20;
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (!child) save_for_ever();
        nanosleep(&(struct timespec){.tv_nsec = 1000000 + (long)(rand_r(&seed) % 70000) * 1000}, NULL);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        int byte = loaded();
        if (CHECK(byte == 10 || byte == 20 || byte == 30)) seen[byte]++;
        unfinished += count_files(true) > 1;
    }
    printf("60 killed: %d in the middle of a file; found %d, %d and %d of three generations\n", unfinished,
           seen[10], seen[20], seen[30]);
    CHECK(unfinished > 0);
}

/* A write that fails part of the way, at many places. */
static void test_full(void) {
    hpw_pool *old = generation(40, 20), *new = generation(50, 200);
    hpw_image_error error;
    CHECK_EQ(hpw_save(old, path, NULL), HPW_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    for (limit.rlim_cur = 0; limit.rlim_cur < 1000000; limit.rlim_cur += 77777) {
        setrlimit(RLIMIT_FSIZE, &limit);
        CHECK_EQ(hpw_save(new, path, &error), HPW_IO);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(strstr(error.message, "File too large") != NULL);
        CHECK_EQ(loaded(), 40);
        CHECK_EQ(count_files(false), 1);
    }
    CHECK_EQ(hpw_save(new, "/dev/full", &error), HPW_IO);
    CHECK(!strcmp(error.message, "/dev/full: No space left on device"));
    CHECK_EQ(hpw_save(new, path, &error), HPW_OK);
    CHECK_EQ(loaded(), 50);
    hpw_close(old);
    hpw_close(new);
}

/* What the file was otherwise stays: its permissions, a link to it; a folder is no file. */
static void test_names(void) {
    hpw_pool *pool = generation(60, 5);
    hpw_image_error error;
    struct stat status;
    char link[80];
    snprintf(link, sizeof link, "%s/link", folder);
    CHECK_EQ(chmod(path, 0640), 0);
    CHECK_EQ(symlink("pool.img", link), 0);
    CHECK_EQ(hpw_save(pool, link, &error), HPW_OK);
    CHECK_EQ(loaded(), 60);
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640);
    CHECK(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    unlink(link);
    CHECK_EQ(hpw_save(pool, folder, &error), HPW_IO);
    char inside[128];
    snprintf(inside, sizeof inside, "%s/none/pool.img", folder);
    CHECK_EQ(hpw_save(pool, inside, &error), HPW_IO);
    snprintf(inside, sizeof inside, "%s/pool.img", path);
    CHECK_EQ(hpw_save(pool, inside, &error), HPW_IO);
    CHECK_EQ(count_files(false), 1);
    hpw_close(pool);
}

/* A folder in which nothing can be made: by a user who is not allowed to. */
static void test_folder(void) {
    hpw_pool *pool = generation(70, 5);
    chmod(folder, 0555);
    pid_t child = fork();
    if (!child) {
        hpw_image_error error;
        if (geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(2);
        _exit(hpw_save(pool, path, &error) == HPW_IO && strstr(error.message, "Permission denied") ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    chmod(folder, 0755);
    CHECK_EQ(loaded(), 60);
    CHECK_EQ(count_files(false), 1);
    hpw_close(pool);
}

/* A long path: its end is what the message keeps, and the reason. */
static void test_long_path(void) {
    char longest[2000];
    hpw_image_error error;
    hpw_image image;
    memset(longest, 'x', sizeof longest);
    strcpy(longest + sizeof longest - 6, "/last");
    CHECK_EQ(hpw_examine(longest, &image, &error), HPW_IO);
    CHECK(strstr(error.message, "/last: File name too long") != NULL);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/pool.img", folder);
    chmod(folder, 0755);
    test_killed();
    test_full();
    test_names();
    test_folder();
    test_long_path();
    unlink(path);
    rmdir(folder);
    return CHECK_DONE();
}
