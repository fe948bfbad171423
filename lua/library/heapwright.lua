---@meta heapwright
-- SPDX-License-Identifier: MIT
-- The C part of the module, for editors and language servers. What is said
-- here and what is exported is compared by spec/library_spec.lua.

---An error code.
---@alias heapwright.Code
---| "no_memory"        # no free block holds the request
---| "invalid_free"     # no live block starts here and none ever did
---| "double_free"      # the newest block that began here was freed
---| "unallocated"      # the address lies in a free block
---| "out_of_bounds"    # outside of the pool, or past the block's end
---| "invalid_argument" # an alignment that is not a power of two
---| "corrupted"        # the pool's own records contradict each other
---| "limit"            # a limit was reached
---| "io"               # the system refused a file

---A number of bytes: an integer, or a text such as "64K", "12KiB", "1.5G".
---@alias heapwright.Size integer|string

---An offset from the pool's first byte. Any integer is answered; one that is
---not what the call needs gives nil, a message and a code.
---@alias heapwright.Address integer

---Where a policy breaks ties: the lowest address, the block that entered the
---index first, or last; or one by chance, from `seed`. With "random" first fit has
---all blocks that fit for equal, and the first block of an empty pool lies anywhere.
---@alias heapwright.Order "address"|"fifo"|"lifo"|"random"

---How much is checked beyond what always is. "check" remembers frees, so that
---double_free is exact, and has a canary behind each block, verified by free, realloc
---and check. "full" also has a red zone there; holds freed blocks back, poisoned, in a
---quarantine; answers "uninitialised" where bytes are read that were never written;
---and its messages say which line allocated the block, and which freed it.
---@alias heapwright.Guard "off"|"check"|"full"

---@class heapwright.Options
---@field capacity? heapwright.Size bytes that the pool manages; "1M" unless given, rounded down to granules
---@field max_capacity? heapwright.Size up to which it grows; `capacity` unless given
---@field granule? heapwright.Size the unit of placement: a power of two from 8 to 4096, 16 unless given
---@field policy? string a name of `heapwright.policies`, or of `heapwright.policy`; "best-fit" unless given
---@field order? heapwright.Order for best-fit, first-fit and worst-fit; "address" unless given
---@field seed? integer of order "random": the same one gives the same addresses; 0 unless given
---@field guard? heapwright.Guard "check" unless given
---@field red_zone? heapwright.Size guard "full": behind each block so many bytes at least; 16 unless given, 0: none
---@field quarantine? heapwright.Size guard "full": of freed blocks; capacity / 4, 1 MiB at most, unless given; 0: none
---@field thread_safe? boolean false drops the lock; true unless given, but for policies in Lua
---@field small_pages? boolean true asks for no huge pages; they are for pools of 2 MiB and more
---@field thread_caches? integer for slab: so many threads, 128 at most, need no lock; 0 unless given
---@field classes? heapwright.Size[] for slab: the sizes of its slots, such as { 16, 48, 256 }: whole granules,
---ascending, 20 at most, 64 granules at most; unless given 1 to 8 granules, then four to each power of two

---@class heapwright.PolicyInfo
---@field name string
---@field chooses string what it takes
---@field index string in what it looks
---@field bound string the order of its work
---@field source string who described it
---@field takes_order boolean fifo, lifo and random are accepted
---@field takes_caches boolean thread_caches is accepted
---@field takes_classes boolean classes are accepted
---@field exact boolean the address follows from the rule (and the seed) alone
---@field monotone boolean what fits in a pool fits in every larger one: proved
---@field scripted boolean a function of Lua's, registered by `heapwright.policy`

---A placement policy in Lua. Both functions are called while a call on the pool is under way,
---which fails where they raise, and raises what they raised; nothing has changed then but the
---count of failures. They can't yield. Meanwhile the pool's own methods that ask or
---read work; those that change it, and `close`, raise.
---@class heapwright.Definition
---@field choose fun(free: heapwright.Free, size: integer, align: integer, state: table): heapwright.Address|nil
---  where a request of `size` bytes, a multiple of the granule, lies, at a multiple of `align`: where a free
---  block begins, which is at the lowest aligned place in it, or any other aligned address in one, which is exactly
---  there; nil or false: nowhere. A choice that doesn't fit is an error that names it. Asked only where some
---  free block has the size. `state` is a table of the pool's own, empty when it opens and after reset
---@field round? fun(size: integer): integer what is granted for a size, a multiple of the granule: as much at
---  least; should be the same for the same size
---@field chooses? string for `heapwright.policies`: what it takes
---@field index? string in what it looks
---@field bound? string the order of its work
---@field source? string who described it; where `choose` stands unless given

