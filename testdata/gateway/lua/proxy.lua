-- Proxying: what a request needs is read through this worker's cache. Headers of
-- the answer say which worker served it, and what it knew:
--
--   X-Node, X-Worker, X-Pid   the worker
--   X-Api-Version             version of the api; none where no api has this path
--   X-Consumer                username, where the request has a header `apikey`
--   X-Cache                   hit where nothing had to be read from the database
--
-- and those that plugins add.
local answer = require "answer"

local M = {}

-- reader returns a function that reads a key through the cache and ends the
-- request with 500 where the database fails.
local function reader(worker)
  ngx.ctx.cache = "hit"
  return function(key, load)
    local value, how = worker.cache:get(key, load)
    if value == nil then return answer.fail(500, how) end
    if how == "miss" then ngx.ctx.cache = how end
    return value
  end
end

local function first(list, err)
  if not list then return nil, err end
  return list[1] or false
end

-- access finds the api, the consumer and the plugins of a request.
function M.access(worker)
  worker.handover:poll()
  local store, read, ctx = worker.store, reader(worker), ngx.ctx
  local id, how = worker.router:match(ngx.var.uri)
  if id == nil then return answer.fail(500, how) end
  if how == "miss" then ctx.cache = how end
  if not id then return answer.fail(404, "no api has this path") end

  ctx.api = read("api:" .. id, function() return store:find("apis", id) end)
  if not ctx.api then return answer.fail(404, "the api is gone") end
  local key = ngx.var.http_apikey
  if key then
    ctx.consumer = read("consumer:" .. key, function() return first(store:list("consumers", { key = key })) end)
    if not ctx.consumer then return answer.fail(401, "no consumer has this key") end
  end
  ctx.plugins = read("plugins:" .. id, function() return store:list("plugins", { api_id = id }) end)
  ngx.var.upstream = ctx.api.upstream_url
end

-- header adds the headers of an answer.
function M.header(worker)
  local header, ctx = ngx.header, ngx.ctx
  header["X-Node"], header["X-Worker"], header["X-Pid"] = worker.settings.node, ngx.worker.id(), ngx.worker.pid()
  header["X-Cache"] = ctx.cache
  if ctx.api then header["X-Api-Version"] = ctx.api.version end
  if ctx.consumer then header["X-Consumer"] = ctx.consumer.username end
  for _, plugin in ipairs(ctx.plugins or {}) do header[plugin.header] = plugin.value end
end

return M
