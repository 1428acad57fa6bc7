-- What wrk sends, and what it tells afterwards. Arguments, after the URL and `--`:
--   same|fresh|listed|once  how requests repeat
--   FILE                    a request a line: method, path, body, then each header's name and value, parted by tabs
--   PAUSE_MS                how long a connection rests on average before it sends, to stay below the most that is answered
--
-- same: the file's one request. fresh: the file's requests over and over, with {n} as a number that never comes twice. listed:
-- each of them once; should they run out, they begin anew, and the result says so. once: each once, and then the run ends.

local ffi = require("ffi")
ffi.cdef([[
  struct timeval { long tv_sec; long tv_usec; };
  int gettimeofday(struct timeval *now, void *zone);
  int getpid(void);
  int kill(int pid, int signal);
]])

local SIGINT = 2
local DIGITS = 12
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local function format(line)
  local fields = {}
  for field in (line .. "\t"):gmatch("(.-)\t") do
    fields[#fields + 1] = field
  end
  local headers = {}
  for at = 4, #fields - 1, 2 do
    headers[fields[at]] = fields[at + 1]
  end
  return wrk.format(fields[1], fields[2], headers, fields[3] ~= "" and fields[3] or nil)
end

local function numbered(requests)
  local parts = {}
  for at, whole in ipairs(requests) do
    local from, to = whole:find(("0"):rep(DIGITS), 1, true)
    parts[at] = { whole:sub(1, from - 1), whole:sub(to + 1) }
  end
  local next = 0
  return function()
    next = next + 1
    local part = parts[next % #parts + 1]
    return part[1] .. ("%0" .. DIGITS .. "d"):format(next) .. part[2]
  end
end

local function in_order(requests, again)
  local next = 0
  return function()
    next = next + 1
    if next > #requests then
      again()
      next = 1
    end
    return requests[next]
  end
end

-- wrk's own time is that for which it was told to run.
local function clock_us()
  local now = ffi.new("struct timeval")
  ffi.C.gettimeofday(now, nil)
  return tonumber(now.tv_sec) * 1000000 + tonumber(now.tv_usec)
end

local function stop_after(count)
  local answered = 0
  return function()
    answered = answered + 1
    if answered == count then
      took_us = clock_us() - started_us
      wrk.thread:stop()
      -- wrk's main thread sleeps until the time is over or it is interrupted.
      ffi.C.kill(ffi.C.getpid(), SIGINT)
    end
  end
end

function init(args)
  local repeats, file, pause_ms = args[1], args[2], tonumber(args[3])
  ran_out, took_us, started_us = 0, 0, clock_us()
  local requests = {}
  for line in io.lines(file) do
    requests[#requests + 1] = format((line:gsub("{n}", ("0"):rep(DIGITS))))
  end
  if repeats == "same" then
    local one = requests[1]
    request = function() return one end
  elseif repeats == "fresh" then
    request = numbered(requests)
  elseif repeats == "listed" then
    request = in_order(requests, function() ran_out = 1 end)
  else
    request = in_order(requests, function() end)
    response = stop_after(#requests)
  end
  if pause_ms > 0 then
    math.randomseed(os.time())
    delay = function() return math.floor(math.random() * 2 * pause_ms + 0.5) end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local took_us = threads[1]:get("took_us")
  local fields = {
    summary.requests, took_us > 0 and took_us or summary.duration, errors.status, broken, threads[1]:get("ran_out"), latency:percentile(50), latency:percentile(99),
  }
  print("measured " .. table.concat(fields, " "))
end
