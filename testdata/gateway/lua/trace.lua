-- What a worker has handled lately, and how it stands, for those who look at it
-- or test it:
--
--   GET  /-/worker        this worker, without a poll
--   GET  /-/trace         the events that it has handled, the last 2000
--   POST /-/busy?ms=N     keep this worker from doing anything for a while
local answer = require "answer"

local M = {}

local KEPT = 2000
local MAX_BUSY = 2000 -- ms

-- subscribe notes each event that the worker's hooks have had.
function M.subscribe(mediator)
  local trace = {}
  mediator:subscribe({}, function(message, event)
    if not event then return end -- the worker's own, on its way to the cluster
    table.insert(trace, {
      id = event.id, source = event.source, pid = event.pid, type = message.type,
      entity = type(message.entity) == "table" and message.entity.id or nil, unique = event.unique,
    })
    if #trace > KEPT then table.remove(trace, 1) end
  end, { priority = 100 })
  return trace
end

local function busy()
  local ms = tonumber(ngx.var.arg_ms)
  if not ms or ms > MAX_BUSY then return answer.fail(400, "ms must be a number up to " .. MAX_BUSY) end
  ngx.update_time()
  local till = ngx.now() + ms / 1000
  repeat ngx.update_time() until ngx.now() >= till
  return answer.empty(204)
end

function M.serve(worker)
  if ngx.var.uri == "/-/busy" then return busy() end
  if ngx.var.uri == "/-/trace" then return answer.list(worker.trace) end
  return answer.json(200, {
    node = worker.settings.node, worker = ngx.worker.id(), pid = ngx.worker.pid(),
    handled = worker.handover.handled, last = worker.handover.last, gaps = worker.handover.gaps,
    cached = worker.cache:count(),
  })
end

return M
