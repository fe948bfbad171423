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
---index first, or last.
---@alias heapwright.Order "address"|"fifo"|"lifo"

---@class heapwright.Options
---@field capacity? heapwright.Size bytes that the pool manages; "1M" unless given, rounded down to granules
---@field max_capacity? heapwright.Size up to which it grows; `capacity` unless given
---@field granule? heapwright.Size the unit of placement: a power of two from 8 to 4096, 16 unless given
---@field policy? string a name of `heapwright.policies`; "best-fit" unless given
---@field order? heapwright.Order for best-fit, first-fit and worst-fit; "address" unless given
---@field guard? "off"|"check" "check", unless given, remembers frees, so that double_free is exact
---@field thread_safe? boolean false drops the lock; true unless given
---@field small_pages? boolean true asks for no huge pages; they are for pools of 2 MiB and more
---@field thread_caches? integer for slab: so many threads, 128 at most, need no lock; 0 unless given

---@class heapwright.PolicyInfo
---@field name string
---@field chooses string what it takes
---@field index string in what it looks
---@field bound string the order of its work
---@field source string who described it
---@field takes_order boolean fifo and lifo are accepted
---@field takes_caches boolean thread_caches is accepted
---@field exact boolean the address follows from the rule alone
---@field monotone boolean what fits in a pool fits in every larger one: proved

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
---@field internal_fragmentation number 1 - in_use / granted
---@field external_fragmentation number 1 - largest_free / free
---@field steps integer nodes and words that the policy visited
---@field steps_max integer and in its worst single operation

---@class heapwright.Leak
---@field address heapwright.Address
---@field size integer as it was asked for

---@class heapwright
---@field version string
local heapwright = {}

---Opens a pool. Raises for an option that it does not know or take.
---@param options? heapwright.Options
---@return heapwright.Pool|nil pool
---@return string|nil message
---@return heapwright.Code|nil code "no_memory": more than the system, or a pool, can have
function heapwright.new(options) end

---Every policy, in a fresh array.
---@return heapwright.PolicyInfo[]
function heapwright.policies() end

---The bytes that a size says; raises where it says none.
---@param size heapwright.Size
---@return integer bytes
function heapwright.parse_size(size) end

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
---@return fun(): heapwright.Address|nil, integer, integer|nil next address, size, requested (nil: free)
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

---The live blocks, the largest first.
---@return heapwright.Leak[]
function Pool:leaks() end

---The name of the policy.
---@return string
function Pool:policy() end

---Frees every block at once; what follows is placed as in a new pool.
---@return true
function Pool:reset() end

---Gives back what the pool keeps to be faster: slab's empty pages are free blocks
---again, and a pool that grew shrinks. What a request needs is given back without it.
---@return true
function Pool:trim() end

---Begins to write the pool's events to a trace, the blocks that are live first:
---binary where the path ends in .hwt, else text. Without a path, or with false,
---ends it, and returns true and the number of events. A pool has one recording,
---whichever handle of it began it, and whichever ends it.
---@param path? string|false
---@return true|nil ok
---@return integer|string|nil events the message where ok is nil
---@return heapwright.Code|nil code "io"; "invalid_argument" where one is on
function Pool:record(path) end

---Closes this handle; the last one closes the pool and ends its recording. Closing
---again does nothing; any other call on a closed handle raises.
---@return true|nil ok
---@return string|nil message of a recording that could not be written whole
---@return heapwright.Code|nil code "io"
function Pool:close() end

return heapwright
