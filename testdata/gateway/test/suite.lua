-- The unit tests, run inside nginx: each module is a table of functions by name,
-- each of which raises an error where it fails.
local answer = require "answer"
local cjson = require "cjson.safe"

local M = {}

-- What test modules use; set before they are loaded.

-- same raises an error where two values, or tables of such, differ.
function M.same(got, want, what)
  local a, b = cjson.encode { got }, cjson.encode { want }
  if a ~= b then error(("%s: got %s, want %s"):format(what, a, b), 2) end
end

package.loaded.suite = M
local modules = {}
for _, name in ipairs { "cache_test", "entities_test", "handover_test", "mediator_test", "serf_test" } do
  modules[name] = require(name)
end

local function names()
  local all = {}
  for module, tests in pairs(modules) do
    for name in pairs(tests) do all[#all + 1] = module .. "/" .. name end
  end
  table.sort(all)
  return all
end

function M.serve()
  if ngx.var.uri == "/" then return answer.list(names()) end
  local module, name = ngx.var.uri:match "^/([%w_]+)/([%w_]+)$"
  local test = modules[module] and modules[module][name]
  if not test then return answer.fail(404, "no such test") end
  ngx.shared.handover:flush_all()
  ngx.shared.handover:flush_expired()
  local ok, err = xpcall(test, debug.traceback)
  if not ok then return answer.fail(500, err) end
  return answer.json(200, {})
end

return M
