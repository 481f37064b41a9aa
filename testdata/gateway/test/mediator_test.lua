local Mediator = require "mediator"
local same = require("suite").same

local M = {}

-- noting returns a mediator, a function that makes hooks, and the list in which
-- they note that they ran.
local function noting()
  local ran = {}
  return Mediator.new(), function(name)
    return function(...) ran[#ran + 1] = table.concat({ name, ... }, " ") end
  end, ran
end

function M.priorities_order_hooks()
  local m, hook, ran = noting()
  m:subscribe({ "a" }, hook "last", { priority = 20 })
  m:subscribe({ "a" }, hook "second")
  m:subscribe({ "a" }, hook "third")
  m:subscribe({ "a" }, hook "first", { priority = 1 })
  local count, errors = m:publish({ "a" }, "x")
  same(ran, { "first x", "second x", "third x", "last x" }, "hooks")
  same({ count, #errors }, { 4, 0 }, "what publish says")
end

function M.channels_above_hear_it_after()
  local m, hook, ran = noting()
  m:subscribe({}, hook "root", { priority = 1 })
  m:subscribe({ "a" }, hook "a")
  m:subscribe({ "a", "b" }, hook "a b")
  m:subscribe({ "a", "c" }, hook "a c")
  m:publish({ "a", "b" }, 1)
  m:publish({ "a", "nobody" }, 2)
  m:publish({ "other" }, 3)
  same(ran, { "a b 1", "a 1", "root 1", "a 2", "root 2", "root 3" }, "hooks")
end

function M.predicates_choose()
  local m, hook, ran = noting()
  m:subscribe({ "a" }, hook "large", { predicate = function(n) return n > 10 end })
  m:subscribe({ "a" }, hook "any")
  m:publish({ "a" }, 5)
  m:publish({ "a" }, 15)
  same(ran, { "any 5", "large 15", "any 15" }, "hooks")
end

function M.errors_keep_nobody_from_running()
  local m, hook, ran = noting()
  m:subscribe({ "a" }, function() error("broken hook", 0) end, { priority = 1 })
  m:subscribe({ "a" }, hook "never", { predicate = function() error("broken predicate", 0) end })
  m:subscribe({ "a" }, hook "other")
  local count, errors = m:publish({ "a" }, 1)
  same(ran, { "other 1" }, "hooks")
  same({ count, errors }, { 1, { "broken hook", "broken predicate" } }, "what publish says")
end

function M.subscriptions_end_also_from_within()
  local m, hook, ran = noting()
  local stop
  stop = m:subscribe({ "a" }, function(n)
    hook "once" (n)
    stop()
    m:subscribe({ "a" }, hook "new")
  end)
  m:subscribe({ "a" }, hook "other")
  m:publish({ "a" }, 1)
  m:publish({ "a" }, 2)
  same(ran, { "once 1", "other 1", "other 2", "new 2" }, "hooks")
end

return M
