/* SPDX-License-Identifier: MIT */
/*
 * hpw_check names what is wrong: a sound pool, one thing in it spoiled on
 * purpose from the inside, and the sentence that must come back, for each thing
 * that it verifies. And what only long runs reach: time stamps that run out.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guard.h"
#include "policy/bins.h"
#include "policy/slab.h"
#include "policy/tallest.h"
#include "pool.h"

/* ---- Scenes ---- */

/*
 * Blocks of one granule at 0 ... 19, of which 2, 4, 6, 8 are free; free blocks
 * of 100 granules at 20 and 121, of 4 at 222, and the rest from 227 on, which
 * is larger than each of them.
 */
static void scattered(hpw_pool *pool) {
    static const unsigned large[] = {100, 1, 100, 1, 4, 1};
    void *held[26];
    for (unsigned i = 0; i < 26; i++) held[i] = hpw_malloc(pool, 16 * (size_t)(i < 20 ? 1 : large[i - 20]));
    static const unsigned freed[] = {2, 4, 6, 8, 20, 22, 24};
    for (unsigned i = 0; i < sizeof freed / sizeof *freed; i++) hpw_free(pool, held[freed[i]]);
}

static bool has_found(const hpw_pool *pool, const hpw_report *report, const char *what) {
    if (report->what && strcmp(report->what, what) == 0) return true;
    printf("%s: expected '%s', found '%s'\n", pool->policy->info.name, what,
           report->what ? report->what : "nothing");
    return false;
}

/* Spoils a pool of its own and compares what hpw_check says of it. */
static void names(const char *name, hpw_order order, void (*spoil)(hpw_pool *), const char *what) {
    hpw_config config = {.policy = name, .order = order, .capacity = 65536};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_report report = {0};
    scattered(pool);
    CHECK_EQ(hpw_check(pool, &report), HPW_OK);
    spoil(pool);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
    CHECK_EQ(report.error, HPW_CORRUPTED);
    CHECK(has_found(pool, &report, what));
    CHECK_EQ(hpw_check(pool, NULL), HPW_CORRUPTED);
    hpw_close(pool);
}

/* ---- The block map ---- */

static blocks *map_of(hpw_pool *pool) { return &pool->index.map; }

static void no_first_block(hpw_pool *pool) { map_of(pool)->live[0] &= ~(uint64_t)1; }
static void no_end(hpw_pool *pool) { map_of(pool)->live[64] = 0; }
static void end_looks_free(hpw_pool *pool) { map_of(pool)->live[64] = 0, map_of(pool)->mark[64] = 1; }
static void wrong_span(hpw_pool *pool) { map_of(pool)->span[0]++; }
static void wrong_start_noted(hpw_pool *pool) { map_of(pool)->span[63]++; }
static void summary_too_much(hpw_pool *pool) { map_of(pool)->summary[0][0] |= (uint64_t)1 << 40; }
static void summary_too_little(hpw_pool *pool) { map_of(pool)->summary[1][0] = 0; }

static void block_past_the_end(hpw_pool *pool) {
    map_of(pool)->live[64] |= 2;
    pool->max_capacity++; /* the map has room for it */
}

static void check_map(void) {
    names(NULL, 0, no_first_block, "no block starts at address 0");
    names(NULL, 0, no_end, "a block runs past the end of the pool");
    names(NULL, 0, end_looks_free, "the end of the pool is not marked");
    names(NULL, 0, wrong_span, "a block's noted size is not the distance to the next block");
    names(NULL, 0, wrong_start_noted, "a block's successor does not find it as its predecessor");
    names(NULL, 0, block_past_the_end, "a block starts past the end of the pool");
    names(NULL, 0, summary_too_much, "a summary level disagrees with the block map");
    names(NULL, 0, summary_too_little, "a summary level disagrees with the block map");
}

/* ---- Neighbours and counts ---- */

static void free_beside_free(hpw_pool *pool) { blocks_set_free(map_of(pool), 3, 1); }
static void in_use_count(hpw_pool *pool) { pool->counts.in_use_room++; }
static void granted_count(hpw_pool *pool) { pool->counts.granted_room++; }
static void free_blocks_count(hpw_pool *pool) { pool->counts.blocks--; }
static void peak_in_use(hpw_pool *pool) { /* 1 below what is in use */
    pool->counts.peak_in_use -= (uint64_t)pool->counts.in_use_room + 1;
    pool->counts.in_use_room = -1;
}
static void peak_granted(hpw_pool *pool) {
    pool->counts.peak_granted -= (uint64_t)pool->counts.granted_room + 1;
    pool->counts.granted_room = -1;
}
static void frees_count(hpw_pool *pool) { pool->counts.frees++; }

