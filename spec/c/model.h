/* SPDX-License-Identifier: MIT */
/*
 * A pool as its rules state it, as plainly and as slowly as they can be written:
 * an array of granules, in which the first granule of a block says how large the
 * block is and what it is; every question is a walk from the first block to the
 * last. What a pool answers, where it places and what it counts must be the same,
 * call by call. It knows heapwright.h and nothing else of the core.
 *
 * Known address by address: first, next, best and worst fit in every order, good
 * fit (which takes the newest block of its bin), buddy, bump, and slab in pools
 * that are too small for a page. Everything else (slab's pages, caches of threads)
 * is *told*: the caller says first what the pool
 * answered, and the model holds it against what any policy must keep to: the
 * place was free, the bytes suffice, the alignment holds, nothing else changed.
 *
 * The rules are those of DESIGN and heapwright.h; spec/support/model.lua states
 * them in Lua. Cost: O(blocks) a call, and O(blocks) for each block that joins.
 */
#ifndef HPW_MODEL_H
#define HPW_MODEL_H

#include "heapwright.h"

/* A granule; but for `freed` all of it is the block's that starts here. */
typedef struct model_cell {
    uint64_t requested; /* bytes, of a live block */
    uint64_t time;      /* when a free block entered the index, when a quarantined one was freed */
    uint32_t size;      /* granules; 0: no block starts here */
    bool live;
    bool aligned;     /* more than the usual alignment was asked for */
    bool quarantined; /* live to the policy, freed to everybody else */
    bool freed;       /* the newest block that began here was freed */
} model_cell;

/* What the pool answered, for models that are told. */
typedef struct model_answer {
    hpw_error error;
    uint64_t address;
    uint64_t granted; /* bytes */
} model_answer;

typedef struct model {
    /* The rules. Sizes are granules unless they say bytes. */
    int policy;
    bool told;
    bool timed_guard; /* frees are remembered */
    bool full;        /* guard full */
    bool grows;       /* now and then there are fewer granules than `most` */
    unsigned shift;   /* a granule is 1 << shift bytes */
    hpw_order order;
    uint64_t seed;       /* order random */
    uint32_t opened;     /* it never shrinks below */
    uint32_t most;       /* it may grow to */
    uint32_t skew;       /* the first byte lies so many granules past a multiple of any alignment */
    uint64_t most_align; /* bytes: no larger alignment is granted; 0: no such limit */
    uint64_t red_zone;   /* bytes; guard full */
    uint64_t quarantine; /* bytes; guard full */
    uint32_t classes[HPW_MOST_CLASSES]; /* bytes, slab's own; all 0: the usual ones */

    /* What happened. */
    uint32_t capacity;
    uint32_t rover;         /* next fit: where the last placement ended */
    uint32_t next;          /* bump: where the next block begins */
    uint64_t clock;         /* the newest `time` */
    uint64_t placements;    /* order random: since the pool was opened or reset */
    uint64_t largest_align; /* bytes: asked for and granted since the last reset; 0: none */
    hpw_stats counts;       /* the fields that are counted, not derived */
    model_answer answer;
    const char *wrong; /* a told answer that no policy may give; NULL: none yet */
    model_cell cells[];
} model;

/*
 * A model of the pool that the config opens, whose first byte is `first`; `mapped`:
 * by hpw_open. The caller frees it. The config must be one that the pool took, its
 * zeros included.
 */
model *model_open(const hpw_config *config, const void *first, bool mapped);

/* Bytes of the whole model: a copy of so many is a model too. */
size_t model_bytes(const model *m);

/* The calls of the pool, with its answers. */
hpw_error model_allocate(model *m, uint64_t size, uint64_t alignment, uint64_t *address);
hpw_error model_resize(model *m, uint64_t address, uint64_t size, uint64_t *moved);
hpw_error model_release(model *m, uint64_t address);
hpw_error model_release_sized(model *m, uint64_t address, uint64_t size);
void model_reset(model *m);
void model_trim(model *m);

/* A request refused before anything was looked for: calloc's, whose product overflows. */
void model_refuse(model *m);

/* Of a told pool: it manages so many bytes now. */
void model_set_capacity(model *m, uint64_t bytes);

hpw_error model_size(const model *m, uint64_t address, uint64_t *requested, uint64_t *granted);
hpw_error model_owner(const model *m, uint64_t address, uint64_t *start, uint64_t *requested);

/* May [address, address + n) be read and written? */
hpw_error model_reach(const model *m, uint64_t address, uint64_t n);

/* As hpw_next_block. */
bool model_next_block(const model *m, uint64_t *cursor, hpw_block *out);

/* As hpw_get_stats, but steps, steps_max and metadata, which are 0. */
void model_stats(const model *m, hpw_stats *out);

/* ---- Between the model's own files ------------------------------------------- */

enum { NOWHERE = UINT32_MAX };

enum { FIRST_FIT, NEXT_FIT, BEST_FIT, WORST_FIT, GOOD_FIT, BUDDY, SLAB, BUMP, ANY_POLICY };

/* The block that holds granule `at`. */
uint32_t model_holding(const model *m, uint32_t at);

/* The block that ends where `at` begins; NOWHERE for the first one. */
uint32_t model_before(const model *m, uint32_t at);

/* Is `at` inside of the pool, and its block free? */
bool model_is_free(const model *m, uint32_t at);

/* [at, at + size), which is no block's, becomes free blocks, joined where they may be. */
void model_enter(model *m, uint32_t at, uint32_t size);

/* The block at `at` is none any more. Returns its size. */
uint32_t model_erase(model *m, uint32_t at);

/* A request in granules: aligned to `align`, counted from `skew` before the pool. */
typedef struct model_want {
    uint32_t size, align;
} model_want;

/* The lowest place for it in [start, start + size); NOWHERE. */
uint32_t model_place_in(const model *m, uint32_t start, uint32_t size, model_want want);

/* The free block to cut, and *at where; NOWHERE: none fits. */
uint32_t model_choose(const model *m, model_want want, uint32_t *at);

/* Cuts [at, at + size) out of free block `whole`; it is live. */
void model_cut(model *m, uint32_t whole, uint32_t at, uint32_t size);

/* Places it: by the rule, and the pool grown where it must be and can. NOWHERE: no place. */
uint32_t model_place(model *m, model_want want);

/* A pool that grew gives back what is free at its end, all but a step. */
void model_shrink(model *m);

/* What fell out of use: quarantined in guard full, else free. */
void model_retire(model *m, uint32_t at);

/* The oldest quarantined blocks are free, until no more than `most` bytes are left. True: any was. */
bool model_let_out(model *m, uint64_t most);

#endif
