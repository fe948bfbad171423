-- SPDX-License-Identifier: MIT
-- Traces, their replay, the smallest pool, the recorder.
local binary, chunk, live = "core/trace_binary.c", "core/trace_chunk.c", "core/trace_live.c"
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
    from = "uint64_t power = (uint64_t)granule << bits_width(2 * all / granule); /* whole for buddies too */",
    to = "uint64_t power = all / 4 / granule * granule;",
    breaks = "the unbounded pool has bounds",
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
