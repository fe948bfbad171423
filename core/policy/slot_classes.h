/* SPDX-License-Identifier: MIT */
/*
 * Size classes of slots: which sizes slots have, and the kind of slot that a size gets.
 * Kinds are numbered from 1 in order of size; each has as many granules as its class.
 *
 * The usual ones are 1 ... 8 granules one by one, then four to each power of two, to
 * 64. A pool may have others (hpw_config.classes), for which it keeps tables of its
 * own beside the block map. O(1) a question.
 */
#ifndef HPW_SLOT_CLASSES_H
#define HPW_SLOT_CLASSES_H

#include "../policy.h"

enum {
    LARGEST_SLOT = HPW_LARGEST_CLASS, /* granules */
    KINDS = HPW_MOST_CLASSES + 1,     /* 0: none */
    CLASS_SHIFT = 4,                  /* kind_of_bytes is for granules of 16 */
    LARGEST_SLOT_BYTES = LARGEST_SLOT << CLASS_SHIFT
};

struct slot_classes {
    uint8_t size[KINDS];            /* granules of a kind; 0: there is no such kind */
    uint8_t kind[LARGEST_SLOT + 1]; /* of a size in granules; 0: it is larger than each class */

    /*
     * The same by bytes, in granules of 16, for requests whose size record is one byte; 0: of all
     * others, those of 0 bytes and those that leave 255 bytes of their slot.
     */
    uint8_t kind_of_bytes[LARGEST_SLOT_BYTES + 1];
};

/* Where a pool's classes are none of its own. */
extern const slot_classes slot_classes_usual;

HOT const slot_classes *slot_classes_of(const free_index *index) {
    return index->classes ? index->classes : &slot_classes_usual;
}

/*
 * Are these the classes of a pool with granules of 1 << shift bytes: whole granules, ascending, none
 * above LARGEST_SLOT, nothing behind the first 0? At least one.
 */
bool slot_classes_valid(const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift);

/* The tables of valid ones. */
void slot_classes_make(slot_classes *classes, const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift);

/* The sizes that a pool was opened with; all 0 where it has the usual ones, NULL. */
void slot_classes_sizes(const slot_classes *classes, unsigned shift, uint32_t sizes[HPW_MOST_CLASSES]);

/* Valid sizes as a word, bit n - 1 for one of n granules, and back; 0: none. False: the word has too many. */
uint64_t slot_classes_word(const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift);
bool slot_classes_from_word(uint64_t word, unsigned shift, uint32_t sizes[HPW_MOST_CLASSES]);

#endif
