/* SPDX-License-Identifier: MIT */
/* The table of live blocks and the slots of a trace: see trace_live.h. */
#include "trace_live.h"

#include <stdlib.h>
#include <time.h>

/* The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the key counts. */
static uint64_t mix(uint64_t n) {
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

static uint64_t home(const hpw_live_table *table, uint64_t key) {
    return mix(key ^ table->seed) & table->mask;
}

hpw_live *hpw_live_find(const hpw_live_table *table, uint64_t key) {
    if (!table->count) return NULL;
    for (uint64_t i = home(table, key);; i = (i + 1) & table->mask) {
        hpw_live *entry = &table->entries[i];
        if (entry->slot == HPW_NO_SLOT) return NULL;
        if (entry->key == key) return entry;
    }
}

void hpw_live_prefetch(const hpw_live_table *table, uint64_t key) {
    if (table->entries) __builtin_prefetch(&table->entries[home(table, key)], 1);
}

static void place(hpw_live_table *table, const hpw_live *entry) {
    uint64_t i = home(table, entry->key);
    while (table->entries[i].slot != HPW_NO_SLOT) i = (i + 1) & table->mask;
    table->entries[i] = *entry;
}

static bool grow(hpw_live_table *table) {
    uint64_t room = table->entries ? (table->mask + 1) * 2 : 64;
    if (room > SIZE_MAX / sizeof(hpw_live)) return false;
    hpw_live *entries = malloc((size_t)room * sizeof *entries);
    if (!entries) return false;
    for (uint64_t i = 0; i < room; i++) entries[i].slot = HPW_NO_SLOT;
    hpw_live_table larger = {.entries = entries, .count = table->count, .mask = room - 1};
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    larger.seed = mix((uint64_t)(uintptr_t)entries ^ (uint64_t)now.tv_nsec << 32);
    if (table->entries)
        for (uint64_t i = 0; i <= table->mask; i++)
            if (table->entries[i].slot != HPW_NO_SLOT) place(&larger, &table->entries[i]);
    free(table->entries);
    *table = larger;
    return true;
}

bool hpw_live_add(hpw_live_table *table, const hpw_live *entry) {
    if (!table->entries || (table->count + 1) * 3 > (table->mask + 1) * 2)
        if (!grow(table)) return false;
    place(table, entry);
    table->count++;
    return true;
}

void hpw_live_remove(hpw_live_table *table, hpw_live *entry) {
    uint64_t hole = (uint64_t)(entry - table->entries);
    for (uint64_t i = (hole + 1) & table->mask; table->entries[i].slot != HPW_NO_SLOT;
         i = (i + 1) & table->mask) {
        /* May it move to the hole? Only if its home is not between the hole and itself. */
        uint64_t from_home = (i - home(table, table->entries[i].key)) & table->mask;
        if (from_home < ((i - hole) & table->mask)) continue;
        table->entries[hole] = table->entries[i];
        hole = i;
    }
    table->entries[hole].slot = HPW_NO_SLOT;
    table->count--;
}

void hpw_live_free(hpw_live_table *table) {
    free(table->entries);
    *table = (hpw_live_table){0};
}

bool hpw_slot_take(hpw_slots *slots, uint64_t *slot) {
    if (slots->count) {
        *slot = slots->returned[--slots->count];
        return true;
    }
    if (slots->next == slots->room) {
        uint64_t room = slots->room ? slots->room * 2 : 64;
        if (room > SIZE_MAX / sizeof *slots->returned) return false;
        uint64_t *returned = realloc(slots->returned, (size_t)room * sizeof *returned);
        if (!returned) return false;
        slots->returned = returned;
        slots->room = room;
    }
    *slot = slots->next++;
    return true;
}

void hpw_slot_return(hpw_slots *slots, uint64_t slot) { slots->returned[slots->count++] = slot; }

void hpw_slots_free(hpw_slots *slots) {
    free(slots->returned);
    *slots = (hpw_slots){0};
}
