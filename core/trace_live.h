/* SPDX-License-Identifier: MIT */
/*
 * The live blocks of a trace: a hash table from a key (an id, an address, a
 * sequence number) to id, size and slot, and the slots, which are dense.
 *
 * Open addressing with linear probing; removal shifts what follows back, so
 * nothing is ever left behind (Knuth, 6.4, algorithm R). At most two thirds
 * full; 32 bytes an entry. Keys are mixed with a seed that differs from table to
 * table, so that a hostile trace can't choose keys that collide. O(1) expected.
 */
#ifndef HPW_TRACE_LIVE_H
#define HPW_TRACE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hpw_live {
    uint64_t key;
    uint64_t id;
    uint64_t size;
    uint64_t slot; /* HPW_NO_SLOT: this entry of the table is free */
} hpw_live;

#define HPW_NO_SLOT UINT64_MAX

typedef struct hpw_live_table {
    hpw_live *entries;
    uint64_t count;
    uint64_t mask; /* entries - 1; meaningless while `entries` is NULL */
    uint64_t seed;
} hpw_live_table;

/* The entry of a key, NULL where there is none. Valid until the table changes. */
hpw_live *hpw_live_find(const hpw_live_table *table, uint64_t key);

/* Brings the entry of a key near, for a look-up that follows soon. */
void hpw_live_prefetch(const hpw_live_table *table, uint64_t key);

/* Adds an entry, whose key is not in the table. False: no memory, nothing changed. */
bool hpw_live_add(hpw_live_table *table, const hpw_live *entry);

/* Removes an entry that hpw_live_find returned. */
void hpw_live_remove(hpw_live_table *table, hpw_live *entry);

void hpw_live_free(hpw_live_table *table);

/* Slots given back, newest first; the lowest never given is `next`. */
typedef struct hpw_slots {
    uint64_t *returned;
    uint64_t count;
    uint64_t room;
    uint64_t next;
} hpw_slots;

/* False: no memory for giving all slots back one day. */
bool hpw_slot_take(hpw_slots *slots, uint64_t *slot);
void hpw_slot_return(hpw_slots *slots, uint64_t slot);
void hpw_slots_free(hpw_slots *slots);

#endif
