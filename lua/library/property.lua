---@meta heapwright.property
-- SPDX-License-Identifier: MIT
-- heapwright.property, for editors and language servers: see its file for examples.
-- spec/library_spec.lua compares what is said here with what is there.

---Where a command's arguments come from. Each value has simpler ones, which are tried
---when a list that fails is made smaller.
---@class heapwright.Generator
local Generator = {}

---An integer of low … high, often the first or the last; simpler: nearer to 0, or to
---low or high where 0 is not among them.
---@param low integer
---@param high integer
---@return integer
function Generator:integer(low, high) end

---true or, simpler, false.
---@return boolean
function Generator:boolean() end

---One of the list's values; simpler: an earlier one.
---@generic T
---@param list T[]
---@return T
function Generator:pick(list) end

---A string of least … most characters; simpler: shorter, its characters earlier in the alphabet.
---@param least integer
---@param most integer
---@param alphabet? string its bytes; a … z unless given
---@return string
function Generator:string(least, most, alphabet) end

---@class heapwright.Command
---@field run fun(structure: any, model: any, ...): false|any, string|nil fails where it raises or gives false
---@field draw? fun(g: heapwright.Generator, model: any): ... its further arguments; none unless given
---@field ready? fun(model: any): boolean is it to be called now? always, unless given
---@field weight? integer how often it is drawn beside others; 1 unless given

---The options of a pool (see heapwright.Options), and of what is to be done in it. With
---`commands` it is a structure of yours that is tested, without them the pool itself.
---@class heapwright.PropertyOptions: heapwright.Options
---@field operations? integer in a list; 200 unless given
---@field runs? integer lists; 100 unless given
---@field seed? integer of the first list, one more for each that follows, and of order random; else from the clock
---@field usual_size? integer bytes, below which most requests stay; of a pool of 4 KiB 204, unless given
---@field every? integer blocks and statistics are compared after every so many operations; 1 unless given
---@field model? fun(config: table): table a model of your own, with the methods of heapwright.property.model
---@field setup? fun(mem: heapwright.Pool): any, any the structure in the pool, and its model
---@field commands? table<string, heapwright.Command>
---@field invariant? fun(structure: any, model: any, mem: heapwright.Pool): false|any, string|nil after every command
---@field finish? fun(structure: any, model: any, mem: heapwright.Pool): false|any, string|nil no block is live after it
---@field faults? number of the commands: so many, 0 to 1, have a request of memory refused
---@field source? string the module or the file (….lua) that gives this table, for scripts

---@class heapwright.Counterexample
---@field seed integer of the run that failed
---@field run integer which run that was
---@field runs integer
---@field at integer the operation that failed, as it was drawn
---@field operations table[] the smallest list found that fails
---@field what string what is wrong after that
---@field script string Lua that runs it again
---@field message string all of this for people

---What a counterexample's script is made of: calling it with a command's name and
---arguments calls the command, and raises where that fails.
---@class heapwright.Replay
---@overload fun(name: string, ...)
local Replay = {}

---In the next command this request of memory fails: 1 the first, 2 the second …
---@param number integer
function Replay:fail(number) end

---Calls `finish`, closes the pool, raises where something is wrong.
function Replay:finish() end

local property = {}

---Looks for a counterexample. HEAPWRIGHT_SEED in the environment takes the place of
---`seed`, with a single run. Raises for what is wrong with the options, at its caller.
---@param options heapwright.PropertyOptions|string the table, or the module or file that gives it
---@return heapwright.Counterexample|nil found
---@return integer|nil total operations that were run, where there is none
function property.find(options) end

---The same as a test: raises with the counterexample's message where there is one.
---@param options heapwright.PropertyOptions|string
---@return integer total operations that were run
function property.check(options) end

---Sets up the structure of a property with commands, to call these one by one.
---@param options heapwright.PropertyOptions|string
---@return heapwright.Replay
function property.replay(options) end

return property
