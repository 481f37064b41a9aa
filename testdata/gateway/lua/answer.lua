-- Answers of the admin API, in JSON.
local cjson = require "cjson.safe"

local M = {}

local function send(status, text)
  ngx.status = status
  ngx.header.content_type = "application/json"
  ngx.header.content_length = #text + 1
  ngx.say(text)
  return ngx.exit(ngx.HTTP_OK)
end

-- json ends the request with a status and a table.
function M.json(status, value) return send(status, cjson.encode(value)) end

-- list ends the request with a list, which may be empty: to cjson that is an
-- empty object.
function M.list(values)
  local texts = {}
  for i, value in ipairs(values) do texts[i] = cjson.encode(value) end
  return send(200, ('{"total":%d,"data":[%s]}'):format(#texts, table.concat(texts, ",")))
end

-- empty ends the request with a status and no body.
function M.empty(status)
  ngx.status = status
  return ngx.exit(status)
end

function M.fail(status, message) return M.json(status, { message = message }) end

-- body returns the request's body; one in a file is too large for the buffer.
function M.body()
  ngx.req.read_body()
  return ngx.req.get_body_data() or ""
end

-- object returns the request's body as a table, or nil and what is wrong.
function M.object()
  local value, err = cjson.decode(M.body())
  if type(value) ~= "table" then return nil, "the body is not a JSON object: " .. (err or type(value)) end
  return value
end

return M
