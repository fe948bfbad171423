/* SPDX-License-Identifier: MIT */
/*
 * heapwright: one bounded pool of bytes under an exchangeable placement policy.
 *
 * This is the only header a host includes. Order: types, configuration, life
 * cycle, operations, checked access, queries, events, debugging.
 *
 * Unless a function says otherwise:
 *  - Sizes, addresses and capacities are bytes. An *address* is an offset from
 *    the pool's first byte, 0 ... capacity - 1; a *pointer* is where that byte
 *    lies in this process. hpw_address() and hpw_pointer() convert.
 *  - Every pointer and address granted is aligned to 16, or to the granule
 *    where the granule is smaller.
 *  - A call that fails changes nothing but the count of failures.
 *  - Calls on one pool are safe from any number of threads, unless the pool is
 *    `single_threaded`. Calls on different pools never meet.
 *  - A pool pointer must come from hpw_open or hpw_open_in and not be closed
 *    yet; anything else is undefined. Every other misuse that a block pointer
 *    or an address can express is answered with its code and obeyed by nobody.
 *  - O(policy) is the policy's own bound: see hpw_policy_at.
 */
#ifndef HEAPWRIGHT_H
#define HEAPWRIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HPW_API __attribute__((visibility("default")))
#else
#define HPW_API
#endif

/* The version, in its one place: the build, the module and the command read it here. */
#define HPW_VERSION "0.1.0"

/* ---- Types ------------------------------------------------------------------ */

/* A pool: the byte range, its block map, its policy's index, its counts. */
typedef struct hpw_pool hpw_pool;

/* What a call answers. hpw_error_name gives the name that Lua and JSON use. */
typedef enum hpw_error {
    HPW_OK,               /* "ok" */
    HPW_NO_MEMORY,        /* "no_memory": no free block holds the request */
    HPW_INVALID_FREE,     /* "invalid_free": no live block starts here and none ever did */
    HPW_DOUBLE_FREE,      /* "double_free": the newest block that began here was freed */
    HPW_UNALLOCATED,      /* "unallocated": the address lies in a free block */
    HPW_OUT_OF_BOUNDS,    /* "out_of_bounds": outside of the pool, or past the block's end */
    HPW_INVALID_ARGUMENT, /* "invalid_argument": no such policy, alignment not a power of two ... */
    HPW_CORRUPTED,        /* "corrupted": the pool's own records contradict each other, see hpw_refuses */
    HPW_LIMIT,            /* "limit": an account's or a state's limit was reached */
    HPW_IO,               /* "io": the system refused a file, a mapping, a process */
    HPW_UNINITIALISED,    /* "uninitialised": the bytes were never written (guard full) */
    HPW_ERROR_COUNT
} hpw_error;

/* Who allocated a block and who freed it, where the pool keeps that: guard full. 0: not known, or not yet. */
typedef struct hpw_origin {
    uint64_t allocated_site,
        freed_site; /* see hpw_host.site; a realloc allocates, and frees where it moves */
    uint32_t allocated_thread, freed_thread; /* host.thread */
} hpw_origin;

/*
 * The numbers behind an error, filled where a call takes a report and fails.
 * Fields that do not apply are 0.
 */
typedef struct hpw_report {
    hpw_error error;     /* as returned */
    uint64_t address;    /* the address asked for, or where the fault lies */
    uint64_t size;       /* the size asked for */
    uint64_t block;      /* start of the block that holds `address` */
    uint64_t block_size; /* its requested size; of a free block its whole size */
    bool in_live_block;  /* `block` is live */
    bool in_free_block;  /* `block` is free */
    bool claimed;        /* `block` is live, and an account's: it answers to that alone */
    bool quarantined;    /* `block` was freed and is held back, and counts as free here (guard full) */
    uint64_t injected;   /* HPW_NO_MEMORY: which request it was, where a plan refused it; see hpw_inject */
    const char *what;    /* a static sentence: the first thing found wrong */
    hpw_origin origin;   /* of `block`, or of the newest that began at `address` (guard full) */
} hpw_report;

/* How a policy breaks ties. */
typedef enum hpw_order {
    HPW_ORDER_ADDRESS, /* the lowest address among equals (zero: the default) */
    HPW_ORDER_FIFO,    /* the block that entered the index first */
    HPW_ORDER_LIFO,    /* the block that entered the index last */
    HPW_ORDER_RANDOM,  /* one by chance, from a seed: see hpw_config */
    HPW_ORDER_COUNT
} hpw_order;

/*
 * Randomised placement (HPW_ORDER_RANDOM), deterministic: the same seed and the same calls give the same
 * addresses.
 *
 * Which block: best and worst fit choose by chance among all blocks of the size that their rule names that
 * hold the request at its alignment; first fit among all blocks whatsoever that hold it. Over all seeds each
 * of them is as likely as another, and each placement draws anew, so freeing a block and asking again is not
 * answered with the same one for certain.
 *
 * Where in it: at the block's lowest aligned place, as in the other orders; but in a pool in which nothing is
 * live (nor in quarantine) at one of all the aligned places that the one free block has, each as likely as
 * another. So the first address is seldom 0, and the pool's largest free block afterwards mostly smaller.
 * A block that is resized stays, grows and moves by the same rules as in any order.
 *
 * hpw_reset begins anew: what follows is placed as in a new pool with this seed.
 *
 * Who sees many addresses of a pool could compute its seed: the generator is fast, and no cipher. A seed that
 * nobody is to guess comes from the system's randomness, by the host.
 */

/*
 * How much is checked beyond what is always checked.
 *
 * Off (zero: the default in C): each free and access is validated against the map.
 *
 * Check: a bit a granule remembers frees, so that double_free is exact; and what a
 * block has beyond its requested size is a canary, verified when it is freed or
 * resized and by hpw_check: HPW_CORRUPTED with the first byte that was overwritten.
 * What policies keep in free blocks is validated before it is followed: hpw_refuses.
 * Cost: O(slack) a call, mostly less than a granule; a bit a granule.
 *
 * Full: check, and
 *  - behind each block lie `red_zone` bytes of canary at least, so that the pool
 *    grants that many more; before it lie those of its neighbour;
 *  - a freed block is filled with poison and held in the *quarantine* until
 *    newer ones fill that: it answers as a freed block does, its bytes still count
 *    as granted, and that nobody wrote to it is verified when it leaves and by
 *    hpw_check. So is the old place of a block that a resize moved. The oldest
 *    leave first, as soon as the granted bytes there are more than `quarantine`;
 *    all of them where a request finds no other place. One that was written
 *    to is HPW_CORRUPTED, told once by the call that would have let it out, which
 *    changes nothing else, and by each hpw_check: it stays out of use until reset;
 *  - hpw_read, hpw_compare and words of bytes that were never written are
 *    HPW_UNINITIALISED: see hpw_note_written;
 *  - of each block it is kept who allocated it and who freed it: hpw_origin.
 * Cost: O(size) a free and a bit a byte accessed; 26.2 bytes a granule of 16, of which a mapped pool
 * commits what is touched, and 4 a granule of the quarantine.
 */
