-- The kinds of entities: what one must have, what a cluster event says of one,
-- and which cache keys of a worker hold it.
local M = {}

local function matching(pattern, what)
  return function(v)
    if type(v) == "string" and #v <= 100 and v:match(pattern) then return end
    return "must be " .. what .. ", of at most 100 characters"
  end
end

local text = matching("^%C+$", "text")
local id = matching("^[%w_.-]+$", "letters, digits, and any of _.-")

M.kinds = {
  -- Requests whose path begins with `path` go to `upstream_url`.
  apis = {
    fields = {
      id = id,
      path = matching("^/%C*$", "a path, such as /hello"),
      upstream_url = matching("^http://[^%c ]+$", "a URL, such as http://127.0.0.1:8080/"),
    },
    event = { "id", "path" },
    keys = function(api) return { "api:" .. api.id } end,
  },
  -- A request with the header `apikey: KEY` is this consumer's.
  consumers = {
    fields = { id = id, username = text, key = text },
    event = { "id", "key" },
    keys = function(consumer) return { "consumer:" .. consumer.key } end,
  },
  -- A plugin adds a header to the answers of its api.
  plugins = {
    fields = { id = id, api_id = id, header = matching("^[%w-]+$", "a header's name"), value = text },
    event = { "id", "api_id" },
    keys = function(plugin) return { "plugins:" .. plugin.api_id } end,
  },
}

-- changes are the types of events about entities.
M.changes = { ENTITY_CREATED = true, ENTITY_UPDATED = true, ENTITY_DELETED = true }

-- check returns what is wrong with an entity, or with a change where partial is
-- true: nil, or a list of texts.
function M.check(kind, entity, partial)
  local wrong = {}
  for name, value in pairs(entity) do
    local rule = kind.fields[name]
    local bad = rule and rule(value)
    if not rule then bad = "is not a field of this kind" end
    if bad then wrong[#wrong + 1] = name .. " " .. bad end
  end
  for name in pairs(kind.fields) do
    if not partial and entity[name] == nil then wrong[#wrong + 1] = name .. " is missing" end
  end
  table.sort(wrong)
  return #wrong > 0 and wrong or nil
end

-- event returns the part of an entity that a cluster event carries: as little
-- as the hooks need, since an event may have 512 bytes.
function M.event(kind, entity)
  local part = {}
  for _, name in ipairs(kind.event) do part[name] = entity[name] end
  return part
end

return M
