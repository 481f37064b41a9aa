local Mediator = require "mediator"
local same = require("suite").same
local serf = require "serf"

local M = {}

-- propagate has a program, a shell script in a file, called for a message. It
-- returns the errors, and what the program printed to the file OUT.
local function propagate(script, message)
  local program, out = os.tmpname(), os.tmpname()
  local file = io.open(program, "w")
  file:write("#!/bin/sh\nOUT=" .. out .. "\n" .. script)
  file:close()
  os.execute("chmod +x " .. program)
  local mediator = Mediator.new()
  serf.subscribe(mediator, { publish = "fork", serf_path = program, rpc_addr = "127.0.0.1:7373" })
  local _, errors = mediator:publish({ "cluster", "propagate" }, message)
  file = io.open(out)
  local text = file:read "*a"
  file:close()
  os.remove(program)
  os.remove(out)
  return errors, text
end

function M.arguments_arrive_as_they_are()
  local errors, text = propagate([[printf '<%s>' "$@" >$OUT]], { it = [[it's $(id) "quoted" \ `x`]] })
  same(errors, {}, "errors")
  same(text, [[<event><-coalesce=false><-rpc-addr=127.0.0.1:7373><kong><{"it":"it's $(id) \"quoted\" \\ `x`"}>]],
    "arguments")
end

function M.the_first_line_is_the_error()
  local errors = propagate("echo no agent here; echo more; exit 1", {})
  same(errors, { "no agent here" }, "errors")
  errors = propagate("exit 3", {})
  same(#errors, 1, "errors with nothing printed")
end

function M.more_than_512_bytes_are_refused()
  local errors, text = propagate("echo called >$OUT", { x = ("y"):rep(600) })
  same({ #errors, text }, { 1, "" }, "errors and calls")
end

return M