typedef enum hpw_guard { HPW_GUARD_OFF, HPW_GUARD_CHECK, HPW_GUARD_FULL, HPW_GUARD_COUNT } hpw_guard;

/* Of a size whose zero means a default: none at all. */
#define HPW_NONE UINT64_MAX

/* ---- Configuration ---------------------------------------------------------- */

/*
 * What a pool takes from its host. Zeroed: in the hosted profile a lock,
 * clock and thread number of the library's own; in the freestanding profile no
 * lock, time 0 and thread 0. `ud` is handed back to every function. The host
 * owns what they refer to and keeps it until the pool is closed. `lock` and
 * `unlock` come as a pair or not at all; `lock` need not be recursive.
 */
typedef struct hpw_host {
    void *ud;
    void (*lock)(void *ud);
    void (*unlock)(void *ud);
    uint64_t (*now)(void *ud);    /* nanoseconds, monotonic; called for events only */
    uint32_t (*thread)(void *ud); /* a small number; called for events only */
    uint64_t (*site)(void *ud);   /* where the call that is being made comes from, for events and guard full,
                                     below 2^32 where pointers have 32 bits; called with the lock held. NULL:
                                     what hpw_set_site set; or, for guard full, the address to which the
                                     public function returns, where the library is built with -O2 or -Os, or
                                     with sanitizers */
} hpw_host;

enum { HPW_MOST_THREAD_CACHES = 128, HPW_MOST_CLASSES = 20, HPW_LARGEST_CLASS = 64 };

/* The free blocks of a pool, as a policy of the host's is shown them: see hpw_free_next and the others. */
typedef struct hpw_free_blocks hpw_free_blocks;

enum { HPW_POLICY_NAME = 15 }; /* the longest name of such a policy, in bytes */

/*
 * A placement policy of the host's own. `ud` is handed back to each function. They are called with the
 * pool's lock held, by the thread that makes the call on the pool: they must not call it, but what
 * hpw_free_blocks has, and that only until they return. All sizes are bytes.
 *
 * choose: where is a request of `size` bytes, a multiple of the granule, to lie, at a multiple of
 * `alignment`, a power of two and the granule at least? HPW_OK with *address where a free block begins:
 * at the lowest aligned place in it; or any other aligned address in one, which holds the request from there
 * on: exactly there. HPW_NO_MEMORY: nowhere, and a pool that grows grows and asks again. Anything
 * else that it returns fails the request with that error; a choice that doesn't fit, with
 * HPW_INVALID_ARGUMENT: nothing has changed then but the count of failures, hpw_malloc and its like are
 * NULL, and the report of hpw_allocate and hpw_resize has the address that was chosen. Asked only where
 * some free block has the size; of a block that grows or shrinks in place nobody asks.
 * round, or NULL: what is granted for `size`, a multiple of the granule: as much at least, which is rounded
 * up to granules. Should answer the same for the same size. Errors as of choose.
 * opened, or NULL: the pool is new, or was reset: what was remembered of its placements is void.
 */
typedef struct hpw_chooser {
    void *ud;
    hpw_error (*choose)(void *ud, const hpw_free_blocks *free, uint64_t size, uint64_t alignment,
                        uint64_t *address);
    hpw_error (*round)(void *ud, uint64_t size, uint64_t *granted);
    void (*opened)(void *ud);
} hpw_chooser;

/* A zeroed config is the default pool: 1 MiB, best fit, address order, locked, guard off. */
typedef struct hpw_config {
    const char *policy;    /* NULL: "best-fit"; else a name of hpw_policy_at */
    uint64_t capacity;     /* 0: 1 MiB (hpw_open), all that the buffer holds (hpw_open_in);
                              else rounded down to granules */
    uint64_t max_capacity; /* 0: `capacity`, the pool never grows; hpw_open only */
    uint32_t granule;      /* 0: 16; else 8, 16, 32 ... 4096: the unit of placement */
    hpw_order order;       /* 0: by address; others for first-, best- and worst-fit only */
    uint64_t seed;         /* order random: what chance follows from, 0 is a seed like any other; else 0 */
    hpw_guard guard;       /* 0: off */
    uint64_t red_zone;     /* guard full: bytes; 0: 16; HPW_NONE: none */
    uint64_t quarantine;  /* guard full: granted bytes; 0: a quarter of the capacity, 1 MiB at most; HPW_NONE:
                             none */
    bool single_threaded; /* false: every call takes the lock */
    bool small_pages;     /* false: pools of 2 MiB and more ask for huge pages; hpw_open only */
    uint32_t thread_caches; /* 0: none; else up to so many threads, HPW_MOST_THREAD_CACHES at most, have a
                               cache of their own: see hpw_open */
    uint32_t classes[HPW_MOST_CLASSES]; /* slab: the sizes of its slots in bytes, such as {16, 48, 256}: whole
                               granules, ascending, HPW_LARGEST_CLASS granules at most; a request gets the
                               least that holds it, one above the last is best fit's. All 0: the usual ones,
                               1 ... 8 granules, then four to each power of two */
    hpw_host host;                      /* zeroed: see hpw_host */
    hpw_chooser chooser; /* zeroed: `policy` is one of hpw_policy_at; else a policy of the host's, for which
                            `policy` is a name of its own, HPW_POLICY_NAME bytes at most (NULL: "chosen"),
                            which images keep. Orders and thread_caches are not for it */
} hpw_config;

/* ---- Life cycle ------------------------------------------------------------- */

