-- The admin API: entities are kept in the database, and each change is published
-- to the cluster before it is answered.
--
--   GET /COLLECTION · GET /COLLECTION/ID · POST /COLLECTION · PATCH and DELETE
--   /COLLECTION/ID · GET /cluster
--
-- The header X-Cluster-Event of the answer says whether the event was sent. As in
-- Kong, a change stands whether or not it was.
local answer = require "answer"
local entities = require "entities"

local M = {}

local function propagate(worker, type, collection, entity)
  local _, errors = worker.mediator:publish({ "cluster", "propagate" }, {
    type = type, collection = collection, primary_key = { "id" },
    entity = entities.event(entities.kinds[collection], entity),
  })
  if errors[1] then ngx.log(ngx.ERR, "a change was not published: ", errors[1]) end
  ngx.header["X-Cluster-Event"] = errors[1] and "failed: " .. errors[1] or "sent"
end

-- failed answers where the database failed (nil) or refused (false); else it
-- returns nothing.
local function failed(value, err, status, text)
  if value == nil then return answer.fail(500, err) end
  if value == false then return answer.fail(status, text) end
end

local methods = {}

function methods.GET(worker, collection, id)
  if not id then
    local list, err = worker.store:list(collection)
    return failed(list, err) or answer.list(list)
  end
  local entity, err = worker.store:find(collection, id)
  return failed(entity, err, 404, "not found") or answer.json(200, entity)
end

function methods.POST(worker, collection)
  local entity, err = answer.object()
  if not entity then return answer.fail(400, err) end
  if entity.id == nil then entity.id = ngx.md5(ngx.now() .. ngx.worker.pid() .. math.random()) end
  local wrong = entities.check(entities.kinds[collection], entity)
  if wrong then return answer.fail(400, table.concat(wrong, "; ")) end
  entity, err = worker.store:insert(collection, entity)
  if not entity then return failed(entity, err, 409, "there is one with this id") end
  propagate(worker, "ENTITY_CREATED", collection, entity)
  return answer.json(201, entity)
end

function methods.PATCH(worker, collection, id)
  local change, err = answer.object()
  if not change then return answer.fail(400, err) end
  local wrong = entities.check(entities.kinds[collection], change, true)
  if not wrong and change.id and change.id ~= id then wrong = { "id cannot be changed" } end
  if wrong then return answer.fail(400, table.concat(wrong, "; ")) end
  local changed
  changed, err = worker.store:update(collection, id, change)
  if not changed then return failed(changed, err, 404, "not found") end
  propagate(worker, "ENTITY_UPDATED", collection, changed.old)
  return answer.json(200, changed.new)
end

function methods.DELETE(worker, collection, id)
  local entity, err = worker.store:delete(collection, id)
  if not entity then return failed(entity, err, 404, "not found") end
  propagate(worker, "ENTITY_DELETED", collection, entity)
  return answer.empty(204)
end

local function nodes(worker)
  local list, err = worker.store:list "nodes"
  return failed(list, err) or answer.list(list)
end

-- needs says whether a method is for one entity (true), for all (false), or both.
local needs = { POST = false, PATCH = true, DELETE = true }

function M.serve(worker)
  worker.handover:poll()
  local collection, id = ngx.var.uri:match "^/(%w+)/?([^/]*)$"
  local method = ngx.req.get_method()
  if collection == "cluster" and id == "" and method == "GET" then return nodes(worker) end
  if not entities.kinds[collection] then
    return answer.fail(404, "try /apis, /consumers, /plugins or /cluster")
  end
  if id == "" then id = nil end
  if not methods[method] or needs[method] ~= nil and needs[method] ~= (id ~= nil) then
    return answer.fail(405, "not at this path")
  end
  return methods[method](worker, collection, id)
end

return M