---All sizes are bytes, all counts exact at any time.
---@class heapwright.Stats
---@field capacity integer
---@field in_use integer requested bytes of the live blocks
---@field granted integer granted bytes of the live blocks
---@field live_blocks integer
---@field free_blocks integer
---@field free integer capacity - granted
---@field largest_free integer the largest free block
---@field peak_in_use integer the most that in_use ever was
---@field peak_granted integer the most that granted ever was
---@field high_water integer the highest end of a live block ever
---@field allocations integer granted requests
---@field frees integer
---@field reallocations integer granted changes of size
---@field failures integer requests answered no_memory
---@field injected integer and of those, refused by plan: `Pool:inject`
---@field internal_fragmentation number 1 - in_use / (granted - quarantined)
---@field external_fragmentation number 1 - largest_free / free
---@field steps integer nodes and words that the policy visited
---@field steps_max integer and in its worst single operation
---@field quarantined integer bytes of `granted`: those of freed blocks held back by guard "full"

---Which requests fail: one of `after`, `every` and `probability`, of those that
---`size_at_least` lets through; or all of these.
---@class heapwright.Injection
---@field after? integer n: the n-th request fails, that one alone
---@field persistent? boolean with `after`: all that follow it fail too
---@field every? integer n: the n-th, the 2n-th, the 3n-th … fail
---@field probability? number each fails with this probability, above 0 and 1 at most
---@field seed? integer of the probability; 0 unless given
---@field size_at_least? heapwright.Size smaller requests are neither counted nor refused

---The options of a bounded state. Those of a pool (policy, order, granule, guard,
---small_pages, capacity, ...) describe one of its own, which is twice as large as the
---limit and 64 KiB unless `capacity` says else; there `guard` is "off" and
---`small_pages` true unless given.
---@class heapwright.StateOptions: heapwright.Options
---@field limit? heapwright.Size bytes in use, as Lua asks for them; "8M", none where `pool` or `capacity` is given
---@field headroom? heapwright.Size bytes below the limit that only a collection may open; 0 unless given
---@field instructions? integer VM instructions a call may take; no bound unless given
---@field seconds? number a call may take; no bound unless given
---@field finalizers? boolean may scripts set __gc? They run with no budget; false unless given
---@field libs? ("io"|"os"|"debug"|"package"|"heapwright")[] opened whole beside the safe ones, and trusted
---@field pool? heapwright.Pool in which it lives, beside others; it stays open as long

---@class heapwright.KindStats
---@field in_use integer bytes
---@field blocks integer

---All sizes are bytes.
---@class heapwright.StateStats
---@field limit integer|nil nil: none
---@field headroom integer
---@field in_use integer what Lua asked for and has not freed
---@field peak_in_use integer
---@field granted integer what the state has of its pool
---@field peak_granted integer
---@field allocations integer
---@field frees integer
---@field reallocations integer
---@field over_limit integer requests refused since the limit would have been passed
---@field over_pool integer requests refused since the pool held nothing
---@field over_headroom integer requests sent back once, for a collection
---@field injected integer of over_pool, those refused by plan: `Pool:inject`
---@field pressure boolean was a state refused by the pool since this one was last collected?
---@field kinds table<string, heapwright.KindStats> "string", "table", "function", "userdata", "thread" and others
---@field instructions integer|nil drawn by the last call, by the thousand, of coroutines by the hundred; nil: uncounted
---@field seconds number that the last call took

---What a thread runs: a text of Lua, a function that uses no local variable from
---outside of it, or a table with one of these at 1, or with the name of a `file`, and
---with options of a state.
---@alias heapwright.Source string|function|heapwright.SourceOptions

---@class heapwright.SourceOptions: heapwright.StateOptions
---@field [1]? string|function
---@field file? string
---@field cancellable? boolean false: `cancel` waits in vain, Lua runs at its full speed; true unless given

---@class heapwright.Leak
---@field address heapwright.Address
---@field size integer as it was asked for
---@field site? string "file:line" that allocated it; with guard "full"
---@field thread? integer that did; with guard "full"

---What Lua allocates for: "other" are arrays, stacks, code and buffers.
---@alias heapwright.Kind
---| "other"
---| "string"
---| "table"
---| "function"
---| "userdata"
---| "thread"
---| "upvalue"
---| "prototype"

