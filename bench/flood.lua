-- Each request is to another name, so each is another denial. The report is that of wrk.lua.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "wrk.lua")
local n = 0

function request()
  n = n + 1
  return wrk.format("GET", "/" .. n, { Host = "n" .. n .. ".denied.test" })
end
