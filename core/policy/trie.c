/* SPDX-License-Identifier: MIT */
/* The ordered set of free blocks: see trie.h for how it works and its bounds. */
#include "trie.h"

enum { LEFT, RIGHT, STAMP, LARGEST }; /* links of a node */
enum { MAX_DEPTH = 64 };

trie_order trie_order_of(granule_t capacity, bool by_size, bool largest_first, hpw_order tie,
                         bool keeps_largest) {
    unsigned size_bits = by_size ? bits_width(capacity) : 0;
    unsigned tie_bits = tie == HPW_ORDER_ADDRESS ? bits_width(capacity) : 32;
    return (trie_order){
        .by_size = by_size,
        .largest_first = largest_first,
        .tie = tie,
        .timed = tie == HPW_ORDER_FIFO || tie == HPW_ORDER_LIFO,
        .flip = tie == HPW_ORDER_LIFO ? UINT32_MAX : 0,
        .keeps_largest = keeps_largest,
        .tie_bits = tie_bits,
        .bits = size_bits + tie_bits,
    };
}

uint64_t trie_size_key(const free_index *index, const trie_order *order, granule_t size) {
    if (!order->by_size) return 0;
    return (uint64_t)(order->largest_first ? index->capacity - size : size) << order->tie_bits;
}

/* A bijection: each step of it can be undone. */
static uint32_t rank_of(const trie_order *order, granule_t at) {
    uint32_t x = at ^ (uint32_t)order->rank_key;
    x = (x ^ x >> 16) * 0x85ebca6b ^ (uint32_t)(order->rank_key >> 32);
    x = (x ^ x >> 13) * 0xc2b2ae35;
    return x ^ x >> 16;
}

uint64_t trie_key(const free_index *index, const trie_order *order, granule_t at) {
    uint32_t tie = at;
    if (order->timed)
        tie = link_get(index, at, STAMP) ^ order->flip;
    else if (order->tie == HPW_ORDER_RANDOM)
        tie = rank_of(order, at);
    return trie_size_key(index, order, order->by_size ? blocks_size(&index->map, at) : 0) | tie;
}

/* Where a subtree hangs: below `parent` on one side, or at the root. */
typedef struct place {
    trie *set;
    granule_t parent; /* NO_GRANULE: the root */
    unsigned side;
} place;

static granule_t get(const free_index *index, place p) {
    return p.parent == NO_GRANULE ? p.set->root : link_get(index, p.parent, p.side);
}

static void put(const free_index *index, place p, granule_t at) {
    if (p.parent == NO_GRANULE)
        p.set->root = at;
    else
        link_set(index, p.parent, p.side, at);
}

/* A node with nothing below it. */
HOT void become_leaf(const free_index *index, const trie_order *order, granule_t at) {
    link_set(index, at, LEFT, NO_GRANULE);
    link_set(index, at, RIGHT, NO_GRANULE);
    if (order->keeps_largest) link_set(index, at, LARGEST, blocks_size(&index->map, at));
}

void trie_insert(free_index *index, const trie_order *order, trie *set, granule_t at, uint32_t stamp) {
    if (order->timed) link_set(index, at, STAMP, stamp);
    if (set->root == NO_GRANULE) { /* alone, as the pool's free end often is: that needs no key */
        set->root = at;
        become_leaf(index, order, at);
        return;
    }
    granule_t size = order->keeps_largest ? blocks_size(&index->map, at) : 0;
    uint64_t key = trie_key(index, order, at);
    place here = {set, NO_GRANULE, 0};
    unsigned bit = order->bits;
    for (granule_t there; (there = get(index, here)) != NO_GRANULE;) {
        index->steps++;
        if (order->keeps_largest) {
            granule_t largest = link_get(index, there, LARGEST);
            link_set(index, there, LARGEST, size > largest ? size : largest);
        }
        uint64_t there_key = trie_key(index, order, there);
        if (key < there_key) { /* `at` belongs here, the other one goes on down */
            link_set(index, at, LEFT, link_get(index, there, LEFT));
            link_set(index, at, RIGHT, link_get(index, there, RIGHT));
            if (order->keeps_largest) {
                link_set(index, at, LARGEST, link_get(index, there, LARGEST));
                size = blocks_size(&index->map, there);
            }
            put(index, here, at);
            here.parent = at;
            at = there;
            key = there_key;
        } else {
            here.parent = there;
        }
        here.side = key >> --bit & 1 ? RIGHT : LEFT;
    }
    put(index, here, at);
    become_leaf(index, order, at);
}

