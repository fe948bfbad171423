/* SPDX-License-Identifier: MIT */
/*
 * A pool as lua_Alloc: grants, resizes and takes back what a Lua state asks for.
 * account.h tells how the account is made. The way of a small block touches the
 * account's counts, its bin, its slab and the slot, no lock and no block map; what
 * happens now and then is kept apart from it.
 */
#include "account.h"

#include <string.h>

/* The kind that Lua says with a new block: 4 to 10, as its own tags of types; anything else is other. */
HOT unsigned kind_of(size_t tag) {
    size_t kind = tag - 3;
    return kind < HPW_LUA_KINDS ? (unsigned)kind : HPW_LUA_OTHER;
}

_Static_assert(HPW_LUA_STRING == 1 && HPW_LUA_TABLE == 2 && HPW_LUA_FUNCTION == 3 && HPW_LUA_USERDATA == 4 &&
                   HPW_LUA_THREAD == 5 && HPW_LUA_UPVALUE == 6 && HPW_LUA_PROTOTYPE == 7,
               "in the order of Lua's tags");

HOT void count_in(hpw_account *account, unsigned kind, size_t size) {
    account->in_use += size;
    if (account->in_use > account->peak_in_use) account->peak_in_use = account->in_use;
    account->kinds[kind].in_use += size;
}

HOT void count_out(hpw_account *account, unsigned kind, size_t size) {
    account->in_use -= size;
    account->kinds[kind].in_use -= size;
}

/* ---- Slots ---- */

HOT void *pop(slab *s) {
    void *slot = s->free;
    memcpy(&s->free, slot, sizeof s->free);
    s->used++;
    return slot;
}

HOT void give_slot(hpw_account *account, slab *s, void *slot) {
    memcpy(slot, &s->free, sizeof s->free);
    s->free = slot;
    if (MOSTLY(--s->used != s->wakes_at)) return;
    slabs_wake(account, s);
}

static void *take_slot(hpw_account *account, unsigned kind, unsigned class) {
    slab *s = account->bins[class][kind];
    if (!s->free) s = slabs_fill(account, kind, class);
    return s ? pop(s) : NULL;
}

/* ---- Large blocks ---- */

/*
 * The least ones are somewhat longer than asked for, which is what a misfit needs,
 * see below, so that of each
 *
 *      claimed bytes >= slot_max + MISFIT_BYTES
 */
enum { LINK_BYTES = sizeof(uint64_t), MISFIT_BYTES = LINK_BYTES + CLAIM_BYTES };

static size_t with_tail(const hpw_account *account, size_t size) {
    return size < account->slot_max + MISFIT_BYTES ? size + MISFIT_BYTES : size;
}

static void *take_large(hpw_account *account, unsigned kind, size_t size) {
    void *block;
    do {
        block = claim_take(account->pool, with_tail(account, size), 1, kind, &account->granted);
    } while (!block && slabs_give_back(account));
    account_grew(account);
    return block;
}

static void give_large(hpw_account *account, void *block) {
    claim_give(account->pool, block, &account->granted);
    account_fell(account);
}

/* ---- Misfits ---- */

/*
 * A link to a misfit is its address / 8 + 1, and in the high bits the class of its
 * slot, 0 for a block of the pool. Behind what it shrank to, at the end of the slot
 * or right there in the block, lies the link to the next one: a slot of a smaller
 * class is smaller by 8, and a block of the pool is large enough.
 */
enum { LINK_CLASS = 56 };

/* A block as it really is. */
typedef struct place {
    unsigned char *block;
    unsigned class; /* of its slot; 0: a block of the pool */
    unsigned kind;
    bool misfit;
} place;

static place place_at(const hpw_account *account, void *block, unsigned class) {
    return (place){.block = block,
                   .class = class,
                   .kind = class ? slab_of(account, block, class_bytes(class))->kind
                                 : claim_of(account->pool, block).tag};
}

/* Where a misfit has its link: at the end of what it has. */
static unsigned char *link_in(const hpw_account *account, const place *p) {
    uint64_t end = p->class ? class_bytes(p->class) : claim_of(account->pool, p->block).owned;
    return p->block + end - LINK_BYTES;
}

/* Is `block` one of the misfits? If so, and `takes_out`, it is none from now on. */
static bool find_misfit(hpw_account *account, const void *block, place *found, bool takes_out) {
    unsigned char *before = (unsigned char *)&account->misfits;
    for (uint64_t next = account->misfits; next;) {
        uint64_t address = ((next & (((uint64_t)1 << LINK_CLASS) - 1)) - 1) * 8;
        *found = place_at(account, account->pool->index.bytes + address, (unsigned)(next >> LINK_CLASS));
        found->misfit = true;
        unsigned char *own = link_in(account, found);
        if (found->block == block) {
            if (takes_out) memcpy(before, own, LINK_BYTES);
            if (!account->misfits) account->small_max = account->slot_max;
            return true;
        }
        memcpy(&next, own, LINK_BYTES);
        before = own;
    }
    return false;
}

