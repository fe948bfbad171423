-- SPDX-License-Identifier: MIT
-- Binary trees: one that lives long, and many of growing depth that are built,
-- counted and dropped. Tables of two fields, all of one size.
-- Argument: the depth of the long-lived tree.

local depth = tonumber((...)) or 17

local function grow(levels)
  if levels == 0 then return { left = false, right = false } end
  return { left = grow(levels - 1), right = grow(levels - 1) }
end

local function count(tree)
  if not tree.left then return 1 end
  return 1 + count(tree.left) + count(tree.right)
end

local kept = grow(depth)
local nodes = 0
for levels = 2, depth, 2 do
  for _ = 1, 1 << (depth - levels) do nodes = nodes + count(grow(levels)) end
end
return nodes + count(kept)
