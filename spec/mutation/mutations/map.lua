-- SPDX-License-Identifier: MIT
-- The block map: its bits, its spans, its summaries, and the check of all of them.
local blocks, map = "core/blocks.c", "core/blocks.h"

return {
  {
    file = map,
    from = "if (at % WORD_BITS + (uint64_t)size < WORD_BITS) return;",
    to = "if (at % WORD_BITS + (uint64_t)size <= WORD_BITS) return;",
    breaks = "the size of a block that ends where its word does is not noted",
  },
  {
    file = map,
    from = "if (last_whole > word) map->span[last_whole] = at;",
    to = "if (last_whole > word + 1) map->span[last_whole] = at;",
    breaks = "a block that covers one whole word is not found as predecessor",
  },
  {
    file = map,
    from = "return (granule_t)(word * WORD_BITS + bits_highest(before));\n}\n\n/* Is the block that ends",
    to = "return (granule_t)(word * WORD_BITS + bits_lowest(before));\n}\n\n/* Is the block that ends",
    breaks = "the predecessor is the first block of its word, not the last",
  },
  {
    file = map,
    from = "map->mark[word] ^= (uint64_t)!has_slack << (at % WORD_BITS);",
    to = "map->mark[word] ^= (uint64_t)has_slack << (at % WORD_BITS);",
    breaks = "a block that becomes live says of its slack the opposite of what is so",
  },
  {
    file = map,
    after = "HOT void blocks_cut(",
    from = "blocks_span(map, second, rest);",
    to = "",
    breaks = "what is left of a block that was cut does not note its size",
  },
  {
    file = map,
    from = "if (!blocks_starts(map, word)) blocks_summary_clear(map, word);",
    to = "",
    breaks = "the summary keeps words in which no block starts any more",
  },
  {
    file = map,
    from = "*word = freed ? *word | bit : *word & ~bit;",
    to = "*word = freed ? *word | bit : *word;",
    breaks = "a mark of a freed block is never cleared",
  },
  {
    file = map,
    after = "HOT bool blocks_previous_is_live(",
    from = "return at && blocks_is_live(map, blocks_previous(map, at));",
    to = "return at && !blocks_is_live(map, blocks_previous(map, at));",
    breaks = "a far predecessor that is free counts as live",
  },
  {
    file = map,
    from = "return after ? bits_lowest(after) + 1 : map->span[word];",
    to = "return after ? bits_lowest(after) : map->span[word];",
    breaks = "a block that ends in its word is a granule too small",
  },
  {
    file = blocks,
    from = "if (*summary) return;",
    to = "",
    breaks = "a level above is cleared while other blocks start below it",
  },
  {
    file = blocks,
    from = "if (!was_empty) return;",
    to = "return;",
    breaks = "the upper levels of the summary are never told of a block",
  },
  {
    file = blocks,
    from = "uint64_t before = summary[word / WORD_BITS] & bits_below(word % WORD_BITS);",
    to = "uint64_t before = summary[word / WORD_BITS] & bits_below(word % WORD_BITS) >> 1;",
    breaks = "the search for the block around an address passes over the word next to it",
  },
  {
    file = blocks,
    from = "memset(map->mark, 0, map->words * sizeof *map->mark);",
    to = "",
    breaks = "reset forgets to clear the marks of the blocks that were",
  },
  {
    file = blocks,
    from = "blocks_span(map, last, next <= end ? slot : end - last);",
    to = "blocks_span(map, last, slot);",
    breaks = "what is left at a page's end passes for a whole slot",
  },
  {
    file = blocks,
    from = "if (map->count) blocks_erase(map, map->count);",
    to = "",
    breaks = "a pool that grew keeps the mark of its old end",
  },
  {
    file = blocks,
    after = "granule_t blocks_next_start(",
    from = "return owner + blocks_size(map, owner);",
    to = "return owner;",
    breaks = "a walk that begins inside of a block begins with that block, not the next one",
  },
  {
    file = blocks,
    from = "if (size > most && !blocks_is_live(map, at)) most = size;",
    to = "if (size > most) most = size;",
    breaks = "a live block passes for the largest free one",
  },
  {
    file = blocks,
    from = "if (past) return *what",
    to = "if (false) return *what",
    breaks = "check does not see a block that starts past the pool's end",
  },
  {
    file = blocks,
    from = "if (told == (below != 0)) continue;",
    to = "if (told || told == (below != 0)) continue;",
    breaks = "check does not see a summary that tells of too much",
  },
  {
    file = blocks,
    from = "if (blocks_previous(map, next) != start)",
    to = "if (false)",
    breaks = "check does not see a block whose successor does not find it",
  },
}
