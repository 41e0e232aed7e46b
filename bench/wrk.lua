-- wrk's own report is made for reading; this one is made for the bench. A first argument is an absolute URL: the way one asks a forward proxy.
function init(args)
  if args[1] then wrk.path = args[1] end
end

function done(summary, latency)
  local errors = summary.errors
  -- A read error is a connection that was closed without a word; a proxy without keep-alive does that after each (whole) answer.
  io.write(string.format('\n{"requests": %d, "microseconds": %d, "errors": %d, "closed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.connect + errors.write + errors.status + errors.timeout, errors.read,
    latency:percentile(50), latency:percentile(99)))
end
