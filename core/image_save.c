/* SPDX-License-Identifier: MIT */
/*
 * Writing a pool's image: one walk over the blocks that measures it, so that its size can
 * be in its header, and a second one that writes them. The lock is held all the while.
 */
#include "account.h"
#include "guard.h"
#include "image.h"
#include "little_endian.h"
#include "policy/slot_classes.h"
#include "trace_chunk.h"

typedef struct image_writer {
    const hpw_pool *pool;
    hpw_put *put;
    void *ud;
    uint64_t offset;
    hpw_image_error *error;
} image_writer;

static hpw_error write_bytes(image_writer *writer, const void *bytes, size_t n) {
    if (!writer->put(writer->ud, bytes, n))
        return image_fail(writer->error, HPW_IO, writer->offset, "at byte %u: the image could not be written",
                          writer->offset);
    writer->offset += n;
    return HPW_OK;
}

static uint64_t count_accounts(const hpw_pool *pool) {
    uint64_t count = 0;
    for (const hpw_account *each = pool->accounts; each; each = each->next) count++;
    return count;
}

/* ---- What is saved ---- */

/* The live block at `at`; false: its record or its canary was overwritten. */
static bool describe(const hpw_pool *pool, granule_t at, granule_t size, image_block *block) {
    const blocks *map = &pool->index.map;
    *block = (image_block){.address = pool_bytes(pool, at), .granted = pool_bytes(pool, size)};
    if (pool_large_claimed(pool, at, size) || !pool_requested(pool, at, size, &block->requested) ||
        pool_damage(pool, at, size, block->requested) != UINT64_MAX)
        return false;
    granule_t align = pool_kept_align(pool, at);
    if (pool->policy->in_run && pool->policy->in_run(&pool->index, at)) block->flags |= IMAGE_IN_SLOT;
    if (map->freed && blocks_bit(map->freed, at)) block->flags |= IMAGE_OVER_ALIGNED;
    if (align > 1) block->flags |= (uint32_t)bits_lowest(pool_bytes(pool, align)) << IMAGE_ALIGN_SHIFT;
    return true;
}

/* To users a block in quarantine is free. */
static bool is_saved(const hpw_pool *pool, granule_t at) {
    return blocks_is_live(&pool->index.map, at) && !pool_is_held(pool, at);
}

static uint64_t or_none(uint64_t size) { return size ? size : HPW_NONE; }

static hpw_image measure(const hpw_pool *pool) {
    const blocks *map = &pool->index.map;
    const host_policy *host = pool_host_policy(pool);
    hpw_image image = {
        .config = {.policy = host ? host->name : pool->policy->info.name,
                   .capacity = pool_bytes(pool, pool->capacity),
                   .max_capacity = pool_bytes(pool, pool->max_capacity),
                   .granule = (uint32_t)1 << pool->index.shift,
                   .order = pool->index.order,
                   .seed = pool->index.seed,
                   .guard = pool->guard,
                   .single_threaded = pool->locking == LOCKING_NONE,
                   .small_pages = pool->small_pages,
                   .thread_caches = pool->cache_count},
        .capacity = pool_bytes(pool, map->count),
        .size = IMAGE_HEADER,
    };
    slot_classes_sizes(pool->index.classes, pool->index.shift, image.config.classes);
    if (host) image.config.chooser = host->chooser;
    if (pool->guards) {
        image.config.red_zone = or_none(pool->guards->red_zone);
        image.config.quarantine = or_none(pool->guards->quarantine);
    }
    for (granule_t at = 0, size; at < map->count; at += size) {
        image_block block;
        size = blocks_size(map, at);
        if (!is_saved(pool, at) || !describe(pool, at, size, &block)) continue;
        image.blocks++;
        image.in_use += block.requested;
        image.size += image_block_size(block.requested);
    }
    return image;
}

/* ---- Writing ---- */

static hpw_error write_block(image_writer *writer, const image_block *block) {
    uint8_t first[IMAGE_BLOCK], check[IMAGE_CHECK];
    image_block_encode(block, first);
    hpw_error error = write_bytes(writer, first, sizeof first);
    const unsigned char *bytes = writer->pool->index.bytes + block->address;
    for (uint64_t left = block->requested; left && !error;) {
        size_t n = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
        put64(check, hpw_checksum(bytes, n));
        error = write_bytes(writer, bytes, n);
        if (!error) error = write_bytes(writer, check, sizeof check);
        bytes += n;
        left -= n;
    }
    return error;
}

static hpw_error write_blocks(image_writer *writer) {
    const hpw_pool *pool = writer->pool;
    const blocks *map = &pool->index.map;
    hpw_error error = HPW_OK;
    for (granule_t at = 0, size; at < map->count && !error; at += size) {
        image_block block;
        size = blocks_size(map, at);
        if (!is_saved(pool, at)) continue;
        if (!describe(pool, at, size, &block))
            return image_fail(writer->error, HPW_CORRUPTED, writer->offset,
                              "the bytes behind the block at %x were overwritten", pool_bytes(pool, at));
        error = write_block(writer, &block);
    }
    return error;
}

static hpw_error save(image_writer *writer) {
    uint8_t header[IMAGE_HEADER];
    const hpw_pool *pool = writer->pool;
    uint64_t accounts = count_accounts(pool);
    if (accounts)
        return image_fail(writer->error, HPW_INVALID_ARGUMENT, 0, "%u Lua %s in the pool", accounts,
                          accounts == 1 ? "state lives" : "states live");
    hpw_image image = measure(pool);
    image_encode(&image, pool->largest_align, header);
    hpw_error error = write_bytes(writer, header, sizeof header);
    return error ? error : write_blocks(writer);
}

hpw_error hpw_save_to(hpw_pool *pool, hpw_put *put, void *ud, hpw_image_error *error) {
    image_writer writer = {.pool = pool, .put = put, .ud = ud, .error = error};
    pool_enter(pool);
    hpw_error wrong = save(&writer);
    pool_leave(pool);
    return wrong;
}