static granule_t largest_below(const free_index *index, granule_t at) {
    return at == NO_GRANULE ? 0 : link_get(index, at, LARGEST);
}

static granule_t largest_of(const free_index *index, granule_t at) {
    granule_t own = blocks_size(&index->map, at);
    granule_t left = largest_below(index, link_get(index, at, LEFT));
    granule_t right = largest_below(index, link_get(index, at, RIGHT));
    if (left > own) own = left;
    return right > own ? right : own;
}

void trie_remove(free_index *index, const trie_order *order, trie *set, granule_t at) {
    granule_t left = link_get(index, at, LEFT), right = link_get(index, at, RIGHT);
    if (set->root == at && left == NO_GRANULE && right == NO_GRANULE) { /* alone */
        index->steps++;
        set->root = NO_GRANULE;
        return;
    }
    granule_t path[2 * MAX_DEPTH];
    unsigned depth = 0, bit = order->bits;
    uint64_t key = trie_key(index, order, at);
    place here = {set, NO_GRANULE, 0};
    for (granule_t there; (there = get(index, here)) != at; path[depth++] = there) {
        index->steps++;
        here.parent = there;
        here.side = key >> --bit & 1 ? RIGHT : LEFT;
    }
    for (;;) { /* the child with the lesser key moves up into the hole */
        index->steps++;
        granule_t child = left != NO_GRANULE ? left : right;
        put(index, here, child);
        if (child == NO_GRANULE) break;
        here.parent = child;
        here.side = left != NO_GRANULE ? LEFT : RIGHT;
        granule_t below_left = link_get(index, child, LEFT), below_right = link_get(index, child, RIGHT);
        link_set(index, child, LEFT, left);
        link_set(index, child, RIGHT, right);
        left = below_left;
        right = below_right;
        path[depth++] = child;
    }
    if (!order->keeps_largest) return;
    while (depth-- > 0) link_set(index, path[depth], LARGEST, largest_of(index, path[depth]));
}

/* ---- Validation: see index_validates ---- */

static bool refuse(free_index *index, granule_t at) {
    return index_break(
        index, at, "a free block was overwritten: a link in it leads to what is not below it in the index");
}

/* Its links may be anything at all: is each none, or a free block? */
static bool links_are_sound(const free_index *index, granule_t at) {
    granule_t left = link_get(index, at, LEFT), right = link_get(index, at, RIGHT);
    return (left == NO_GRANULE || index_has_free(index, left)) &&
           (right == NO_GRANULE || index_has_free(index, right));
}

/* Where nodes note the largest below them: is it what this one and its children's notes say? */
static bool note_is_sound(free_index *index, const trie_order *order, granule_t at) {
    if (!order->keeps_largest) return true;
    if (!links_are_sound(index, at)) return refuse(index, at);
    return link_get(index, at, LARGEST) == largest_of(index, at) ||
           index_break(
               index, at,
               "a free block was overwritten: its note of the largest one below it is not what they say");
}

/* May `child` be below `at`? Where it is a free block, the key by time that does not fit may be its own. */
static bool is_below(free_index *index, const trie_order *order, granule_t at, granule_t child) {
    if (!index_has_free(index, child)) return refuse(index, at);
    if (blocks_size(&index->map, child) >= order->least &&
        trie_key(index, order, child) > trie_key(index, order, at))
        return true;
    return refuse(index, order->timed ? child : at);
}

/*
 * Is `child` what `at` may have on this side? The last `bit` bits of keys are those by which what is below
 * `at` is told apart.
 */
