-- One worker's router: which api a request is for. It is built of all apis in the
-- database, and built anew when it was told that they changed.
local Router = {}
Router.__index = Router

-- new makes a router of the apis that load returns, held in a cache.
function Router.new(cache, load) return setmetatable({ cache = cache, load = load }, Router) end

-- routes returns all paths, the longest first.
function Router:routes()
  return self.cache:get("router", function()
    local apis, err = self.load()
    if not apis then return nil, err end
    local routes = {}
    for _, api in ipairs(apis) do routes[#routes + 1] = { path = api.path, id = api.id } end
    table.sort(routes, function(a, b)
      if #a.path ~= #b.path then return #a.path > #b.path end
      return a.id < b.id
    end)
    return routes
  end)
end

-- match returns the id of the api that a path is for, or false, and "hit" or
-- "miss"; or nil and an error.
function Router:match(path)
  local routes, how = self:routes()
  if not routes then return nil, how end
  for _, route in ipairs(routes) do
    if path:sub(1, #route.path) == route.path then return route.id, how end
  end
  return false, how
end

-- rebuild drops the routes, and begins to build them anew in the background. If
-- that fails or is not allowed any more, the next request does it.
function Router:rebuild()
  self.cache:drop "router"
  ngx.timer.at(0, function(premature)
    if not premature then self:routes() end
  end)
end

return Router
