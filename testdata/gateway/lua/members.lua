-- What a member event does to the rows of nodes in the database, and whether the
-- workers have to drop their caches for it.
local M = {}

-- each calls fn with the name and the address of each line of a member event. It
-- ends with the first error.
local function each(lines, fn)
  for line in lines:gmatch "[^\n]+" do
    local name, address = line:match "^(%S+)%s+(%S+)"
    if name then
      local ok, err = fn(name, address)
      if ok == nil then return nil, err end
    end
  end
  return true
end

-- update changes the row of a node that has one.
local function update(status)
  return function(store, lines)
    return each(lines, function(name, address)
      return store:update("nodes", name, { address = address, status = status })
    end)
  end
end

local rows = {
  ["MEMBER-JOIN"] = function(store, lines)
    return each(lines, function(name, address)
      return store:put("nodes", { id = name, address = address, status = "alive" })
    end)
  end,
  ["MEMBER-UPDATE"] = update "alive",
  ["MEMBER-FAILED"] = update "failed",
  ["MEMBER-LEAVE"] = function(store, lines)
    return each(lines, function(name) return store:delete("nodes", name) end)
  end,
  ["MEMBER-REAP"] = function() return true end,
}

local purges = { ["MEMBER-JOIN"] = true, ["MEMBER-REAP"] = true }

-- knows says whether this is a type of member event.
function M.knows(type) return rows[type] ~= nil end

-- apply changes the rows. It returns whether the whole cache has to go, which is
-- where this node is not alone, or nil and an error.
function M.apply(store, type, lines)
  local ok, err = rows[type](store, lines)
  if not ok then return nil, err end
  if not purges[type] then return false end
  local nodes
  nodes, err = store:list "nodes"
  if not nodes then return nil, err end
  return #nodes > 1
end

return M
