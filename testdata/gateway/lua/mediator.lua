-- A mediator: hooks subscribe to a channel, and who publishes there knows
-- nothing of them.
--
-- A channel is a path, such as {"entity", "apis"}. What is published on it goes
-- to its own hooks, then to those of {"entity"}, then to those of {}. Within a
-- channel hooks run by priority, the lowest number first, and in the order in
-- which they subscribed where that is equal. A hook with a predicate runs where
-- the predicate, called with what is published, returns true.
--
-- A hook that raises an error keeps no other from running.
local Mediator = {}
Mediator.__index = Mediator

local function channel() return { hooks = {}, below = {} } end

function Mediator.new() return setmetatable({ root = channel() }, Mediator) end

-- subscribe adds a hook to a channel. options.priority is 10 if it is not given,
-- options.predicate is optional. It returns a function that ends the
-- subscription.
function Mediator:subscribe(path, fn, options)
  options = options or {}
  local at = self.root
  for _, name in ipairs(path) do
    at.below[name] = at.below[name] or channel()
    at = at.below[name]
  end
  local hook = { fn = fn, priority = options.priority or 10, predicate = options.predicate }
  local place = #at.hooks + 1
  while place > 1 and at.hooks[place - 1].priority > hook.priority do
    place = place - 1
  end
  table.insert(at.hooks, place, hook)
  return function()
    for i, h in ipairs(at.hooks) do
      if h == hook then
        table.remove(at.hooks, i)
        return
      end
    end
  end
end

-- along lists the hooks of a channel and of those above it, in the order in
-- which they run. It is a list of its own, so that a hook may subscribe and end
-- subscriptions.
function Mediator:along(path)
  local at, channels = self.root, { self.root }
  for _, name in ipairs(path) do
    at = at.below[name]
    if not at then break end
    table.insert(channels, 1, at)
  end
  local hooks = {}
  for _, c in ipairs(channels) do
    for _, hook in ipairs(c.hooks) do hooks[#hooks + 1] = hook end
  end
  return hooks
end

-- publish runs the hooks of a channel with the rest of its arguments. It returns
-- how many ran without an error, and a list of the errors.
function Mediator:publish(path, ...)
  local ran, errors = 0, {}
  for _, hook in ipairs(self:along(path)) do
    local ok, wanted = true, true
    if hook.predicate then ok, wanted = pcall(hook.predicate, ...) end
    local err = wanted
    if ok and wanted then
      ok, err = pcall(hook.fn, ...)
      if ok then ran = ran + 1 end
    end
    if not ok then errors[#errors + 1] = tostring(err) end
  end
  return ran, errors
end

return Mediator
