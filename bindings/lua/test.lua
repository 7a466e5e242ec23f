-- What timlogin.lua makes of the library, against a real server. bindings/scenario has the rules of login.
-- usage: luajit test.lua TIM_SERVER (TIM_LIB names the library)
local ffi = require("ffi")
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tim = require("timlogin")

ffi.cdef [[
typedef struct { int fd; short events, revents; } test_pollfd;
int poll(test_pollfd *fds, unsigned long count, int timeout_ms);
int getpid(void);
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

local function run(command)
    local pipe = assert(io.popen(command))
    local out = pipe:read("*a")
    pipe:close()
    return (out:gsub("%s+$", ""))
end

-- A server with an app of its own, which ends with this program, be it by an error.
local data = run("mktemp -d")
server = ffi.gc(ffi.new("char[1]"), function()
    os.execute(("kill -9 $(cat %s/pid); rm -rf %s"):format(data, data))
end)
run(("mkfifo %s/ready"):format(data))
os.execute(("%s serve --listen 127.0.0.1:0 --data-dir %s/data > %s/ready 2>/dev/null & echo $! > %s/pid")
    :format(program, data, data, data))
local address = assert(io.open(data .. "/ready")):read("*l"):match("http=(%S+)")
local function ticket(user, seconds)
    return run(("%s usersig --user-id %s --expire %d --data-dir %s/data"):format(program, user, seconds or 3600, data))
end
local app_id = tonumber(run(("cat %s/data/sdk_app_id"):format(data)))
local function new(more)
    local config = { server_url = "http://" .. address, sdk_app_id = app_id }
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

local nowhere = { server_url = "http://127.0.0.1:1" } -- no server is there: a login cannot complete
local alice = ticket("alice")

do -- calls wait, and the state is in getters
    local client = new()
    local time, err = client:server_time_ms()
    check(not time)
    is(err.name, "TIM_ERR_SERVER_TIME_UNKNOWN")
    is(client:login("alice", alice), true)
    is(client:status(), "logged_in")
    is(client:user(), "alice")
    check(math.abs(client:server_time_ms() / 1000 - os.time()) < 60)
    check(client:notify(tim.foreground))
    check(client:renew_user_sig(alice))
    check(client:logout())
    client:close()
    client:close()
    is(client:status(), "closed")
    is(client:connection(), "closed")
    is(client:user(), "")
    local ok
    ok, err = client:logout()
    check(not ok)
    is(err.name, "TIM_ERR_NO_SUCH_CLIENT")
end

do -- a refusal has its code, words and details
    local client = new()
    local ok, err = client:login("bob", alice)
    check(not ok)
    is(err.code, 70013)
    check(tostring(err):find("^the ticket belongs to another user: .* %(TIM_ERR_USER_SIG_OTHER_USER, 70013%)$"))
    is(err.is_retryable, false)
    is(err.retry_after_ms, 0)
    is(client:last_error().name, err.name)
    is(client:last_error().message, err.message)
    is(client:last_error().login_id, 1)
    client:close()
end

do -- an argument of another type or with a NUL is refused like one that is wrong
    local client = new()
    for _, user_id in ipairs { "", "a\0b", 7, false } do
        local _, err = client:login(user_id, alice)
        is(err.name, "TIM_ERR_INVALID_USER_ID")
    end
    for _, call in ipairs { "login", "renew_user_sig" } do
        local _, err = client[call](client, "a\0b", "a\0b")
        is(err.name, call == "login" and "TIM_ERR_INVALID_USER_ID" or "TIM_ERR_USER_SIG_UNREADABLE")
    end
    local _, err = client:login("alice", nil)
    is(err.name, "TIM_ERR_USER_SIG_UNREADABLE")
    client:close()
end

do -- a configuration that is wrong gives the name of the key
    local client, err = tim.new { server_url = "http://127.0.0.1:1" }
    is(client, nil)
    is(err.name, "TIM_ERR_INVALID_CONFIG")
    check(err.message:find("^sdk_app_id: missing"))
end

do -- a kick says who did it, and when
    local name = 'my "tab" \\ 手机, {"time_ms":5}'
    local phone, tablet = new { device_id = "phone" }, new { device_id = "tablet", device_name = name, platform = "ipad" }
    check(phone:login("alice", alice))
    check(tablet:login("alice", alice))
    local kick = wait_for(phone, function(event) return event.type == "kicked_offline" end)
    is(kick.code, 6208)
    is(kick.by.device_name, name)
    is(kick.by.cause, "other_device")
    is(kick.by.platform, "ipad")
    check(math.abs(kick.by.time_ms / 1000 - os.time()) < 60)
    is(kick.status, nil)
    phone:close()
    tablet:close()
end

do -- a ticket is reported before and after its end
    local client = new()
    check(client:login("alice", ticket("alice", 2)))
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

do -- a coroutine waits for its calls while the loop goes on
    local clients, users = { new(), new() }, {}
    for index, user in ipairs { "alice", "bob" } do
        coroutine.wrap(function()
            local client, this = clients[index], coroutine.running()
            local function wait(err) coroutine.resume(this, err) end
            check(client:login(user, ticket(user), wait))
            check(not coroutine.yield())
            check(client:renew_user_sig(ticket("carol"), wait))
            users[client:user()] = coroutine.yield().code
        end)()
    end
    is(next(users), nil)
    while not (users.alice and users.bob) do
        for _, client in ipairs(clients) do client:poll(10) end
    end
    is(users.alice, 70013)
    is(users.bob, 70013)
    for _, client in ipairs(clients) do client:close() end
end

do -- a client that is closed during a login ends it, also while `done` of another call runs
    local client, codes = new(nowhere), {}
    check(client:login("alice", alice, function(err) codes[#codes + 1] = err.code end))
    check(client:login("alice", alice, function(err)
        codes[#codes + 1] = err.code
        client:close()
    end))
    while client:poll(60000) do end
    is(table.concat(codes, " "), "7501 7009")
end

do -- what `done` throws comes out of the poll, and what follows is not lost
    local client = new(nowhere)
    check(client:login("alice", alice, function() end))
    check(client:login("alice", alice, function() error("of the app") end))
    local ok, err
    repeat ok, err = pcall(client.poll, client, 60000) until not ok
    check(err:find("of the app"))
    check(wait_for(client, function(event) return event.type == "connection" end))
    client:close()
end

do -- a thousand clients leave no thread and no descriptor
    local function count()
        return run(("ls /proc/%d/task /proc/%d/fd | wc -l"):format(ffi.C.getpid(), ffi.C.getpid()))
    end
    local before = count()
    for round = 1, 1000 do
        local client = new { server_url = nowhere.server_url, device_id = "same" }
        if round % 2 == 0 then assert(client:login("alice", alice, function() end)) end
        client:close()
    end
    is(count(), before)
end

do -- a client that is forgotten is closed, also during a login
    for _ = 1, 20 do
        check(new { device_id = "forgotten" }:login("alice", alice, function() error("of a forgotten client") end))
        collectgarbage()
        collectgarbage()
    end
end

do -- a process ends at any moment, as it wants to
    local program = ([[
        package.path = %q
        local client = assert(require("timlogin").new { server_url = "http://%s", sdk_app_id = %d })
        local function login(done) return assert(client:login("alice", "%s", done)) end
        ]]):format(package.path, address, app_id, alice)
    for ending, status in pairs {
        ["login()"] = 0,
        ["login(print)"] = 0,
        ["login() os.exit(3)"] = 3,
        ["login() os.exit(3, true)"] = 3,
        ["login(print) os.exit(3, true)"] = 3,
        ["login(function() os.exit(3) end) while client:poll(-1) do end"] = 3,
        ["login(function() os.exit(3, true) end) while client:poll(-1) do end"] = 3,
        ["login() error('of the app')"] = 1,
        ["login(function() error('of the app') end) while client:poll(-1) do end"] = 1,
        ["login() client:close() error('of the app')"] = 1,
        ["coroutine.wrap(function() login(print) coroutine.yield() end)()"] = 0,
        ["coroutine.wrap(function() login() os.exit(3, true) end)()"] = 3,
    } do
        local file = assert(io.open(data .. "/ending.lua", "w"))
        file:write(program, ending)
        file:close()
        local said = run(("timeout 60 luajit %s/ending.lua 2>&1; echo $?"):format(data))
        check(said:match("%d+$") == tostring(status), ending .. ": " .. said)
        check(status ~= 1 or said:find("of the app", 1, true), ending .. ": " .. said)
    end
end

print(("LuaJIT: pass (%d checks)"):format(checks))
