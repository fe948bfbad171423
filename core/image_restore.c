/* SPDX-License-Identifier: MIT */
/*
 * A pool from its image. For each block, in address order:
 *
 *   1. how many granules it gets: as many as it had, under the policy, granule and classes
 *      that it was saved with; else what this policy grants for its requested size;
 *   2. the pool grows, where it may, until the block lies inside of it;
 *   3. the free block around its place: the policy had it, and now the block is cut out
 *      of it, as if the policy had named it. A block that lay in a slab's slot gets its page
 *      made where it was, and its slot brought to the top of the magazine, if need be;
 *   4. its bytes are read to where they belong, and verified.
 *
 * A failure frees whatever was made live. Beside pool.c and compact.c the only code that
 * changes the map of an open pool. O(blocks) calls of the policy, O(bytes).
 */
#include "guard.h"
#include "image.h"
#include "policy/slot_classes.h"
#define POLICY (*pool->policy)
#include "operations.h"

typedef struct restoring {
    hpw_pool *pool;
    image_reader reader;
    work w;
    bool same; /* policy, granule and classes as saved */
    image_block block;
    uint64_t offset; /* of the block in the image */
    granule_t at, size;
    uint64_t align; /* bytes, that it keeps; 1: no more than usual */
} restoring;

/* ---- What does not fit ---- */

static hpw_error too_high(const restoring *r) {
    return image_fail(r->reader.error, HPW_INVALID_ARGUMENT, r->offset,
                      "the block at %x, %u bytes, ends at %u, past the capacity of %u", r->block.address,
                      r->block.requested, r->block.address + r->block.requested,
                      pool_bytes(r->pool, r->pool->max_capacity));
}

static hpw_error check_place(const restoring *r) {
    const hpw_pool *pool = r->pool;
    uint64_t granule = pool_bytes(pool, 1), address = r->block.address;
    if (address % granule)
        return image_fail(r->reader.error, HPW_INVALID_ARGUMENT, r->offset,
                          "the block at %x is not at a multiple of the granule, %u", address, granule);
    if (address >= pool_bytes(pool, pool->max_capacity)) return too_high(r);
    uintptr_t pointer = (uintptr_t)pool->index.bytes + (uintptr_t)address;
    if ((pool->most_align && r->align > pool->most_align) || (pointer & (r->align - 1)))
        return image_fail(
            r->reader.error, HPW_INVALID_ARGUMENT, r->offset,
            "the block at %x keeps an alignment of %u, which its place in this pool does not have", address,
            r->align);
    return HPW_OK;
}

/* How many granules, and what is wrong with so many at its place. */
static hpw_error check_size(restoring *r) {
    hpw_pool *pool = r->pool;
    r->at = pool_granule(pool, r->block.address);
    granule_t wanted = granules_for(pool, pool_guarded_size(pool, r->block.requested));
    if (wanted == NO_GRANULE) return too_high(r);
    r->size = r->same ? pool_granule(pool, r->block.granted) : wanted;
    if (r->size < wanted) r->size = wanted;
    uint64_t granted = pool_bytes(pool, r->size);
    if (r->size > pool->max_capacity - r->at) return too_high(r);
    if (POLICY.piece && POLICY.piece(&pool->index, r->at, r->size) != r->size)
        return image_fail(r->reader.error, HPW_INVALID_ARGUMENT, r->offset,
                          "the block at %x, %u bytes, is granted %u here, which %s never has at that address",
                          r->block.address, r->block.requested, granted, POLICY.info.name);
    return HPW_OK;
}

static hpw_error in_the_way(const restoring *r) {
    uint64_t granted = pool_bytes(r->pool, r->size);
    return image_fail(r->reader.error, HPW_INVALID_ARGUMENT, r->offset,
                      "the block at %x, %u bytes, is granted %u here: another block is in its way",
                      r->block.address, r->block.requested, granted);
}

/* ---- Its place ---- */

/* The pool reaches to `end` at least, where it may. */
static void grow_to(hpw_pool *pool, uint64_t end) {
    granule_t step = pool->growth_step;
    if (end <= pool->index.map.count || end > pool->max_capacity) return;
    end = (end + step - 1) / step * step;
    pool_extend(pool, end < pool->max_capacity ? (granule_t)end : pool->max_capacity);
}

/* The free block around [at, at + size), no slot; none: block is NO_GRANULE. */
static placement free_around(const hpw_pool *pool, granule_t at, granule_t size) {
    const blocks *map = &pool->index.map;
    if (at >= map->count || (POLICY.in_run && POLICY.in_run(&pool->index, at))) return placement_none();
    granule_t block = blocks_owner(map, at), block_size = blocks_size(map, block);
    bool holds = !blocks_is_live(map, block) && size <= block + block_size - at;
    return holds ? (placement){block, block_size, at} : placement_none();
}

