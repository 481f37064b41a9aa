-- One worker of a node, put together. It is made once in each worker, since each
-- has its own memory: the only thing that workers share is the log of the
-- hand-over.
local Cache = require "cache"
local Handover = require "handover"
local Mediator = require "mediator"
local Router = require "router"
local Store = require "store"
local hooks = require "hooks"
local serf = require "serf"
local trace = require "trace"

local M = {}

local CACHE_SIZE = 10000
local POLL_EVERY = 0.02 -- seconds

-- handler publishes what comes over the hand-over on the worker's mediator, and
-- raises an error where a hook did.
local function handler(worker)
  return function(event)
    local _, errors = worker.mediator:publish(event.event, event.data, event)
    if errors[1] then error(table.concat(errors, "; "), 0) end
  end
end

-- missed drops all that this worker has cached, as it cannot know what changed.
local function missed(worker)
  return function(why)
    ngx.log(ngx.ERR, "the cache is dropped: ", why)
    worker.cache:purge()
    worker.router:rebuild()
  end
end

-- start makes this worker.
function M.start(settings)
  local worker = { settings = settings, mediator = Mediator.new(), cache = Cache.new(CACHE_SIZE) }
  worker.store = Store.new(settings.database)
  worker.router = Router.new(worker.cache, function() return worker.store:list "apis" end)
  worker.handover = Handover.new {
    dict = ngx.shared.handover, pid = ngx.worker.pid(), now = ngx.now,
    handle = handler(worker), missed = missed(worker),
  }
  hooks.subscribe(worker.mediator, worker.cache, worker.router)
  serf.subscribe(worker.mediator, settings)
  worker.trace = trace.subscribe(worker.mediator)
  -- It runs once more when the worker is told to end.
  assert(ngx.timer.every(POLL_EVERY, function() worker.handover:poll() end))
  M.worker = worker
end

return M