static void slack_record(hpw_pool *pool) {
    hpw_malloc(pool, 10);
    pool->index.bytes[2 * 16 + 15] = 17;
}

static void long_slack_record(hpw_pool *pool) {
    hpw_realloc(pool, hpw_malloc(pool, 3000), 1);
    blocks_set_live(map_of(pool), 0, 1, true);
    memset(pool->index.bytes, 255, 16);
}

/* One for which a short record would have done. */
static void short_slack_in_a_long_record(hpw_pool *pool) {
    uint64_t slack = 6;
    blocks_set_live(map_of(pool), 0, 1, true);
    pool->index.bytes[15] = SLACK_LONG;
    memcpy(pool->index.bytes + 15 - sizeof slack, &slack, sizeof slack);
}

static void check_counts(void) {
    names(NULL, 0, free_beside_free, "two free neighbours that may be joined are not");
    names(NULL, 0, slack_record, "a block's size record was overwritten");
    names(NULL, 0, long_slack_record, "a block's size record was overwritten");
    names(NULL, 0, short_slack_in_a_long_record, "a block's size record was overwritten");
    names(NULL, 0, in_use_count, "the count of bytes in use is wrong");
    names(NULL, 0, granted_count, "the count of granted bytes is wrong");
    names(NULL, 0, free_blocks_count, "the count of free blocks is wrong");
    names(NULL, 0, peak_in_use, "a peak is below what it is the peak of");
    names(NULL, 0, peak_granted, "a peak is below what it is the peak of");
    names(NULL, 0, frees_count, "allocations less frees are not the live blocks");
}

/* ---- Bins, heaps, lists, tries ---- */

static bins *bins_of(hpw_pool *pool) { return pool->index.state; }

static void bin_bitmap(hpw_pool *pool) { bins_of(pool)->bitmap[0] ^= 2; }
static void bin_summary(hpw_pool *pool) { bins_of(pool)->summary = 0; }
static void bin_root_live(hpw_pool *pool) { *bins_head(bins_of(pool), HPW_ORDER_FIFO, 1) = 3; }
static void bin_root_of_another(hpw_pool *pool) { *bins_head(bins_of(pool), HPW_ORDER_FIFO, 1) = 222; }

static uint64_t *bitmap_of_ones(hpw_pool *pool) {
    small *bitmaps = &bins_of(pool)->bitmaps;
    return bitmaps->bits + bitmaps->stride;
}
static void small_bitmap(hpw_pool *pool) { bitmap_of_ones(pool)[0] ^= 2; }
static void small_summary(hpw_pool *pool) { bitmap_of_ones(pool)[2] ^= 2; } /* after two words of bitmap */
static void small_lowest(hpw_pool *pool) { bins_of(pool)->bitmaps.lowest[1] = 1; }

static void held_live(hpw_pool *pool) { bins_of(pool)->held = 3; }
static void held_far(hpw_pool *pool) { bins_of(pool)->held = 70000; }
static void held_small(hpw_pool *pool) { bins_of(pool)->held = 222; }
static void held_forgotten(hpw_pool *pool) { bins_of(pool)->held = NO_GRANULE; }

/* Buddy's state begins with a bit an order; the roots of the orders' heaps come after. */
static granule_t *buddy_roots(hpw_pool *pool) { return (granule_t *)pool->index.state + 1; }
static void set_children(hpw_pool *pool, granule_t at, unsigned one, granule_t child) {
    for (unsigned i = 0; i < 4; i++) link_set(&pool->index, at, i, i == one ? child : NO_GRANULE);
}
static void heap_root_live(hpw_pool *pool) { buddy_roots(pool)[0] = 3; }
static void heap_root_far(hpw_pool *pool) { buddy_roots(pool)[0] = 70000; }
static void heap_root_of_another(hpw_pool *pool) {
    granule_t *roots = buddy_roots(pool);
    unsigned order = bits_highest(*(uint32_t *)pool->index.state);
    roots[0] = roots[order];
}
static void heap_forgets(hpw_pool *pool) { set_children(pool, 2, 0, NO_GRANULE); }
static void heap_root_below(hpw_pool *pool) { /* 4 above 2 */
    buddy_roots(pool)[0] = 4;
    set_children(pool, 4, 0, 2);
}
static void heap_wrong_side(hpw_pool *pool) {
    unsigned side = UINT32_C(8) * UINT32_C(0x9E3779B1) >> 30; /* as heap.c's hash says */
    set_children(pool, 2, side ^ 1, 8);
    set_children(pool, 8, 0, NO_GRANULE);
}

