local Cache = require "cache"
local same = require("suite").same

local M = {}

local function value(v)
  return function() return v end
end

function M.reads_through_once()
  local cache, loads = Cache.new(10), 0
  local function load()
    loads = loads + 1
    return "value " .. loads
  end
  same({ cache:get("k", load) }, { "value 1", "miss" }, "first")
  same({ cache:get("k", load) }, { "value 1", "hit" }, "second")
  cache:drop "k"
  same({ cache:get("k", load) }, { "value 2", "miss" }, "after it was dropped")
  cache:get("other", load)
  cache:purge()
  same({ cache:get("k", load) }, { "value 4", "miss" }, "after all were")
end

function M.keeps_that_there_is_none_but_no_errors()
  local cache = Cache.new(10)
  same({ cache:get("k", value(false)) }, { false, "miss" }, "none")
  same({ cache:get("k", value "never loaded") }, { false, "hit" }, "none, kept")
  local _, err = cache:get("e", function() return nil, "broken" end)
  same(err, "broken", "error")
  same({ cache:get("e", value "well") }, { "well", "miss" }, "after an error")
end

-- dropped_while_loading has a key dropped while a slow read of it is under way:
-- what was read may be from before the change.
local function dropped_while_loading(drop)
  local cache = Cache.new(10)
  local loading = ngx.thread.spawn(function()
    return cache:get("k", function()
      ngx.sleep(0.01)
      return "old"
    end)
  end)
  drop(cache)
  local _, got = ngx.thread.wait(loading)
  same(got, "old", "who asked before the change")
  same({ cache:get("k", value "new") }, { "new", "miss" }, "who asks after it")
end

function M.a_drop_beats_a_read_under_way()
  dropped_while_loading(function(cache) cache:drop "k" end)
end

function M.a_purge_beats_a_read_under_way()
  dropped_while_loading(function(cache) cache:purge() end)
end

function M.of_two_reads_the_later_is_kept()
  local cache = Cache.new(10)
  local function read(v, seconds)
    return ngx.thread.spawn(function()
      cache:get("k", function()
        ngx.sleep(seconds)
        return v
      end)
    end)
  end
  local first = read("old", 0.02)
  cache:drop "k"
  local second = read("new", 0.01)
  ngx.thread.wait(first)
  ngx.thread.wait(second)
  same({ cache:get("k", value "never loaded") }, { "new", "hit" }, "what is kept")
end

return M
