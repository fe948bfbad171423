/* SPDX-License-Identifier: MIT */
/*
 * Images of pools in memory: under every policy, order, guard and granule, restored in
 * pools like the saved one and unlike it; every byte flipped, every length cut off.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "heapwright.h"
#include "image.h"

enum { MOST = 400, CAPACITY = 1 << 16, ROOM = 1 << 18 };

/* ---- An image in memory ---- */

typedef struct memory {
    size_t size, at;
    size_t most; /* bytes that may be put */
    unsigned char bytes[ROOM];
} memory;

static bool put(void *ud, const void *bytes, size_t n) {
    memory *m = ud;
    if (n > m->most - m->size) return false;
    memcpy(m->bytes + m->size, bytes, n);
    m->size += n;
    return true;
}

static size_t get(void *ud, void *bytes, size_t n) {
    memory *m = ud;
    if (n > m->size - m->at) n = m->size - m->at;
    memcpy(bytes, m->bytes + m->at, n);
    m->at += n;
    return n;
}

static memory image;

static hpw_error save(hpw_pool *pool, hpw_image_error *error) {
    image.size = 0;
    image.most = ROOM;
    return hpw_save_to(pool, put, &image, error);
}

static hpw_error restore(hpw_pool *pool, hpw_image_error *error) {
    image.at = 0;
    return hpw_restore(pool, get, &image, error);
}

/* ---- A pool with blocks ---- */

static uint32_t random_state;

static uint32_t draw(uint32_t below) {
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * below >> 32);
}

static void populate(hpw_pool *pool, bool aligned) {
    uint64_t held[MOST], count = 0;
    for (int i = 0; i < MOST; i++) {
        uint64_t address, size = draw(8) ? draw(300) : draw(5000);
        if (hpw_allocate(pool, size, aligned && !draw(6) ? (uint64_t)1 << draw(11) : 0, &address, NULL))
            continue;
        hpw_fill(pool, address, (int)draw(256), size, NULL);
        held[count++] = address;
        if (draw(2)) {
            uint64_t *gone = &held[draw((uint32_t)count)];
            hpw_release(pool, *gone, NULL);
            *gone = held[--count];
        }
        if (count && !draw(4)) hpw_resize(pool, held[count - 1], draw(300), &held[count - 1], NULL);
    }
}

/* Has `b` the live blocks of `a`, with their bytes? And, where asked, as much granted. */
static bool same_blocks(hpw_pool *a, hpw_pool *b, bool granted) {
    uint64_t at = 0, bt = 0;
    hpw_block x, y;
    for (;;) {
        bool more_x, more_y;
        while ((more_x = hpw_next_block(a, &at, &x)) && !x.live) continue;
        while ((more_y = hpw_next_block(b, &bt, &y)) && !y.live) continue;
        if (!more_x || !more_y) return more_x == more_y;
        if (x.address != y.address || x.requested != y.requested || (granted && x.size != y.size))
            return false;
        if (x.requested && memcmp(hpw_pointer(a, x.address), hpw_pointer(b, y.address), x.requested) != 0)
            return false;
    }
}

static bool restored(hpw_pool *from, hpw_pool *to, bool same) {
    hpw_image_error error = {.message = ""};
    hpw_report report = {.what = ""};
    bool well = CHECK_EQ(restore(to, &error), HPW_OK);
    if (!well) printf("  %s\n", error.message);
    well = CHECK(same_blocks(from, to, same)) && well;
    well = CHECK_EQ(hpw_check(to, &report), HPW_OK) && well;
    if (*report.what) printf("  %s at %llx\n", report.what, (unsigned long long)report.address);
    return well;
}

