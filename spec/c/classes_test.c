/* SPDX-License-Identifier: MIT */
/*
 * Size classes of slab's own (hpw_config.classes): what each request is granted, by every
 * way into the pool; what is refused; that reset, images and caches of threads keep them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "heapwright.h"
#include "image.h"
#include "little_endian.h"
#include "policy/slot_classes.h"
#include "trace_chunk.h"

enum { CAPACITY = 1 << 20, SMALL = 64 * 1024, PAGES = 2 * 256 * 16 };

static hpw_error opened(hpw_config config) {
    hpw_error error;
    hpw_close(hpw_open(&config, &error));
    return error;
}

/* What a request of `size` gets, said plainly. */
static uint64_t granted_for(const hpw_config *config, uint64_t size) {
    uint64_t granule = config->granule ? config->granule : 16;
    for (size_t i = 0; i < HPW_MOST_CLASSES && config->classes[i]; i++)
        if (config->classes[i] >= size) return config->classes[i];
    return size ? (size + granule - 1) / granule * granule : granule;
}

/* ---- Granted sizes ---- */

static void grant_one(hpw_pool *pool, const hpw_config *config, uint64_t size) {
    uint64_t requested = 0, granted = 0, zone = config->guard == HPW_GUARD_FULL ? 16 : 0;
    unsigned char *block = hpw_malloc(pool, (size_t)size);
    if (!CHECK(block != NULL)) return;
    memset(block, 0xa5, (size_t)size);
    uint64_t address = hpw_address(pool, block);
    CHECK_EQ(hpw_size(pool, address, &requested, &granted, NULL), HPW_OK);
    CHECK_EQ(requested, size);
    CHECK_EQ(granted, granted_for(config, size + zone));
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    if (size % 3 == 0) CHECK_EQ(hpw_free_sized(pool, block, (size_t)size), HPW_OK);
    if (size % 3 == 1) CHECK_EQ(hpw_free(pool, block), HPW_OK);
    if (size % 3 == 2) CHECK_EQ(hpw_release(pool, address, NULL), HPW_OK);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

/* Each size twice: the second one takes the slot that the first one left. */
static void grant_all(hpw_config config) {
    hpw_pool *pool = hpw_open(&config, NULL);
    if (!CHECK(pool != NULL)) return;
    uint64_t granule = config.granule ? config.granule : 16, most = 70 * granule;
    for (uint64_t size = 0; size <= most; size += 1 + size / 40) {
        grant_one(pool, &config, size);
        grant_one(pool, &config, size);
    }
    hpw_close(pool);
}

static const uint32_t lists[][HPW_MOST_CLASSES] = {
    {64},
    {1024},
    {64, 1024}, /* slack of 959 bytes, which no size record of one byte tells */
    {64, 320, 576, 640},
    {64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024},
};

static void sizes_are_granted(void) {
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (hpw_guard guard = 0; guard < HPW_GUARD_COUNT; guard++)
            for (uint32_t granule = 16; granule <= 64; granule *= 2) {
                hpw_config config = {
                    .policy = "slab", .capacity = CAPACITY, .granule = granule, .guard = guard};
                memcpy(config.classes, lists[i], sizeof config.classes);
                config.single_threaded = i % 2 == 0;
                grant_all(config);
                if (granule == 16 && guard != HPW_GUARD_FULL) {
                    config.single_threaded = false;
                    config.thread_caches = 2;
                    grant_all(config);
                }
                config.thread_caches = 0;
                config.max_capacity = (uint64_t)4 * CAPACITY;
                grant_all(config);
            }
    grant_all(
        (hpw_config){.policy = "slab", .capacity = CAPACITY, .granule = 8, .classes = {8, 24, 40, 120, 512}});
}

/* 256 granules of a page in slots of 5: 51, and a granule that nobody takes. */
static void a_page_is_cut(void) {
    hpw_config config = {.policy = "slab", .capacity = PAGES, .classes = {80, 512}};
    hpw_pool *pool = hpw_open(&config, NULL);
    for (uint64_t i = 0; i < 102; i++) {
        void *block = hpw_malloc(pool, 65 + i % 16);
        CHECK(block && hpw_address(pool, block) % 4096 == i % 51 * 80);
    }
    CHECK(!hpw_malloc(pool, 65));
    CHECK(!hpw_malloc(pool, 513));
    CHECK_EQ(hpw_reset(pool), HPW_OK);
    CHECK_EQ(hpw_usable_size(pool, hpw_malloc(pool, 1)), 80); /* reset keeps them */
    hpw_close(pool);
}

/* Writes past the requested size are seen, whatever the record's length. */
static void overruns_are_seen(void) {
    hpw_config config = {.policy = "slab", .guard = HPW_GUARD_CHECK, .classes = {1024}};
    hpw_pool *pool = hpw_open(&config, NULL);
    for (size_t size = 1; size < 1024; size += 31) {
        unsigned char *block = hpw_malloc(pool, size);
        block[size] ^= 1;
        CHECK_EQ(hpw_free(pool, block), HPW_CORRUPTED);
        block[size] ^= 1;
        CHECK_EQ(hpw_free(pool, block), HPW_OK);
    }
    hpw_close(pool);
}

/* ---- Configurations ---- */

static void contradictions_are_refused(void) {
    hpw_config slab = {.policy = "slab", .capacity = CAPACITY};
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {16, 48}}), HPW_OK);
    CHECK_EQ(opened((hpw_config){.classes = {16}}), HPW_INVALID_ARGUMENT); /* best fit */
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {48, 16}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {16, 16}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {16, 24}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .granule = 8, .classes = {16, 24}}), HPW_OK);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {1040}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .granule = 32, .classes = {1056}}), HPW_OK);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .granule = 8, .classes = {520}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {0, 16}}), HPW_INVALID_ARGUMENT);
    CHECK_EQ(opened((hpw_config){.policy = "slab", .classes = {16, 0, 32}}), HPW_INVALID_ARGUMENT);
    for (uint32_t i = 0; i < HPW_MOST_CLASSES; i++) slab.classes[i] = 16 * (i + 1);
    CHECK_EQ(opened(slab), HPW_OK);
    slab.classes[0] = 0;
    CHECK_EQ(opened(slab), HPW_INVALID_ARGUMENT);
}

