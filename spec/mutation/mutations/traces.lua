-- SPDX-License-Identifier: MIT
-- Traces, their replay, the smallest pool, the recorder.
local binary, chunk, live = "core/trace_binary.c", "core/trace_chunk.c", "core/trace_live.c"
local stream, crew = "core/replay_stream.c", "core/replay_threads.c"
local fit, replay, record = "core/fit.c", "core/replay.c", "core/preload/record_buffer.c"

return {
  {
    file = binary,
    from = "if (hpw_checksum(trace->payload, chunk->length) != chunk->payload_check)",
    to = "if (false)",
    breaks = "a chunk whose records were damaged is read",
  },
  {
    file = binary,
    from = "if (!--trace->chunk_left && trace->next != trace->payload_end)",
    to = "if (!--trace->chunk_left && false)",
    breaks = "bytes after a chunk's last record are passed over in silence",
  },
  {
    file = binary,
    from = "if (chunk->first != trace->events && chunk->flags != HPW_CHUNK_STOPPED)",
    to = "if (false)",
    breaks = "a chunk that is missing is not missed",
  },
  {
    file = chunk,
    from = "if (get32(from + 36) != chunk_check(from)) return HPW_CHUNK_CHECK;",
    to = "",
    breaks = "a chunk's header that was damaged is believed",
  },
  {
    file = chunk,
    from = "if (n) memcpy(rest, bytes, n);",
    to = "",
    breaks = "the checksum does not see the last bytes",
  },
  {
    file = live,
    from = "if (from_home < ((i - hole) & table->mask)) continue;",
    to = "if (from_home <= ((i - hole) & table->mask)) continue;",
    breaks = "an entry that a removal cuts off from its home is found no more",
  },
  {
    file = fit,
    from = "while (most - least > 1 && !s->error) {",
    to = "while (most - least > 2 && !s->error) {",
    breaks = "the smallest pool is a granule too large",
  },
  {
    file = fit,
    from = "found = answer->high_water / s->granule;",
    to = "found = answer->high_water / s->granule + 1;",
    breaks = "first fit's smallest pool is a granule too large",
  },
  {
    file = replay,
    from = "uint64_t power = (uint64_t)granule << bits_width(2 * room / granule); /* whole for buddies too */",
    to = "uint64_t power = room / 4 / granule * granule;",
    breaks = "the unbounded pool has bounds",
  },
  {
    file = fit,
    from = "while (i < count && !probes[i].fits) i++;",
    to = "i = count;",
    breaks = "a smaller pool that fits beyond an edge is not seen",
  },
  {
    file = fit,
    from = "if (!fit) continue;",
    to = "continue;",
    breaks = "no reversal is told",
  },
  {
    file = "core/packing_search.c",
    from = "*bound = height + 1;",
    to = "*bound = height + 2;",
    breaks = "the lower bound rises above the optimum",
  },
  {
    file = "core/packing_search.c",
    from = "if (all[i].at < least_end && !has_twin_before(s, part, i))",
    to = "if (all[i].at + 1 < least_end && !has_twin_before(s, part, i))",
    breaks = "candidates of the search are passed by",
  },
  {
    file = "core/packing_check.c",
    from = "if (change > 0 && most(&c->cells, 1, 0, c->cells.leaves, from, to) > 0) return false;",
    to = "",
    breaks = "pieces that overlap are taken for a packing",
  },
  {
    file = replay,
    from = "{ return pool_bytes(pool, pool->counts.high_water); }",
    to = "{ return pool->counts.high_water; }",
    breaks = "what a resize leaves in doubt is not searched: first fit's pool is too large, and called exact",
  },
  {
    file = stream,
    from = "b->peak = peak > b->first && peak <= b->first + b->count ? (size_t)(peak - b->first) : 0;",
    to = "b->peak = peak > b->first && peak <= b->first + b->count ? (size_t)(peak - b->first - 1) : 0;",
    breaks = "a streamed replay measures fragmentation an event before the peak",
  },
  {
    file = stream,
    from = "if (s->failed || s->filled - slowest < RING) break;",
    to = "if (s->failed || s->filled - slowest <= RING) break;",
    breaks = "the reader writes into a batch that a policy still runs",
  },
  {
    file = stream,
    from = "    if (again->summary.events == s->figures.summary.events && again->slots == s->figures.slots &&",
    to = "    if (again->slots || again->slots == s->figures.slots ||",
    breaks = "a file that changed between the passes is answered for",
  },
  {
    file = crew,
    from = "if (op->thread & WAITS && !await(c, w, next++)) return;",
    to = "if (op->thread & WAITS && !await(c, w, next)) return;",
    breaks = "all but the first event that waits wait for what was done already",
  },
  {
    file = crew,
    from = "(edge){.until = block->position + 1, .thread = block->thread};",
    to = "(edge){.until = block->position, .thread = block->thread};",
    breaks = "a block is freed by one thread while another still allocates it",
  },
  {
    file = record,
    from = "out = hpw_put_varint(out, hpw_zigzag(r->time - time));",
    to = "out = hpw_put_varint(out, hpw_zigzag(r->time));",
    breaks = "the recorder writes times from the beginning where they are read as from the last event",
  },
  {
    file = record,
    after = "static buffer *take_buffer(",
    from = "if (atomic_compare_exchange_strong(&b->owned, &owned, 1)) break;",
    to = "break;",
    breaks = "two threads record into one buffer",
  },
}