static bool follows(free_index *index, const trie_order *order, granule_t at, unsigned side, unsigned bit,
                    granule_t child) {
    if (!is_below(index, order, at, child)) return false;
    uint64_t prefix = bit < 64 ? trie_key(index, order, at) >> bit : 0;
    if (bit && trie_key(index, order, child) >> (bit - 1) == (prefix << 1 | (side == RIGHT))) return true;
    return refuse(index, order->timed ? child : at);
}

/* The key that a block will have that comes at this time. */
static uint64_t key_to_be(const free_index *index, const trie_order *order, granule_t at, uint32_t stamp) {
    uint32_t tie = at;
    if (order->timed) tie = stamp ^ order->flip;
    if (order->tie == HPW_ORDER_RANDOM) tie = rank_of(order, at);
    return trie_size_key(index, order, blocks_size(&index->map, at)) | tie;
}

/* The side on which a key goes on. */
static unsigned side_of(uint64_t key, unsigned bit) { return bit && key >> (bit - 1) & 1 ? RIGHT : LEFT; }

bool trie_may_insert(free_index *index, const trie_order *order, const trie *set, granule_t at,
                     uint32_t stamp) {
    uint64_t key = key_to_be(index, order, at, stamp);
    unsigned bit = order->bits;
    for (granule_t there = set->root, child; there != NO_GRANULE; there = child, bit--) {
        uint64_t own = trie_key(index, order, there);
        if (!note_is_sound(index, order, there)) return false;
        if (key == own) return refuse(index, there); /* it is `at`, or has a time that is another's */
        if (key < own) key = own;                    /* the greater one goes on down */
        unsigned side = side_of(key, bit);
        child = link_get(index, there, side);
        if (child != NO_GRANULE && !follows(index, order, there, side, bit, child)) return false;
    }
    return true;
}

bool trie_may_remove(free_index *index, const trie_order *order, const trie *set, granule_t at) {
    granule_t there = set->root, child;
    unsigned bit = order->bits, side;
    if (there == NO_GRANULE) return refuse(index, at); /* whatever led to it was lost */
    for (uint64_t key = trie_key(index, order, at); there != at; there = child, bit--) {
        side = side_of(key, bit);
        child = link_get(index, there, side);
        if (!note_is_sound(index, order, there)) return false;
        if (child == NO_GRANULE) return refuse(index, order->timed ? at : there);
        if (!follows(index, order, there, side, bit, child)) return false;
    }
    for (;; there = child, bit--) { /* what is promoted */
        if (!note_is_sound(index, order, there)) return false;
        side = link_get(index, there, LEFT) == NO_GRANULE ? RIGHT : LEFT;
        child = link_get(index, there, side);
        if (child == NO_GRANULE) return true;
        if (!follows(index, order, there, side, bit, child)) return false;
    }
}

bool trie_may_restamp(free_index *index, const trie_order *order, const trie *set) {
    granule_t at;
    const char *wrong = trie_check(index, order, set, &(size_t){0}, &at);
    return !wrong || index_break(index, at, wrong);
}

/* ---- Search ---- */

/* The first of at least `size` granules in a subtree that has one. `validates` is a constant. */
HOT granule_t first_fitting(free_index *index, const trie_order *order, granule_t at, granule_t size,
                            bool validates) {
    for (;; index->steps++) {
        if (blocks_size(&index->map, at) >= size) return at;
        if (validates && !note_is_sound(index, order, at)) return NO_GRANULE;
        granule_t left = link_get(index, at, LEFT);
        granule_t next = largest_below(index, left) >= size ? left : link_get(index, at, RIGHT);
        if (validates && !is_below(index, order, at, next)) return NO_GRANULE;
        at = next;
    }
}

