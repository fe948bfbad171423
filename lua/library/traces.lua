---@meta heapwright.traces
-- SPDX-License-Identifier: MIT
-- Trace files, for editors and language servers; spec/library_spec.lua compares this
-- with what is exported. Expected failures are nil, message, code: "io", "corrupted",
-- "invalid_argument", "no_memory".

---Formats are told by content, packed by gzip, xz or zstd or not, or as the one file
---of a zip. The last five can only be read.
---@alias heapwright.TraceFormat
---| "text"          # ours, a line an event
---| "binary"        # ours, .hwt
---| "rep"           # the CS:APP malloc lab's
---| "minimalloc"    # MiniMalloc's CSV
---| "mtrace"        # glibc's MALLOC_TRACE
---| "memory_replay" # Android's malloc debug
---| "valgrind"      # --trace-malloc=yes
---| "ltrace"        # of malloc, free and the like
---| "heaptrack"     # --raw

---What is known of a whole trace; what is not known is nil.
---@class heapwright.TraceInfo
---@field format heapwright.TraceFormat
---@field packing string|nil "gzip", "xz", "zstd", "zip"
---@field loses string|nil what the format does not tell of a program, in words
---@field events integer
---@field allocations integer
---@field frees integer
---@field resizes integer
---@field threads integer 0 where the trace names none
---@field peak_in_use integer the most bytes ever live
---@field lower_bound integer the same with each block rounded up to 16
---@field peak_blocks integer
---@field live_at_end integer blocks
---@field live_bytes integer at the end
---@field largest integer
---@field duration integer|nil nanoseconds
---@field program string|nil
---@field warning string|nil what is missing or was mended, in words

local traces = {}

---Reads a whole trace.
---@param path string
---@return heapwright.TraceInfo|nil
---@return string|nil message
---@return heapwright.Code|nil code
function traces.info(path) end

---Opens a trace, to be read event by event.
---@param path string
---@return heapwright.TraceReader|nil
---@return string|nil message
---@return heapwright.Code|nil code
function traces.open(path) end

---Writes a trace in another format; `to` appears whole or not at all.
---@param from string
---@param to string
---@param format "text"|"binary"|"rep"|"minimalloc"
---@return true|nil
---@return string|nil warning what is missing in the source, and what the format can't hold; or the failure
---@return heapwright.Code|nil code
function traces.convert(from, to, format) end

---@class heapwright.Generation
---@field path string
---@field format? "binary"|"text"
---@field events integer
---@field live integer
---@field sizes table a distribution of heapwright.workload
---@field seed? integer
---@field resizes? number share of the events
---@field threads? integer
---@field passed? number share of the blocks that another thread frees

---Writes a trace that is made up: `live` blocks, of which one after another is replaced.
---@param options heapwright.Generation
---@return true|nil
---@return string|nil message
---@return heapwright.Code|nil code
function traces.generate(options) end

---Runs a program and records it and its children.
---@param options { output: string, argv: string[], library: string }
---@return { status: integer, warning: string|nil, traces: table[] }|nil
---@return string|nil message
---@return heapwright.Code|nil code
function traces.record(options) end

---@class heapwright.TraceReader
local Reader = {}

---The next event; nil at the end; nil, message, code where reading fails. A block that
---is live has an id of its own.
---@return "alloc"|"free"|"resize"|nil kind
---@return integer id
---@return integer size of a free: the block's
---@return integer|nil alignment
---@return integer|nil thread
---@return integer|nil time nanoseconds
function Reader:next() end

---For `for`: the same, but a failure is raised.
---@return fun(reader: heapwright.TraceReader): string, integer, integer, integer|nil, integer|nil, integer|nil
---@return heapwright.TraceReader
function Reader:events() end

---What is to be known of it, whole at the end; nil for nothing.
---@return string|nil
function Reader:warning() end

---Closes it; any number of times.
function Reader:close() end

return traces
