-- SPDX-License-Identifier: MIT
-- The policies and what they keep their free blocks in; slab has a list of its own.
local bins, bins_c, small, queue, heap = "core/policy/bins.h", "core/policy/bins.c", "core/policy/small.h",
  "core/policy/queue.h", "core/policy/heap.c"
local trie, tallest, tallest_c, maxima = "core/policy/trie.c", "core/policy/tallest.h", "core/policy/tallest.c",
  "core/policy/maxima.h"
local randomised = "core/policy/randomised.c"
local first, next_fit, good, buddy, bump = "core/policy/first_fit.c", "core/policy/next_fit.c",
  "core/policy/good_fit.c", "core/policy/buddy.c", "core/policy/bump.c"

return {
  -- Best fit, and worst fit by time.
  {
    file = bins,
    from = "uint64_t above = b->summary >> word >> 1;",
    to = "uint64_t above = b->summary >> word;",
    breaks = "a bin of a smaller size is chosen where the size's own word has none",
  },
  {
    file = bins,
    from = "if (!*word) b->summary &= ~((uint64_t)1 << (size / WORD_BITS));",
    to = "",
    breaks = "the summary tells of bins that are empty",
  },
  {
    file = bins,
    from = "if (b->held == at)\n        b->held = NO_GRANULE;\n    else",
    to = "",
    breaks = "the large block held apart stays held when it is removed",
  },
  {
    file = bins,
    from = "return held > filed ? held : filed;",
    to = "return filed;",
    breaks = "the largest block is one of those in the trie, not the one held apart",
  },
  {
    file = bins_c,
    from = "if (index->order == HPW_ORDER_LIFO) tie = ~b->held_stamp;",
    to = "if (index->order == HPW_ORDER_LIFO) tie = b->held_stamp;",
    breaks = "the large block held apart loses against older ones where the newest is wanted",
  },
  {
    file = bins_c,
    from = "if (held < least || (filed != NO_GRANULE && *key < held)) return filed;",
    to = "if (held < least || filed != NO_GRANULE) return filed;",
    breaks = "a large block in the trie is taken before a better one held apart",
  },
  {
    file = bins_c,
    from = "b->stamp += index->order != HPW_ORDER_ADDRESS;",
    to = "",
    breaks = "large blocks that come one after the other have come at the same time",
  },
  {
    file = bins_c,
    from = "if (b->stamp == UINT32_MAX) restamp(index, b);",
    to = "",
    breaks = "the times at which blocks came begin anew after 2^32 of them",
  },
  {
    file = small,
    from = "if (bits_lowest(after) + 1 != size) continue;",
    to = "",
    breaks = "a smaller block passes for one of a size, as some block ends that far on",
  },
  {
    file = small,
    from = "s->lowest[size] = word < lowest ? (uint32_t)word : lowest;",
    to = "s->lowest[size] = word > lowest ? (uint32_t)word : lowest;",
    breaks = "the lowest word of a size is not the lowest",
  },
  {
    file = small,
    from = "*high &= ~((uint64_t)(*low == 0) << (above % WORD_BITS));",
    to = "",
    breaks = "a level above tells of words of a size that has none left there",
  },
  {
    file = queue,
    after = "HOT bool stack_unlink(",
    from = "if (next != NO_GRANULE) link_put(of, next, QUEUE_PREVIOUS, previous);",
    to = "",
    breaks = "a block behind one taken out of the middle keeps its link back to it",
  },
  {
    file = queue,
    from = "link_put(of, at, QUEUE_PREVIOUS, q->last);",
    to = "link_put(of, at, QUEUE_PREVIOUS, q->first);",
    breaks = "a queue's newest block links back to its oldest",
  },
  {
    file = queue,
    after = "HOT bool queue_unlink(",
    from = "q->last = previous;",
    to = ";",
    breaks = "a queue appends behind a block that it no longer has",
  },
  {
    file = queue,
    after = "HOT bool stack_unlink(",
    from = "granule_t next = link_at(of, at, QUEUE_NEXT), previous = link_at(of, at, QUEUE_PREVIOUS);",
    to = "granule_t next = link_at(of, at, QUEUE_PREVIOUS), previous = link_at(of, at, QUEUE_NEXT);",
    breaks = "a stack swaps the two links of a block that it takes out",
  },
  {
    file = heap,
    from = "if (at < there) {",
    to = "if (at > there) {",
    breaks = "a heap has the highest address at its root",
  },
  {
    file = heap,
    from = "least = below[i] < below[least] ? i : least;",
    to = "least = below[i] != NO_GRANULE ? i : least;",
    breaks = "a heap promotes some child, not the lowest",
  },
  {
    file = heap,
    from = "if (block > found) continue;",
    to = "",
    breaks = "an aligned request takes the place that was found last, not the lowest",
  },
  {
    file = heap,
    after = "HOT void insert(",
    from = "hash = hash_of(at) << consumed;",
    to = "hash = hash_of(at);",
    breaks = "a block that is driven down in a heap goes by the wrong bits of its hash",
  },

  -- First, next and worst fit by address.
  {
    file = tallest,
    from = "return t->tail >= from && tallest_tail(index, t) >= size ? t->tail : NO_GRANULE;",
    to = "return tallest_tail(index, t) >= size ? t->tail : NO_GRANULE;",
    breaks = "next fit takes the pool's end before the rover has passed round",
  },
  {
    file = tallest,
    from = "if (size >= LARGE) maxima_lower(index, &t->runs, true, at / RUN, size, 0);",
    to = "if (size > LARGE) maxima_lower(index, &t->runs, true, at / RUN, size, 0);",
    breaks = "a block of just 255 granules stays noted as large",
  },
  {
    file = tallest,
    from = "bool ends = at + size == index->map.count;\n    if (ends) t->tail = at;",
    to = "bool ends = at + size == index->map.count;",
    breaks = "a block that joined the pool's end is not noted as its end",
  },
  {
    file = tallest,
    from = "if (at >= from) return at;",
    to = "return at;",
    breaks = "next fit takes a large block before the rover",
  },
  {
    file = tallest_c,
    from = "size = found.size + 1;",
    to = "size = found.size;",
    breaks = "worst fit takes the last of equal blocks with an aligned place, not the first",
  },
  {
    file = maxima,
    from = "if (others > value) value = others;",
    to = "",
    breaks = "a node above says less than its largest child",
  },
  {
    file = maxima,
    from = "__m128i below = _mm_set1_epi32((int)((value - 1) ^ (granule_t)INT32_MIN));",
    to = "__m128i below = _mm_set1_epi32((int)(value ^ (granule_t)INT32_MIN));",
    breaks = "a large block that fits exactly is passed over",
  },
  {
    file = maxima,
    from = "if (maxima_get(m, wide, level, node) >= value) break;",
    to = "break;",
    breaks = "a number that rises does not raise the nodes above it",
  },
  {
    file = first,
    from = "trie_insert(index, &state->order, &state->set, at, state->stamp++);",
    to = "trie_insert(index, &state->order, &state->set, at, ++state->stamp / 2);",
    breaks = "first fit by time can't tell two blocks that came one after the other",
  },
  {
    file = trie,
    from = ".flip = tie == HPW_ORDER_LIFO ? UINT32_MAX : 0,",
    to = ".flip = 0,",
    breaks = "by lifo the oldest block is taken",
  },
  -- Order random.
  {
    file = randomised,
    from = "r->placements++; /* what is chosen is placed */",
    to = "",
    breaks = "each placement draws the same",
  },
  {
    file = randomised,
    from = "(uint64_t)(room / want->align) + 1;",
    to = "(uint64_t)(room / want->align);",
    breaks = "an empty pool's last place is never drawn",
  },
  {
    file = randomised,
    from = "if (found.size == index->map.count)",
    to = "if (found.size == index->capacity)",
    breaks = "a pool that can still grow starts at 0",
  },
  {
    file = randomised,
    from = "return first_between(index, r, want, least, least | (rank - 1));",
    to = "return placement_none();",
    breaks = "equals of a rank below the drawn one are never found",
  },
  {
    file = randomised,
    from = "uint64_t drawn = bits_of(index->seed, r->placements + 1);",
    to = "uint64_t drawn = bits_of(0, r->placements + 1);",
    breaks = "what is drawn does not depend on the seed",
  },
  {
    file = randomised,
    from = "r->order.rank_key = bits_of(index->seed, 0);",
    to = "",
    breaks = "ranks do not depend on the seed",
  },
  {
    file = trie,
    from = "if (order->tie == HPW_ORDER_RANDOM) tie = rank_of(order, at);\n    return",
    to = "return",
    breaks = "links in random order are validated by addresses",
  },
  {
    file = trie,
    from = "while (depth-- > 0) link_set(index, path[depth], LARGEST, largest_of(index, path[depth]));",
    to = "",
    breaks = "first fit by time looks for blocks where there are none any more",
  },
  {
    file = trie,
    from = "if (key < there_key) { /*",
    to = "if (key > there_key) { /*",
    breaks = "the tree has the greatest key at its root",
  },
  {
    file = trie,
    from = "if (trie_key(index, order, at) >= key) {",
    to = "if (trie_key(index, order, at) > key) {",
    breaks = "a block with just the key that is looked for is passed over",
  },
  {
    file = next_fit,
    from = "if (!in_place) state->rover = at + size;",
    to = "state->rover = at + size;",
    breaks = "a resize in place moves the rover",
  },
  {
    file = next_fit,
    from = "state->rover = *at + granules;",
    to = "state->rover = *at + *found;",
    breaks = "the rover passes over what was left of the block that was cut",
  },
  {
    file = next_fit,
    from = "if (*at == NO_GRANULE) *at = tallest_first(index, &state->by_address, granules);",
    to = "",
    breaks = "the short way of next fit does not begin again at the lowest address, but the long one does",
    survives = "short_allocate falls back on the general way where `pick` finds nothing, which wraps round to "
      .. "the same block: what is lost is time",
  },

  -- The others.
  {
    file = good,
    from = "size += ((uint64_t)1 << (bits_highest(size) - SECOND_BITS)) - 1;",
    to = "",
    breaks = "good fit takes a block from a bin that is not sure to fit",
  },
  {
    file = good,
    from = "return peek(index, state->heads[bin_of(want->size)], want);",
    to = "return placement_none();",
    breaks = "a size that was just freed is not granted again, as its own bin is not looked at",
  },
  {
    file = good,
    from = "if (!*columns) state->first &= ~((uint64_t)1 << (bin / SECOND));",
    to = "",
    breaks = "the first level tells of rows that are empty",
  },
  {
    file = good,
    from = "i < PEEK && block != NO_GRANULE",
    to = "block != NO_GRANULE",
    breaks = "good fit looks at all blocks of a bin, not at 8",
  },
  {
    file = buddy,
    from = "return right - left == right_size && (left & (2 * right_size - 1)) == 0;",
    to = "return right - left == right_size;",
    breaks = "a block joins a neighbour that is not its buddy",
  },
  {
    file = buddy,
    from = "unsigned order = bits_width(size - 1);",
    to = "unsigned order = bits_width(size);",
    breaks = "a request of a power of two takes twice as much",
  },
  {
    file = buddy,
    from = "if (at && bits_lowest(at) < order) order = bits_lowest(at);",
    to = "",
    breaks = "a pool of no power of two is cut into blocks at the wrong places",
  },
  {
    file = buddy,
    from = "if (!want->skew && whole.align < want->size) whole.align = want->size;",
    to = "",
    breaks = "an aligned place inside of a larger buddy need not be a buddy itself",
    survives = "`choose` looks at each place itself and passes by one that is no buddy: blocks of an order are "
      .. "aligned to it, so the lowest place in one that is aligned less than `size` is its beginning, which is "
      .. "aligned to more",
  },
  {
    file = buddy,
    from = "return (at & (size - 1)) == 0;\n}\n\nHOT void added",
    to = "return true;\n}\n\nHOT void added",
    breaks = "a block grows to a size that its place is not a multiple of",
  },
  {
    file = bump,
    from = "return right != ((pointer *)index->state)->next;",
    to = "return true;",
    breaks = "what is freed joins the end from which the next bytes come",
  },
  {
    file = bump,
    from = "return size < old_size || at + old_size == ((pointer *)index->state)->next;",
    to = "return true;",
    breaks = "a block grows into freed bytes, which were to stay unused until reset",
  },
  {
    file = bump,
    from = "if (at + size > state->next) state->next = at + size;",
    to = "state->next = at + size;",
    breaks = "a block that shrinks moves the pointer back",
  },
}