static void queue_link(hpw_pool *pool) { link_set(&pool->index, 4, QUEUE_PREVIOUS, 8); }
static void queue_link_far(hpw_pool *pool) { link_set(&pool->index, 4, QUEUE_NEXT, 70000); }
static void queue_last(hpw_pool *pool) { bins_queue(bins_of(pool), 1)->last = 6; }
enum { TRIE_LEFT, TRIE_RIGHT, TRIE_STAMP, TRIE_LARGEST }; /* as trie.h says that a node lies */

static void trie_root_live(hpw_pool *pool) { bins_of(pool)->large.root = 3; }
static void trie_link_far(hpw_pool *pool) { link_set(&pool->index, 20, TRIE_LEFT, 70000); }
static void trie_root_small(hpw_pool *pool) {
    bins_of(pool)->large.root = 222;
    link_set(&pool->index, 222, TRIE_LEFT, NO_GRANULE);
    link_set(&pool->index, 222, TRIE_RIGHT, NO_GRANULE);
}
static void trie_swapped(hpw_pool *pool) {
    uint32_t left = link_get(&pool->index, 20, TRIE_LEFT), right = link_get(&pool->index, 20, TRIE_RIGHT);
    link_set(&pool->index, 20, TRIE_LEFT, right);
    link_set(&pool->index, 20, TRIE_RIGHT, left);
}
static void trie_cycle(hpw_pool *pool) { link_set(&pool->index, 121, TRIE_LEFT, 20); }
static void trie_largest_note(hpw_pool *pool) { link_set(&pool->index, 227, TRIE_LARGEST, 1); }
static void trie_wild_child(hpw_pool *pool) { link_set(&pool->index, 227, TRIE_LEFT, 0xDEADBEEF); }

static void check_bins(void) {
    names("best-fit", 0, bin_bitmap, "the bitmap of the bins disagrees with a bin");
    names("best-fit", 0, bin_summary, "the summary of the bins disagrees with their bitmap");
    names("best-fit", 0, small_bitmap, "a bitmap of small blocks disagrees with the block map");
    names("best-fit", 0, small_summary, "a summary of small blocks disagrees with its bitmap");
    names("best-fit", 0, small_lowest, "the lowest word of a size of small blocks is not the lowest");
    names("best-fit", 0, held_live, "the large block held apart is not a free block");
    names("worst-fit", HPW_ORDER_LIFO, held_far, "the large block held apart is not a free block");
    names("best-fit", HPW_ORDER_FIFO, held_small, "the large block held apart is small");
    names("best-fit", 0, held_forgotten, "the bins do not hold every free block");
    names("buddy", 0, heap_root_live, "a heap holds what is not a free block");
    names("buddy", 0, heap_root_far, "a heap holds what is not a free block");
    names("buddy", 0, heap_root_of_another, "a free block lies in the wrong heap");
    names("buddy", 0, heap_forgets, "the orders do not hold every free block");
    names("buddy", 0, heap_root_below, "a block in a heap comes after one that it should precede");
    names("buddy", 0, heap_wrong_side, "a block in a heap lies in the wrong subtree");
    for (hpw_order order = HPW_ORDER_FIFO; order <= HPW_ORDER_LIFO; order++) {
        names("best-fit", order, bin_root_live, "a list holds what is not a free block");
        names("best-fit", order, bin_root_of_another, "a free block lies in the wrong list");
        names("best-fit", order, queue_link, "a list's links back and forth disagree");
        names("best-fit", order, queue_link_far, "a list holds what is not a free block");
    }
    names("best-fit", HPW_ORDER_FIFO, queue_last, "a queue's last block is not its last");
    names("best-fit", 0, trie_root_live, "the index holds what is not a free block");
    names("best-fit", 0, trie_link_far, "the index holds what is not a free block");
    names("best-fit", 0, trie_root_small, "a small free block lies among the large ones");
    names("best-fit", 0, trie_swapped, "a block in the index lies in the wrong subtree");
    names("best-fit", 0, trie_cycle, "a block in the index comes after one that it should precede");
    for (hpw_order order = HPW_ORDER_FIFO; order <= HPW_ORDER_LIFO; order++) {
        names("first-fit", order, trie_largest_note,
              "a block in the index has a wrong note of the largest below it");
        names("first-fit", order, trie_wild_child, "the index holds what is not a free block");
    }
}

