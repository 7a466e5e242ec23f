-- Plays bindings/scenario. usage: luajit player.lua (TIM_LIB names the library)
local ffi = require("ffi")
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path
local tim = require("timlogin")

ffi.cdef [[
typedef struct { int fd; short events, revents; } player_pollfd;
int poll(player_pollfd *fds, unsigned long count, int timeout_ms);
long read(int fd, void *buffer, size_t size);
]]
local STDIN, POLLIN = 0, 1

local clients = {}

local function say(...)
    io.write(table.concat({ ... }, "\t"), "\n")
    io.flush()
end

local function finished(name, call)
    return function(err) say("done", name, call, err and err.code or 0) end
end

local details = {
    connection = function(event) return event.status, event.code end,
    kicked_offline = function(event) return event.code, event.by and event.by.device_name or "" end,
    user_sig_expiring = function(event) return event.seconds_left end,
    user_sig_expired = function(event) return event.code end,
}

-- Strings with \" and \\ and numbers are the same in JSON and in Lua; only names are not.
local function table_of(object)
    return assert(loadstring("return " .. object:gsub('("[%w_]+")%s*:', "[%1] =")))()
end

local requests = {
    new = function(name, config)
        local client, err = tim.new(table_of(config))
        clients[name] = client or clients[name]
        finished(name, "new")(err)
    end,
    notify = function(name, hint)
        local _, err = clients[name]:notify(tim[hint])
        finished(name, "notify")(err)
    end,
    close = function(name)
        clients[name]:close()
        clients[name] = nil
        finished(name, "close")()
    end,
    login_status = function(name) say("login_status", name, clients[name]:status()) end,
    connection_status = function(name) say("connection_status", name, clients[name]:connection()) end,
    login_user = function(name) say("login_user", name, clients[name]:user()) end,
    exit = function() os.exit(0) end,
}
for _, call in ipairs { "login", "logout", "renew_user_sig" } do
    requests[call] = function(name, ...)
        local fields = { ... }
        fields[#fields + 1] = finished(name, call)
        local ok, err = clients[name][call](clients[name], unpack(fields))
        if not ok then finished(name, call)(err) end
    end
end

local function answer(line)
    local fields = {}
    for field in (line .. "\t"):gmatch("(.-)\t") do fields[#fields + 1] = field end
    local request = requests[fields[1]] or error("unknown request " .. fields[1])
    request(unpack(fields, 2))
end

-- Waits for standard input or a client; returns whether there is input.
local function wait()
    local fds = { STDIN }
    for _, client in pairs(clients) do fds[#fds + 1] = assert(client:fd()) end
    local watched = ffi.new("player_pollfd[?]", #fds)
    for index, fd in ipairs(fds) do
        watched[index - 1].fd, watched[index - 1].events = fd, POLLIN
    end
    ffi.C.poll(watched, #fds, -1)
    return watched[0].revents ~= 0
end

local unread, buffer = "", ffi.new("char[4096]")
while true do
    if wait() then
        local size = tonumber(ffi.C.read(STDIN, buffer, 4096))
        if size == 0 then break end
        unread = unread .. ffi.string(buffer, size)
        for line in unread:gmatch("(.-)\n") do answer(line) end
        unread = unread:match("[^\n]*$")
    end
    for name, client in pairs(clients) do
        local event = client:next_event(0)
        while event do
            say("event", name, event.type, details[event.type](event))
            event = client:next_event(0)
        end
    end
end
