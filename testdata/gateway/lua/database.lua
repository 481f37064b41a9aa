-- The database that the nodes of a cluster share: a small store of JSON objects
-- by collection and id, in shared memory. It has one worker and nothing here
-- yields between a read and a write, so each change is whole.
--
--   GET    /COLLECTION?FIELD=VALUE   {"total": N, "data": [...]}, those with
--                                    that value
--   GET    /COLLECTION/ID            the object, or 404
--   POST   /COLLECTION/ID            adds one: 201, or 409
--   PUT    /COLLECTION/ID            adds or replaces one: 200
--   PATCH  /COLLECTION/ID            changes fields: 200 {"old": ..., "new": ...}
--   DELETE /COLLECTION/ID            200 and what it was, or 404
--   PUT    /-/fault                  {"status": 500, "delay": 0.1}: how reads and
--                                    writes fail, and what a read takes in seconds
--
-- Each object gets a `version`, which grows with every change of any.
local answer = require "answer"
local cjson = require "cjson.safe"

local M = {}

local READ_TAKES = 0.002 -- seconds

local function rows() return ngx.shared.rows end

local function list(collection, args)
  local found, prefix = {}, collection .. "/"
  local keys = rows():get_keys(0)
  table.sort(keys)
  for _, key in ipairs(keys) do
    if key:sub(1, #prefix) == prefix then
      local object, wanted = cjson.decode(rows():get(key)), true
      for field, value in pairs(args) do wanted = wanted and object[field] == value end
      if wanted then found[#found + 1] = object end
    end
  end
  return found
end

local function save(key, object)
  object.version = rows():incr("version", 1, 0)
  local ok, err = rows():safe_set(key, cjson.encode(object))
  if not ok then return answer.fail(500, "the database is full: " .. err) end
end

local methods = {}

function methods.GET(key, object)
  return answer.json(200, object)
end

function methods.POST(key, object)
  if object then return answer.fail(409, key .. " exists") end
  local new = assert(answer.object())
  save(key, new)
  return answer.json(201, new)
end

function methods.PUT(key)
  local new = assert(answer.object())
  save(key, new)
  return answer.json(200, new)
end

function methods.PATCH(key, object)
  local new = {}
  for field, value in pairs(object) do new[field] = value end
  for field, value in pairs(assert(answer.object())) do new[field] = value end
  save(key, new)
  return answer.json(200, { old = object, new = new })
end

function methods.DELETE(key, object)
  rows():delete(key)
  return answer.json(200, object)
end

local adds = { POST = true, PUT = true }

local function fault(name, otherwise) return rows():get("fault/" .. name) or otherwise end

local function setFault()
  local wanted, err = answer.object()
  if not wanted then return answer.fail(400, err) end
  for _, name in ipairs { "status", "delay" } do
    local value = wanted[name]
    if value == cjson.null then value = nil end
    if not rows():set("fault/" .. name, value) then return answer.fail(400, name .. " must be a number or null") end
  end
  return answer.empty(204)
end

function M.serve()
  ngx.req.read_body()
  local method = ngx.req.get_method()
  if ngx.var.uri == "/-/fault" then return setFault() end
  if method == "GET" then ngx.sleep(fault("delay", READ_TAKES)) end
  local status = fault("status")
  if status then return answer.fail(status, "the database is told to fail") end
  local collection, id = ngx.var.uri:match "^/([%w_]+)/?([^/]*)$"
  if not collection or not methods[method] then return answer.fail(404, "no such collection") end
  if id == "" then return answer.list(list(collection, ngx.req.get_uri_args())) end
  local key = collection .. "/" .. id
  local object = cjson.decode(rows():get(key) or "null")
  if object == cjson.null then object = nil end
  if not object and not adds[method] then return answer.fail(404, "there is no " .. key) end
  return methods[method](key, object)
end

return M