/* The restored pool goes on as one in use does. */
static void use(hpw_pool *pool) {
    uint64_t at = 0;
    hpw_block block;
    populate(pool, true);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    while (hpw_next_block(pool, &at, &block))
        if (block.live) CHECK_EQ(hpw_release(pool, block.address, NULL), HPW_OK);
    hpw_trim(pool);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

static void round_trip(const hpw_config *config, const hpw_config *other) {
    static unsigned char buffer[8 * CAPACITY];
    hpw_error error;
    hpw_image_error why;
    hpw_pool *pool = hpw_open(config, &error);
    if (!pool) return;
    bool same = !strcmp(config->policy, other->policy) && config->granule == other->granule;
    populate(pool, same);
    CHECK_EQ(save(pool, &why), HPW_OK);
    hpw_image described;
    image.at = 0;
    CHECK_EQ(hpw_read_image(get, &image, &described, &why), HPW_OK);
    CHECK_EQ(described.size, image.size);
    CHECK(!strcmp(described.config.policy, config->policy) && described.config.guard == config->guard);
    CHECK(described.config.order == config->order && described.config.seed == config->seed);
    hpw_pool *twin = hpw_open(other, &error);
    bool well = restored(pool, twin, same);
    if (!well)
        printf("  %s, order %d, guard %d, granule %u\n", config->policy, (int)config->order,
               (int)config->guard, config->granule);
    if (well && same) { /* saved again it is the same image, byte for byte */
        static memory first;
        first = image;
        save(twin, NULL);
        if (other->capacity == config->capacity && other->guard == config->guard)
            CHECK(first.size == image.size && memcmp(first.bytes, image.bytes, first.size) == 0);
    }
    use(twin);
    hpw_close(twin);
    if (same && !other->max_capacity) { /* in a buffer the pool's first byte is aligned to 16 only */
        save(pool, NULL);
        twin = hpw_open_in(buffer + (0U - (uintptr_t)buffer) % 65536, (size_t)6 * CAPACITY, other, &error);
        if (restore(twin, &why) == HPW_OK)
            CHECK(same_blocks(pool, twin, true));
        else
            CHECK_EQ(why.code, HPW_INVALID_ARGUMENT);
        CHECK_EQ(hpw_check(twin, NULL), HPW_OK);
        hpw_close(twin);
    }
    hpw_close(pool);
}

static void test_policies(void) {
    const hpw_policy_info *info;
    for (size_t i = 0; (info = hpw_policy_at(i)) != NULL; i++)
        for (unsigned order = 0; order < (info->takes_order ? HPW_ORDER_COUNT : 1); order++)
            for (uint32_t seed = 1; seed <= 12; seed++) {
                static const uint32_t granules[] = {16, 8, 64, 16};
                random_state = seed;
                hpw_config config = {.policy = info->name,
                                     .order = (hpw_order)order,
                                     .seed = order == HPW_ORDER_RANDOM ? seed : 0,
                                     .capacity = CAPACITY,
                                     .guard = (hpw_guard)(seed % HPW_GUARD_COUNT),
                                     .granule = granules[seed % 4]};
                hpw_config other = config;
                round_trip(&config, &other);
                other.guard = other.guard ? HPW_GUARD_OFF : HPW_GUARD_CHECK;
                round_trip(&config, &other);
                other.policy = "best-fit"; /* which takes blocks wherever they lie */
                other.order = HPW_ORDER_ADDRESS;
                other.seed = 0;
                round_trip(&config, &other);
                config.capacity /= 8;
                config.max_capacity = CAPACITY;
                other = config;
                round_trip(&config, &other);
                if (info->takes_caches) {
                    config = (hpw_config){
                        .policy = info->name, .granule = 16, .capacity = CAPACITY, .thread_caches = 2};
                    other = config;
                    round_trip(&config, &other);
                }
            }
}

/* ---- What is refused ---- */

static hpw_pool *example(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 4096, .guard = HPW_GUARD_CHECK}, NULL);
    static const uint64_t sizes[] = {100, 0, 48, 700, 1};
    for (size_t i = 0; i < 5; i++) {
        uint64_t address;
        CHECK_EQ(hpw_allocate(pool, sizes[i], 0, &address, NULL), HPW_OK);
        hpw_fill(pool, address, 'a' + (int)i, sizes[i], NULL);
    }
    return pool;
}

static void check_empty(hpw_pool *pool) {
    hpw_stats stats;
    hpw_get_stats(pool, &stats);
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(stats.largest_free, stats.capacity);
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
}

