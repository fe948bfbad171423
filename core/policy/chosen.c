/* SPDX-License-Identifier: MIT */
/*
 * Chosen: a function of the host's is shown the free blocks and names one; see
 * hpw_chooser in heapwright.h.
 *
 *   1. The index is first fit's (tallest.h), outside of the pool's bytes: what the
 *      function may ask of it, and nothing that it could change.
 *   2. The function is asked only where some free block has the size.
 *   3. What it answers is believed no further than the block map: an address in a
 *      free block that holds the request from there on. Anything else is the
 *      policy's *failure*: the request is refused, and asks no more, neither a
 *      larger pool nor one without its quarantine.
 *
 * Bound: the function's own, and O(log capacity).
 */
#include "tallest.h"

typedef struct chosen {
    host_policy host; /* first */
    granule_t count;  /* of free blocks */
    granule_t unused;
    tallest by_address;
} chosen;

struct hpw_free_blocks {
    free_index *index;
};

static chosen *state_of(const free_index *index) { return index->state; }

static size_t state_size(granule_t capacity, hpw_order order) {
    (void)order;
    return offsetof(chosen, by_address) + tallest_bytes(capacity);
}

static void open(free_index *index) {
    chosen *state = index->state;
    tallest_open(index, &state->by_address);
    if (state->host.chooser.opened) state->host.chooser.opened(state->host.chooser.ud);
}

/* ---- Sizes and addresses ---- */

static uint64_t bytes_of(const free_index *index, granule_t granules) {
    return (uint64_t)granules << index->shift;
}

static bool holds(const free_index *index, uint64_t address) {
    return address < bytes_of(index, index->map.count);
}

/* A request of `size` bytes at a multiple of `alignment`; false: no pool like this ever holds it. */
static bool read_request(const free_index *index, uint64_t size, uint64_t alignment, request *want) {
    uint64_t granules = size ? ((size - 1) >> index->shift) + 1 : 1, align = alignment >> index->shift;
    if (granules > index->map.count || (alignment & (alignment - 1)) || align > (uint64_t)1 << 31)
        return false;
    *want = (request){.size = (granule_t)granules, .align = align ? (granule_t)align : 1};
    want->skew = (granule_t)((uintptr_t)index->bytes >> index->shift) & (want->align - 1);
    return true;
}

/*
 * The request at the address that was named: where a free block begins, at the lowest aligned place
 * in it; elsewhere right there. NULL, or what is wrong.
 */
static const char *find_place(const free_index *index, uint64_t address, const request *want,
                              placement *found) {
    granule_t at = (granule_t)(address >> index->shift);
    if (!holds(index, address)) return "the address lies outside of the pool";
    if (bytes_of(index, at) != address) return "the address is not at a multiple of the granule";
    granule_t block = blocks_owner(&index->map, at), size = blocks_size(&index->map, block);
    if (!blocks_is_free(&index->map, block)) return "the block there is live";
    granule_t room = block + size - at;
    if (room < want->size) return "the free block there is too small";
    if (at == block) at = place_in(want, block, size);
    if (at == NO_GRANULE) return "the free block there holds no place so aligned";
    if ((at + want->skew) & (want->align - 1)) return "the address is not so aligned";
    *found = (placement){block, size, at};
    return NULL;
}

/* ---- The plug ---- */

static void fail(chosen *state, hpw_error error, uint64_t address, const char *what) {
    state->host.failure = (policy_failure){error, address, what};
}

/* What the host answered that is neither a choice nor a size. */
static void fail_by(chosen *state, hpw_error error) { fail(state, error, 0, "the host's policy failed"); }

static placement choose(free_index *index, const request *want) {
    chosen *state = index->state;
    placement found = placement_none();
    hpw_free_blocks shown = {index};
    uint64_t address = HPW_NONE;
    fail(state, HPW_OK, 0, NULL);
    if (tallest_largest(index, &state->by_address) < want->size) return found;
    hpw_error error = state->host.chooser.choose(state->host.chooser.ud, &shown, bytes_of(index, want->size),
                                                 bytes_of(index, want->align), &address);
    if (error && error != HPW_NO_MEMORY) fail_by(state, error);
    if (error) return found;
    const char *wrong = find_place(index, address, want, &found);
    if (wrong) fail(state, HPW_INVALID_ARGUMENT, address, wrong);
    return found;
}

static granule_t round_up(const free_index *index, granule_t size) {
    chosen *state = state_of(index);
    uint64_t wanted = bytes_of(index, size), granted = wanted, granules;
    if (!state->host.chooser.round) return size;
    hpw_error error = state->host.chooser.round(state->host.chooser.ud, wanted, &granted);
    fail(state, HPW_OK, 0, NULL);
    if (error) {
        fail_by(state, error);
    } else if (granted < wanted) {
        fail(state, HPW_INVALID_ARGUMENT, granted, "the host's policy rounds a size down");
    } else {
        granules = ((granted - 1) >> index->shift) + 1;
        if (granules < NO_GRANULE) return (granule_t)granules;
    }
    return NO_GRANULE;
}

