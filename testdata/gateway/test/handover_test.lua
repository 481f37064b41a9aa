local Handover = require "handover"
local same = require("suite").same

local M = {}

-- pool returns a function that makes workers on one shared dictionary, and a
-- clock that stands still until it is turned. A worker has a list of the data
-- that it has handled, in order, and of the reasons for which it missed some.
local function pool(keep)
  local clock = { now = 100 }
  local pid = 0
  return function(handle)
    pid = pid + 1
    local w = { got = {}, events = {}, missed = {} }
    w.h = Handover.new {
      dict = ngx.shared.handover, pid = pid, keep = keep, now = function() return clock.now end,
      handle = function(event)
        w.got[#w.got + 1], w.events[#w.events + 1] = event.data, event
        if handle then handle(event) end
      end,
      missed = function(why) w.missed[#w.missed + 1] = why end,
    }
    return w
  end, clock
end

local function post(w, data, unique) return assert(w.h:post("test", "change", data, unique)) end

function M.every_worker_handles_each_event_once()
  local worker = pool()
  local a, b, c = worker(), worker(), worker()
  for i = 1, 3 do post(a, i) end
  post(b, 4)
  for _, w in ipairs { a, b, c, a, b, c } do w.h:poll() end
  for name, w in pairs { a = a, b = b, c = c } do same(w.got, { 1, 2, 3, 4 }, name) end
  same({ c.h.handled, c.h.last, c.h.gaps }, { 4, 4, 0 }, "counts")
end

function M.the_handler_knows_who_posted()
  local worker = pool()
  local a, b = worker(), worker()
  a.h:post("cluster", { "entity", "apis" }, { n = 1 })
  b.h:poll()
  same(b.events[1].id, 1, "id")
  same(b.events[1].source, "cluster", "source")
  same(b.events[1].event, { "entity", "apis" }, "event")
  same(b.events[1].pid, a.h.pid, "pid of who posted")
end

function M.a_unique_event_is_handled_by_one()
  local worker = pool()
  local a, b, c = worker(), worker(), worker()
  for i = 1, 30 do post(({ a, b, c })[i % 3 + 1], i, true) end
  for _, w in ipairs { a, b, c } do w.h:poll() end
  local seen = {}
  for _, w in ipairs { a, b, c } do
    for _, data in ipairs(w.got) do seen[data] = (seen[data] or 0) + 1 end
  end
  local want = {}
  for i = 1, 30 do want[i] = 1 end
  same(seen, want, "how often each was handled")
end

function M.a_new_worker_begins_with_what_comes()
  local worker = pool()
  local a = worker()
  post(a, 1)
  local b = worker()
  post(a, 2)
  b.h:poll()
  same(b.got, { 2 }, "of the new one")
end

function M.who_is_too_far_behind_is_told()
  local worker = pool(5)
  local a, slow = worker(), worker()
  for i = 1, 12 do post(a, i) end
  slow.h:poll()
  same(slow.got, { 8, 9, 10, 11, 12 }, "what is still there")
  same({ #slow.missed, slow.h.gaps }, { 1, 1 }, "how often it missed some")
  same({ #a.got, #a.missed }, { 12, 0 }, "of the other")
  same(ngx.shared.handover:get "event:7", nil, "what the log has let go of")
end

function M.a_handler_that_fails_counts_as_missed()
  local worker = pool()
  local a = worker(function(event) if event.data == 2 then error("broken", 0) end end)
  for i = 1, 3 do post(a, i) end
  same(a.got, { 1, 2, 3 }, "handled")
  same(a.missed, { "broken" }, "missed")
end

-- hole takes a number as a worker does that then dies or sleeps.
local function hole() return ngx.shared.handover:incr("head", 1, 0) end

function M.a_hole_is_waited_for_and_then_filled()
  local worker, clock = pool()
  local a, b = worker(), worker()
  post(a, 1)
  hole()
  post(a, 3)
  b.h:poll()
  same({ a.got, b.got }, { { 1 }, { 1 } }, "while its owner may come")
  clock.now = clock.now + 1.5
  a.h:poll()
  same({ a.got, b.got }, { { 1, 3 }, { 1 } }, "who has waited long enough fills it")
  b.h:poll()
  same({ b.got, #a.missed + #b.missed }, { { 1, 3 }, 0 }, "the other goes on at once")
end

function M.a_slow_owner_takes_another_number()
  local worker, clock = pool()
  local a, slow = worker(), worker()
  -- The owner sleeps between taking a number and writing the event; meanwhile
  -- the hole is filled.
  local dict, slept = slow.h.dict, false
  slow.h.dict = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      if name == "safe_add" and not slept then
        slept = true
        a.h:poll()
        clock.now = clock.now + 1.5
        a.h:poll()
      end
      return dict[name](dict, ...)
    end
  end })
  same(post(slow, "late"), 2, "its number")
  a.h:poll()
  same({ a.got, slow.got }, { { "late" }, { "late" } }, "who handled it")
end

function M.full_memory_is_an_error_and_ends()
  local worker = pool(50)
  local a = worker()
  local large = ("x"):rep(60000)
  local full = false
  for _ = 1, 40 do full = full or not a.h:post("test", "change", large) end
  same(full, true, "forty events of 60 kB in 1 MB are too many")
  -- What could not be written are holes: each try makes room for the next.
  local tries = 0
  repeat tries = tries + 1 until a.h:post("test", "change", "small") or tries == 200
  same(tries < 200, true, "it recovers")
end

return M