static void test_damage(void) {
    hpw_pool *pool = example(), *twin = hpw_open(&(hpw_config){.capacity = 4096}, NULL);
    hpw_image_error why;
    save(pool, NULL);
    for (size_t at = 0; at < image.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            image.bytes[at] ^= (unsigned char)(1 << bit);
            why = (hpw_image_error){.code = HPW_OK};
            hpw_error error = restore(twin, &why);
            if (!CHECK(error == HPW_CORRUPTED || (error == HPW_INVALID_ARGUMENT && at < 12)))
                printf("  byte %zu, bit %d: %s\n", at, bit, why.message);
            CHECK(error == why.code && why.offset <= image.size && *why.message);
            image.bytes[at] ^= (unsigned char)(1 << bit);
        }
    check_empty(twin);
    size_t whole = image.size;
    for (image.size = 0; image.size < whole; image.size++) {
        CHECK_EQ(restore(twin, &why), HPW_CORRUPTED);
        CHECK_EQ(why.offset, image.size);
    }
    image.bytes[image.size++] = 0;
    CHECK_EQ(restore(twin, &why), HPW_CORRUPTED);
    CHECK(!strcmp(why.message, "at byte 1177: more follows the image"));
    image.size--;
    check_empty(twin);
    CHECK(restored(pool, twin, true));
    CHECK_EQ(restore(twin, &why), HPW_INVALID_ARGUMENT);
    CHECK(!strcmp(why.message, "5 blocks are live in the pool"));
    hpw_close(twin);
    hpw_close(pool);
}

static void test_write_failures(void) {
    hpw_pool *pool = example();
    hpw_image_error why;
    save(pool, NULL);
    for (size_t most = 0, size = image.size; most < size; most++) {
        image.size = 0;
        image.most = most;
        CHECK_EQ(hpw_save_to(pool, put, &image, &why), HPW_IO);
    }
    CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    unsigned char *end = hpw_pointer(pool, 0);
    end[111] = 0; /* the first block's size record */
    CHECK_EQ(save(pool, &why), HPW_CORRUPTED);
    CHECK(!strcmp(why.message, "the bytes behind the block at 0x0 were overwritten"));
    hpw_close(pool);
}

static void refused(const hpw_config *config, const char *message) {
    hpw_image_error why = {.message = ""};
    hpw_pool *pool = hpw_open(config, NULL);
    CHECK_EQ(restore(pool, &why), HPW_INVALID_ARGUMENT);
    if (!CHECK(!strcmp(why.message, message))) printf("  %s\n", why.message);
    check_empty(pool);
    hpw_close(pool);
}

static void test_misfits(void) {
    hpw_pool *pool = example();
    hpw_image_error why;
    CHECK_EQ(save(pool, &why), HPW_OK);
    refused(&(hpw_config){.capacity = 512},
            "the block at 0xb0, 700 bytes, ends at 876, past the capacity of 512");
    refused(&(hpw_config){.capacity = 112},
            "the block at 0x70, 0 bytes, ends at 112, past the capacity of 112");
    refused(&(hpw_config){.capacity = 4096, .granule = 64},
            "the block at 0x70 is not at a multiple of the granule, 64");
    refused(&(hpw_config){.capacity = 4096, .policy = "buddy"},
            "the block at 0x70, 0 bytes, is granted 16 here: another block is in its way");
    CHECK_EQ(hpw_release(pool, 0, NULL), HPW_OK);
    save(pool, NULL); /* the first block begins past all of a smaller pool */
    refused(&(hpw_config){.capacity = 64},
            "the block at 0x70, 0 bytes, ends at 112, past the capacity of 64");
    uint64_t address;
    hpw_reset(pool);
    hpw_allocate(pool, 16, 0, &address, NULL);
    hpw_allocate(pool, 32, 0, &address, NULL);
    save(pool, NULL);
    refused(&(hpw_config){.capacity = 4096, .policy = "buddy"},
            "the block at 0x10, 32 bytes, is granted 32 here, which buddy never has at that address");
    hpw_account *account = hpw_open_account(pool, NULL, NULL);
    CHECK_EQ(save(pool, &why), HPW_INVALID_ARGUMENT);
    CHECK(!strcmp(why.message, "1 Lua state lives in the pool"));
    hpw_close_account(account);
    hpw_close(pool);

    pool = hpw_open(&(hpw_config){.capacity = 1 << 20}, NULL);
    CHECK_EQ(hpw_allocate(pool, 16, 1 << 19, &address, NULL), HPW_OK);
    save(pool, NULL);
    refused(&(hpw_config){.capacity = 4096},
            "the block at 0x0 keeps an alignment of 524288, which its place in this pool does not have");
    hpw_close(pool);
}