static void added(free_index *index, granule_t at, granule_t size) {
    chosen *state = index->state;
    state->count++;
    tallest_add(index, &state->by_address, at, size);
}

static void removed(free_index *index, granule_t at, granule_t size) {
    chosen *state = index->state;
    state->count--;
    tallest_remove(index, &state->by_address, at, size);
}

static void replaced(free_index *index, granule_t was, granule_t was_size, granule_t at, granule_t size) {
    tallest_replace(index, &state_of(index)->by_address, was, was_size, at, size);
}

static granule_t largest(free_index *index) { return tallest_largest(index, &state_of(index)->by_address); }

static const char *check(free_index *index, size_t free_blocks, granule_t *at) {
    chosen *state = index->state;
    size_t count = 0;
    const char *wrong = tallest_check(index, &state->by_address, &count, at);
    if (!wrong && state->count != free_blocks) wrong = "the count of free blocks is wrong in the index";
    return wrong || count == free_blocks ? wrong : "the index does not hold every free block";
}

extern const policy policy_chosen;
#define POLICY policy_chosen
#include "../operations_of_policy.h"

const policy policy_chosen = {
    .info =
        {
            .name = POLICY_CHOSEN,
            .chooses = "what a function of the host's names",
            .index = "first fit's, which the function may ask",
            .bound = "the function's own",
            .source = "the host",
        },
    .places_anywhere = true,
    .by_host = true,
    .general = GENERAL_CALLS,
    .state_size = state_size,
    .open = open,
    .round = round_up,
    .choose = choose,
    .added = added,
    .removed = removed,
    .replaced = replaced,
    .largest = largest,
    .check = check,
};

/* ---- What the function may ask ---- */

bool hpw_free_next(const hpw_free_blocks *free, uint64_t *cursor, uint64_t *address, uint64_t *size) {
    free_index *index = free->index;
    uint64_t granule = *cursor ? ((*cursor - 1) >> index->shift) + 1 : 0;
    if (granule >= index->map.count) return false;
    granule_t at = tallest_seek(index, &state_of(index)->by_address, (granule_t)granule, 1);
    if (at == NO_GRANULE) return false;
    index->steps++;
    *address = bytes_of(index, at);
    *size = bytes_of(index, blocks_size(&index->map, at));
    *cursor = *address + *size;
    return true;
}

bool hpw_free_first(const hpw_free_blocks *free, uint64_t from, uint64_t size, uint64_t alignment,
                    uint64_t *address, uint64_t *block_size) {
    free_index *index = free->index;
    request want;
    uint64_t granule = from ? ((from - 1) >> index->shift) + 1 : 0;
    if (granule >= index->map.count || !read_request(index, size, alignment, &want)) return false;
    index->steps++;
    placement found = tallest_choose(index, &state_of(index)->by_address, (granule_t)granule, &want);
    if (found.block == NO_GRANULE) return false;
    *address = bytes_of(index, found.block);
    *block_size = bytes_of(index, found.size);
    return true;
}

bool hpw_free_largest(const hpw_free_blocks *free, uint64_t *address, uint64_t *size) {
    free_index *index = free->index;
    const chosen *state = index->state;
    if (!state->count) return false;
    index->steps++;
    *address = bytes_of(index, tallest_first_largest(index, &state->by_address));
    *size = bytes_of(index, tallest_largest(index, &state->by_address));
    return true;
}

uint64_t hpw_free_count(const hpw_free_blocks *free) { return state_of(free->index)->count; }

uint64_t hpw_free_capacity(const hpw_free_blocks *free) {
    return bytes_of(free->index, free->index->map.count);
}

bool hpw_free_look(const hpw_free_blocks *free, uint64_t address, hpw_block *out) {
    free_index *index = free->index;
    if (!holds(index, address)) return false;
    granule_t at = blocks_owner(&index->map, (granule_t)(address >> index->shift));
    index->steps++;
    *out = (hpw_block){.address = bytes_of(index, at),
                       .size = bytes_of(index, blocks_size(&index->map, at)),
                       .live = blocks_is_live(&index->map, at)};
    return true;
}

hpw_error hpw_free_place(const hpw_free_blocks *free, uint64_t address, uint64_t size, uint64_t alignment,
                         uint64_t *place, hpw_report *report) {
    const free_index *index = free->index;
    request want;
    placement found;
    hpw_block block;
    const char *wrong = read_request(index, size, alignment, &want)
                            ? find_place(index, address, &want, &found)
                            : "no pool of this capacity holds it";
    if (!wrong) {
        *place = bytes_of(index, found.at);
        return HPW_OK;
    }
    if (!report) return HPW_INVALID_ARGUMENT;
    *report = (hpw_report){.error = HPW_INVALID_ARGUMENT, .address = address, .size = size, .what = wrong};
    if (hpw_free_look(free, address, &block)) {
        report->block = block.address;
        report->block_size = block.size;
        report->in_live_block = block.live;
        report->in_free_block = !block.live;
    }
    return HPW_INVALID_ARGUMENT;
}