---Where `heapwright.watch` writes, and what.
---@class heapwright.Where
---@field path? string the trace: binary where it ends in .hwt, else text, with each block's kind in a comment
---@field kinds? heapwright.Kind[] these alone; all unless given

---All sizes are bytes as Lua asked for them.
---@class heapwright.KindWatched
---@field allocations integer
---@field bytes integer allocated in all, and grown
---@field peak_in_use integer the most at once, of this kind
---@field live_at_end integer blocks
---@field live_bytes integer

---@class heapwright.Watched
---@field path string|nil of the trace, as it was given
---@field program table|nil the trace as heapwright.replay loads it, where no path was given; nil for no events
---@field events integer
---@field allocations integer
---@field frees integer
---@field resizes integer
---@field peak_in_use integer
---@field live_at_end integer blocks
---@field live_bytes integer
---@field kinds table<heapwright.Kind, heapwright.KindWatched>

---@class heapwright
---@field version string
local heapwright = {}

---Opens a pool. Raises for an option that it does not know or take.
---@param options? heapwright.Options
---@return heapwright.Pool|nil pool
---@return string|nil message
---@return heapwright.Code|nil code "no_memory": more than the system, or a pool, can have
function heapwright.new(options) end

---Opens a pool as it was saved: every block is at the address that it had. Options stand in
---the place of what was saved; blocks that don't fit them are refused with the reason. What
---the file doesn't say is as if each block had been placed there in a new pool, in address
---order: so the free blocks enter the policy's index in that order. Raises as `new` does.
---@param path string
---@param options? heapwright.Options
---@return heapwright.Pool|nil pool
---@return string|nil message with the path and the byte where it is wrong
---@return heapwright.Code|nil code "corrupted": damaged; "invalid_argument": it does not fit; "io", "no_memory"
function heapwright.load(path, options) end

---Every policy, in a fresh array.
---@return heapwright.PolicyInfo[]
function heapwright.policies() end

---Registers a placement policy in this Lua state: from now on its name stands wherever a
---policy's does, in new pools, scenarios, replays and the command. Registering it again takes
---the old one's place, nil forgets it; pools that are open keep theirs. A pool with such
---a policy is this state's alone: thread_safe is false, it is given to no thread, and no
---state lives in it. Raises for a name that is built in, has more than 15 bytes or others
---than letters, digits, "-", "_" and ".", and for a field that it does not know.
---@param name string
---@param definition heapwright.Definition|nil
---@return boolean known registered; of nil: whether there was one
function heapwright.policy(name, definition) end

---The bytes that a size says; raises where it says none.
---@param size heapwright.Size
---@return integer bytes
function heapwright.parse_size(size) end

---Calls a function and records what this Lua state, with all its coroutines,
---allocates meanwhile. Blocks that are older are not in the trace: their frees are
---left out, and resizing one is an allocation. The function can't yield across.
---Raises for what is no function, path or table of options.
---@overload fun(f: function, ...): heapwright.Watched|nil, boolean|string, ...
---@param where string|heapwright.Where the trace's path, or path and kinds
---@param f function
---@param ... any its arguments
---@return heapwright.Watched|nil figures nil: not written, and f was not called, or what it returned is lost
---@return boolean|string ok whether f returned; the message where figures is nil
---@return any ... what f returned, or raised; the code: "io", "no_memory"; "invalid_argument" inside of another watch
function heapwright.watch(where, f, ...) end

---Opens a bounded Lua state. Raises for an option that it does not know or take.
---@param options? heapwright.StateOptions
---@return heapwright.State|nil state
---@return string|nil message
---@return heapwright.Code|nil code "limit": too little for a state; "no_memory"
function heapwright.state(options) end

---Starts a thread: a bounded state on a POSIX thread of its own, in which
---`require "heapwright"` works. A pool that is given is its first argument, a handle
---of the same pool; the others are copies. When this Lua state closes, it cancels
---the threads that it started, and waits for them.
---@param pool heapwright.Pool|nil
---@param source heapwright.Source
---@param ... any
---@return heapwright.Thread|nil thread
---@return string|nil message
---@return heapwright.Code|nil code "limit", "no_memory"; "io": the system starts no thread
function heapwright.spawn(pool, source, ...) end

---The free blocks of a pool, as a policy in Lua is shown them: read-only, and only until its
---`choose` returns; later calls raise. `#free` is how many there are. Blocks in
---quarantine (guard "full") count as live here.
---@class heapwright.Free
local Free = {}