/* A free block that hangs below itself, on the side that its key asks for. */
static void check_cycle(void) {
    hpw_config config = {.policy = "first-fit", .order = HPW_ORDER_FIFO, .capacity = 64};
    hpw_pool *pool = hpw_open(&config, NULL);
    hpw_report report = {0};
    CHECK_EQ(hpw_check(pool, &report), HPW_OK);
    link_set(&pool->index, 0, TRIE_LEFT, 0);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
    CHECK(has_found(pool, &report, "the index has a cycle"));
    hpw_close(pool);
}

/* ---- The quarantine ---- */

static void held_bytes(hpw_pool *pool) { pool->guards->held++; }
static void queued_bytes(hpw_pool *pool) { pool->guards->queued -= 16; }
static void queue_too_full(hpw_pool *pool) { pool->guards->quarantine = 0; }
static void queued_but_not_held(hpw_pool *pool) { pool->guards->queue[0] = 1; }

/* One block is live, one is held back. */
static void names_guarded(void (*spoil)(hpw_pool *), const char *what) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 65536, .guard = HPW_GUARD_FULL}, NULL);
    hpw_report report = {0};
    void *held = hpw_malloc(pool, 100);
    hpw_malloc(pool, 100);
    hpw_free(pool, held);
    CHECK_EQ(hpw_check(pool, &report), HPW_OK);
    spoil(pool);
    CHECK_EQ(hpw_check(pool, &report), HPW_CORRUPTED);
    CHECK(has_found(pool, &report, what));
    hpw_close(pool);
}

static void check_quarantine(void) {
    names_guarded(held_bytes, "the counts of the quarantine are wrong");
    names_guarded(queued_bytes, "the counts of the quarantine are wrong");
    names_guarded(queue_too_full, "the counts of the quarantine are wrong");
    names_guarded(queued_but_not_held, "a block in the queue is not in quarantine");
}

/* ---- The other policies ---- */

static tallest *tallest_of(hpw_pool *pool) { return pool->index.state; }
static void tallest_leaf(hpw_pool *pool) { ++*(uint8_t *)tallest_of(pool)->words.level[0]; }
static void tallest_node(hpw_pool *pool) { ++*(uint8_t *)tallest_of(pool)->words.level[1]; }
static void tallest_tail_moved(hpw_pool *pool) { tallest_of(pool)->tail++; }
static void tallest_run(hpw_pool *pool) { ++*(granule_t *)tallest_of(pool)->runs.level[0]; }
static void tallest_run_above(hpw_pool *pool) { ++*(granule_t *)tallest_of(pool)->runs.level[1]; }

/* Good fit's state begins with a bit a row, then has a word of bits for each row. */
static void rows(hpw_pool *pool) { *(uint64_t *)pool->index.state ^= 1; }
static void columns(hpw_pool *pool) { ((uint64_t *)pool->index.state)[1] ^= 2; }

static void orders(hpw_pool *pool) { *(uint32_t *)pool->index.state ^= 1; }
static void no_root(hpw_pool *pool) {
    *(uint32_t *)pool->index.state &= ~(uint32_t)1;
    ((uint32_t *)pool->index.state)[1] = NO_GRANULE;
}

/* Bump's begins with its pointer. */
static void pointer_past(hpw_pool *pool) { *(granule_t *)pool->index.state = 5000; }
static void pointer_back(hpw_pool *pool) { *(granule_t *)pool->index.state = 2; }

static slab *slab_of(hpw_pool *pool) { return pool->index.state; }

/* The first page is one of single granules: its slots 0 ... 24 were taken, four of them freed. */
static slots_heap *heap_of(hpw_pool *pool) { return &slab_of(pool)->heap; }
static granule_t *singles(hpw_pool *pool) { return slots_bottom(heap_of(pool), 1); }
static void no_singles(hpw_pool *pool) {
    heap_of(pool)->top[1] = singles(pool);
    heap_of(pool)->line[1] = slab_of(pool)->pages.links[0].next = NO_PAGE;
}

static void slot_taken(hpw_pool *pool) { /* behind its magazine's back */
    blocks_set_live(map_of(pool), singles(pool)[0], 1, false);
    pool->counts.allocations++;
    pool->counts.in_use_room -= 16;
    pool->counts.granted_room -= 16;
}
static void slot_twice(hpw_pool *pool) { singles(pool)[0] = singles(pool)[1]; }
static void slot_forgotten(hpw_pool *pool) { no_singles(pool); }
static void line_broken(hpw_pool *pool) { slab_of(pool)->pages.links[0].previous = 5; }
static void page_of_another_kind(hpw_pool *pool) {
    slab_of(pool)->pages.pages[0].kind = 2;
    no_singles(pool);
}
static void page_of_another_count(hpw_pool *pool) { slab_of(pool)->pages.pages[0].live++; }
static void page_kept_in_use(hpw_pool *pool) { slots_emptied(&slab_of(pool)->heap, 0); }