/*
 * Opens a pool on bytes from the system: an anonymous mapping of max_capacity
 * bytes of address space, aligned so that every address aligned to a power of
 * two is a pointer so aligned; memory is committed as it is touched, in huge
 * pages where the system has them (see small_pages), and given back when the
 * pool shrinks or closes. Metadata lies in a mapping of its own.
 *
 * A pool with max_capacity > capacity grows when a request does not fit, in
 * steps of 64 KiB (256 granules where that is more; or as many steps as the
 * request needs), and shrinks in the same steps, never below `capacity`, when
 * what is free at its end spans two of them. Addresses never move.
 *
 * With `thread_caches`, a thread's first call on the pool takes one of so many
 * caches, in which hpw_malloc and hpw_free find and leave small blocks without
 * the lock; its end gives it back with all that is in it. Threads that get none
 * take the lock. Blocks may be freed by any thread. What a cache holds is never
 * missing: a request that finds nothing else gets it. Every other call on such a
 * pool stops all caches for as long as it takes, some microseconds more where
 * several threads have one. Counts are exact; peaks and high_water are those of
 * the moments when a cache met the pool, so a peak may have been passed in
 * between by what the caches hold, and high_water counts what a cache held.
 * Where the system has no thread key left, the pool has its lock alone.
 *
 * Returns NULL and sets *error (which may be NULL) if and only if
 *  - HPW_INVALID_ARGUMENT: the policy is unknown, or, of a chooser, empty, too long or one of
 *    hpw_policy_at; the granule is not a power of
 *    two of 8 ... 4096; capacity is below one granule or above the maximum
 *    (hpw_max_capacity); max_capacity is not 0 and below capacity; the order or
 *    guard is not one of its enumeration, or the policy does not take this
 *    order (first-fit takes fifo, lifo and random with granules of 16 and more only);
 *    the seed is not 0 without order random; half a lock was given; thread_caches is above
 * HPW_MOST_THREAD_CACHES, or set with a policy that takes none (hpw_policy_info), a lock of the host's or
 *    none, granules other than 16, guard full, or a pool that grows; red_zone or
 *    quarantine are set without guard full; classes are set with a policy that has none
 *    (hpw_policy_info), or one is no multiple of the granule, not above the one before it,
 *    more than HPW_LARGEST_CLASS granules, or behind a 0;
 *  - HPW_NO_MEMORY: the system has no such range of addresses.
 * Hosted profile only. Cost: two mappings.
 */
HPW_API hpw_pool *hpw_open(const hpw_config *config, hpw_error *error);

/*
 * Opens a pool in the caller's buffer, metadata first, the pool's bytes after
 * it. Nothing else is ever asked of the system. The buffer stays the caller's
 * and must outlive the pool; it needs no alignment. `size` bytes must hold
 * hpw_metadata_size(config) plus the capacity; a capacity of 0 takes as many
 * granules as there is room for. Pointers are aligned as hpw_malloc says;
 * addresses start at 0 whatever the buffer's own alignment.
 *
 * Returns NULL and sets *error as hpw_open does, and with
 *  - HPW_INVALID_ARGUMENT also where buffer is NULL or max_capacity is neither
 *    0 nor equal to capacity;
 *  - HPW_NO_MEMORY: the buffer is too small.
 * Cost: O(metadata), which is zeroed.
 */
HPW_API hpw_pool *hpw_open_in(void *buffer, size_t size, const hpw_config *config, hpw_error *error);

/*
 * Closes the pool: its lock, its mappings. Live blocks go with it. NULL is
 * fine. No other thread may be in a call on the pool or make one afterwards.
 */
HPW_API void hpw_close(hpw_pool *pool);

/*
 * What hpw_open_in needs besides the capacity, alignment slack included.
 * 0 where the config is one that hpw_open_in refuses, or has capacity 0.
 * Pure; thread-safe.
 */
HPW_API size_t hpw_metadata_size(const hpw_config *config);

/* The largest capacity of a pool with this granule (0: 16): 2^32 - 64 granules. Pure. */
HPW_API uint64_t hpw_max_capacity(uint32_t granule);

/*
 * Frees every block at once and forgets the policy's history, so that what
 * follows is placed as in a new pool. Counts of calls stay; each block counts
 * as one free. A grown pool shrinks as when its last block is freed. A pool that
 * refused further work (hpw_refuses) works again: nothing of what lay in its free blocks is kept.
 * HPW_INVALID_ARGUMENT, nothing changed, while an account is open in it. Cost: O(metadata).
 */
HPW_API hpw_error hpw_reset(hpw_pool *pool);

/*
 * Gives back what the pool keeps to be faster: the empty pages of slab become
 * free blocks again; a pool that grew shrinks as after a free. What a request
 * needs is given back without it. HPW_CORRUPTED, nothing done, where the pool refuses further work
 * (hpw_refuses). Cost: O(what is kept).
 */
HPW_API hpw_error hpw_trim(hpw_pool *pool);

/* ---- Operations ------------------------------------------------------------- */

/*
 * Grants `size` bytes, not zeroed. Size 0 grants a block of its own, one
 * granule, of which no byte may be used. Returns NULL if and only if the policy
 * finds no free block for the request and the pool can't grow: the exact
 * policies fail only where no free block is large enough; or the pool refuses
 * further work (hpw_refuses), which counts no failure.
 * Cost: O(policy), and O(1) in the block map.
 */
HPW_API void *hpw_malloc(hpw_pool *pool, size_t size);

/* As hpw_malloc(count * size), zeroed. NULL also where the product overflows. Cost: and O(size). */
HPW_API void *hpw_calloc(hpw_pool *pool, size_t count, size_t size);

/*
 * As hpw_malloc, at a pointer (and, in a mapped pool, an address) that is a
 * multiple of `alignment`, any power of two: the policy's own choice among the
 * free blocks that hold an aligned place, at the lowest such place in it. NULL
 * also where the alignment is not a power of two (which counts no failure; use
 * hpw_allocate to tell the two apart); in a mapped pool, where it is above both
 * 64 KiB and the power of two at or above max_capacity, so that nothing depends
 * on where the system maps; and, of buddy in a caller's buffer, where the
 * pool's first byte is no multiple of the lesser of `alignment` and the granted
 * size, since buddies lie at multiples of their size from there.
 * Cost: O(policy) for each free block that is large enough but holds no aligned place.
 */
HPW_API void *hpw_aligned_alloc(hpw_pool *pool, size_t alignment, size_t size);

/*
 * Changes a block's size, keeping its first min(old, new) bytes and its
 * alignment. NULL allocates; size 0 keeps a block of size 0. In order: in
 * place; forwards into the next free block; for blocks of 64 KiB and more
 * backwards into the free block before it; to where the policy places it;
 * backwards as the last resort. Returns NULL, block and bytes untouched, if
 * and only if `block` is not a live block's start, none of these holds it, or the
 * pool refuses further work (hpw_refuses).
 * A block got from hpw_aligned_alloc keeps its alignment when it moves, and
 * what its address happened to have above it, up to the largest ever asked of
 * the pool; with guard off, which does not know these blocks from others, all
 * blocks do once an alignment was asked for.
 * Cost: O(policy), and O(size) where it moves.
 */
HPW_API void *hpw_realloc(hpw_pool *pool, void *block, size_t size);