---An iterator of address and size of each, lowest address first. O(log capacity) a step.
---@return fun(free: heapwright.Free, address: heapwright.Address|nil): heapwright.Address|nil, integer|nil
---@return heapwright.Free
function Free:blocks() end

---An iterator of address and size, the smallest first and the lowest address among equals.
---O(free blocks), and O(log) a step.
---@param least? integer only those of at least so many bytes
---@return fun(): heapwright.Address|nil, integer|nil
function Free:by_size(least) end

---The first by address that holds the request, of those that begin at `from` or after. O(log capacity)
---for each that is large enough but holds no aligned place.
---@param size integer
---@param align? integer a power of two; the usual one unless given
---@param from? heapwright.Address 0 unless given
---@return heapwright.Address|nil address nil: none
---@return integer|nil size its own
function Free:first(size, align, from) end

---The largest, the lowest of equals; nil where none is free. O(log capacity).
---@return heapwright.Address|nil address
---@return integer|nil size
function Free:largest() end

---The neighbour below the block that holds the address; nil at the pool's start. O(log capacity).
---@param address heapwright.Address
---@return heapwright.Address|nil start
---@return integer|nil size
---@return boolean|nil live
function Free:before(address) end

---The neighbour above it; nil at the pool's end. O(log capacity).
---@param address heapwright.Address
---@return heapwright.Address|nil start
---@return integer|nil size
---@return boolean|nil live
function Free:after(address) end

---Where the request would lie if `choose` gave this address; nil where it does not fit. O(log capacity).
---@param address heapwright.Address
---@param size integer
---@param align? integer a power of two; the usual one unless given
---@return heapwright.Address|nil place
function Free:place(address, size, align) end

---The pool's bytes, free or not.
---@return integer bytes
function Free:capacity() end

---A handle of a bounded pool of bytes. Closed by `<close>`, by collection or by
---`close`; the pool itself is closed when its last holder lets go: other states may
---have handles of it.
---@class heapwright.Pool
local Pool = {}

---Grants bytes, not zeroed. Size 0 grants an address of its own.
---@param size integer
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:alloc(size) end

---Grants zeroed bytes.
---@param size integer
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:malloc(size) end

---Grants count * size zeroed bytes; a product that overflows is no_memory.
---@param count integer
---@param size integer
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:calloc(count, size) end

---Grants bytes, not zeroed, at a multiple of a power of two.
---@param alignment integer
---@param size integer
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:aligned_alloc(alignment, size) end

---Changes a block's size; it may move, with its bytes and its alignment. nil
---allocates. A failure leaves block and bytes as they were.
---@param address heapwright.Address|nil
---@param size integer
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:realloc(address, size) end

---Frees the block that starts here.
---@param address heapwright.Address
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:free(address) end

---The size that the block that starts here was asked for with.
---@param address heapwright.Address
---@return integer|nil size
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:size(address) end

---The size that the block that starts here was granted.
---@param address heapwright.Address
---@return integer|nil size
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:usable_size(address) end

---The start and requested size of the live block that holds this address.
---@param address heapwright.Address
---@return heapwright.Address|nil start
---@return integer|string|nil size the message where start is nil
---@return heapwright.Code|nil code
function Pool:owner(address) end

---Bytes from an address in a live block.
---@param address heapwright.Address
---@param n? integer to the block's end unless given
---@return string|nil bytes
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:read(address, n) end

---Writes bytes into a live block.
---@param address heapwright.Address
---@param bytes string
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:write(address, bytes) end

---Sets n bytes of a live block.
---@param address heapwright.Address
---@param byte integer 0 to 255
---@param n integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:fill(address, byte, n) end

---Copies n bytes; the ranges may overlap.
---@param to heapwright.Address
---@param from heapwright.Address
---@param n integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:copy(to, from, n) end

---Compares n bytes, unsigned.
---@param a heapwright.Address
---@param b heapwright.Address
---@param n integer
---@return -1|0|1|nil order
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:compare(a, b, n) end

---The word at an address: 8 bytes, read in one step, for scripts on several threads
---that share the pool. As an integer; the address is a multiple of 8.
---@param address heapwright.Address
---@return integer|nil value
---@return string|nil message
---@return heapwright.Code|nil code "invalid_argument": not aligned
function Pool:load(address) end

---Sets a word in one step.
---@param address heapwright.Address
---@param value integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:store(address, value) end