HOT granule_t seek(free_index *index, const trie_order *order, const trie *set, uint64_t key, granule_t size,
                   bool validates) {
    granule_t at = set->root, greater = NO_GRANULE; /* the nearest subtree of greater keys passed by */
    if (order->bits < 64 && key >> order->bits) return NO_GRANULE; /* one past the last key there can be */
    for (unsigned bit = order->bits; at != NO_GRANULE; index->steps++, bit--) {
        if (validates && !note_is_sound(index, order, at)) return NO_GRANULE;
        if (order->keeps_largest && largest_below(index, at) < size) break;
        if (trie_key(index, order, at) >= key) {
            greater = at;
            break;
        }
        granule_t right = link_get(index, at, RIGHT), left;
        if (validates && right != NO_GRANULE && !follows(index, order, at, RIGHT, bit, right))
            return NO_GRANULE;
        if (key >> (bit - 1) & 1) {
            at = right;
            continue;
        }
        if (right != NO_GRANULE && (!order->keeps_largest || largest_below(index, right) >= size))
            greater = right;
        left = link_get(index, at, LEFT);
        if (validates && left != NO_GRANULE && !follows(index, order, at, LEFT, bit, left)) return NO_GRANULE;
        at = left;
    }
    if (greater == NO_GRANULE || !order->keeps_largest) return greater;
    return first_fitting(index, order, greater, size, validates);
}

granule_t trie_seek(free_index *index, const trie_order *order, const trie *set, uint64_t key,
                    granule_t size) {
    return index_validates(index) ? seek(index, order, set, key, size, true)
                                  : seek(index, order, set, key, size, false);
}

granule_t trie_last(free_index *index, const trie_order *order, const trie *set) {
    granule_t at = set->root;
    for (; at != NO_GRANULE; index->steps++) {
        granule_t right = link_get(index, at, RIGHT);
        granule_t below = right != NO_GRANULE ? right : link_get(index, at, LEFT);
        if (below == NO_GRANULE) return at;
        at = !index_validates(index) || is_below(index, order, at, below) ? below : NO_GRANULE;
    }
    return at;
}

granule_t trie_largest(free_index *index, const trie_order *order, const trie *set) {
    if (set->root == NO_GRANULE || (index_validates(index) && !note_is_sound(index, order, set->root)))
        return 0;
    return largest_below(index, set->root);
}

uint32_t trie_restamp(free_index *index, const trie_order *order, trie *set) {
    trie again = {NO_GRANULE};
    uint32_t stamp = 0;
    bool newest_first = order->tie == HPW_ORDER_LIFO;
    uint32_t count = 0;
    if (newest_first) { /* the order begins with the newest: count first, then stamp downwards */
        size_t members = 0;
        granule_t at;
        trie_check(index, order, set, &members, &at);
        count = (uint32_t)members;
    }
    while (set->root != NO_GRANULE) {
        granule_t least = set->root;
        trie_remove(index, order, set, least);
        trie_insert(index, order, &again, least, newest_first ? count - 1 - stamp : stamp);
        stamp++;
    }
    *set = again;
    return stamp;
}

/* ---- Check ---- */

typedef struct walk {
    free_index *index;
    const trie_order *order;
    size_t count, limit;
    granule_t *at;
    const char *wrong;
} walk;

static void visit(walk *w, granule_t at, unsigned bit, uint64_t prefix, uint64_t least) {
    if (at == NO_GRANULE || w->wrong) return;
    *w->at = at;
    const free_index *index = w->index;
    if (!index_has_free(index, at) || !links_are_sound(index, at)) {
        w->wrong = "the index holds what is not a free block";
        return;
    }
    uint64_t key = trie_key(index, w->order, at);
    if (++w->count > w->limit)
        w->wrong = "the index has a cycle";
    else if (key < least)
        w->wrong = "a block in the index comes after one that it should precede";
    else if (bit < 64 && key >> bit != prefix)
        w->wrong = "a block in the index lies in the wrong subtree";
    else if (w->order->keeps_largest && link_get(index, at, LARGEST) != largest_of(index, at))
        w->wrong = "a block in the index has a wrong note of the largest below it";
    if (w->wrong || bit == 0) return;
    visit(w, link_get(index, at, LEFT), bit - 1, prefix << 1, key);
    visit(w, link_get(index, at, RIGHT), bit - 1, prefix << 1 | 1, key);
}

const char *trie_check(free_index *index, const trie_order *order, const trie *set, size_t *count,
                       granule_t *at) {
    walk w = {.index = index, .order = order, .count = *count, .limit = index->map.count, .at = at};
    visit(&w, set->root, order->bits, 0, 0);
    *count = w.count;
    return w.wrong;
}
