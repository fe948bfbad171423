/* SPDX-License-Identifier: MIT */
/*
 * Events of addresses, as programs are recorded, become events of ids.
 *
 * A table maps live addresses to blocks, numbered 1, 2, 3 ... as they are
 * allocated. A block whose resize has begun waits in a second table, by a number
 * that the caller chose, and keeps its id: from then on its old address may be
 * given to another thread. Counted, since recordings begin late and lose calls:
 * frees and resizes of addresses never seen allocated, and addresses given out
 * twice, whose older block then counts as freed.
 *
 * O(1) expected; 32 bytes a live block.
 */
#include "trace_reader.h"

static hpw_trace_event event_of(const hpw_trace *trace, hpw_trace_kind kind, const hpw_live *block) {
    hpw_trace_event event = trace->addresses.stamp;
    event.kind = kind;
    event.id = block->id;
    event.size = block->size;
    event.slot = block->slot;
    return event;
}

/* Puts a block at an address; one that is live there counts as freed first, its free in *event. */
static int settle(hpw_trace *trace, hpw_live *block, uint64_t address, hpw_trace_event *event, bool *freed) {
    hpw_live *older = hpw_live_find(&trace->live, address);
    *freed = older != NULL;
    if (older) {
        trace->notes.reused++;
        *event = event_of(trace, HPW_TRACE_FREE, older);
        hpw_slot_return(&trace->slots, older->slot);
        hpw_live_remove(&trace->live, older);
    }
    block->key = address;
    if (block->slot == HPW_NO_SLOT && !hpw_slot_take(&trace->slots, &block->slot))
        return hpw_trace_no_memory(trace);
    return hpw_live_add(&trace->live, block) ? 1 : hpw_trace_no_memory(trace);
}

/* Hands out `then`, after *event where that holds a free. */
static int deliver(hpw_trace *trace, bool freed, const hpw_trace_event *then, hpw_trace_event *event) {
    trace->addresses.has_second = freed;
    *(freed ? &trace->addresses.second : event) = *then;
    return 1;
}

int hpw_address_alloc(hpw_trace *trace, uint64_t address, uint64_t size, uint64_t alignment,
                      hpw_trace_event *event) {
    hpw_live block = {.id = ++trace->addresses.ids, .size = size, .slot = HPW_NO_SLOT};
    bool freed;
    if (settle(trace, &block, address, event, &freed) < 0) return -1;
    hpw_trace_event then = event_of(trace, HPW_TRACE_ALLOC, &block);
    then.alignment = alignment;
    return deliver(trace, freed, &then, event);
}

int hpw_address_free(hpw_trace *trace, uint64_t address, hpw_trace_event *event) {
    hpw_live *block = hpw_live_find(&trace->live, address);
    if (!block) {
        trace->notes.unknown_frees++;
        return 0;
    }
    *event = event_of(trace, HPW_TRACE_FREE, block);
    hpw_slot_return(&trace->slots, block->slot);
    hpw_live_remove(&trace->live, block);
    return 1;
}

int hpw_address_begin(hpw_trace *trace, uint64_t address, uint64_t number) {
    hpw_live *block = hpw_live_find(&trace->live, address);
    if (!block) return 0;
    hpw_live moving = *block;
    moving.key = number;
    hpw_live_remove(&trace->live, block);
    return hpw_live_add(&trace->addresses.moving, &moving) ? 0 : hpw_trace_no_memory(trace);
}

int hpw_address_end(hpw_trace *trace, uint64_t number, uint64_t address, uint64_t size,
                    hpw_trace_event *event) {
    hpw_live *began = hpw_live_find(&trace->addresses.moving, number);
    if (!began) {
        trace->notes.unknown_resizes++;
        return hpw_address_alloc(trace, address, size, 0, event);
    }
    hpw_live block = *began;
    hpw_live_remove(&trace->addresses.moving, began);
    uint64_t previous = block.size;
    block.size = size;
    bool freed;
    if (settle(trace, &block, address, event, &freed) < 0) return -1;
    hpw_trace_event then = event_of(trace, HPW_TRACE_RESIZE, &block);
    then.previous = previous;
    return deliver(trace, freed, &then, event);
}

int hpw_address_stay(hpw_trace *trace, uint64_t number, uint64_t address, hpw_trace_event *event) {
    hpw_live *began = hpw_live_find(&trace->addresses.moving, number);
    if (!began) return 0;
    hpw_live block = *began;
    hpw_live_remove(&trace->addresses.moving, began);
    bool freed;
    if (settle(trace, &block, address, event, &freed) < 0) return -1;
    return freed;
}

int hpw_address_resize(hpw_trace *trace, uint64_t from, uint64_t to, uint64_t size, hpw_trace_event *event) {
    if (hpw_address_begin(trace, from, HPW_RESIZE_AT_ONCE) < 0) return -1;
    return hpw_address_end(trace, HPW_RESIZE_AT_ONCE, to, size, event);
}