---Adds to a word in one step; wraps around as integers do.
---@param address heapwright.Address
---@param n integer
---@return integer|nil before the value that was there
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:fetch_add(address, n) end

---Compare and swap: where the word is `old`, makes it `new`, in one step.
---@param address heapwright.Address
---@param old integer
---@param new integer
---@return boolean|nil swapped false: it was not `old`, and stays as it is; nil: a bad address
---@return integer|string|nil found the value that was there; the message where swapped is nil
---@return heapwright.Code|nil code
function Pool:cas(address, old, new) end

---Writes values in a format of string.pack.
---@param address heapwright.Address
---@param format string
---@param ... any
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:pack(address, format, ...) end

---Reads values in a format of string.pack: of fixed size, or up to the block's end.
---@param address heapwright.Address
---@param format string
---@return any ... the values; nil, message, code where they can't be read
function Pool:unpack(address, format) end

---Walks the blocks in address order, each as it is when the walk comes to it.
---@return fun(): heapwright.Address|nil, integer, integer|nil, true|nil next address, size, requested (nil:
---free), true for a freed block in quarantine
function Pool:blocks() end

---@return heapwright.Stats stats a fresh table
function Pool:stats() end

---A drawing of the pool in one line: '#' wholly live, '.' wholly free, '+' partly.
---@param width? integer columns, 1 to 65536; 64 unless given
---@return string
function Pool:map(width) end

---Verifies everything that must hold in the pool.
---@return true|nil ok
---@return string|nil message the first thing wrong, and where
---@return heapwright.Code|nil code "corrupted"
function Pool:check() end

---The live blocks, the largest first; with guard "full" by the line that allocated
---them, the one with the most bytes first.
---@return heapwright.Leak[]
function Pool:leaks() end

---The name of the policy.
---@return string
function Pool:policy() end

---Frees every block at once; what follows is placed as in a new pool. Mends a pool
---that refused further work.
---@return true
function Pool:reset() end

---Gives back what the pool keeps to be faster: slab's empty pages are free blocks
---again, and a pool that grew shrinks. What a request needs is given back without it.
---@return true|nil done
---@return string|nil message
---@return heapwright.Code|nil code "corrupted": the pool refuses further work
function Pool:trim() end

---An object that owns n zeroed bytes, frees them at `<close>`, at collection, by `free`, or
---when this handle of the pool closes, and may be moved by `compact`. Only it frees and
---resizes its block: by address that is refused.
---@param size integer
---@param alignment? integer a power of two, kept when it moves
---@return heapwright.Block|nil block
---@return string|nil message
---@return heapwright.Code|nil code
function Pool:block(size, alignment) end

---Slides the blocks of objects together, whichever state's they are; all others keep
---their addresses. Buddy and slab move them where their rule has a lower place; bump
---moves none.
---@return integer won bytes by which the largest free block is larger now
---@return integer blocks that moved
---@return integer bytes that they hold
function Pool:compact() end

---Writes the pool's live blocks, their bytes and its options to a file. It is written
---beside the old one and takes its name at the end, so a crash leaves the old one.
---@param path string
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code "io"; "invalid_argument": Lua states live in the pool; "corrupted"
function Pool:save(path) end

---Begins to write the pool's events to a trace, the blocks that are live first:
---binary where the path ends in .hwt, else text. Without a path, or with false,
---ends it, and returns true and the number of events. A pool has one recording,
---whichever handle of it began it, and whichever ends it.
---@param path? string|false
---@return true|nil ok
---@return integer|string|nil events the message where ok is nil
---@return heapwright.Code|nil code "io"; "invalid_argument" where one is on
function Pool:record(path) end

---From now on requests of the pool fail by plan, whoever makes them: with code
---"no_memory" and a message that begins with "injected". Requests are `alloc`, `malloc`,
---`calloc`, `aligned_alloc`, a `realloc` that grows, and what Lua states in the pool
---ask for; these mostly collect and ask once more, so that a script surely ends by
---`persistent` or `every = 1` alone. Without a plan, or with false, ends it, and returns what it counted;
---0 where there was none. Raises for a plan that it does not take.
---@param plan? heapwright.Injection|false
---@return true
---@return integer|nil requests that the plan counted
---@return integer|nil injected of those, refused
---@return string|nil place script:line of the first refused, where this handle was asked by a script
function Pool:inject(plan) end