/*
 * Frees a block. NULL is fine. Otherwise, changing nothing:
 *  - HPW_DOUBLE_FREE: the newest block that began here was freed (guard off:
 *    the pointer is that of a granule in a free block);
 *  - HPW_INVALID_FREE: outside of the pool, inside a block, never allocated;
 *  - HPW_CORRUPTED: the block's size record was overwritten, or the pool refuses
 *    further work (hpw_refuses), as all calls below that allocate, resize or free then do.
 * Cost: O(policy).
 */
HPW_API hpw_error hpw_free(hpw_pool *pool, void *block);

/*
 * As hpw_free, where the caller knows the size it asked for. Also
 *  - HPW_INVALID_ARGUMENT: `size` is not the block's requested size.
 */
HPW_API hpw_error hpw_free_sized(hpw_pool *pool, void *block, size_t size);

/*
 * The same operations by address, for hosts that hold addresses (Lua, traces),
 * with the numbers of a failure in *report, which may be NULL.
 *
 * hpw_allocate: alignment 0 means the usual one. HPW_NO_MEMORY;
 * HPW_INVALID_ARGUMENT where alignment is not a power of two.
 * hpw_resize: HPW_NO_MEMORY and all that hpw_release answers.
 * hpw_release: as hpw_free; address 0 is an address like any other.
 */
HPW_API hpw_error hpw_allocate(hpw_pool *pool, uint64_t size, uint64_t alignment, uint64_t *address,
                               hpw_report *report);
HPW_API hpw_error hpw_resize(hpw_pool *pool, uint64_t address, uint64_t size, uint64_t *moved,
                             hpw_report *report);
HPW_API hpw_error hpw_release(hpw_pool *pool, uint64_t address, hpw_report *report);

/* ---- Checked access --------------------------------------------------------- */

/*
 * Reads and writes by address, interior addresses included: [address, address
 * + n) must lie within one live block's requested size. n = 0 asks only that
 * `address` lie in a live block or at its requested end. Otherwise, nothing
 * touched:
 *  - HPW_UNALLOCATED: `address` lies in a free block;
 *  - HPW_OUT_OF_BOUNDS: outside of the pool, or past the block's requested size.
 * The bytes move under the pool's lock. Cost: O(n), and O(log capacity) to find
 * the block (a few words in practice).
 *
 * hpw_view is hpw_read for who copies the bytes itself: *bytes is where they lie,
 * and they stay as they are until the next call on the pool. Where another thread
 * may make that call (the pool is locked and the process has more than one thread,
 * as far as is known), *bytes is NULL, nothing is checked, and it takes hpw_read.
 *
 * hpw_copy moves between two ranges that may overlap, as memmove does.
 * hpw_compare sets *order to -1, 0 or 1, as memcmp orders them.
 */
HPW_API hpw_error hpw_read(hpw_pool *pool, uint64_t address, void *to, size_t n, hpw_report *report);
HPW_API hpw_error hpw_write(hpw_pool *pool, uint64_t address, const void *from, size_t n, hpw_report *report);
HPW_API hpw_error hpw_view(hpw_pool *pool, uint64_t address, uint64_t n, const void **bytes,
                           hpw_report *report);
HPW_API hpw_error hpw_fill(hpw_pool *pool, uint64_t address, int byte, uint64_t n, hpw_report *report);
HPW_API hpw_error hpw_copy(hpw_pool *pool, uint64_t to, uint64_t from, uint64_t n, hpw_report *report);
HPW_API hpw_error hpw_compare(hpw_pool *pool, uint64_t a, uint64_t b, uint64_t n, int *order,
                              hpw_report *report);

/*
 * Words, for threads to agree by: 8 bytes at an address that is a multiple of 8,
 * in this machine's order of bytes, read and changed in one step that all threads
 * see in one order (sequentially consistent). Errors as hpw_read of 8 bytes, so
 * exact beside threads that free; also, before anything else
 *  - HPW_INVALID_ARGUMENT: `address` is no multiple of 8.
 * Under the pool's lock, and atomic in itself where the machine can change 8 bytes
 * at once without a library: then a C program that has the pointer may use C11's
 * atomics on the same word, without any call on the pool. Where it can't (as on a
 * 32-bit microcontroller), the lock alone keeps these calls apart from each other.
 *
 * hpw_fetch_add wraps around; *before, the value before, may be NULL.
 * hpw_compare_exchange stores `desired` where the word is *expected, sets
 * *exchanged (may be NULL) to whether it was, and *expected to what it found; it
 * never fails without reason, as C11's «weak» one may.
 * Cost: O(log capacity) to find the block, a few words in practice.
 */
HPW_API hpw_error hpw_load(hpw_pool *pool, uint64_t address, uint64_t *value, hpw_report *report);
HPW_API hpw_error hpw_store(hpw_pool *pool, uint64_t address, uint64_t value, hpw_report *report);
HPW_API hpw_error hpw_fetch_add(hpw_pool *pool, uint64_t address, uint64_t addend, uint64_t *before,
                                hpw_report *report);
HPW_API hpw_error hpw_compare_exchange(hpw_pool *pool, uint64_t address, uint64_t *expected, uint64_t desired,
                                       bool *exchanged, hpw_report *report);

/*
 * [address, address + n) holds written bytes from now on, for hpw_read and its like: to be called after
 * writing through a pointer to a block that hpw_allocate granted. All that hpw_write, hpw_fill and words
 * write is known; so is a block granted by a pointer call (hpw_malloc, hpw_realloc ...), of which every byte
 * counts as written; hpw_copy copies what is known. Errors as hpw_write; nothing to do but with guard full.
 */
HPW_API hpw_error hpw_note_written(hpw_pool *pool, uint64_t address, uint64_t n, hpw_report *report);

/* ---- Queries ---------------------------------------------------------------- */

/*
 * The block that holds `address`: its start and requested size, each of which
 * may be NULL. HPW_UNALLOCATED in a free block, HPW_OUT_OF_BOUNDS outside.
 */
HPW_API hpw_error hpw_owner(hpw_pool *pool, uint64_t address, uint64_t *start, uint64_t *requested,
                            hpw_report *report);

/*
 * Requested and granted size of the block that starts at `address`; either may
 * be NULL. Errors as hpw_release. O(1).
 */
HPW_API hpw_error hpw_size(hpw_pool *pool, uint64_t address, uint64_t *requested, uint64_t *granted,
                           hpw_report *report);

/*
 * The usable (granted) size of a live block: what a realloc in place may reach.
 * Of these bytes the requested size may be written; the rest keeps the pool's
 * record of the requested size. 0 where `block` is not a live block's start. O(1).
 */
