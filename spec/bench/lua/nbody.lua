-- SPDX-License-Identifier: MIT
-- Bodies that attract each other in a plane, stepped in time. All arithmetic:
-- allocates next to nothing after its start.
-- Argument: steps.

local steps = tonumber((...)) or 180000

local bodies = {}
for i = 1, 6 do
  local angle = i * math.pi / 3
  bodies[i] = {
    x = i * math.cos(angle), y = i * math.sin(angle), mass = 1 / i,
    vx = -math.sin(angle) / i, vy = math.cos(angle) / i,
  }
end

local function attract(dt)
  for i = 1, #bodies do
    local a = bodies[i]
    for j = i + 1, #bodies do
      local b = bodies[j]
      local dx, dy = b.x - a.x, b.y - a.y
      local squared = dx * dx + dy * dy + 0.01
      local pull = dt / (squared * squared ^ 0.5)
      a.vx, a.vy = a.vx + dx * pull * b.mass, a.vy + dy * pull * b.mass
      b.vx, b.vy = b.vx - dx * pull * a.mass, b.vy - dy * pull * a.mass
    end
  end
end

for _ = 1, steps do
  attract(0.001)
  for i = 1, #bodies do
    local body = bodies[i]
    body.x, body.y = body.x + 0.001 * body.vx, body.y + 0.001 * body.vy
  end
end

local energy = 0
for _, body in ipairs(bodies) do energy = energy + body.mass * (body.vx * body.vx + body.vy * body.vy) / 2 end
return ("%.12g"):format(energy)