---Closes this handle; the last one closes the pool and ends its recording. Closing
---again does nothing; any other call on a closed handle raises.
---@return true|nil ok
---@return string|heapwright.Leak[]|nil message of a recording that could not be written whole; or what
---`leaks` says, where guard is "full", something is live and no other handle holds the pool
---@return heapwright.Code|nil code "io"
function Pool:close() end

---A block of its own. Offsets count from its first byte; a range that runs past its end is
---answered with "out_of_bounds", any call after it was freed, or its pool was reset, with
---"unallocated". Once the handle of the pool that made it is closed, calls raise.
---@class heapwright.Block
local Block = {}

---@param offset? integer 0 unless given
---@param n? integer to the block's end unless given
---@return string|nil bytes
---@return string|nil message
---@return heapwright.Code|nil code
function Block:read(offset, n) end

---@param offset integer
---@param bytes string
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Block:write(offset, bytes) end

---Sets n bytes.
---@param offset integer
---@param byte integer 0 to 255
---@param n integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Block:fill(offset, byte, n) end

---Copies n bytes inside of the block; the ranges may overlap.
---@param to integer
---@param from integer
---@param n integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Block:copy(to, from, n) end

---Compares n bytes inside of the block, unsigned.
---@param a integer
---@param b integer
---@param n integer
---@return -1|0|1|nil order
---@return string|nil message
---@return heapwright.Code|nil code
function Block:compare(a, b, n) end

---Writes values in a format of string.pack.
---@param offset integer
---@param format string
---@param ... any
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Block:pack(offset, format, ...) end

---Reads values in a format of string.pack: of fixed size, or up to the block's end.
---@param offset integer
---@param format string
---@return any ... the values; nil, message, code where they can't be read
function Block:unpack(offset, format) end

---@return integer|nil size
---@return string|nil message
---@return heapwright.Code|nil code
function Block:size() end

---Where it lies, until the next `compact` by any state, or its `resize`.
---@return heapwright.Address|nil address
---@return string|nil message
---@return heapwright.Code|nil code
function Block:address() end

---Changes its size; what is new is zero. A failure leaves it as it was.
---@param size integer
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code
function Block:resize(size) end

---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code "double_free"
function Block:free() end

---As `free`; on a block that is freed already it does nothing.
---@return true
function Block:close() end

---A bounded Lua state. Values come and go as copies: nil, booleans, numbers, strings,
---tables of these without cycles, 100 deep at most. A call that fails gives nil,
---the message with its traceback (or a copy of the table that was raised), and a code:
---"limit" where memory, instructions or time ran out, "io" where a file can't be
---read, nil where the script itself raised or does not compile. The state can be used
---after each. Closed by `<close>`, by collection or by `close`.
---@class heapwright.State
local State = {}

---Runs a file: text, not binary.
---@param path string
---@param ... any
---@return any ... its results; nil, message, code
function State:run(path, ...) end

---Runs a text.
---@param code string
---@param ... any
---@return any ... its results; nil, message, code
function State:eval(code, ...) end

---Calls a global function; dots lead into tables: "handlers.on_event".
---@param name string
---@param ... any
---@return any ... its results; nil, message, code
function State:call(name, ...) end

---Sets a global variable, raw: no script runs.
---@param name string
---@param value any
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code "limit"
function State:set(name, value) end

---@return heapwright.StateStats stats a fresh table
function State:stats() end

---Without an argument, the limit, nil where there is none. With one, sets it, or with
---nil lifts it. One below what is in use frees nothing; what grows is refused.
---@param bytes? heapwright.Size|nil
---@return integer|true|nil
function State:limit(bytes) end

---Collects its garbage, and ends its `pressure`.
---@return integer bytes in use after it
function State:collect() end

---Closes it: every byte goes back to the pool. Closing again does nothing; any other
---call on a closed state raises.
---@return true|nil ok
---@return string|nil message
---@return heapwright.Code|nil code "corrupted": a C library kept memory of it
function State:close() end

---A thread. Its handle may be collected: it goes on. `<close>` cancels it and waits.
---@class heapwright.Thread
local Thread = {}

---Waits for its end, at most so long: its results, copied anew each time it is
---called; nil, message, code as of a state's call; nil, message, "limit" where it runs
---still (see `status`), nil, message where it was cancelled.
---@param seconds? number
---@return any ...
function Thread:join(seconds) end

---Ends it at its next instruction (every thousandth asks). A call in C ends first.
---@return boolean running false: it had ended before
function Thread:cancel() end

---@return "running"|"finished"|"failed"|"cancelled"
function Thread:status() end

return heapwright
