/* SPDX-License-Identifier: MIT */
/* The model's calls: what a pool answers and counts. See model.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE = 1 << 16, MIB = 1 << 20 };

/* ---- Opening ---- */

static int policy_of(const char *name) {
    static const char *const names[ANY_POLICY] = {
        [FIRST_FIT] = "first-fit", [NEXT_FIT] = "next-fit", [BEST_FIT] = "best-fit",
        [WORST_FIT] = "worst-fit", [GOOD_FIT] = "good-fit", [BUDDY] = "buddy",
        [SLAB] = "slab",           [BUMP] = "bump",
    };
    int policy = 0;
    while (policy < ANY_POLICY && strcmp(names[policy], name) != 0) policy++;
    return policy;
}

/* Granules of a slab's page: in a smaller pool there is none, and slab is best fit. */
enum { SLAB_PAGE = 256 };

static bool must_be_told(const model *m, const hpw_config *config) {
    return m->policy == ANY_POLICY || config->order >= HPW_ORDER_COUNT || config->thread_caches ||
           (m->policy == SLAB && m->most >= SLAB_PAGE);
}

/* What a zeroed size means, and what `none` does. */
static uint64_t sized(uint64_t bytes, uint64_t usual) {
#ifdef HPW_NONE
    if (bytes == HPW_NONE) return 0;
#endif
    return bytes ? bytes : usual;
}

static void set_guard(model *m, const hpw_config *config) {
    m->timed_guard = config->guard != HPW_GUARD_OFF;
    (void)sized;
#ifdef HPW_NONE
    uint64_t quarter = ((uint64_t)m->opened << m->shift) / 4, most = MIB;
    m->full = config->guard == HPW_GUARD_FULL;
    m->red_zone = m->full ? sized(config->red_zone, 16) : 0;
    m->quarantine = m->full ? sized(config->quarantine, quarter < most ? quarter : most) : 0;
#endif
}

model *model_open(const hpw_config *config, const void *first, bool mapped) {
    uint32_t granule = config->granule ? config->granule : 16;
    uint64_t capacity = config->capacity ? config->capacity : MIB;
    uint64_t most = config->max_capacity ? config->max_capacity : capacity;
    uint32_t granules = (uint32_t)(most / granule);
    model *m = calloc(1, sizeof *m + ((size_t)granules + 1) * sizeof *m->cells);
    if (!m) abort();
    while (1U << m->shift < granule) m->shift++;
    m->policy = policy_of(config->policy ? config->policy : "best-fit");
    m->most = granules;
    m->opened = m->capacity = (uint32_t)(capacity / granule);
    m->grows = m->most > m->opened;
    m->order = config->order;
    m->seed = config->seed;
    m->told = must_be_told(m, config);
    memcpy(m->classes, config->classes, sizeof m->classes);
    m->skew = (uint32_t)((uintptr_t)first >> m->shift);
    set_guard(m, config);
    if (mapped) {
        m->most_align = LARGE;
        while (m->most_align < (uint64_t)granules << m->shift) m->most_align *= 2;
    }
    model_enter(m, 0, m->capacity);
    return m;
}

size_t model_bytes(const model *m) { return sizeof *m + ((size_t)m->most + 1) * sizeof *m->cells; }

/* ---- Units and counts ---- */

static uint64_t bytes_of(const model *m, uint32_t granules) { return (uint64_t)granules << m->shift; }

/* The least of the pool's own classes that holds so many granules; else so many. */
static uint64_t class_for(const model *m, uint64_t granules) {
    uint32_t i = 0;
    while (i < HPW_MOST_CLASSES && m->classes[i] && m->classes[i] >> m->shift < granules) i++;
    uint64_t slot = i < HPW_MOST_CLASSES ? m->classes[i] >> m->shift : 0;
    return slot && slot <= m->most ? slot : granules;
}

/* What slab makes of a request: to 8 granules one by one, then four sizes to each power of two, to 64. */
static uint64_t slot_for(const model *m, uint64_t granules) {
    if (m->classes[0]) return class_for(m, granules);
    uint64_t step = 1;
    while (granules > 8 * step) step *= 2;
    uint64_t slot = (granules + step - 1) / step * step;
    return granules <= 64 && slot <= m->most ? slot : granules;
}

/* Granules to grant for `size` bytes; NOWHERE: more than the pool could ever have. */
static uint32_t granted_for(const model *m, uint64_t size) {
    uint64_t bytes = size + m->red_zone, granules = bytes ? ((bytes - 1) >> m->shift) + 1 : 1, power = 1;
    if (bytes < size || granules > m->most) return NOWHERE;
    if (m->told) return m->answer.error ? (uint32_t)granules : (uint32_t)(m->answer.granted >> m->shift);
    if (m->policy == SLAB) return (uint32_t)slot_for(m, granules);
    if (m->policy != BUDDY) return (uint32_t)granules;
    while (power < granules) power *= 2;
    return power > m->most ? NOWHERE : (uint32_t)power;
}