HPW_API size_t hpw_usable_size(const hpw_pool *pool, const void *block);

/* The address of a pointer into the pool, UINT64_MAX where it points elsewhere. Pure. */
HPW_API uint64_t hpw_address(const hpw_pool *pool, const void *pointer);

/* The pointer to an address, NULL where it lies outside of the capacity. Pure. */
HPW_API void *hpw_pointer(const hpw_pool *pool, uint64_t address);

/* Statistics. All sizes bytes, all exact at any time. */
typedef struct hpw_stats {
    uint64_t capacity; /* bytes the pool manages now */
    uint64_t in_use;   /* requested bytes of the live blocks */
    uint64_t granted;  /* granted bytes of the live blocks */
    uint64_t live_blocks;
    uint64_t free_blocks;
    uint64_t free;         /* capacity - granted */
    uint64_t largest_free; /* the largest free block */
    uint64_t peak_in_use;  /* the most that in_use ever was */
    uint64_t peak_granted; /* the most that granted ever was */
    uint64_t high_water;   /* the highest end of a live block ever */
    uint64_t allocations;  /* granted requests, realloc(NULL) among them */
    uint64_t frees;
    uint64_t reallocations; /* granted size changes, in place or moved */
    uint64_t failures;      /* requests answered no_memory */
    uint64_t injected;      /* and of those, refused by plan: hpw_inject */
    uint64_t steps;         /* what the policy visited, in all: words of bitmaps or of the block map, nodes
                               of lists and trees, groups of nodes side by side in a cache line */
    uint64_t steps_max;     /* and in its worst single operation */
    uint64_t metadata;      /* bytes outside of the pool that describe it */
    uint64_t quarantined;   /* of `granted`: those of freed blocks held back (guard full) */
} hpw_stats;

/*
 * Cost: O(1), and finding the largest free block: O(log n); for good-fit O(blocks
 * in one bin), for slab where no page's worth is free in one piece, and for bump,
 * O(blocks).
 */
HPW_API void hpw_get_stats(const hpw_pool *pool, hpw_stats *out);

/* 1 - requested / granted of the live blocks; 0 in an empty pool. */
static inline double hpw_internal_fragmentation(const hpw_stats *s) {
    uint64_t live = s->granted - s->quarantined;
    return live ? 1.0 - (double)s->in_use / (double)live : 0.0;
}

/* 1 - largest free block / all free bytes; 0 in a full pool. */
static inline double hpw_external_fragmentation(const hpw_stats *s) {
    return s->free ? 1.0 - (double)s->largest_free / (double)s->free : 0.0;
}

/* One block of the pool, live or free. */
typedef struct hpw_block {
    uint64_t address;
    uint64_t size;      /* granted bytes */
    uint64_t requested; /* of a live block */
    bool live;
    bool quarantined;  /* free, and held back (guard full) */
    hpw_origin origin; /* of a live or quarantined one (guard full) */
} hpw_block;

/*
 * Walks the blocks in address order: the first block that starts at or after
 * *cursor goes to *out, and *cursor past it. Start with *cursor = 0. False at
 * the end. The pool may change between calls; the walk then sees the blocks as
 * they are at each call. Cost: O(log capacity) a call.
 */
HPW_API bool hpw_next_block(hpw_pool *pool, uint64_t *cursor, hpw_block *out);

/* A policy's description. The strings are static. */
typedef struct hpw_policy_info {
    const char *name;
    const char *chooses; /* what it takes */
    const char *index;   /* in what it looks */
    const char *bound;   /* the order of its work */
    const char *source;  /* who described it */
    bool takes_order;    /* fifo, lifo and random are accepted */
    bool takes_caches;   /* thread_caches is accepted */
    bool takes_classes;  /* classes are accepted */
    bool exact;          /* the address is defined by the rule alone (and the seed), see `chooses` */
    bool monotone;       /* a trace without resizes that fits in P fits in every larger pool: proved */
} hpw_policy_info;

/* The index-th policy, 0 ...; NULL past the last. Pure. */
HPW_API const hpw_policy_info *hpw_policy_at(size_t index);

/*
 * What a policy of the host's may ask, in its `choose` alone; nothing of it changes the pool. Each block that
 * is shown is a step of hpw_stats.
 *
 * hpw_free_next: the first free block that starts at or after *cursor, and *cursor past it; start with 0.
 * False at the end. hpw_free_first: the first one that starts at or after `from` and holds `size` bytes at a
 * multiple of `alignment` (0: the usual one). hpw_free_largest: the largest, the first of equals. Each
 * O(log capacity), hpw_free_first for each block that is large enough but holds no aligned place.
 * hpw_free_count: how many there are. hpw_free_capacity: bytes of the pool, free or not. O(1).
 * hpw_free_look: the block around an address, free or live (which those in quarantine are here), so also
 * what lies before a block, or behind it; of *out, address, size and live are set. False outside of the
 * pool. O(log capacity).
 * hpw_free_place: is `address` a choice that fits, and *place where the request would lie then? If not,
 * HPW_INVALID_ARGUMENT with the numbers in *report, which may be NULL. O(log capacity).
 */
HPW_API bool hpw_free_next(const hpw_free_blocks *free, uint64_t *cursor, uint64_t *address, uint64_t *size);
HPW_API bool hpw_free_first(const hpw_free_blocks *free, uint64_t from, uint64_t size, uint64_t alignment,
                            uint64_t *address, uint64_t *block_size);
HPW_API bool hpw_free_largest(const hpw_free_blocks *free, uint64_t *address, uint64_t *size);
HPW_API uint64_t hpw_free_count(const hpw_free_blocks *free);
HPW_API uint64_t hpw_free_capacity(const hpw_free_blocks *free);
HPW_API bool hpw_free_look(const hpw_free_blocks *free, uint64_t address, hpw_block *out);
HPW_API hpw_error hpw_free_place(const hpw_free_blocks *free, uint64_t address, uint64_t size,
                                 uint64_t alignment, uint64_t *place, hpw_report *report);

/* "no_memory", "invalid_free" ...; "unknown" for what is no error code. Pure. */
HPW_API const char *hpw_error_name(hpw_error error);

/* ---- Accounts: a pool under Lua states --------------------------------------- */

/*
 * An account is one Lua state's view of a pool: hpw_lua_alloc is its lua_Alloc
 * and the account the `ud`. Any number of accounts may share one pool, on any
 * number of threads; the sum of what they take can't pass the pool. One account
 * serves one state: its calls come from one thread at a time, as the state's do.
 * What the account needs for itself lies in the pool too.
 *
 * Objects carry no header. Small sizes are slots of slabs that the account takes
 * from the pool and has to itself, so they cost no lock; larger ones are blocks
 * of the pool. Unlike everywhere else, `ptr` and `osize` are believed: Lua never
 * lies about them.
 */
