-- POST /cluster/events/: where the agent beside this node brings the events of
-- the cluster. It answers 200 once the event is handed over to every worker, and
-- 500 where the database fails or the event cannot be handed over: then it has to
-- come again.
local answer = require "answer"
local cjson = require "cjson.safe"
local entities = require "entities"
local hooks = require "hooks"
local members = require "members"

local M = {}

-- entity adds to a message what its hooks need. Of an update the event has the
-- entity as it was, and the database has it as it is now; where it is not there
-- any more, a deletion follows.
local function entity(store, message)
  local kind = entities.kinds[message.collection]
  if not kind then return 400, "no such collection: " .. tostring(message.collection) end
  local missing = type(message.entity) ~= "table" and "an object"
  for _, name in ipairs(missing and {} or kind.event) do
    local value = message.entity[name]
    if type(value) ~= "string" or value == "" then missing = "a text " .. name end
  end
  if missing then return 400, "the entity must have, or be, " .. missing end
  if message.type == "ENTITY_UPDATED" then
    message.old_entity = message.entity
    local now, err = store:find(message.collection, message.old_entity.id)
    if now == nil then return 500, err end
    message.entity = now or nil
  end
end

local function member(store, message)
  if type(message.entity) ~= "string" then return 400, "the entity must be the lines of members" end
  local purge, err = members.apply(store, message.type, message.entity)
  if purge == nil then return 500, err end
  message.purge = purge
end

-- read returns the message in a request, or a status and an error.
local function read()
  if not ngx.var.http_content_type then return nil, 415, "no content type" end
  local message, err = cjson.decode(answer.body())
  if type(message) ~= "table" then return nil, 400, "the body is not a JSON object: " .. tostring(err) end
  if type(message.type) ~= "string" then return nil, 400, "the message has no type" end
  message.type = message.type:upper()
  return message
end

function M.serve(worker)
  if ngx.req.get_method() ~= "POST" then return answer.fail(405, "only POST") end
  local message, status, err = read()
  if not message then return answer.fail(status, err) end
  if entities.changes[message.type] then
    status, err = entity(worker.store, message)
  elseif members.knows(message.type) then
    status, err = member(worker.store, message)
  end
  if status then return answer.fail(status, err) end
  local id
  id, err = worker.handover:post("cluster", hooks.channel(message), message)
  if id then id, err = worker.handover:post("cluster", { "audit" }, message, true) end
  if not id then
    ngx.log(ngx.ERR, "an event could not be handed over: ", err)
    return answer.fail(500, err)
  end
  return answer.json(200, {})
end

return M
