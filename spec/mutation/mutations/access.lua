-- SPDX-License-Identifier: MIT
-- Checked access: bounds, bytes, words, look-ups.
local access = "core/access.c"

return {
  {
    file = access,
    from = "if (offset > requested || n > requested - offset)\n",
    to = "if (offset > requested || n > requested - offset + 1)\n",
    breaks = "an access that the long way finds may run a byte past its block",
  },
  {
    file = access,
    from = "!pool_requested(pool, at, size, &requested) || offset > requested || n > requested - offset)",
    to = "!pool_requested(pool, at, size, &requested) || offset > requested || n > requested - offset + 1)",
    breaks = "an access may run a byte past its block",
  },
  {
    file = access,
    from = "!pool_requested(pool, at, size, &requested) || offset > requested || n > requested - offset)",
    to = "!pool_requested(pool, at, size, &requested) || n > requested - offset)",
    breaks = "an access that begins in a block's slack is granted",
  },
  {
    file = access,
    from = "if (!blocks_is_live(map, at) || pool_large_claimed(pool, at, size) ||",
    to = "if (pool_large_claimed(pool, at, size) ||",
    breaks = "a free block can be read and written",
  },
  {
    file = access,
    from = "if (!blocks_is_live(map, at) || pool_large_claimed(pool, at, size) ||",
    to = "if (!blocks_is_live(map, at) ||",
    breaks = "a Lua state's large block can be read and written",
  },
  {
    file = access,
    from = "if (pool_claimed(pool, at, size, requested))",
    to = "if (false)",
    breaks = "a Lua state's block has an owner for everybody",
  },
  {
    file = access,
    from = "if (n >= 8 && n <= 16) {",
    to = "if (n >= 8 && n <= 17) {",
    breaks = "the ninth byte of 17 is not copied",
  },
  {
    file = access,
    from = "} else if (n > 16 && n <= 32) {",
    to = "} else if (n > 16 && n <= 33) {",
    breaks = "the 17th byte of 33 is not copied",
  },
  {
    file = access,
    from = "if (!error && n) memmove(target, source, (size_t)n);",
    to = "if (!error && n) memcpy(target, source, (size_t)n);",
    breaks = "ranges that overlap are copied as if they did not",
    build = "address",
  },
  {
    file = access,
    from = "if (!error) error = reach(pool, to, n, COPIES, &target, report);",
    to = "if (!error) error = reach(pool, to, 0, COPIES, &target, report);",
    breaks = "copy does not look whether the target has room",
  },
  {
    file = access,
    from = "*order = (sign > 0) - (sign < 0);",
    to = "*order = (sign < 0) - (sign > 0);",
    breaks = "compare says less for greater",
  },
  {
    file = access,
    from = "if (!error) error = reach(pool, b, n, READS, &right, report);",
    to = "if (!error) error = reach(pool, b, n ? 1 : 0, READS, &right, report);",
    breaks = "compare does not look whether the second range is in bounds",
  },
  {
    file = access,
    from = "if (address % WORD_BYTES)",
    to = "if (false)",
    breaks = "a word at an address that is not aligned is taken",
  },
  {
    file = access,
    from = "hpw_error error = reach(pool, address, WORD_BYTES, how, &bytes, report);",
    to = "hpw_error error = reach(pool, address, 1, how, &bytes, report);",
    breaks = "a word may run past its block",
  },
  {
    file = access,
    from = "HOT uint64_t word_add(shared_word *at, uint64_t addend) { return atomic_fetch_add(at, addend); }",
    to = "HOT uint64_t word_add(shared_word *at, uint64_t addend) { return atomic_fetch_add(at, addend) + addend; }",
    breaks = "fetch_add answers with what the word is after it",
  },
  {
    file = access,
    from = "if (!may_be_met(pool)) return ENTERED_NOTHING;\n#ifndef",
    to = "return ENTERED_NOTHING;\n#ifndef",
    breaks = "bytes are moved without the pool's lock",
    build = "thread",
  },
  {
    file = access,
    from = "if (pool->locking == LOCKING_OWN || pool->locking == LOCKING_CACHED) return !LOCK_ALONE;",
    to = "if (pool->locking == LOCKING_OWN || pool->locking == LOCKING_CACHED) return LOCK_ALONE;",
    breaks = "bytes are moved without the lock as soon as there is another thread",
    build = "thread",
  },
  {
    file = access,
    after = "uint64_t hpw_address(",
    from = "return offset < pool_bytes(pool, pool->max_capacity) ? offset : UINT64_MAX;",
    to = "return offset;",
    breaks = "a pointer past the pool has an address",
  },
  {
    file = access,
    from = "return live ? (size_t)pool_bytes(pool, size) : 0;",
    to = "return live ? (size_t)requested : 0;",
    breaks = "the usable size is the requested one",
  },
}