static void raise(uint64_t *peak, uint64_t to) {
    if (to > *peak) *peak = to;
}

static void count_live(model *m, uint32_t at) {
    hpw_stats *counts = &m->counts;
    counts->in_use += m->cells[at].requested;
    counts->granted += bytes_of(m, m->cells[at].size);
    raise(&counts->peak_in_use, counts->in_use);
    raise(&counts->peak_granted, counts->granted);
    raise(&counts->high_water, bytes_of(m, at + m->cells[at].size));
}

void model_refuse(model *m) { m->counts.failures++; }

static hpw_error refuse(model *m) {
    model_refuse(m);
    return HPW_NO_MEMORY;
}

/* ---- Told answers ---- */

/* A told pool's word is taken, unless no pool may say it. */
static void doubt(model *m, hpw_error mine, uint64_t granted, uint64_t wanted) {
    if (!m->told || m->wrong) return;
    if (mine && !m->answer.error)
        m->wrong = "the place that was granted is not free, aligned or large enough";
    if (!mine && granted < wanted) m->wrong = "less was granted than asked for";
}

/* Whatever slab places has its class's size, in a slot or elsewhere. */
static void doubt_class(model *m, uint64_t granted, uint64_t bytes) {
    uint64_t granules = bytes ? ((bytes - 1) >> m->shift) + 1 : 1;
    if (m->policy == SLAB && !m->wrong && granted != slot_for(m, granules))
        m->wrong = "what was granted is not of the size of its class";
}

void model_set_capacity(model *m, uint64_t bytes) {
    uint32_t to = (uint32_t)(bytes >> m->shift), from = m->capacity;
    if (to == from) return;
    if (to > m->most || to < m->opened) {
        m->wrong = "the pool is larger or smaller than it may be";
        return;
    }
    if (to > from) {
        m->capacity = to;
        model_enter(m, from, to - from);
        return;
    }
    uint32_t last = model_holding(m, to);
    if (m->cells[last].live || last + m->cells[last].size != from) {
        m->wrong = "the pool gave back what is live";
        return;
    }
    model_erase(m, last);
    m->capacity = to;
    model_enter(m, last, to - last);
}

/* ---- Allocate ---- */

static bool aligned_never(const model *m, uint64_t alignment) {
    return alignment >> m->shift > (uint64_t)1 << 31 || (m->most_align && alignment > m->most_align);
}

hpw_error model_allocate(model *m, uint64_t size, uint64_t alignment, uint64_t *address) {
    if (alignment & (alignment - 1)) return HPW_INVALID_ARGUMENT;
    bool over = alignment > bytes_of(m, 1);
    uint32_t granted = granted_for(m, size), at = NOWHERE;
    model_want want = {granted, over ? (uint32_t)(alignment >> m->shift) : 1};
    if (granted != NOWHERE && !(over && aligned_never(m, alignment))) {
        at = model_place(m, want);
        if (at == NOWHERE && m->full && model_let_out(m, 0)) at = model_place(m, want);
    }
    if (at == NOWHERE) {
        doubt(m, HPW_NO_MEMORY, 0, 0);
        return refuse(m);
    }
    doubt(m, HPW_OK, bytes_of(m, granted), size + m->red_zone);
    doubt_class(m, granted, size + m->red_zone);
    m->cells[at].requested = size;
    m->cells[at].aligned = over;
    if (over && alignment > m->largest_align) m->largest_align = alignment;
    count_live(m, at);
    m->counts.allocations++;
    *address = bytes_of(m, at);
    return HPW_OK;
}

/* ---- Free ---- */

static bool is_held(const model *m, uint32_t at) { return m->cells[at].live && !m->cells[at].quarantined; }

/* Does a live block start at the address? HPW_OK and *at, or what the address is. */
static hpw_error find_live(const model *m, uint64_t address, uint32_t *at) {
    if (address >= bytes_of(m, m->capacity)) return HPW_INVALID_FREE;
    uint32_t granule = (uint32_t)(address >> m->shift), block = model_holding(m, granule);
    *at = block;
    if (address != bytes_of(m, granule)) return HPW_INVALID_FREE;
    if (block == granule && is_held(m, block)) return HPW_OK;
    bool freed = m->timed_guard ? m->cells[granule].freed : !m->cells[block].live;
    return freed ? HPW_DOUBLE_FREE : HPW_INVALID_FREE;
}

hpw_error model_release(model *m, uint64_t address) {
    uint32_t at;
    hpw_error error = find_live(m, address, &at);
    if (error) return error;
    m->counts.in_use -= m->cells[at].requested;
    m->counts.frees++;
    model_retire(m, at);
    return HPW_OK;
}