/* The slot at the block's place, its page made before where there is none. */
static placement find_slot(restoring *r) {
    hpw_pool *pool = r->pool;
    slot_run run;
    if (!POLICY.wants_slot(&pool->index, r->at, r->size, &run)) return placement_none();
    if (run.size) {
        grow_to(pool, (uint64_t)run.place.at + run.size);
        run.place = free_around(pool, run.place.at, run.size);
        if (run.place.block == NO_GRANULE) return run.place;
        if (!cut_run(pool, &r->w, &run) || !POLICY.wants_slot(&pool->index, r->at, r->size, &run))
            return placement_none();
    }
    return (placement){r->at, r->size, r->at};
}

static bool has_slots(const hpw_pool *pool) { return POLICY.wants_slot != NULL; }

static placement find_place(restoring *r) {
    if (r->same && has_slots(r->pool) && (r->block.flags & IMAGE_IN_SLOT)) return find_slot(r);
    grow_to(r->pool, (uint64_t)r->at + r->size);
    return free_around(r->pool, r->at, r->size);
}

static hpw_error make_live(restoring *r) {
    hpw_pool *pool = r->pool;
    r->align = (uint64_t)1 << (r->block.flags >> IMAGE_ALIGN_SHIFT);
    hpw_error error = check_place(r);
    if (!error) error = check_size(r);
    if (error) return error;
    r->w = begin_work(pool);
    r->w.calls++; /* looking for the place */
    placement place = find_place(r);
    if (place.block == NO_GRANULE) {
        add_work(pool, &r->w);
        return in_the_way(r);
    }
    request want = {.size = r->size, .align = place.at == place.block ? 1 : 2};
    if (place_found(pool, &r->w, r->block.requested, 0, &want, place) == NO_GRANULE) return in_the_way(r);
    blocks_note_freed(&pool->index.map, r->at, r->block.flags & IMAGE_OVER_ALIGNED);
    if (pool->guards) { /* what is read counts as written */
        guard_note_allocated(pool, r->at);
        guard_set_written(pool->guards, r->block.address, r->block.requested, true);
    }
    return HPW_OK;
}

/* ---- The whole ---- */

static hpw_error read_pieces(restoring *r) {
    unsigned char *bytes = r->pool->index.bytes + r->block.address;
    hpw_error error = HPW_OK;
    for (uint64_t left = r->block.requested; left && !error;) {
        size_t n = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
        error = image_piece(&r->reader, bytes, n);
        bytes += n;
        left -= n;
    }
    return error;
}

static hpw_error restore_blocks(restoring *r) {
    hpw_error error = HPW_OK;
    for (uint64_t i = 0; i < r->reader.image.blocks && !error; i++) {
        r->offset = r->reader.offset;
        error = image_next(&r->reader, &r->block);
        if (!error) error = make_live(r);
        if (!error) error = read_pieces(r);
    }
    return error ? error : image_finish(&r->reader);
}

/* Was the image's pool of this one's policy? */
static bool is_policy_of(const hpw_pool *pool, const hpw_image *image) {
    const host_policy *host = pool_host_policy(pool);
    if (host) return memcmp(host->name, image->chosen, sizeof image->chosen) == 0;
    return !image->chosen[0] &&
           policy_in_order(policy_named(image->config.policy), pool->index.order) == pool->policy;
}

/* Does the pool grant what the one that was saved granted? */
static bool grants_alike(const hpw_pool *pool, const hpw_image *image) {
    uint32_t classes[HPW_MOST_CLASSES];
    slot_classes_sizes(pool->index.classes, pool->index.shift, classes);
    return is_policy_of(pool, image) && image->config.granule == pool_bytes(pool, 1) &&
           !memcmp(classes, image->config.classes, sizeof classes);
}

static hpw_error restore(restoring *r) {
    hpw_pool *pool = r->pool;
    const tally *counts = &pool->counts;
    if (counts->allocations != counts->frees)
        return image_fail(r->reader.error, HPW_INVALID_ARGUMENT, 0, "%u blocks are live in the pool",
                          counts->allocations - counts->frees);
    if (pool->guards) guard_empty(pool);
    hpw_error error = image_begin(&r->reader);
    if (error) return error;
    r->same = grants_alike(pool, &r->reader.image);
    if (pool->largest_align < r->reader.largest_align) pool->largest_align = r->reader.largest_align;
    error = restore_blocks(r);
    if (error) pool_reset(pool);
    return error;
}

hpw_error hpw_restore(hpw_pool *pool, hpw_get *get, void *ud, hpw_image_error *error) {
    restoring r = {.pool = pool, .reader = {.get = get, .ud = ud, .error = error}};
    pool_enter(pool);
    hpw_error wrong = restore(&r);
    pool_leave(pool);
    return wrong;
}
