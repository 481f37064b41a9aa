-- One worker's cache, read through. What it holds stays until it is dropped, or
-- until the cache is full and it was not used for the longest time.
local lrucache = require "resty.lrucache"

local Cache = {}
Cache.__index = Cache

function Cache.new(size)
  return setmetatable({ values = lrucache.new(size), loading = {} }, Cache)
end

-- get returns the value of a key and "hit", or loads it and returns "miss". load
-- may yield, and returns a value (false for none), or nil and an error, which get
-- returns. What is loaded is kept unless the key was dropped meanwhile: then it
-- may have been read before the change that it was dropped for.
function Cache:get(key, load)
  local value = self.values:get(key)
  if value ~= nil then return value, "hit" end
  local ticket = {}
  self.loading[key] = ticket
  local loaded, err = load()
  if self.loading[key] == ticket then
    self.loading[key] = nil
    if loaded ~= nil then self.values:set(key, loaded) end
  end
  if loaded == nil then return nil, err end
  return loaded, "miss"
end

function Cache:drop(key)
  self.values:delete(key)
  self.loading[key] = nil
end

function Cache:purge()
  self.values:flush_all()
  self.loading = {}
end

function Cache:count() return self.values:count() end

return Cache
