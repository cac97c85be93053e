-- Posts a body of two kilobytes, with another uuid each time.
local file = assert(io.open(os.getenv("BODY"), "r"))
local body = file:read("*a")
file:close()
local before, after = body:match("^(.*)UUID(.*)$")
local count, prefix = 0, ""
function init(args)
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
  prefix = string.format("%08x-0000-4000-8000-", math.random(0, 2 ^ 31 - 1))
end
function request()
  count = count + 1
  return wrk.format("POST", "/v1/events", { ["Content-Type"] = "application/json" },
    before .. prefix .. string.format("%012d", count) .. after)
end