/* The tables of a pool in a buffer lie in its metadata, and nowhere else. */
static void a_buffer_holds_them(void) {
    hpw_config config = {.policy = "slab", .capacity = SMALL, .classes = {16, 64}};
    size_t size = hpw_metadata_size(&config) + SMALL;
    unsigned char *buffer = malloc(size);
    hpw_pool *pool = hpw_open_in(buffer, size, &config, NULL);
    if (CHECK(pool != NULL)) CHECK_EQ(hpw_usable_size(pool, hpw_malloc(pool, 17)), 64);
    if (pool) CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    hpw_close(pool);
    config.classes[0] = config.classes[1] = 0;
    CHECK(hpw_metadata_size(&config) < size - SMALL);
    free(buffer);
}

/* The usual classes, asked for by their sizes, place as the usual ones do. */
static void usual_ones_are_a_list(void) {
    hpw_config usual = {.policy = "slab", .capacity = CAPACITY}, listed = usual;
    for (unsigned i = 0; i < HPW_MOST_CLASSES; i++)
        listed.classes[i] = (uint32_t)slot_classes_usual.size[i + 1] << 4;
    hpw_pool *a = hpw_open(&usual, NULL), *b = hpw_open(&listed, NULL);
    void *of_a[200] = {0}, *of_b[200] = {0};
    uint32_t chance = 1;
    for (int i = 0; i < 20000; i++) {
        chance = chance * 1103515245 + 12345;
        unsigned which = chance >> 16, slot = which % 200;
        CHECK_EQ(hpw_free(a, of_a[slot]), HPW_OK);
        CHECK_EQ(hpw_free(b, of_b[slot]), HPW_OK);
        of_a[slot] = hpw_malloc(a, which % 1500);
        of_b[slot] = hpw_malloc(b, which % 1500);
        CHECK_EQ(hpw_address(a, of_a[slot]), hpw_address(b, of_b[slot]));
    }
    slot_classes tables;
    slot_classes_make(&tables, listed.classes, 4);
    CHECK(!memcmp(&tables, &slot_classes_usual, sizeof tables));
    hpw_close(a);
    hpw_close(b);
}