typedef struct hpw_account hpw_account;

/* What a Lua state allocates for. */
typedef enum hpw_lua_kind {
    HPW_LUA_OTHER,     /* "other": arrays of tables, stacks, code, buffers */
    HPW_LUA_STRING,    /* "string" */
    HPW_LUA_TABLE,     /* "table" */
    HPW_LUA_FUNCTION,  /* "function": closures */
    HPW_LUA_USERDATA,  /* "userdata" */
    HPW_LUA_THREAD,    /* "thread": coroutines, without their stacks */
    HPW_LUA_UPVALUE,   /* "upvalue" */
    HPW_LUA_PROTOTYPE, /* "prototype": functions as compiled */
    HPW_LUA_KINDS
} hpw_lua_kind;

#define HPW_NO_LIMIT UINT64_MAX

/* Zeroed: no limit but the pool, no headroom. */
typedef struct hpw_account_config {
    uint64_t limit;    /* bytes that the state may have in use, as it asked for them; 0: HPW_NO_LIMIT */
    uint64_t headroom; /* bytes below the limit that only a collection opens: hpw_set_headroom; 0: none */
} hpw_account_config;

/* Sizes are bytes. All are exact. */
typedef struct hpw_account_stats {
    uint64_t limit, headroom; /* as set; HPW_NO_LIMIT */
    uint64_t in_use;          /* what the state asked for and has not freed */
    uint64_t peak_in_use;
    uint64_t granted; /* what the account has of the pool, itself and empty slabs included */
    uint64_t peak_granted;
    uint64_t allocations, frees, reallocations;
    uint64_t over_limit;    /* requests refused since the limit would be passed */
    uint64_t over_pool;     /* requests refused since the pool held nothing */
    uint64_t over_headroom; /* requests sent back once, for a collection */
    uint64_t injected;      /* of over_pool, those refused by plan: hpw_inject */
    bool pressure;          /* see hpw_account_pressure */
    struct {
        uint64_t in_use, blocks; /* bytes; how many */
    } kinds[HPW_LUA_KINDS];
} hpw_account_stats;

/*
 * Opens an account in `pool`, which must outlive it. A NULL config is a zeroed one. NULL with
 * HPW_NO_MEMORY where the pool does not hold it. Thread-safe.
 *
 * How large slots and slabs are is decided here, by the lesser of the limit and the pool's
 * max_capacity. Slabs are aligned to their size, 16 KiB at most: buddy in a caller's buffer has such
 * places only where the pool's first byte is aligned so, and otherwise refuses every small block.
 */
HPW_API hpw_account *hpw_open_account(hpw_pool *pool, const hpw_account_config *config, hpw_error *error);

/*
 * Gives all that the account has back to the pool, itself included: after
 * lua_close, the pool is as it was before. HPW_INVALID_ARGUMENT, nothing
 * changed, while a block of its state is live. NULL is fine.
 */
HPW_API hpw_error hpw_close_account(hpw_account *account);

/*
 * A lua_Alloc (Lua 5.4): grants, resizes or, with nsize 0, frees. Aligned to 8
 * bytes. Shrinking never fails. NULL where the request would pass the limit or
 * the pool holds nothing: Lua then collects and asks once more.
 * Cost: O(1) and mostly without the pool for sizes of slots, which are those to 1 KiB; to 512 bytes in an
 * account that can come to 4 MiB at most, to 128 in one of 256 KiB. Else as hpw_realloc.
 */
HPW_API void *hpw_lua_alloc(void *account, void *ptr, size_t osize, size_t nsize);

/*
 * Changes the limit; from any thread, while the state runs. A limit below what is in use frees nothing:
 * what shrinks goes on, what grows is refused. HPW_NO_LIMIT lifts it.
 */
HPW_API void hpw_set_limit(hpw_account *account, uint64_t bytes);

/*
 * "Keep `bytes` free": an object that would leave less than that below the limit
 * is sent back once, so that Lua collects first, and granted at its second
 * asking. Where that collection frees too little, the next one is asked for when
 * an eighth of the headroom is gone, and so on. Buffers and arrays, for which
 * Lua may not collect, are granted as ever. 0: none.
 *
 * A state that lua_newstate has not finished can't collect and fails where it is
 * sent back: where the limit is only a few KiB above the headroom, open the state
 * first and set the headroom then.
 */
HPW_API void hpw_set_headroom(hpw_account *account, uint64_t bytes);

/* From the state's own thread, or while the state rests: what it counts takes no lock. Cost: O(1). */
HPW_API void hpw_get_account_stats(const hpw_account *account, hpw_account_stats *out);

/*
 * Has an account of the same pool been refused for want of memory in the pool since this was last asked? Then
 * this state's host should collect its garbage, since an emergency collection collects the asking state only.
 * Thread-safe.
 */
HPW_API bool hpw_account_pressure(hpw_account *account);

/* "other", "string" ...; "unknown" for what is no kind. Pure. */
HPW_API const char *hpw_lua_kind_name(hpw_lua_kind kind);

/* ---- Compaction --------------------------------------------------------------- */

/*
 * Who says which blocks may move, and is told where they went. Both are called with the
 * pool's lock held: they must not call the pool. `size` is the requested one.
 * may_move: asked of live blocks, of none that is an account's; up to three times of one,
 * and has to answer alike. moved: the bytes lie at `to` already, where no block that is not
 * told of yet lies. A block moves once at most, the lowest first; of slab, those in slots
 * before the others.
 */
typedef struct hpw_mover {
    void *ud;
    bool (*may_move)(void *ud, uint64_t address, uint64_t size);
    void (*moved)(void *ud, uint64_t from, uint64_t to, uint64_t size);
} hpw_mover;

/* Sizes are bytes. */
typedef struct hpw_compaction {
    uint64_t won;          /* the largest free block, less what it was before */
    uint64_t largest_free; /* it */
    uint64_t moved_blocks;
    uint64_t moved_bytes; /* their requested ones */
} hpw_compaction;

/*
 * Moves the blocks that may move to lower addresses, so that free bytes come together:
 * a host that reaches its blocks by handles keeps their addresses in these. Requested
 * and granted sizes stay, and alignments as hpw_realloc keeps them. Policies that join
 * all free neighbours slide blocks together, in their order, up to the next that
 * stays; buddy and slab move a block to a lower place where their rule has one; bump
 * moves nothing. The largest free block is never smaller afterwards; slab's empty pages
 * are given back, and a pool that grew shrinks, as in hpw_trim. Each move is an event, a
 * resize to the same size, but counts as no reallocation.
 *
 * HPW_INVALID_ARGUMENT, nothing changed, where mover or one of its functions is NULL. HPW_CORRUPTED where
 * the pool refuses further work (hpw_refuses), or does so since a link was met here: what had moved until
 * then has been told. `out` may be NULL.
 * One lock, held throughout. Deterministic. Cost: O(blocks) calls of policy and mover,
 * and O(bytes moved); of slab also O(blocks) for each kind of slots, 20 in all.
 */
