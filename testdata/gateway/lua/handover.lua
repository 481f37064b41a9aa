-- The hand-over of events to every worker of one nginx, over shared memory.
--
-- There is one log, in a shared dictionary: `head` is the number of the newest
-- event, `event:N` is event N. Each worker remembers in its own memory the last
-- number that it has handled, and polls: at a timer, and before it serves a
-- request. So a worker that is busy for a while handles all that came meanwhile
-- when it is done, in order, each once.
--
-- A unique event is handled by one worker only: the first that raises `claim:N`
-- to 1. It is not handled again if that worker dies in the middle.
--
-- The log keeps the newest `keep` events. A worker that is further behind than
-- that has missed some for good, is told so by `missed`, and goes on with what
-- there is. No unique event can be lost that way, since whoever posts polls, too.
--
-- To take a number and to write the event are two steps. A worker that dies in
-- between leaves a hole: the others wait for it for `patience` seconds, and then
-- fill it with an empty event. If its owner was only slow, it sees that, and
-- takes another number.
local cjson = require "cjson.safe"

local Handover = {}
Handover.__index = Handover

local TRIES = 5

-- new makes the hand-over of one worker:
--   dict      the shared dictionary
--   pid       of this worker
--   handle    is called with each event: a table with id, source, event, data,
--             pid (of the worker that posted it) and unique. It must not yield
--   missed    is called with a reason where this worker cannot have handled an
--             event: it was too far behind, or handle raised an error
--   keep      how many events the log keeps (default 1000)
--   patience  for how many seconds a hole is waited for (default 1)
--   now       clock, in seconds
-- A worker begins with what is posted after it was made.
function Handover.new(o)
  return setmetatable({
    dict = o.dict, pid = o.pid, handle = o.handle, missed = o.missed,
    keep = o.keep or 1000, patience = o.patience or 1, now = o.now,
    last = o.dict:get("head") or 0, handled = 0, gaps = 0,
  }, Handover)
end

-- gone says whether the log has let go of event id.
function Handover:gone(id) return id <= self.dict:get("head") - self.keep end

-- post adds an event for every worker, or for one of them where it is unique, and
-- has this worker handle it. It returns its number, or nil and why not.
function Handover:post(source, event, data, unique)
  local value, err = cjson.encode { source = source, event = event, data = data, pid = self.pid, unique = unique }
  if not value then return nil, err end
  for _ = 1, TRIES do
    local id, ok
    id, err = self.dict:incr("head", 1, 0)
    if not id then return nil, err end
    self.dict:delete("event:" .. id - self.keep)
    self.dict:delete("claim:" .. id - self.keep)
    ok, err = true, nil
    if unique then ok, err = self.dict:safe_set("claim:" .. id, 0) end
    if ok then ok, err = self.dict:safe_add("event:" .. id, value) end
    if ok and not self:gone(id) then
      self:poll()
      return id
    end
    -- Its number was filled meanwhile, or is too old by now: another one.
    if err and err ~= "exists" then return nil, err end
  end
  return nil, "no number could be had"
end

-- poll handles what has come since the last poll.
function Handover:poll()
  while self.last < (self.dict:get("head") or 0) do
    local id = self.last + 1
    local value = self.dict:get("event:" .. id)
    if value then
      self.last = id
      self:hand(id, value)
    elseif self:gone(id) then
      self:skip(id)
    elseif not self:filled(id) then
      return
    end
  end
end

-- hand calls the handler. An empty event is a hole that was filled.
function Handover:hand(id, value)
  if value == "" then return end
  local event = cjson.decode(value)
  if event.unique and self.dict:incr("claim:" .. id, 1) ~= 1 then return end
  event.id = id
  self.handled = self.handled + 1
  local ok, err = pcall(self.handle, event)
  if not ok then self.missed(err) end
end

-- skip goes on with the oldest event that the log still has.
function Handover:skip(id)
  self.last = self.dict:get("head") - self.keep
  self.gaps = self.gaps + 1
  self.missed(("events %d to %d came while this worker was busy, and are gone"):format(id, self.last))
end

-- filled waits for a hole's patience and then fills it. It returns true where
-- poll can go on.
function Handover:filled(id)
  if self.hole ~= id then
    self.hole, self.since = id, self.now()
  end
  if self.now() - self.since < self.patience then return false end
  local ok, err = self.dict:safe_add("event:" .. id, "")
  -- Where the log let go of it just now, what was added is no use to anybody.
  if ok and self:gone(id) then self.dict:delete("event:" .. id) end
  return ok or err == "exists"
end

return Handover
