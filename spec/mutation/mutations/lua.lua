-- SPDX-License-Identifier: MIT
-- Lua's side: arguments, bounds, codes, handles, budgets, values between states.
local binding, header, access, options = "lua/binding.c", "lua/binding.h", "lua/access.c", "lua/options.c"
local queries, failure, share, budget, values = "lua/queries.c", "lua/failure.c", "lua/share.c", "lua/budget.c",
  "lua/values.c"

return {
  {
    file = header,
    from = "if (value < 0) arg_negative(L, arg, value);",
    to = "if (value < -1) arg_negative(L, arg, value);",
    breaks = "a size of -1 is a size",
  },
  {
    file = header,
    from = "self->magic == (POOL_MAGIC ^ (uintptr_t)self) && self->pool)",
    to = "self->magic == (POOL_MAGIC ^ (uintptr_t)self))",
    breaks = "a closed pool is used",
  },
  {
    file = binding,
    from = "if (n <= 64) return;",
    to = "if (n <= 65) return;",
    breaks = "malloc of 65 bytes does not zero the 33rd",
  },
  {
    file = binding,
    from = "if (n <= 32) return;",
    to = "if (n <= 33) return;",
    breaks = "malloc of 33 bytes does not zero the 17th",
  },
  {
    file = binding,
    from = "if (alignment <= 0 || (alignment & (alignment - 1)))",
    to = "if (alignment & (alignment - 1))",
    breaks = "an alignment of 0 is one",
  },
  {
    file = binding,
    from = "if (size && count > UINT64_MAX / size)",
    to = "if (false)",
    breaks = "the message about a calloc that overflows names a wrong number of bytes",
  },
  {
    file = binding,
    from = "if (error == HPW_NO_MEMORY) return fail_memory(L, size, 0, &address, self);",
    to = "",
    breaks = "a realloc that finds no room is told as one of a bad address",
  },
  {
    file = access,
    from = "*rest = address - start < requested ? requested - (address - start) : 0;",
    to = "*rest = requested;",
    breaks = "read without a count takes the block's size from wherever it begins",
  },
  {
    file = access,
    from = [[luaL_argcheck(L, byte >= 0 && byte <= 255, 3, "a byte is 0 to 255");]],
    to = [[luaL_argcheck(L, byte >= 0 && byte <= 256, 3, "a byte is 0 to 255");]],
    breaks = "256 is a byte",
  },
  {
    file = access,
    from = "lua_pushboolean(L, exchanged);",
    to = "lua_pushboolean(L, !exchanged);",
    breaks = "cas says that it exchanged where it did not",
  },
  {
    file = access,
    from = "if (check_range(self, address, n, report)) return false;",
    to = "",
    breaks = "a read that is refused asks Lua for its memory first",
  },
  {
    file = access,
    from = "return luaL_argerror(L, FORMAT + number - 1, message);",
    to = "return luaL_argerror(L, number, message);",
    breaks = "a wrong argument of pack is told by string.pack's number of it",
  },
  {
    file = options,
    from = [[if (whole > (uint64_t)INT64_MAX >> unit->shift) return "too large";]],
    to = "",
    breaks = "a size that overflows with its unit is taken",
  },
  {
    file = options,
    from = "if (o->granule < 8 || o->granule > 4096 || (o->granule & (o->granule - 1)))",
    to = "if (o->granule < 8 || o->granule > 8192 || (o->granule & (o->granule - 1)))",
    breaks = "a granule of 8192 is not refused by its name",
  },
  {
    file = options,
    from = "if (o->has_capacity && config->capacity < o->granule)",
    to = "if (o->has_capacity && config->capacity <= o->granule)",
    breaks = "a pool of one granule is refused",
  },
  {
    file = options,
    from = "while (count && digits[count - 1] == '0') count--;",
    to = "",
    breaks = "1.50K is not a size",
  },
  {
    file = options,
    from = "if (config->max_capacity && config->max_capacity < capacity)",
    to = "if (config->max_capacity && config->max_capacity + 1 < capacity)",
    breaks = "max_capacity may be a byte less than the capacity",
  },
  {
    file = queries,
    from = "return order ? order : compare(x->address, y->address);",
    to = "return order ? order : compare(y->address, x->address);",
    breaks = "equal leaks are listed highest address first",
  },
  {
    file = queries,
    from = "last = (end * width - 1) / capacity;",
    to = "last = (end * width - 1) / capacity + (end < capacity);",
    breaks = "the map draws each block a column too far",
  },
  {
    file = queries,
    from = "if (block.live) {\n        push_bytes(L, block.requested);",
    to = "if (true) {\n        push_bytes(L, block.requested);",
    breaks = "blocks() says of free blocks that they were requested",
  },
  {
    file = failure,
    from = "uint64_t past = starts_past ? report->address - end : report->address + n - end;",
    to = "uint64_t past = starts_past ? report->address - end : report->address + n - end - 1;",
    breaks = "a message says that an access ran a byte less past its block than it did",
  },
  {
    file = failure,
    from = "bool starts_past = report->address > end;",
    to = "bool starts_past = report->address >= end;",
    breaks = "a write that begins where its block ends is said to start 0 bytes past it",
  },
  {
    file = failure,
    from = [[if (strlen(path) < length) luaL_argerror(L, arg, "a path with a zero byte");]],
    to = "",
    breaks = "a path with a zero byte names another file",
  },
  {
    file = share,
    from = "memory_order_acq_rel) > 1) return true;",
    to = "memory_order_acq_rel) > 2) return true;",
    breaks = "a pool is closed while somebody still holds it",
  },
  {
    file = share,
    from = "hpw_set_sink(share->pool, NULL, NULL); /*",
    to = "/*",
    breaks = "a recording that has ended still gets events",
  },
  {
    file = share,
    from = "hpw_close(share->pool);",
    to = "",
    breaks = "a pool that nobody holds any more is not closed",
  },
  {
    file = budget,
    from = "if (b->instructions != BUDGET_NONE) b->left -= granted;",
    to = "",
    breaks = "a budget of instructions is never used up",
  },
  {
    file = budget,
    from = "if (b->end || (steps && draw(b, L, steps) < steps)) raise_end(b, L);",
    to = "if (b->end) raise_end(b, L);",
    breaks = "a call in C costs nothing, as long as it would not cost more than is left",
  },
  {
    file = values,
    from = "if (*met) return slot->open ? refuse(e, LUA_TTABLE, CYCLE) : put_number(e, REFERENCE, slot->number);",
    to = "if (*met) return put_number(e, REFERENCE, slot->number);",
    breaks = "a table that holds itself is sent to another state",
  },
  {
    file = values,
    from = "tag t = length > SHARED_STRING ? SHARED : STRING;",
    to = "tag t = STRING;",
    breaks = "a long string that is met twice is sent twice",
  },
  {
    file = "lua/spawn.c",
    from = [[if (!share_is_locked(pool->share)) luaL_argerror(L, arg, "pool is not thread_safe");]],
    to = "",
    breaks = "a pool without a lock is given to another thread",
  },
}
