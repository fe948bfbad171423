/* SPDX-License-Identifier: MIT */
/* Tables from sizes to kinds of slots: see slot_classes.h. */
#include "slot_classes.h"

_Static_assert(LARGEST_SLOT == WORD_BITS, "a word has a bit for each size of a class");

enum { LONGEST_RECORD = 255 }; /* so much slack has a size record of more than a byte */

/* The kind of slot for a size in bytes, 16 at a time. */
#define KIND(k) k, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k
#define KIND2(k) KIND(k), KIND(k)
#define KIND4(k) KIND2(k), KIND2(k)
#define KIND8(k) KIND4(k), KIND4(k)

const slot_classes slot_classes_usual = {
    .size = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64},
    .kind = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  9,  10, 10, 11, 11, 12, 12, 13, 13, 13, 13, 14,
             14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 17, 17, 17, 17, 17, 17, 17, 17, 18, 18, 18,
             18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20},
    .kind_of_bytes = {0,         KIND(1),   KIND(2),   KIND(3),   KIND(4),   KIND(5),   KIND(6),
                      KIND(7),   KIND(8),   KIND2(9),  KIND2(10), KIND2(11), KIND2(12), KIND4(13),
                      KIND4(14), KIND4(15), KIND4(16), KIND8(17), KIND8(18), KIND8(19), KIND8(20)},
};

bool slot_classes_valid(const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift) {
    uint32_t granule = 1U << shift, before = 0;
    size_t i = 0;
    for (; i < HPW_MOST_CLASSES && sizes[i]; before = sizes[i++])
        if (sizes[i] <= before || sizes[i] % granule || sizes[i] >> shift > LARGEST_SLOT) return false;
    if (!i) return false;
    while (i < HPW_MOST_CLASSES && !sizes[i]) i++;
    return i == HPW_MOST_CLASSES;
}

void slot_classes_make(slot_classes *classes, const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift) {
    uint32_t granules = 0;
    *classes = (slot_classes){.size = {0}};
    for (unsigned kind = 1; kind < KINDS && sizes[kind - 1]; kind++) {
        classes->size[kind] = (uint8_t)(sizes[kind - 1] >> shift);
        while (granules < classes->size[kind]) classes->kind[++granules] = (uint8_t)kind;
    }
    for (uint32_t bytes = 1; bytes <= granules << CLASS_SHIFT; bytes++) {
        uint8_t kind = classes->kind[((bytes - 1) >> CLASS_SHIFT) + 1];
        uint32_t slack = ((uint32_t)classes->size[kind] << CLASS_SHIFT) - bytes;
        classes->kind_of_bytes[bytes] = slack < LONGEST_RECORD ? kind : 0;
    }
}

void slot_classes_sizes(const slot_classes *classes, unsigned shift, uint32_t sizes[HPW_MOST_CLASSES]) {
    for (unsigned kind = 1; kind < KINDS; kind++)
        sizes[kind - 1] = classes ? (uint32_t)classes->size[kind] << shift : 0;
}

uint64_t slot_classes_word(const uint32_t sizes[HPW_MOST_CLASSES], unsigned shift) {
    uint64_t word = 0;
    for (size_t i = 0; i < HPW_MOST_CLASSES && sizes[i]; i++)
        word |= (uint64_t)1 << ((sizes[i] >> shift) - 1);
    return word;
}

bool slot_classes_from_word(uint64_t word, unsigned shift, uint32_t sizes[HPW_MOST_CLASSES]) {
    memset(sizes, 0, HPW_MOST_CLASSES * sizeof *sizes);
    for (size_t i = 0; word && i < HPW_MOST_CLASSES; word &= word - 1)
        sizes[i++] = (bits_lowest(word) + 1) << shift;
    return !word;
}
