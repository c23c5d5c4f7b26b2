-- The request of every measured client: the fields of `request-fields` and the session's cookie.
-- wrk has no option for the address to connect to, and its resolver does not know *.localhost, so the look-up is
-- replaced; SNI and Host stay those of the URL.
function wrk.resolve(host, service)
    wrk.addrs = wrk.lookup("127.0.0.1", service)
end

function init(args)
    for line in io.lines(os.getenv("LOADTEST_FIELDS")) do
        local name, value = line:match("^([^:]+): (.*)$")
        if name ~= "Host" then wrk.headers[name] = value end
    end
    wrk.headers["Host"] = os.getenv("LOADTEST_HOST")
    wrk.path = os.getenv("LOADTEST_TARGET") or "/bench?page=1"
    -- One line, or one for each of many sessions.
    for cookie in io.lines(os.getenv("LOADTEST_COOKIE")) do
        wrk.headers["Cookie"] = cookie
        prepared[#prepared + 1] = wrk.format()
    end
    -- Always the same: wrk keeps it, and the load's core, which must not be the limit, is spared a call for each.
    if #prepared == 1 then request = nil end
    math.randomseed(tonumber(os.getenv("LOADTEST_SEED") or 1))
end

prepared = {}
function request() return prepared[math.random(#prepared)] end

-- A load that leaves the proxy time to sleep: each connection waits so many milliseconds between its requests.
local pause = tonumber(os.getenv("LOADTEST_PAUSE"))
if pause then
    function delay() return pause end
end

-- One machine-readable line; wrk's own text rounds.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
