-- Each request is to another name, so each is another denial.
local n = 0

function request()
  n = n + 1
  return wrk.format("GET", "/" .. n, { Host = "n" .. n .. ".denied.test" })
end

-- As in wrk.lua, but what is denied is no error.
function done(summary, latency)
  local errors = summary.errors
  -- A read error is a connection that was closed without a word; a proxy without keep-alive does that after each (whole) answer.
  io.write(string.format('\n{"requests": %d, "microseconds": %d, "errors": %d, "closed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.connect + errors.write + errors.status + errors.timeout, errors.read,
    latency:percentile(50), latency:percentile(99)))
end