HPW_API hpw_error hpw_compact(hpw_pool *pool, const hpw_mover *mover, hpw_compaction *out);

/* ---- Images -------------------------------------------------------------------- */

/*
 * An image is a pool as a run of bytes, the same on every machine: its options, and of each
 * live block its address, granted and requested size, the alignment that it keeps, and its
 * bytes; version, lengths and checksums with it. A pool restored from it has every
 * block at the address that it had. What the image doesn't say is as if each block had
 * been placed there, in address order, in a new pool: the free blocks enter the policy's
 * index in address order, next-fit goes on behind the last block, bump too, order random
 * draws as for a new pool's first placement; counts begin
 * with these allocations; which freed blocks began where is forgotten.
 */
enum { HPW_IMAGE_MESSAGE = 256 };

/* Why a call failed, or zeroed. */
typedef struct hpw_image_error {
    hpw_error code;
    uint64_t offset;                 /* of the byte in the image where that was seen */
    char message[HPW_IMAGE_MESSAGE]; /* one line, with the numbers; of a file its path in front */
} hpw_image_error;

/* What an image says of its pool. */
typedef struct hpw_image {
    hpw_config config; /* as it was opened, zeros filled in, but `host` and `chooser`, which are zeroed;
                          policy: static, NULL for one of the host's */
    char chosen[HPW_POLICY_NAME + 1]; /* of one of the host's, its name; else empty */
    uint64_t capacity;                /* bytes that the pool managed when it was saved */
    uint64_t blocks;
    uint64_t in_use; /* bytes that were asked for */
    uint64_t size;   /* bytes of the image */
} hpw_image;

/*
 * Where an image goes, and where it comes from: called with the pool's lock held, so not to
 * call the pool. put: false: it could not be written. get: as many of the next n bytes as
 * there are; fewer than n where the image ends.
 */
typedef bool hpw_put(void *ud, const void *bytes, size_t n);
typedef size_t hpw_get(void *ud, void *bytes, size_t n);

/*
 * Writes the pool's image. Nothing in the pool changes; the lock is held as long as it takes,
 * so the image is one moment's. Fails, having perhaps written a part, with
 *  - HPW_INVALID_ARGUMENT: accounts are open in the pool, whose blocks hold pointers;
 *  - HPW_CORRUPTED: a block's size record was overwritten;
 *  - HPW_IO: `put` said so.
 * Asks for no memory. Cost: O(blocks), and O(bytes in use). `error` may be NULL in all of these.
 */
HPW_API hpw_error hpw_save_to(hpw_pool *pool, hpw_put *put, void *ud, hpw_image_error *error);

/*
 * Reads the beginning of an image, 136 bytes, for whoever opens the pool to restore it in.
 * HPW_CORRUPTED: it is cut off, damaged, or no image; HPW_INVALID_ARGUMENT: another version's, or its
 * options are none that a pool takes here.
 */
HPW_API hpw_error hpw_read_image(hpw_get *get, void *ud, hpw_image *image, hpw_image_error *error);

/*
 * Makes the blocks of the image live in an empty pool, which may have another policy, granule,
 * guard or capacity than the saved one; it grows where it may and has to. With the saved policy
 * and granule each block is granted as much as it had; otherwise what the policy grants for its requested
 * size. Fails, the pool empty as it was, with
 *  - HPW_CORRUPTED: the image is cut off, damaged, or contradicts itself;
 *  - HPW_INVALID_ARGUMENT: the pool is not empty; a block does not fit it: past its capacity, no
 *    multiple of its granule, not where its policy puts blocks of that size, in the next block's way
 *    with what is granted here, or not at a multiple of the alignment that it keeps; also as hpw_read_image.
 * Asks for no memory and reads 64 KiB at most at a time, into the pool. Cost: O(blocks) calls of the policy.
 */
HPW_API hpw_error hpw_restore(hpw_pool *pool, hpw_get *get, void *ud, hpw_image_error *error);

/*
 * The same with files; hosted profile only.
 *
 * hpw_save: the image is written beside `path`, under its name with numbers behind it, brought to the
 * disk, and takes the name then: a process or system that ends in the middle leaves the old file as it
 * was (and perhaps the unfinished one). A failure leaves the old file and removes the
 * new one. A device or pipe is written to directly. HPW_IO, HPW_NO_MEMORY, and as hpw_save_to.
 *
 * hpw_examine: reads all of it and verifies every checksum. Takes 64 KiB of memory. HPW_IO; as
 * hpw_read_image.
 *
 * hpw_open_image: that, and then opens the pool: as it was saved, or, where `config` is not NULL, as that
 * says, all of it (take hpw_examine's and change it). So what is damaged asks for no memory beyond
 * those 64 KiB, and what is whole for no more than opening such a pool and filling its blocks. NULL with
 * *error: as hpw_examine, hpw_open and hpw_restore; and HPW_INVALID_ARGUMENT where `config` is NULL and the
 * image's policy the host's own.
 */
HPW_API hpw_error hpw_save(hpw_pool *pool, const char *path, hpw_image_error *error);
HPW_API hpw_error hpw_examine(const char *path, hpw_image *image, hpw_image_error *error);
HPW_API hpw_pool *hpw_open_image(const char *path, const hpw_config *config, hpw_image_error *error);

/* ---- Events ----------------------------------------------------------------- */

typedef enum hpw_event_kind {
    HPW_EVENT_ALLOC,
    HPW_EVENT_FREE,
    HPW_EVENT_RESIZE,
    HPW_EVENT_FAILURE
} hpw_event_kind;

typedef struct hpw_event {
    hpw_event_kind kind;
    uint32_t thread;    /* host.thread */
    uint64_t id;        /* 1, 2, 3 ... in the order in which things happened */
    uint64_t address;   /* of the block; of a resize the new one; of a failed resize the old one */
    uint64_t previous;  /* of a resize: the address before */
    uint64_t size;      /* requested bytes; of a free those it had */
    uint64_t alignment; /* as asked for, 0 the usual one */
    uint64_t time;      /* host.now */
    uint64_t site;      /* where the call came from, 0 unknown; see hpw_set_site */
} hpw_event;