static void check_others(void) {
    names("first-fit", 0, tallest_leaf, "a word's note of its largest free block is wrong");
    names("first-fit", 0, tallest_node, "a note of the largest free block below is wrong");
    names("first-fit", 0, tallest_tail_moved, "the note of the free block that ends the pool is wrong");
    names("first-fit", 0, tallest_run, "a run's note of its large free block is wrong");
    names("worst-fit", 0, tallest_run_above, "a note of the largest free block below is wrong");
    names("next-fit", 0, free_blocks_count, "the count of free blocks is wrong");
    names("good-fit", 0, rows, "the first-level bitmap disagrees with the second");
    names("good-fit", 0, columns, "the second-level bitmap disagrees with a bin");
    names("good-fit", 0, queue_link, "a list's links back and forth disagree");
    names("buddy", 0, orders, "the bitmap of the orders disagrees with a heap");
    names("buddy", 0, no_root, "the orders do not hold every free block");
    names("bump", 0, pointer_past, "the pointer is past the pool's end");
    names("bump", 0, pointer_back, "what lies past the pointer is not one free block");
    names("slab", 0, slot_taken, "a magazine holds what is not a free slot of its kind");
    names("slab", 0, slot_twice, "a magazine holds a slot twice");
    names("slab", 0, slot_forgotten, "a free slot is neither in its magazine nor its page in its line");
    names("slab", 0, line_broken, "a line of pages is broken");
    names("slab", 0, page_of_another_kind, "a page is not cut into slots of its kind");
    names("slab", 0, page_of_another_count, "a page's count of live slots is wrong");
    names("slab", 0, page_kept_in_use, "the kept pages are not the empty ones");
}

/* ---- Time stamps that run out ---- */

/* In best and worst fit a stamp that has reached its last value starts again, and the order stays. */
static void stamps_start_again(const char *name, hpw_order order, hpw_guard guard) {
    hpw_config config = {.policy = name, .order = order, .capacity = 65536, .guard = guard};
    hpw_pool *pool = hpw_open(&config, NULL);
    void *held[20];
    for (unsigned i = 0; i < 20; i++) held[i] = hpw_malloc(pool, (size_t)16 * (i % 2 ? 1 : 300));
    hpw_malloc(pool, 65536 - 10 * 301 * 16);
    for (unsigned i = 0; i < 20; i += 2) {
        hpw_free(pool, held[i]);
        if (i == 10) bins_of(pool)->stamp = UINT32_MAX;
        CHECK_EQ(hpw_check(pool, NULL), HPW_OK);
    }
    CHECK(bins_of(pool)->stamp <= 10);
    for (unsigned i = 0; i < 20; i += 2) {
        unsigned expected = order == HPW_ORDER_FIFO ? i : 18 - i;
        CHECK(hpw_malloc(pool, 4800) == held[expected]);
    }
    hpw_close(pool);
}

/* Pins: a search from one past the last key there is began at the first again, and did not end. */
static void seek_past_the_last_key(void) {
    hpw_pool *pool = hpw_open(&(hpw_config){.capacity = 65536}, NULL);
    scattered(pool);
    free_index *index = &pool->index;
    trie_order order = trie_order_of(index->capacity, false, false, HPW_ORDER_LIFO, true);
    trie set = {NO_GRANULE};
    static const granule_t members[] = {20, 121, 227}; /* the index of their own is no longer used */
    for (uint32_t stamp = 0; stamp < 3; stamp++) trie_insert(index, &order, &set, members[stamp], stamp);
    uint64_t last = trie_key(index, &order, 20); /* the oldest, so the last */
    CHECK_EQ(last, UINT32_MAX);
    CHECK_EQ(trie_seek(index, &order, &set, last, 1), 20);
    CHECK_EQ(trie_seek(index, &order, &set, last + 1, 1), NO_GRANULE);
    hpw_close(pool);
}

int main(void) {
    check_map();
    check_counts();
    check_bins();
    check_cycle();
    check_quarantine();
    check_others();
    for (hpw_order order = HPW_ORDER_FIFO; order <= HPW_ORDER_LIFO; order++) {
        for (hpw_guard guard = HPW_GUARD_OFF; guard <= HPW_GUARD_CHECK; guard++) {
            stamps_start_again("best-fit", order, guard);
            stamps_start_again("worst-fit", order, guard);
        }
    }
    seek_past_the_last_key();
    return CHECK_DONE();
}
