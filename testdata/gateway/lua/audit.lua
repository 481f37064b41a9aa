-- A line in nginx's log for each event of the cluster, whichever worker writes
-- it: the work of a unique event.
local M = {}

function M.write(message, event)
  local entity = message.old_entity or message.entity
  ngx.log(ngx.NOTICE, ("audit: event %d from %s, by process %d: %s %s %s"):format(
    event.id, event.source, event.pid, message.type, message.collection or "-",
    type(entity) == "table" and entity.id or "-"))
end

return M
