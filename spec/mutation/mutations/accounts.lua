-- SPDX-License-Identifier: MIT
-- A pool as a Lua state's allocator: limits, slabs, chunks, claimed blocks.
local account, slabs, alloc, claim, chunks = "core/account.c", "core/slabs.c", "core/lua_alloc.c", "core/claim.c",
  "core/chunks.c"

return {
  {
    file = account,
    from = "if (in_use < more || in_use > limit) {",
    to = "if (in_use < more || in_use >= limit) {",
    breaks = "an account may not use its last byte",
  },
  {
    file = account,
    from = "if (in_use < more || in_use > limit) {",
    to = "if (in_use > limit) {",
    breaks = "a size so large that the sum overflows is within the limit",
  },
  {
    file = account,
    from = "if (account->kinds[kind].allocations != account->kinds[kind].frees) return HPW_INVALID_ARGUMENT;",
    to = "",
    breaks = "an account closes with blocks live",
  },
  {
    file = account,
    from = "if (each != account) shared_set(&each->squeezed, 1);",
    to = "",
    breaks = "accounts keep empty slabs although another one was refused",
  },
  {
    file = account,
    from = "return limit > headroom ? limit - headroom : 0;",
    to = "return limit - headroom;",
    breaks = "headroom of more than the limit is no headroom",
  },
  {
    file = account,
    after = "static void leave_pool(",
    from = "if (account->next) account->next->previous = account->previous;",
    to = "",
    breaks = "the account behind one that was closed links back to it",
  },
  {
    file = slabs,
    after = "bool slabs_give_back(",
    from = "account->kept_bytes = 0;",
    to = "",
    breaks = "slabs that went back to the pool count as kept for ever",
  },
  {
    file = slabs,
    from = "if (from <= record && record - from < bytes) from = record + sizeof(slab);",
    to = "",
    breaks = "a slot is cut out of the slab's own record",
  },
  {
    file = slabs,
    from = "return account->kept_bytes + bytes <= most;",
    to = "return true;",
    breaks = "an account keeps all of its empty slabs",
  },
  {
    file = slabs,
    from = "next->previous = s->previous;",
    to = "",
    breaks = "a slab behind one that leaves its bin links back to it",
  },
  {
    file = alloc,
    from = "memcpy(block, p->block, size < old_size ? size : old_size);",
    to = "memcpy(block, p->block, (size < old_size ? size : old_size) - 1);",
    breaks = "an object that moves loses its last byte",
  },
  {
    file = alloc,
    after = "APART void *resize(",
    from = "count_out(account, p.kind, old_size);",
    to = "",
    breaks = "a resize forgets that the old size is no longer in use",
  },
  {
    file = alloc,
    from = "size_t kind = tag - 3;",
    to = "size_t kind = tag - 4;",
    breaks = "objects are counted as of the kind before theirs",
  },
  {
    file = alloc,
    from = "if (!block && size <= old_size) {",
    to = "if (false) {",
    breaks = "a block that shrinks is refused where there is no smaller place",
  },
  {
    file = alloc,
    after = "static bool find_misfit(",
    from = "if (takes_out) memcpy(before, own, LINK_BYTES);",
    to = "",
    breaks = "a misfit that was freed stays in the list",
  },
  {
    file = claim,
    from = "return want % pool_bytes(pool, 1) ? want : want + 1;",
    to = "return want;",
    breaks = "a claimed block of whole granules has no slack to be known by",
  },
  {
    file = claim,
    from = "mark(pool, pool_granule(pool, moved), fits ? want : was, tag);",
    to = "mark(pool, pool_granule(pool, moved), want, tag);",
    breaks = "a claimed block whose resize was refused has the size that was wished for",
  },
  {
    file = claim,
    from = "*granted += granted_at(pool, pool_granule(pool, moved)) - before;",
    to = "",
    breaks = "an account does not count what a resize grants",
  },
  {
    file = chunks,
    from = "if (c->free == c->all) close_chunk(account, c);",
    to = "",
    breaks = "an empty chunk never goes back to the pool",
  },
  {
    file = chunks,
    from = "for (unsigned k = 1; k < units; k *= 2) runs &= runs >> k;",
    to = "",
    breaks = "a run of units is one unit that is free, and others that need not be",
  },
}
