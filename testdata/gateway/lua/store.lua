-- The gateway's view of the database.
local cjson = require "cjson.safe"
local http = require "http"

local Store = {}
Store.__index = Store

-- new makes a client of the database at host:port.
function Store.new(addr) return setmetatable({ addr = addr }, Store) end

-- call returns what the database answers; false where it answers 404 or 409, and
-- nil and an error where it fails.
function Store:call(method, path, object)
  local status, body = http.request(self.addr, method, path, object and cjson.encode(object))
  if not status then return nil, "the database: " .. body end
  if status == 404 or status == 409 then return false end
  local value = cjson.decode(body)
  if status >= 300 or not value then return nil, ("the database answers %d: %s"):format(status, body) end
  return value
end

local function path(collection, id) return "/" .. collection .. "/" .. ngx.escape_uri(id) end

-- find returns an entity, or false where there is none.
function Store:find(collection, id) return self:call("GET", path(collection, id)) end

-- list returns all entities of a collection that have the given fields.
function Store:list(collection, fields)
  local answer, err = self:call("GET", "/" .. collection .. "?" .. ngx.encode_args(fields or {}))
  if not answer then return nil, err end
  return answer.data
end

-- insert returns the new entity, or false where there is one with its id.
function Store:insert(collection, entity) return self:call("POST", path(collection, entity.id), entity) end

-- put adds an entity or replaces it.
function Store:put(collection, entity) return self:call("PUT", path(collection, entity.id), entity) end

-- update returns a table with the old and the new entity, or false where there is
-- none.
function Store:update(collection, id, change) return self:call("PATCH", path(collection, id), change) end

-- delete returns what the entity was, or false where there was none.
function Store:delete(collection, id) return self:call("DELETE", path(collection, id)) end

return Store
