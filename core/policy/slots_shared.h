/* SPDX-License-Identifier: MIT */
/*
 * Heaps of threads: each page of slots belongs to one heap, and only that
 * heap's thread takes its slots, puts them back and writes their words of the
 * block map, with plain stores. A thread that frees a slot of another's page
 * *returns* it: sets its bit in the page's `freed` words and puts the page on
 * the owner's list of pages with returned slots. The owner collects that list
 * when a magazine of its own is empty.
 *
 * So a slot is free where the map says so or its `freed` bit is set, and two
 * threads that free one slot set one bit: the second one sees it set. After
 * mimalloc (Leijen, Zorn and de Moura, 2019), whose pages have a list of blocks
 * that other threads freed; bits instead of a list trust nothing in the pool.
 *
 * The words of the map that one thread writes and others look at are read and
 * written as relaxed atomics, which costs nothing.
 */
#ifndef HPW_SLOTS_SHARED_H
#define HPW_SLOTS_SHARED_H

#include <stdatomic.h>

#include "slots.h"

/* What is atomic in memory that is laid out by hand. */
HOT _Atomic uint64_t *shared_word(uint64_t *word) { return (_Atomic uint64_t *)word; }
HOT _Atomic uint32_t *shared_number(uint32_t *number) { return (_Atomic uint32_t *)number; }
HOT _Atomic uint8_t *shared_byte(uint8_t *byte) { return (_Atomic uint8_t *)byte; }

HOT uint64_t word_load(uint64_t *word) {
    return atomic_load_explicit(shared_word(word), memory_order_relaxed);
}

HOT void word_store(uint64_t *word, uint64_t value) {
    atomic_store_explicit(shared_word(word), value, memory_order_relaxed);
}

/* Bytes of the owners, the lists and the words of returned slots; a multiple of 8. */
size_t slots_shared_bytes(granule_t capacity);

/* Lays them out in `memory`, zeroed. */
void slots_shared_open(const free_index *index, slots *s, void *memory);

/* The heap of the page around `at`. */
HOT uint32_t slots_owner_at(const slots *s, granule_t at) {
    return atomic_load_explicit(shared_byte(&s->owners[at / PAGE]), memory_order_relaxed);
}

/* Returns the live slot at `at` to its heap. False: another thread did before. */
bool slots_return(slots *s, slots_heap *owner, granule_t at);

/*
 * What was returned to the heap is free from now on. False: first a page has to
 * be given up (slots_give_up), since more are empty than are kept; call again.
 */
bool slots_collect(const blocks *map, slots *s, slots_heap *h);

/* No thread runs: `to` has the free slots of a kind that `from` has, by their pages. */
void slots_adopt(const blocks *map, slots *s, slots_heap *to, slots_heap *from, unsigned kind);

#endif
