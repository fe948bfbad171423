/* SPDX-License-Identifier: MIT */
/*
 * Where a hosted pool's bytes come from: two anonymous mappings, one for the
 * metadata, one for the pool's bytes. The latter reserves max_capacity of
 * address space, aligned to the power of two at or above it, so that an address
 * is aligned exactly as its pointer is, up to that power: what asks for more
 * would be granted or not as the system's choice of addresses has it, so it is
 * refused. The least such power does not depend on the page's size, so that the
 * same calls are answered alike on every machine. The system commits pages as they are
 * touched, and takes those past the end of a pool that shrinks. Mappings of
 * 2 MiB and more ask for huge pages: a page fault costs microseconds, and a pool
 * touches all of its pages, and of its metadata with them.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "pool.h"

enum { HUGE_PAGE = 2 * 1024 * 1024 };

/* A mapping of `size` at a multiple of `alignment`, both multiples of the page; NULL: refused. */
static void *map_aligned(size_t size, size_t alignment) {
    size_t reach = size + alignment;
    if (reach < size) return NULL;
    unsigned char *all =
        mmap(NULL, reach, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return NULL;
    size_t before = (0U - (uintptr_t)all) % alignment, after = alignment - before;
    if (before) munmap(all, before);
    if (after) munmap(all + before + size, after);
    return all + before;
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t round_to_page(uint64_t size) {
    return (size_t)((size + page_size() - 1) / page_size() * page_size());
}

/* A wish: that it fails is fine. */
static void ask_for_huge_pages(void *memory, size_t size) {
    if (size >= HUGE_PAGE) madvise(memory, size, MADV_HUGEPAGE);
}

static void discard(hpw_pool *pool, uint64_t from, uint64_t to) {
    uint64_t begin = round_to_page(from), end = to / page_size() * page_size();
    if (begin < end) madvise(pool->index.bytes + begin, (size_t)(end - begin), MADV_DONTNEED);
}

static void unmap(hpw_pool *pool) {
    void *metadata = pool->metadata_mapping;
    size_t metadata_size = round_to_page(pool->metadata_size);
    munmap(pool->mapping, pool->mapping_size);
    munmap(metadata, metadata_size); /* the pool itself lies here */
}

hpw_pool *hpw_open(const hpw_config *config, hpw_error *error) {
    static const hpw_config defaults;
    hpw_config full = config ? *config : defaults;
    hpw_error wrong = pool_config(&full);
    if (error) *error = wrong;
    if (wrong) return NULL;
    if (full.max_capacity > SIZE_MAX / 4) { /* of 32 bits */
        if (error) *error = HPW_NO_MEMORY;
        return NULL;
    }
    size_t size = round_to_page(full.max_capacity), alignment = MAPPED_ALIGN;
    while (alignment < full.max_capacity) alignment <<= 1;
    size_t metadata_size = round_to_page(pool_metadata_size(&full));
    void *metadata = map_aligned(metadata_size, metadata_size >= HUGE_PAGE ? HUGE_PAGE : page_size());
    void *bytes = metadata ? map_aligned(size, alignment) : NULL;
    if (!bytes) {
        if (metadata) munmap(metadata, metadata_size);
        if (error) *error = HPW_NO_MEMORY;
        return NULL;
    }
    if (!full.small_pages) {
        ask_for_huge_pages(bytes, size);
        ask_for_huge_pages(metadata, metadata_size);
    }
    hpw_pool *pool = pool_lay_out(metadata, bytes, &full);
    pool->most_align = alignment;
    pool->discard = discard;
    pool->close = unmap;
    pool->mapping = bytes;
    pool->mapping_size = size;
    pool->metadata_mapping = metadata;
    return pool;
}
