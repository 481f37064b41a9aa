local entities = require "entities"
local hooks = require "hooks"
local same = require("suite").same

local M = {}

function M.wrong_fields_are_all_named()
  same(entities.check(entities.kinds.apis, { id = "a b", path = "hello", colour = "red" }), {
    "colour is not a field of this kind",
    "id must be letters, digits, and any of _.-, of at most 100 characters",
    "path must be a path, such as /hello, of at most 100 characters",
    "upstream_url is missing",
  }, "problems")
  same(entities.check(entities.kinds.apis, { path = "/b" }, true), nil, "a change of one field")
  same(#entities.check(entities.kinds.plugins, { id = "p", api_id = "a", header = "X-A", value = "v\r\nX-B: w" }), 1,
    "a value that would be two headers")
end

function M.an_event_says_what_its_hooks_need()
  for name, kind in pairs(entities.kinds) do
    local entity = {}
    for field in pairs(kind.fields) do entity[field] = ("/"):rep(100) end
    same(kind.keys(entities.event(kind, entity)), kind.keys(entity), name .. "'s keys")
    local payload = require("cjson").encode {
      type = "ENTITY_UPDATED", collection = name, primary_key = { "id" }, entity = entities.event(kind, entity),
    }
    same(#payload <= 512, true, name .. ": the longest event fits")
  end
end

function M.channels_are_by_type()
  same(hooks.channel { collection = "apis", type = "ENTITY_DELETED" }, { "entity", "apis", "ENTITY_DELETED" }, "entity")
  same(hooks.channel { type = "MEMBER-JOIN" }, { "member", "MEMBER-JOIN" }, "member")
  same(hooks.channel { collection = "apis", type = "X", purge = true }, { "unknown", "X" }, "of no known type")
end

return M
