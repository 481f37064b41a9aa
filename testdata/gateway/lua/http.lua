-- A small HTTP client on nginx's own sockets: it waits without blocking the
-- worker, and keeps connections. It speaks HTTP/1.0, to which nobody answers in
-- chunks.
local M = {}

local TIMEOUT = 10000 -- ms; an agent that joins keeps a publish for up to 5 s
local IDLE = 10000   -- ms that a connection is kept

local function send(sock, addr, method, path, body)
  return sock:send {
    method, " ", path, " HTTP/1.0\r\nHost: ", addr, "\r\nConnection: keep-alive\r\n",
    "Content-Type: application/json\r\nContent-Length: ", #body, "\r\n\r\n", body,
  }
end

-- receive reads an answer: its status and body, and whether the connection can
-- be used again.
local function receive(sock)
  local line, err = sock:receive()
  if not line then return nil, err end
  local status = tonumber(line:match "^HTTP/1%.%d (%d%d%d)")
  if not status then return nil, "not an HTTP answer: " .. line end
  local length, keep = nil, false
  while true do
    line, err = sock:receive()
    if not line then return nil, err end
    if line == "" then break end
    local name, value = line:lower():match "^([^:]+):%s*(.-)%s*$"
    if name == "content-length" then length = tonumber(value) end
    if name == "connection" then keep = value == "keep-alive" end
  end
  local body
  if status == 204 or status == 304 then
    body = ""
  else
    body, err = sock:receive(length or "*a")
    if not body then return nil, err end
  end
  return status, body, keep and (length ~= nil or body == "")
end

-- request sends a request to host:port and returns status and body, or nil and
-- an error.
function M.request(addr, method, path, body)
  local host, port = addr:match "^(.*):(%d+)$"
  if not host then return nil, addr .. " is not host:port" end
  local sock = ngx.socket.tcp()
  sock:settimeout(TIMEOUT)
  local ok, err = sock:connect(host, tonumber(port))
  if not ok then return nil, addr .. ": " .. err end
  ok, err = send(sock, addr, method, path, body or "")
  if not ok then return nil, addr .. ": " .. err end
  local status, text, keep = receive(sock)
  if not status then
    sock:close()
    return nil, addr .. ": " .. text
  end
  if keep then sock:setkeepalive(IDLE, 16) else sock:close() end
  return status, text
end

return M
