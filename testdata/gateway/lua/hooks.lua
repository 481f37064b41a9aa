-- What each worker does when something changed: the hooks on its own mediator.
-- Events of the hand-over come there on the channel that they were posted with.
-- None of these hooks yields, so that a poll is done in one go.
local audit = require "audit"
local entities = require "entities"
local members = require "members"

local M = {}

-- drop deletes the cache keys of an entity as it was and as it is.
local function drop(cache)
  return function(message)
    local kind = entities.kinds[message.collection]
    for _, entity in pairs { message.old_entity or message.entity, message.entity } do
      for _, key in ipairs(kind.keys(entity)) do cache:drop(key) end
    end
  end
end

-- routed says whether a change of an api can change a router.
local function routed(message)
  return message.type ~= "ENTITY_UPDATED" or not message.entity
    or message.entity.path ~= message.old_entity.path
end

-- subscribe puts a worker's hooks on its mediator.
function M.subscribe(mediator, cache, router)
  mediator:subscribe({ "entity" }, drop(cache), { priority = 1 })
  mediator:subscribe({ "entity", "apis" }, function() router:rebuild() end, { predicate = routed })
  mediator:subscribe({ "member" }, function()
    cache:purge()
    router:rebuild()
  end, { predicate = function(message) return message.purge end })
  mediator:subscribe({ "audit" }, audit.write)
end

-- channel returns the channel of a cluster message. Nobody listens for a type that
-- is not known.
function M.channel(message)
  if entities.changes[message.type] then return { "entity", message.collection, message.type } end
  if members.knows(message.type) then return { "member", message.type } end
  return { "unknown", message.type }
end

return M
