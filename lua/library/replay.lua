---@meta heapwright.replay
-- SPDX-License-Identifier: MIT
-- heapwright.replay, for editors and language servers: a recorded trace, asked often.
-- spec/library_spec.lua compares what is said here with what is there.

---A loaded trace. It frees itself on `<close>` or collection.
---@class heapwright.Program
local Program = {}

---@class heapwright.Source
---@field name string
---@field events integer
---@field allocations integer
---@field peak_in_use integer bytes as requested
---@field lower_bound integer the peak with each block rounded up to granules of 16
---@field program? string whose events they are, where the trace knows
---@field warning? string what is wrong with the trace

---@return heapwright.Source
function Program:source() end

---The requests of the moment when the most bytes are live, those of at most so many bytes.
---@param most integer
---@return table<integer, integer>|nil blocks by size
---@return string|nil message
---@return heapwright.Code|nil code
function Program:sizes_at_peak(most) end

---@class heapwright.Question
---@field policy string also one that heapwright.policy registered
---@field order? string
---@field seed? integer of order random
---@field granule? integer
---@field classes? integer[] size classes, bytes, of a policy that takes them

---@class heapwright.Questions
---@field policies heapwright.Question[]
---@field capacity? integer bytes; unbounded unless given
---@field granule? integer that of the what-if, or 16, unless given
---@field classes? integer[] size classes of the policies that take them
---@field smallest? boolean search the smallest pool
---@field exhaustive? boolean search: run every capacity in question, whatever it takes
---@field reversals? boolean search: run larger pools, too, to see which of them fail
---@field time? boolean measure nanoseconds an operation
---@field threads? integer as many as there are cores unless given; the figures don't depend on them
---@field progress? fun(done: number, total: integer) called some ten times a second

---A stretch of capacities that were run and failed, above one that fits.
---@class heapwright.Reversal
---@field fits integer
---@field fails_from integer
---@field fails_to integer

---What was not asked for is absent.
---@class heapwright.Answer
---@field policy string
---@field order string
---@field capacity? integer
---@field failures integer requests refused
---@field peak_in_use integer
---@field peak_granted integer
---@field high_water integer
---@field metadata integer bytes beside the smallest pool, the one asked for, or one as large as the high water
---@field external_fragmentation number at the peak
---@field internal_fragmentation number at the peak
---@field in_use_over_time? integer[] after each eighth of the events; nil of a trace that was streamed
---@field smallest_pool? integer it fits: it was run, or proved; nil also where no pool does
---@field overhead? number smallest_pool / lower bound - 1
---@field smallest_exact? boolean no smaller pool fits: proved, or each was run
---@field reversals? heapwright.Reversal[] the lowest eight
---@field reversal_count? integer all of them
---@field runs? integer that the search took
---@field steps_max integer
---@field steps_mean number
---@field ns_p50? integer
---@field ns_p999? integer
---@field ns_max? integer
---@field ops_per_second? number

---Replays the trace under each policy, in parallel.
---@param questions heapwright.Questions
---@return heapwright.Answer[]|nil answers in the order of the policies
---@return string|nil message
---@return heapwright.Code|nil code
function Program:measure(questions) end

---@class heapwright.PackingOptions
---@field granule? integer a power of two; 16 unless given
---@field nodes? integer what the search for the optimum may visit; 300,000 unless given
---@field heuristic? boolean no search
---@field pieces? boolean tell where each piece lies

---Piece i lies at address[i], takes size[i] bytes, and lives from event from[i] until event
---to[i], counted from 1; what is never freed, until one past the last event. A block that is
---resized to another number of granules is one piece before and another one after.
---@class heapwright.Pieces
---@field address integer[]
---@field size integer[]
---@field from integer[]
---@field to integer[]

---@class heapwright.Packing
---@field pool integer bytes
---@field overhead? number pool / lower_bound - 1; nil where the trace is empty
---@field lower_bound integer no packing is smaller: the peak of live bytes, or what the search ruled out
---@field proved boolean pool is lower_bound: the optimum
---@field nodes integer that the search visited
---@field method string how it was found
---@field pieces? heapwright.Pieces