/* What lies at `block`, of which Lua says that it has `size` bytes. */
static place place_of(hpw_account *account, void *block, size_t size) {
    place p;
    if (account->misfits && find_misfit(account, block, &p, false)) return p;
    return place_at(account, block, size <= account->slot_max ? class_of(size) : 0);
}

/* It shrinks to `size` where it lies, since there is no place where it belongs. */
static void leave_misfit(hpw_account *account, const place *p, size_t size) {
    if (p->misfit) return;
    if (!p->class) /* shrinks where it lies */
        claim_resize(account->pool, p->block, size + LINK_BYTES, &account->granted);
    memcpy(link_in(account, p), &account->misfits, LINK_BYTES);
    account->misfits = (hpw_address(account->pool, p->block) / 8 + 1) | (uint64_t)p->class << LINK_CLASS;
    account->small_max = 0;
}

/* ---- Any block ---- */

static void *take(hpw_account *account, unsigned kind, size_t size) {
    return size <= account->slot_max ? take_slot(account, kind, class_of(size))
                                     : take_large(account, kind, size);
}

static void give(hpw_account *account, const place *p) {
    place misfit;
    if (p->misfit) find_misfit(account, p->block, &misfit, true);
    if (p->class)
        give_slot(account, slab_of(account, p->block, class_bytes(p->class)), p->block);
    else
        give_large(account, p->block);
}

/* ---- Grant and release: the long way, and the short one of small blocks ---- */

HOT bool may_have(hpw_account *account, size_t more, bool object) {
    uint64_t in_use = account->in_use + more;
    return MOSTLY(in_use <= shared_get(&account->line) && in_use >= more) ||
           account_may_have(account, more, object);
}

APART void *grant_apart(hpw_account *account, unsigned kind, size_t size) {
    if (account_fails(account, size) || !may_have(account, size, kind != HPW_LUA_OTHER)) return NULL;
    void *block = take(account, kind, size);
    if (!block) {
        account_refused(account);
        return NULL;
    }
    count_in(account, kind, size);
    account->kinds[kind].allocations++;
    return block;
}

HOT void *grant(hpw_account *account, unsigned kind, size_t size) {
    if (!MOSTLY(size <= account->slot_max && account->in_use + size <= shared_get(&account->line)))
        return grant_apart(account, kind, size);
    slab *s = account->bins[class_of(size)][kind];
    if (!MOSTLY(s->free)) return grant_apart(account, kind, size);
    void *slot = pop(s);
    count_in(account, kind, size);
    account->kinds[kind].allocations++;
    return slot;
}

APART void release_apart(hpw_account *account, void *block, size_t size) {
    place p = place_of(account, block, size);
    count_out(account, p.kind, size);
    account->kinds[p.kind].frees++;
    give(account, &p);
}

HOT void release(hpw_account *account, void *block, size_t size) {
    if (!MOSTLY(size <= account->small_max)) {
        release_apart(account, block, size);
        return;
    }
    slab *s = slab_of(account, block, size);
    unsigned kind = s->kind;
    count_out(account, kind, size);
    account->kinds[kind].frees++;
    give_slot(account, s, block);
}

/* ---- Resize ---- */

/* A block of the pool that stays one; as it is where, shrinking, it wants a tail that finds no room. */
static void *resize_large(hpw_account *account, const place *p, size_t old_size, size_t size) {
    void *block;
    do {
        block = claim_resize(account->pool, p->block, with_tail(account, size), &account->granted);
    } while (!block && slabs_give_back(account));
    if (!block) return size <= old_size ? p->block : NULL;
    account_grew(account);
    return block;
}

static void *resize_by_moving(hpw_account *account, const place *p, size_t old_size, size_t size) {
    void *block = take(account, p->kind, size);
    if (!block) return NULL;
    memcpy(block, p->block, size < old_size ? size : old_size);
    give(account, p);
    return block;
}

APART void *resize_apart(hpw_account *account, const place *p, size_t old_size, size_t size) {
    void *block = !p->class && !p->misfit && size > account->slot_max
                      ? resize_large(account, p, old_size, size)
                      : resize_by_moving(account, p, old_size, size);
    if (!block && size <= old_size) {
        leave_misfit(account, p, size);
        block = p->block;
    }
    if (!block) account_refused(account);
    return block;
}

APART void *resize(hpw_account *account, void *block, size_t old_size, size_t size) {
    if (size > old_size && (account_fails(account, size) || !may_have(account, size - old_size, false)))
        return NULL;
    place p = place_of(account, block, old_size);
    bool stays = p.class && !p.misfit && size <= account->slot_max && class_of(size) == p.class;
    void *moved = stays ? block : resize_apart(account, &p, old_size, size);
    if (!moved) return NULL;
    count_out(account, p.kind, old_size);
    count_in(account, p.kind, size);
    account->reallocations++;
    return moved;
}

void *hpw_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    if (nsize == 0) {
        if (ptr) release(ud, ptr, osize);
        return NULL;
    }
    return ptr ? resize(ud, ptr, osize, nsize) : grant(ud, kind_of(osize), nsize);
}
