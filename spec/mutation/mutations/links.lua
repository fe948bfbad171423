-- SPDX-License-Identifier: MIT
-- Links in free blocks, validated before they are followed.
local queue, heap, trie, operations, bins = "core/policy/queue.h", "core/policy/heap.c", "core/policy/trie.c",
  "core/operations.h", "core/policy/bins.c"

return {
  {
    file = queue,
    from = "next != first && index_has_free",
    to = "index_has_free",
    breaks = "a list may lead back to its first block",
  },
  {
    file = queue,
    from = " &&\n                 link_get(index, next, QUEUE_PREVIOUS) == at;",
    to = ";",
    breaks = "that the next block in a list links back is not looked at",
  },
  {
    file = queue,
    from = "belongs(index, next, list) &&",
    to = "true &&",
    breaks = "the next block in a list may be one of another list",
  },
  {
    file = queue,
    from = "(last && (next == NO_GRANULE) != (at == *last))",
    to = "false",
    breaks = "a block in the middle of a queue may say that it is the last",
  },
  {
    file = queue,
    from = "previous != at && index_has_free(index, previous) &&",
    to = "",
    breaks = "what a block says comes before it in its list need not be a free block",
  },
  {
    file = heap,
    after = "static bool follows(",
    from = "child > parent && index_has_free",
    to = "index_has_free",
    breaks = "a block in a heap may have a lower one below it, so that a walk goes round",
  },
  {
    file = heap,
    after = "static bool follows(",
    from = "blocks_size(&index->map, child) == of.size &&",
    to = "",
    breaks = "a heap may hold a block of another size",
  },
  {
    file = trie,
    from = "if (!index_has_free(index, child)) return refuse(index, at);",
    to = "",
    breaks = "a link in the tree may lead to what is not free",
  },
  {
    file = trie,
    from = "if (key == own) return refuse(index, there);",
    to = "",
    breaks = "a key that is in the tree already is put there again",
  },
  {
    file = bins,
    from = "return b->held == at || trie_may_remove(index, &b->above, &b->large, at);",
    to = "return true;",
    breaks = "a large block leaves the tree without a look at its links",
  },
  {
    file = operations,
    from = "if (w->validates && !is_there(pool, place, size))",
    to = "if (false)",
    breaks = "what an overwritten index chose is granted, free or not",
    survives = "every policy validates a link before it follows it, so that what it names is free and holds the "
      .. "request: this is a second look, for one that should forget to",
  },
  {
    file = operations,
    from = "if (!is_broken(pool, w)) return true;\n    take_back(pool, place);",
    to = "if (!is_broken(pool, w)) return true;",
    breaks = "an allocation that met a broken link leaves the map half changed",
  },
}