hpw_error model_release_sized(model *m, uint64_t address, uint64_t size) {
    uint32_t at;
    hpw_error error = find_live(m, address, &at);
    if (!error && m->cells[at].requested != size) return HPW_INVALID_ARGUMENT;
    return error ? error : model_release(m, address);
}

/* ---- Resize: the ways, each NOWHERE where it leads nowhere ---- */

/* The alignment, in granules, that the block keeps where it moves. */
static uint32_t kept_align(const model *m, uint32_t at) {
    if (m->timed_guard ? !m->cells[at].aligned : !m->largest_align) return 1;
    uint32_t from = at + m->skew, natural = from & (0U - from);
    uint32_t largest = (uint32_t)(m->largest_align >> m->shift);
    return natural == 0 || natural > largest ? largest : natural;
}

static uint32_t resize_down(model *m, uint32_t at, uint32_t size) {
    uint32_t rest = m->cells[at].size - size;
    if (size > m->cells[at].size) return NOWHERE;
    m->counts.granted -= bytes_of(m, m->cells[at].size);
    m->cells[at].size = size;
    model_enter(m, at + size, rest);
    return at;
}

static uint32_t resize_forwards(model *m, uint32_t at, uint32_t size) {
    uint32_t end = at + m->cells[at].size, reach = end;
    if (size > m->capacity - at) return NOWHERE;
    if (m->policy == BUDDY && at % size) return NOWHERE;
    if (m->policy == BUMP && end != m->next) return NOWHERE;
    while (reach < at + size && model_is_free(m, reach)) reach += m->cells[reach].size;
    if (reach < at + size) return NOWHERE;
    m->counts.granted -= bytes_of(m, m->cells[at].size);
    while (end < reach) end += model_erase(m, end);
    if (m->policy == BUMP) m->next = at + size;
    m->cells[at].size = size;
    model_enter(m, at + size, reach - at - size);
    return at;
}

static uint32_t resize_backwards(model *m, uint32_t at, uint32_t size) {
    uint32_t before = model_before(m, at), end = at + m->cells[at].size, align = kept_align(m, at);
    if (m->policy == BUDDY || m->policy == BUMP || m->policy == SLAB) return NOWHERE;
    if (before == NOWHERE || m->cells[before].live) return NOWHERE;
    uint32_t room = model_is_free(m, end) ? m->cells[end].size : 0;
    uint32_t whole = end + room - before;
    uint32_t to = model_place_in(m, before, whole, (model_want){size, align});
    if (to == NOWHERE || to >= at) return NOWHERE;
    m->counts.granted -= bytes_of(m, m->cells[at].size);
    if (room) model_erase(m, end);
    m->cells[at].freed = true;
    model_erase(m, at);
    m->cells[before].size = whole;
    model_cut(m, before, to, size);
    return to;
}

static uint32_t resize_by_moving(model *m, uint32_t at, uint32_t size) {
    uint32_t to = model_place(m, (model_want){size, kept_align(m, at)});
    if (to != NOWHERE) model_retire(m, at);
    return to;
}

static uint32_t resize_here(model *m, uint32_t at, uint32_t size) {
    bool large = m->cells[at].requested >= LARGE;
    uint32_t to = resize_down(m, at, size);
    if (to == NOWHERE) to = resize_forwards(m, at, size);
    if (to == NOWHERE && large) to = resize_backwards(m, at, size);
    if (to == NOWHERE) to = resize_by_moving(m, at, size);
    if (to == NOWHERE && !large) to = resize_backwards(m, at, size);
    return to;
}

static uint32_t resize_somehow(model *m, uint32_t at, uint32_t size) {
    uint32_t to = resize_here(m, at, size);
    if (to == NOWHERE && m->full && model_let_out(m, 0)) to = resize_here(m, at, size);
    return to;
}

/* Do the block and what is free behind it hold so many granules? */
static bool reaches(const model *m, uint32_t at, uint32_t size) {
    uint32_t reach = at + m->cells[at].size;
    while (reach < at + size && reach < m->capacity && model_is_free(m, reach)) reach += m->cells[reach].size;
    return reach >= at + size;
}

/* A told pool's block goes where the answer says: out of its old place, or what that and others leave free.
 */
static uint32_t resize_as_told_here(model *m, uint32_t at, uint32_t size) {
    model_want want = {size, 1};
    uint32_t to, align = kept_align(m, at), whole;
    if (m->answer.error) return NOWHERE;
    bool stays = m->answer.address == bytes_of(m, at);
    if (m->full && !stays) { /* the old place is not to be had */
        to = model_place(m, (model_want){size, align});
        if (to != NOWHERE) model_retire(m, at);
        return to;
    }
    if (m->full && !reaches(m, at, size)) return NOWHERE;
    m->cells[at].freed |= !stays;
    m->counts.granted -= bytes_of(m, m->cells[at].size);
    model_enter(m, at, model_erase(m, at));
    if (!stays) want.align = align;
    whole = model_choose(m, want, &to);
    if (whole == NOWHERE) return NOWHERE;
    model_cut(m, whole, to, size);
    return to;
}

