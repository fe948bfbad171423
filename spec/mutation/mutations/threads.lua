-- SPDX-License-Identifier: MIT
-- The lock, the caches of threads, their heaps. Most of what is skipped here is a
-- race, which shows itself for sure under ThreadSanitizer alone.
local lock, lock_c, pool, event = "core/lock.h", "core/lock.c", "core/pool.c", "core/event.c"
local caches, cached, shared = "core/caches.c", "core/cached_calls.h", "core/policy/slots_shared.c"

return {
  {
    file = lock,
    from = "if (lock_is_reserved(lock) || !lock_take(lock)) lock_wait(lock);",
    to = "if (lock_is_reserved(lock)) lock_wait(lock);",
    breaks = "nobody waits for the lock",
    build = "thread",
  },
  {
    file = lock,
    from = "atomic_store_explicit(&lock->taken, 0, memory_order_release); }",
    to = "atomic_store_explicit(&lock->taken, 0, memory_order_relaxed); }",
    breaks = "what a thread wrote under the lock need not be seen by the next one in it",
    build = "thread",
  },
  {
    file = pool,
    after = "static hpw_error release_locked(",
    from = [[
    lock_enter(pool->lock);
    hpw_error error = pool->inner.release(pool, address, report);
    lock_leave(pool->lock);]],
    to = "    hpw_error error = pool->inner.release(pool, address, report);",
    breaks = "free skips the lock",
    build = "thread",
  },
  {
    file = "core/resize.c",
    after = "hpw_error hpw_resize(",
    from = [[
    pool_enter(pool);
    hpw_error error = pool_resize_asking(pool, address, size, moved, report);
    pool_leave(pool);]],
    to = "    hpw_error error = pool_resize_asking(pool, address, size, moved, report);",
    breaks = "realloc skips the lock",
    build = "thread",
  },
  {
    file = "core/stats.c",
    after = "void hpw_get_stats(",
    from = "pool_enter(pool);",
    to = "pool_enter(pool), pool_leave(pool);",
    breaks = "statistics are read when the lock has been left",
    build = "thread",
  },
  {
    file = caches,
    from = "while (atomic_load(&cache->busy)) sched_yield();",
    to = "",
    breaks = "who stops all threads does not wait for one that is in its cache",
    build = "thread",
  },
  {
    file = caches,
    from = "if (atomic_load(&all->stop) == STOP_TO_FENCE) return true;",
    to = "return true;",
    breaks = "without the system's barrier a thread goes on although stop is said",
    survives = "only where the system has no membarrier; where it has, STOP_TO_FENCE is never set",
  },
  {
    file = pool,
    after = "static void *allocate_hosted(",
    from = "pool->host.lock(pool->host.ud);",
    to = "",
    breaks = "malloc skips the host's lock",
  },
  {
    file = lock_c,
    from = "atomic_store_explicit(&lock->reserved, 0, memory_order_relaxed);",
    to = "",
    breaks = "a lock that was handed on stays reserved for ever",
  },
  {
    file = lock_c,
    from = "pthread_cond_signal(&self->next->turn);",
    to = ";",
    breaks = "the next one in the queue is not woken",
  },
  {
    file = event,
    from = "if (pool->caches) caches_note_sink(pool);",
    to = "",
    breaks = "with a sink threads still use their caches, which tell nothing",
  },
  {
    file = caches,
    from = "pool->counts.frees += cache->frees;",
    to = "",
    breaks = "what threads freed in their caches is not counted",
  },
  {
    file = caches,
    from = "if (cache->high_water > pool->counts.high_water) pool->counts.high_water = cache->high_water;",
    to = "",
    breaks = "the slots that threads reached do not raise the high-water mark",
  },
  {
    file = caches,
    after = "static void give_back(",
    from = "atomic_store_explicit(&cache->thread, 0, memory_order_release);",
    to = "",
    breaks = "the cache of a thread that ended is nobody's any more",
  },
  {
    file = cached,
    from = "!(word_load(&state->pages.freed[f->word]) & f->bit);",
    to = "true;",
    breaks = "a slot that another thread freed can be freed again by its own",
  },
  {
    file = cached,
    from = "if (expected && h->bytes[kind] - f.slack != *expected) return TRIED_NOTHING;",
    to = "",
    breaks = "free_sized in a cache does not look at the size",
  },
  {
    file = cached,
    from = "if (found == NO_GRANULE && slots_collect(map, &state->pages, h))",
    to = "if (false)",
    breaks = "a thread does not take back what others freed of its slots",
    survives = "add_page, which is asked next, brings that home under the lock: what is lost is time",
  },
  {
    file = cached,
    from = "return h->kept_count > h->most_kept ? TRIED_PAGES : TRIED_DONE;",
    to = "return TRIED_DONE;",
    breaks = "a cache keeps more empty pages than there is room for",
  },
  {
    file = shared,
    from = "if (atomic_fetch_or(shared_word(&s->freed[at / WORD_BITS]), bit) & bit) return false;",
    to = "atomic_fetch_or(shared_word(&s->freed[at / WORD_BITS]), bit);",
    breaks = "two threads may free the same slot of a third one's",
  },
  {
    file = shared,
    from = "s->pages[page].live = to->number ? 0 : count_live(map, page);",
    to = "s->pages[page].live = 0;",
    breaks = "a page that changed hands has no live slots, as far as its count goes",
  },
  {
    file = shared,
    from = "if (!was_empty && slots_page_is_empty(map, page * PAGE)) slots_emptied(h, page * PAGE);",
    to = "",
    breaks = "a page that others emptied is not noted as empty",
  },
}