---Packs the trace's blocks as if all of it were known in advance. No run of any policy needs
---less than `lower_bound`. Raises for an option that it does not know or take.
---@param options? heapwright.PackingOptions
---@return heapwright.Packing|nil packing
---@return string|nil message
---@return heapwright.Code|nil code "limit": all would end past 2^63 - 1; "no_memory"
function Program:pack(options) end

---@class heapwright.ContentionQuestion: heapwright.Question
---@field capacity? integer
---@field threads? integer at most so many; those of the trace, 64 at most, unless given
---@field caches? boolean with a cache for each thread

---@class heapwright.Contention
---@field policy string
---@field threads integer that replayed
---@field recorded_threads integer
---@field dependencies integer events on a block that another thread's event came before
---@field waits integer for these
---@field failures integer
---@field peak_in_use integer as observed; other runs place otherwise
---@field peak_granted integer
---@field high_water integer
---@field ops_per_second number
---@field ops_per_second_alone number on one thread
---@field scaling? number of the two

---Replays the trace's threads on real threads in one shared pool. Raises for a policy in Lua.
---@param question heapwright.ContentionQuestion
---@return heapwright.Contention|nil
---@return string|nil message
---@return heapwright.Code|nil code "invalid_argument": the trace names no threads
function Program:contend(question) end

---@class heapwright.HistoryQuestion: heapwright.Question
---@field path string the new file, which appears whole or not at all
---@field format "svg"|"perfetto"|"csv"|"curves"
---@field capacity? integer bytes; unbounded unless given
---@field title? string the program's name unless given
---@field label? string what the policy is called
---@field points? integer of the curves; 1,000 unless given

---@class heapwright.History: heapwright.Answer
---@field rectangles integer blocks, a resized one once more for each resize that changed it
---@field drawn integer those that have a shape, a slice or a line of their own
---@field by_time boolean the trace's events all have times, and none goes back
---@field back_at? integer the first event whose time is before its predecessor's

---Replays the trace under a policy and writes what lay where: a picture, a timeline of trace
---events, a table of the blocks, or one of the curves. Raises for a field that it does not know or take.
---@param question heapwright.HistoryQuestion
---@return heapwright.History|nil
---@return string|nil message
---@return heapwright.Code|nil code
function Program:write_history(question) end

---A part of the program that still fails, to be made smaller: see lua/part.c.
---@param question {policy: string, capacity: integer, order: string|nil, seed: integer|nil, granule: integer|nil}
---@return table|nil part
---@return string|nil message
---@return heapwright.Code|nil code "limit": nothing is refused
function Program:part(question) end

---Frees the program. Raises while it is being measured.
function Program:close() end

---@class heapwright.replay
local replay = {}

---Loads a trace.
---@param path string
---@param name? string what reports call it; the path unless given
---@param what_if? heapwright.WhatIf
---@param times? boolean keep the events' times, for write_history
---@return heapwright.Program|nil program
---@return string|nil message
---@return heapwright.Code|nil code
function replay.load(path, name, what_if, times) end

---What the trace is asked to have been.
---@class heapwright.WhatIf
---@field granule? integer of the pools, for the lower bound
---@field header? integer bytes more a block
---@field align? integer each request's least alignment
---@field scale? integer[] numerator and denominator of a factor of all sizes
---@field threads? integer[] only blocks that these allocate
---@field from? integer only events from this one on, counted from 1; what is live before is allocated first
---@field to? integer

---@class heapwright.StreamQuestion: heapwright.Questions
---@field path string
---@field name? string

---@class heapwright.Streamed
---@field source heapwright.Source
---@field results heapwright.Answer[]
---@field passes integer over the file
---@field seconds number of the clock
---@field read_seconds? number of a processor, that reading alone took

---Replays a trace while it is read, in memory that grows with its live blocks. Raises for a policy in Lua.
---@param question heapwright.StreamQuestion
---@return heapwright.Streamed|nil
---@return string|nil message
---@return heapwright.Code|nil code
function replay.stream(question) end

return replay
