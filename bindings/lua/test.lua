-- Tests of timlogin.lua against a real server. usage: luajit test.lua TIM_SERVER (TIM_LIB names the library)
local ffi = require("ffi")
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tim = require("timlogin")

ffi.cdef [[
typedef struct { int fd; short events, revents; } test_pollfd;
int poll(test_pollfd *fds, unsigned long count, int timeout_ms);
]]

local program = assert(arg[1], "usage: luajit test.lua TIM_SERVER")
local checks = 0
local function check(ok, what)
    checks = checks + 1
    if not ok then error(what or "a check failed", 2) end
    return ok
end
local function is(got, wanted)
    check(got == wanted, ("expected %s, found %s"):format(tostring(wanted), tostring(got)))
end

-- A server with an app of its own. It ends with the pipe to the shell that started it.
local function run(command)
    local pipe = assert(io.popen(command))
    local out = pipe:read("*a")
    pipe:close()
    return (out:gsub("%s+$", ""))
end
local data = run("mktemp -d")
local server = {}
function server:start()
    run(("mkfifo %s/ready 2>/dev/null"):format(data))
    os.execute(("%s serve --listen %s --data-dir %s/data > %s/ready 2>/dev/null & echo $! > %s/pid")
        :format(program, self.address or "127.0.0.1:0", data, data, data))
    local ready = assert(io.open(data .. "/ready")):read("*l")
    self.address = ready:match("http=(%S+)")
end
function server:kill() os.execute(("kill -9 $(cat %s/pid); tail --pid=$(cat %s/pid) -f /dev/null"):format(data, data)) end
function server:ticket(user, seconds)
    return run(("%s usersig --user-id %s --expire %d --data-dir %s/data"):format(program, user, seconds or 3600, data))
end
server:start()
local app_id = tonumber(run(("cat %s/data/sdk_app_id"):format(data)))
local function new(more)
    local config = {
        server_url = "http://" .. server.address, sdk_app_id = app_id,
        reconnect = { first_ms = 10, max_ms = 100 },
    }
    for key, value in pairs(more or {}) do config[key] = value end
    return assert(tim.new(config))
end
local function wait_for(client, wanted)
    while true do
        local event = check(client:next_event(60000), "no event")
        if wanted(event) then return event end
    end
end
local function connected(event) return event.type == "connection" and event.status == "connected" end

local alice = server:ticket("alice")

do -- a login makes the user, and a logout ends it
    local client = new()
    is(client:status(), "logged_out")
    check(client:login("alice", alice))
    is(client:status(), "logged_in")
    is(client:user(), "alice")
    wait_for(client, connected)
    is(client:connection(), "connected")
    check(client:notify(tim.foreground))
    check(client:renew_user_sig(server:ticket("alice")))
    check(client:login("bob", server:ticket("bob")))
    is(client:user(), "bob")
    check(client:logout())
    is(client:user(), "")
    client:close()
    is(client:status(), "closed")
    local ok, err = client:logout()
    check(not ok)
    is(err.name, "TIM_ERR_NO_SUCH_CLIENT")
end

do -- a refusal has its code and words
    local client = new()
    local ok, err = client:login("bob", alice)
    check(not ok)
    is(err.code, 70013)
    check(tostring(err):find("another user", 1, true))
    check(not err.is_retryable)
    ok, err = client:login("", alice)
    check(not ok)
    is(err.name, "TIM_ERR_INVALID_USER_ID")
    client:close()
    ok, err = tim.new { server_url = "http://127.0.0.1:1" }
    check(not ok and err.message:find("sdk_app_id: missing", 1, true))
end

do -- a kick says who did it
    local phone, tablet = new { device_id = "phone" }, new { device_id = "tablet", device_name = 'my "tab"' }
    check(phone:login("alice", alice))
    check(tablet:login("alice", alice))
    local kick = wait_for(phone, function(event) return event.type == "kicked_offline" end)
    is(kick.code, 6208)
    check(kick.by:find('"device_name":"my \\"tab\\""', 1, true), kick.by)
    is(phone:status(), "logged_out")
    phone:close()
    tablet:close()
end

do -- a ticket is reported before and after its end
    local client = new()
    check(client:login("alice", server:ticket("alice", 2)))
    local warned = wait_for(client, function(event) return event.type == "user_sig_expiring" end)
    check(warned.seconds_left <= 2)
    is(wait_for(client, function(event) return event.type == "user_sig_expired" end).code, 70001)
    client:close()
end

do -- an event loop watches the descriptor
    local client = new()
    local watched = ffi.new("test_pollfd[1]")
    watched[0].fd, watched[0].events = assert(client:fd()), 1
    local result
    check(client:login("alice", alice, function(err) result = err or "done" end))
    while not result do
        is(ffi.C.poll(watched, 1, 60000), 1)
        while client:poll(0) do end
    end
    is(result, "done")
    wait_for(client, connected)
    is(client:next_event(0), nil)
    is(ffi.C.poll(watched, 1, 0), 0)
    client:close()
end

do -- a restart of the server signs nobody out
    local client = new()
    check(client:login("alice", alice))
    wait_for(client, connected)
    server:kill()
    wait_for(client, function(event) return not connected(event) end)
    is(client:status(), "logged_in")
    server:start()
    wait_for(client, connected)
    is(client:user(), "alice")
    client:close()
end

do -- a client that is closed during a login ends it
    local client = new { server_url = "http://127.0.0.1:1" }
    local code
    check(client:login("alice", alice, function(err) code = err.code end))
    client:close()
    is(code, 7009)
end

for _ = 1, 1000 do new({ device_id = "same" }):close() end
for _ = 1, 20 do -- clients that are forgotten are closed
    new { device_id = "forgotten" }
    collectgarbage()
    collectgarbage()
end
check(true)

server:kill()
os.execute("rm -rf " .. data)
print(("LuaJIT: pass (%d checks)"):format(checks))
