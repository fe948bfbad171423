-- SPDX-License-Identifier: MIT
-- Slab: its pages, magazines and kinds.
local slab, slots = "core/policy/slab.c", "core/policy/slots.c"

return {
  {
    file = slab,
    from = "slots_give_up(&state->pages, h, all || index->grows ? 0 : h->most_kept);",
    to = "slots_give_up(&state->pages, h, all ? 0 : h->most_kept);",
    breaks = "a pool that may grow keeps empty pages, which may lie at its end",
  },
  {
    file = slab,
    from = "if (in_page(index, at)) return false;\n    if (size < old_size) return true;",
    to = "if (size < old_size) return true;",
    breaks = "a slot is cut, or grows into the next one",
  },
  {
    file = slab,
    from = "return next < index->map.count && !in_page(index, next) &&",
    to = "return next < index->map.count &&",
    breaks = "a large block grows into the slots of the page behind it",
  },
  {
    file = slab,
    from = "return large >= PAGE ? large : blocks_largest_free(&index->map);",
    to = "return large;",
    breaks = "the largest free block is never what a page left over",
  },
  {
    file = slab,
    from = "if (at + size > state->high) state->high = at + size;",
    to = "",
    breaks = "slab forgets how high its blocks reached",
  },
  {
    file = slots,
    from = "if (*slot / PAGE != page) *left++ = *slot;",
    to = "*left++ = *slot;",
    breaks = "the slots of a page that was given up stay in their magazine",
  },
  {
    file = slots,
    from = "reverse(bottom, h->top[kind]);",
    to = "",
    breaks = "of the slots that a magazine fetched the highest comes first",
  },
  {
    file = slots,
    from = "if (!h->number) s->pages[at / PAGE].live--;",
    to = "",
    breaks = "a page's count of live slots never falls",
  },
  {
    file = slots,
    from = "if (h->top[kind] == h->full[kind]) drop(s, h, kind, lot(h));",
    to = "",
    breaks = "a magazine is filled past its end",
  },
  {
    file = slots,
    from = "slots_unlink_page(s, h, page);\n    s->pages[page].kind = 0;",
    to = "s->pages[page].kind = 0;",
    breaks = "a page that was given up stays in its line",
  },
  {
    file = slots,
    from = "more = next == most || (at + size > high && next != first);",
    to = "more = next == most;",
    breaks = "slots above the high-water mark are fetched in lots, so that the mark is passed unseen",
  },
  {
    file = slots,
    from = "if (at >= end) break;",
    to = "",
    breaks = "what is left at a page's end is granted as a slot",
  },
}