static uint32_t resize_as_told(model *m, uint32_t at, uint32_t size) {
    uint32_t to = resize_as_told_here(m, at, size);
    if (to == NOWHERE && m->full && model_let_out(m, 0)) to = resize_as_told_here(m, at, size);
    return to;
}

hpw_error model_resize(model *m, uint64_t address, uint64_t size, uint64_t *moved) {
    uint32_t at;
    hpw_error error = find_live(m, address, &at);
    if (error) return error;
    model_cell old = m->cells[at];
    uint32_t new_size = granted_for(m, size), to = NOWHERE;
    if (new_size != NOWHERE) to = m->told ? resize_as_told(m, at, new_size) : resize_somehow(m, at, new_size);
    doubt(m, to == NOWHERE ? HPW_NO_MEMORY : HPW_OK, to == NOWHERE ? 0 : bytes_of(m, new_size),
          size + m->red_zone);
    if (to == NOWHERE) return refuse(m);
    m->cells[to].requested = size;
    m->cells[to].aligned = old.aligned;
    m->counts.in_use -= old.requested;
    count_live(m, to);
    if (m->policy != BUMP) model_shrink(m);
    m->counts.reallocations++;
    *moved = bytes_of(m, to);
    return HPW_OK;
}

/* ---- Trim and reset ---- */

void model_trim(model *m) {
    if (m->policy != BUMP) model_shrink(m);
}

void model_reset(model *m) {
    for (uint32_t at = 0; at < m->capacity;) {
        if (is_held(m, at)) {
            m->cells[at].freed = true;
            m->counts.frees++;
        }
        at += model_erase(m, at);
    }
    m->counts.in_use = m->counts.granted = 0;
    m->largest_align = 0;
    m->rover = m->next = 0;
    m->placements = 0;
    model_enter(m, 0, m->capacity);
    model_shrink(m);
}

/* ---- Questions ---- */

hpw_error model_size(const model *m, uint64_t address, uint64_t *requested, uint64_t *granted) {
    uint32_t at;
    hpw_error error = find_live(m, address, &at);
    if (error) return error;
    *requested = m->cells[at].requested;
    *granted = bytes_of(m, m->cells[at].size);
    return HPW_OK;
}

hpw_error model_owner(const model *m, uint64_t address, uint64_t *start, uint64_t *requested) {
    if (address >= bytes_of(m, m->capacity)) return HPW_OUT_OF_BOUNDS;
    uint32_t at = model_holding(m, (uint32_t)(address >> m->shift));
    if (!is_held(m, at)) return HPW_UNALLOCATED;
    *start = bytes_of(m, at);
    *requested = m->cells[at].requested;
    return HPW_OK;
}

hpw_error model_reach(const model *m, uint64_t address, uint64_t n) {
    uint64_t start, requested;
    hpw_error error = model_owner(m, address, &start, &requested);
    if (error) return error;
    uint64_t offset = address - start;
    return offset > requested || n > requested - offset ? HPW_OUT_OF_BOUNDS : HPW_OK;
}

bool model_next_block(const model *m, uint64_t *cursor, hpw_block *out) {
    uint32_t at = 0;
    while (at < m->capacity && bytes_of(m, at) < *cursor) at += m->cells[at].size;
    if (at >= m->capacity) return false;
    const model_cell *cell = &m->cells[at];
    *out = (hpw_block){.address = bytes_of(m, at), .size = bytes_of(m, cell->size), .live = is_held(m, at)};
    if (out->live) out->requested = cell->requested;
#ifdef HPW_NONE
    out->quarantined = cell->quarantined;
#endif
    *cursor = out->address + out->size;
    return true;
}

void model_stats(const model *m, hpw_stats *out) {
    *out = m->counts;
    out->capacity = bytes_of(m, m->capacity);
    out->live_blocks = out->allocations - out->frees;
    out->free = out->capacity - out->granted;
    for (uint32_t at = 0; at < m->capacity; at += m->cells[at].size) {
        const model_cell *cell = &m->cells[at];
        if (!cell->live) out->free_blocks++;
        if (!cell->live && bytes_of(m, cell->size) > out->largest_free)
            out->largest_free = bytes_of(m, cell->size);
#ifdef HPW_NONE
        if (cell->quarantined) out->quarantined += bytes_of(m, cell->size);
#endif
    }
}