/*
 * Called once for each event, in order, after the map is consistent, with the
 * pool's lock held: it must not call the pool, and should be quick.
 */
typedef void hpw_sink(void *ud, const hpw_event *event);

/*
 * Sends the pool's events to `sink`; NULL ends it. `ud` stays the caller's: the
 * sink that was there before is not in a call, and gets none, once this returns.
 */
HPW_API void hpw_set_sink(hpw_pool *pool, hpw_sink *sink, void *ud);

/*
 * As hpw_set_sink, and first tells the sink of each live block, in address order,
 * as an allocation of the calling thread, now, its site unknown. Nothing happens in the pool between
 * that and the events that follow, so what the sink gets is whole in itself.
 * Cost: O(blocks).
 */
HPW_API void hpw_set_sink_with_live(hpw_pool *pool, hpw_sink *sink, void *ud);

/* The site put on the events of the calls that follow where the host brings no `site`; the host serialises it
 * with them. */
HPW_API void hpw_set_site(hpw_pool *pool, uint64_t site);

/*
 * A bounded ring of the newest events, in the caller's slots: zero the struct,
 * set slots and count, and give hpw_ring_sink as sink with the ring as its ud.
 */
typedef struct hpw_ring {
    hpw_event *slots;
    size_t count;
    uint64_t written; /* events ever; slot of the i-th: i % count */
} hpw_ring;

HPW_API void hpw_ring_sink(void *ring, const hpw_event *event);

/*
 * The oldest event not yet read, from *cursor on (start with 0); *lost, which
 * may be NULL, counts those that the ring had overwritten. False when there is
 * none. Not to be called while the pool is in use elsewhere.
 */
HPW_API bool hpw_ring_next(const hpw_ring *ring, uint64_t *cursor, hpw_event *out, uint64_t *lost);

/* ---- Debugging -------------------------------------------------------------- */

/*
 * Does the pool refuse further work? HPW_OK; or HPW_CORRUPTED, with the reason in *report (which may
 * be NULL) and the address of the free block that held what can't be.
 *
 * Policies keep links in free blocks, where a program that writes to memory it freed overwrites them.
 * In a pool whose guard is not off each link is validated against the block map, which lies outside of
 * the pool's bytes, before it is followed: it must lead to a free block of a size, and where that is so
 * with links, that belong there. The first call that meets one which doesn't changes nothing and says
 * so; from then on every call that allocates, resizes, frees or trims does: the functions that return
 * an error HPW_CORRUPTED, hpw_malloc and its like NULL. (A call that met it only when it was done, in
 * giving back a page or the pool's end, answers as ever; the next one says it.) Reading, writing,
 * hpw_owner, the walk, statistics and hpw_check go on; hpw_reset mends the pool. What was overwritten
 * with what could be there – the links of another time, say – may go unseen, and then the wrong one of
 * several blocks that fit is chosen, or one that fits is not found; but whatever is written to free
 * blocks, the pool never grants what is not free, writes to a live block, leaves its own memory, or
 * fails to return. Guard off: links are followed as they are.
 * Cost: O(1).
 */
HPW_API hpw_error hpw_refuses(hpw_pool *pool, hpw_report *report);

/*
 * Verifies everything that must hold: the block map covers the pool without gap
 * or overlap, its summaries and spans agree with it, every pair of free
 * neighbours that may be joined is joined, every requested size fits its block,
 * the policy's index holds exactly the free blocks in its own order, and the
 * counts agree with all of it. HPW_OK, or HPW_CORRUPTED with the first thing
 * wrong and its address in *report (which may be NULL).
 * Cost: O(capacity / granule). Changes nothing.
 */
HPW_API hpw_error hpw_check(hpw_pool *pool, hpw_report *report);

/*
 * Failures by plan: which requests are refused, so that a program can be seen to
 * cope. Requests are counted from hpw_inject on, from 1. One of `after`, `every`
 * and `probability` at most; none of them: all requests of size_at_least bytes fail.
 */
typedef struct hpw_injection {
    uint64_t after;         /* n: the n-th request fails, that one alone; 0: not so */
    uint64_t every;         /* n: the n-th, the 2n-th, the 3n-th ... fail; 0: not so */
    double probability;     /* each fails with this probability, 1 at most; 0: not so */
    uint64_t seed;          /* of the probability: the same requests fail, for the same seed */
    uint64_t size_at_least; /* smaller requests are neither counted nor refused; 0: all are */
    bool persistent;        /* with `after`: all that follow the n-th fail too */
} hpw_injection;

/*
 * From now on, requests fail as planned; NULL ends it. The plan is copied, replaces
 * the one before, and outlives hpw_reset. A request is each call of hpw_malloc, hpw_calloc,
 * hpw_aligned_alloc and hpw_allocate; of hpw_realloc and hpw_resize, where the size
 * asked for is above the block's requested size: what shrinks never fails; of
 * hpw_lua_alloc by any account of the pool, where it grants or grows, whether from a
 * slab or from the pool, which is not asked a second time; and of
 * hpw_open_account. What is refused for other reasons than memory (a bad address,
 * an alignment that is no power of two, calloc's overflow) is none.
 *
 * A request that fails so has changed nothing, counts as a failure, is told as one
 * (HPW_EVENT_FAILURE) and in statistics as `injected`; its report has its number.
 * To an account it is one that the pool did not hold. The pool does not grow for
 * it. A Lua state collects and asks once more for most things, which is the next
 * request: that it surely runs out of memory takes `persistent`, or every = 1.
 *
 * Which requests fail depends on nothing but their order, and with threads that is
 * chance. While there is a plan, allocations go a longer way, with the caches of
 * threads at rest; without one, nothing looks for it on the usual ways, and resizes
 * and aligned allocations look at a flag.
 *
 * HPW_INVALID_ARGUMENT, and the plan before goes on: more than one way to fail, or
 * none; a probability outside of 0 ... 1; `persistent` without `after`.
 * Thread-safe. Cost: O(accounts), and O(1) a request.
 */
HPW_API hpw_error hpw_inject(hpw_pool *pool, const hpw_injection *plan);

/*
 * Is there a plan? The requests that it counted so far, and how many of those it
 * refused, either of which may be NULL; after its end, those of the last one.
 */
HPW_API bool hpw_get_injected(const hpw_pool *pool, uint64_t *requests, uint64_t *injected);

/*
 * The number that the plan counted the calling thread's latest refused request as,
 * where the plan refused it; 0 where nothing held it. For who has no report: asked
 * right after a NULL from this pool. Cost: O(1), no lock.
 */
HPW_API uint64_t hpw_refused_by_plan(const hpw_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