/* A buddy's block of another size than buddies have, in an image whose checksums are right. */
static void test_lies(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 4096}, NULL), *twin;
    uint64_t address;
    hpw_image_error why;
    hpw_allocate(pool, 16, 0, &address, NULL);
    hpw_allocate(pool, 48, 0, &address, NULL);
    save(pool, NULL);
    twin = hpw_open(&(hpw_config){.capacity = 4096, .policy = "slab"}, NULL);
    CHECK_EQ(restore(twin, &why), HPW_OK); /* outside of pages, where slab puts what finds none */
    CHECK_EQ(hpw_check(twin, NULL), HPW_OK);
    use(twin);
    hpw_close(twin);
    hpw_close(pool);
}

/* An image of blocks without bytes, in a pool of 4 KiB, that tells of so many; its checksums are right. */
static void forge(const image_block *list, size_t count, uint64_t told) {
    hpw_image header = {
        .config = {.policy = "best-fit", .capacity = 4096, .max_capacity = 4096, .granule = 16},
        .capacity = 4096,
        .blocks = told,
        .size = IMAGE_HEADER + count * IMAGE_BLOCK};
    image.size = (size_t)header.size;
    image_encode(&header, 0, image.bytes);
    for (size_t i = 0; i < count; i++)
        image_block_encode(&list[i], image.bytes + IMAGE_HEADER + i * IMAGE_BLOCK);
}

/* What the checksums can't tell is held against what the numbers allow, whatever the pool would hold. */
static void test_forgeries(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 8192}, NULL);
    hpw_image_error why;
    hpw_image described;
    static const struct {
        image_block blocks[2];
        hpw_error error;
    } cases[] = {
        {{{.address = 0, .granted = 32}, {.address = 32, .granted = 4064}}, HPW_OK},
        {{{.address = 0, .granted = 48}, {.address = 32, .granted = 16}}, HPW_CORRUPTED},   /* overlaps */
        {{{.address = 32, .granted = 16}, {.address = 0, .granted = 32}}, HPW_CORRUPTED},   /* out of order */
        {{{.address = 0, .granted = 32}, {.address = 4080, .granted = 32}}, HPW_CORRUPTED}, /* past the end */
        {{{.address = 0, .granted = 32}, {.address = 4096, .granted = 16}}, HPW_CORRUPTED},
        {{{.address = 0, .granted = 32}, {.address = 32, .granted = 0}}, HPW_CORRUPTED},
        {{{.address = 0, .granted = 32}, {.address = 40, .granted = 16}}, HPW_CORRUPTED},
        {{{.address = 0, .granted = 32}, {.address = 32, .granted = 24}}, HPW_CORRUPTED},
        {{{.address = 0, .granted = 32}, {.address = 32, .granted = 16, .requested = 17}}, HPW_CORRUPTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        forge(cases[i].blocks, 2, 2);
        if (!CHECK_EQ(restore(pool, &why), cases[i].error)) printf("  case %zu\n", i);
        CHECK_EQ(hpw_reset(pool), HPW_OK);
        check_empty(pool);
    }
    static const uint64_t told[] = {3, 1 << 20, UINT64_MAX / IMAGE_BLOCK, UINT64_MAX};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        forge(cases[0].blocks, 2, told[i]);
        image.at = 0;
        CHECK_EQ(hpw_read_image(get, &image, &described, &why), HPW_CORRUPTED);
        CHECK_EQ(why.offset, 80);
    }
    hpw_close(pool);
}

/* A block of several pieces keeps every byte in its place, in the pieces' order. */
static void test_pieces(void) {
    enum { SIZE = 200000 };
    static unsigned char bytes[SIZE], back[SIZE];
    hpw_pool *from = hpw_open(&(hpw_config){.capacity = 262144}, NULL);
    hpw_pool *to = hpw_open(&(hpw_config){.capacity = 262144}, NULL);
    uint64_t address;
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (unsigned char)draw(256);
    CHECK_EQ(hpw_allocate(from, SIZE, 0, &address, NULL), HPW_OK);
    CHECK_EQ(hpw_write(from, address, bytes, SIZE, NULL), HPW_OK);
    CHECK_EQ(save(from, NULL), HPW_OK);
    CHECK_EQ(restore(to, NULL), HPW_OK);
    CHECK_EQ(hpw_read(to, address, back, SIZE, NULL), HPW_OK);
    CHECK(memcmp(bytes, back, SIZE) == 0);
    hpw_close(from);
    hpw_close(to);
}

int main(void) {
    test_pieces();
    test_damage();
    test_write_failures();
    test_misfits();
    test_lies();
    test_forgeries();
    test_policies();
    return CHECK_DONE();
}
