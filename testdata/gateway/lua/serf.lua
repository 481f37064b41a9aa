-- Publishing to the cluster: by the program at serf_path, as Kong calls it, or by
-- a request to the agent.
local cjson = require "cjson.safe"
local http = require "http"

local M = {}

local MAX_PAYLOAD = 512

local function quote(s) return "'" .. s:gsub("'", [['\'']]) .. "'" end

-- run runs a command in a shell, and blocks this worker until it ends. It returns
-- its exit status and the first line that it printed.
local function run(command)
  local name = os.tmpname()
  local status = os.execute(command .. " >" .. name .. " 2>/dev/null")
  local file = io.open(name)
  local line = file and file:read "*l"
  if file then file:close() end
  os.remove(name)
  return status, line
end

local ways = {}

-- fork is Kong's way.
function ways.fork(settings, payload)
  local status, line = run(("%s event -coalesce=false -rpc-addr=%s kong %s"):format(
    settings.serf_path, settings.rpc_addr, quote(payload)))
  if status ~= 0 then error(line or settings.serf_path .. " could not be run", 0) end
end

-- http needs an agentctl agent, and neither forks nor blocks the worker.
function ways.http(settings, payload)
  local status, body = http.request(settings.http_addr, "POST", "/v1/events?name=kong", payload)
  if status ~= 202 then error(("the agent answers %s: %s"):format(status or "nothing", body), 0) end
end

-- subscribe has what is published on {"cluster", "propagate"} sent to the cluster.
-- The hook raises an error where that fails.
function M.subscribe(mediator, settings)
  local way = ways[settings.publish] or error("publish must be fork or http, not " .. settings.publish)
  mediator:subscribe({ "cluster", "propagate" }, function(message)
    local payload = cjson.encode(message)
    if #payload > MAX_PAYLOAD then
      error(("the event has %d bytes, and may have %d"):format(#payload, MAX_PAYLOAD), 0)
    end
    way(settings, payload)
  end)
end

return M