/* ---- Images ---- */

static const char *saved(hpw_pool *pool) {
    static char path[64];
    hpw_image_error error;
    snprintf(path, sizeof path, "/tmp/heapwright-classes-%ld.img", (long)getpid());
    CHECK_EQ(hpw_save(pool, path, &error), HPW_OK);
    return path;
}

static void images_keep_them(void) {
    hpw_config config = {.policy = "slab", .capacity = CAPACITY, .classes = {48, 80, 1008}};
    hpw_pool *pool = hpw_open(&config, NULL);
    uint64_t addresses[64];
    for (size_t i = 0; i < 64; i++) addresses[i] = hpw_address(pool, hpw_malloc(pool, 1 + i * 17));
    const char *path = saved(pool);
    hpw_image image;
    hpw_image_error error;
    CHECK_EQ(hpw_examine(path, &image, &error), HPW_OK);
    CHECK(!memcmp(image.config.classes, config.classes, sizeof config.classes));
    hpw_pool *again = hpw_open_image(path, NULL, &error);
    if (CHECK(again != NULL)) {
        uint64_t granted = 0;
        for (size_t i = 0; i < 64; i++) {
            CHECK_EQ(hpw_size(again, addresses[i], NULL, &granted, NULL), HPW_OK);
            CHECK_EQ(granted, granted_for(&config, 1 + i * 17));
        }
        CHECK_EQ(hpw_check(again, NULL), HPW_OK);
        CHECK_EQ(hpw_usable_size(again, hpw_malloc(again, 49)), 80);
        hpw_close(again);
    }
    /* With other classes, under which these blocks still have room: they lie where they lay. */
    hpw_config other = {.policy = "slab", .capacity = CAPACITY, .classes = {48}};
    again = hpw_open_image(path, &other, &error);
    if (CHECK(again != NULL)) {
        CHECK_EQ(hpw_owner(again, addresses[63], NULL, NULL, NULL), HPW_OK);
        CHECK_EQ(hpw_usable_size(again, hpw_malloc(again, 49)), 64);
        CHECK_EQ(hpw_check(again, NULL), HPW_OK);
        hpw_close(again);
    }
    unlink(path);
    hpw_close(pool);
}

/* A header whose word has more classes than there may be. */
static void hostile_images_are_refused(void) {
    hpw_config config = {.policy = "slab", .capacity = CAPACITY, .classes = {48}};
    hpw_pool *pool = hpw_open(&config, NULL);
    const char *path = saved(pool);
    hpw_close(pool);
    uint8_t header[IMAGE_HEADER];
    hpw_image image;
    hpw_image_error error;
    const uint64_t words[] = {UINT64_MAX, ((uint64_t)1 << 21) - 1, ((uint64_t)1 << 20) - 1, 0};
    const hpw_error answers[] = {HPW_INVALID_ARGUMENT, HPW_INVALID_ARGUMENT, HPW_OK, HPW_OK};
    for (size_t i = 0; i < 4; i++) {
        FILE *file = fopen(path, "r+b");
        CHECK(file && fread(header, 1, sizeof header, file) == sizeof header);
        put64(header + 120, words[i]);
        put64(header + IMAGE_HEADER - 8, hpw_checksum(header, IMAGE_HEADER - 8));
        CHECK(!fseek(file, 0, SEEK_SET) && fwrite(header, 1, sizeof header, file) == sizeof header);
        fclose(file);
        CHECK_EQ(hpw_examine(path, &image, &error), answers[i]);
    }
    unlink(path);
}

int main(void) {
    sizes_are_granted();
    a_page_is_cut();
    overruns_are_seen();
    contradictions_are_refused();
    a_buffer_holds_them();
    usual_ones_are_a_list();
    images_keep_them();
    hostile_images_are_refused();
    return CHECK_DONE();
}
