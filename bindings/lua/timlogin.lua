--- Sign-in for instant messaging with libtim, for LuaJIT.
-- Events are polled: LuaJIT cannot take callbacks from other threads. See README.md.

local ffi = require("ffi")

ffi.cdef [[
typedef struct {
    uint32_t size;
    int32_t type, code, connection_status, login_status, is_retryable;
    uint64_t login_id;
    int64_t seconds_left;
    uintptr_t user_data;
    const char *message;
} timlogin_event;
int32_t tim_client_create(const char *config, uint64_t *out, char *error, size_t capacity);
int32_t tim_client_destroy(uint64_t client, int32_t timeout_ms);
int32_t tim_login(uint64_t client, const char *user_id, const char *user_sig, void *callback, uintptr_t user_data);
int32_t tim_logout(uint64_t client, void *callback, uintptr_t user_data);
int32_t tim_renew_user_sig(uint64_t client, const char *user_sig, void *callback, uintptr_t user_data);
int32_t tim_notify(uint64_t client, int32_t hint);
int32_t tim_poll_event(uint64_t client, int32_t timeout_ms, timlogin_event *event);
int32_t tim_get_wakeup_fd(uint64_t client, int32_t *fd);
int32_t tim_get_login_status(uint64_t client);
int32_t tim_get_connection_status(uint64_t client);
int32_t tim_get_login_user(uint64_t client, char *buffer, size_t capacity, size_t *length);
int32_t tim_get_kick_info(uint64_t client, char *buffer, size_t capacity, size_t *length);
int32_t tim_get_server_time_ms(uint64_t client, int64_t *out);
int32_t tim_get_last_error(uint64_t client, char *buffer, size_t capacity, size_t *length);
const char *tim_error_name(int32_t code);
const char *tim_error_message(int32_t code);
int32_t tim_error_is_retryable(int32_t code);
]]

local lib = ffi.load(os.getenv("TIM_LIB") or "libtim.so.0")

local OK, ERR_INVALID_USER_ID, ERR_NO_SUCH_CLIENT, ERR_TIMEOUT, ERR_BUFFER_TOO_SMALL = 0, 7003, 7705, 7708, 7709
local ERR_USER_SIG_UNREADABLE = 70003
local COMPLETION, CONNECTION, KICKED_OFFLINE, USER_SIG_EXPIRING, CLOSED = 1, 2, 4, 5, 6
local types = {
    [2] = "connection", [3] = "user_sig_expired", [4] = "kicked_offline", [5] = "user_sig_expiring",
}
local logins = { [0] = "closed", "logged_in", "logging_in", "logged_out" }
local connections = { [0] = "closed", "connected", "disconnected", "connecting", "connect_failed" }

local tim = { network_changed = 1, foreground = 2 }
local Client = {}
Client.__index = Client

local function json(value)
    if type(value) == "table" then
        local parts = {}
        for key, inner in pairs(value) do
            parts[#parts + 1] = json(tostring(key)) .. ":" .. json(inner)
        end
        return "{" .. table.concat(parts, ",") .. "}"
    elseif type(value) == "string" then
        local escaped = value:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end)
        return '"' .. escaped .. '"'
    end
    return tostring(value)
end

--- An error of a call: code, name, message, is_retryable, retry_after_ms. Prints as its message.
local Error = {}
Error.__index = Error
Error.__tostring = function(self)
    return ("%s (%s, %d)"):format(self.message, self.name, self.code)
end

local function failure(code, message, retry_after_ms)
    return setmetatable({
        code = code,
        name = ffi.string(lib.tim_error_name(code)),
        message = message or ffi.string(lib.tim_error_message(code)),
        is_retryable = lib.tim_error_is_retryable(code) == 1,
        retry_after_ms = retry_after_ms or 0,
    }, Error)
end

-- What a function copies out; empty where it has nothing.
local function text(copy_out, handle)
    local capacity, length = 256, ffi.new("size_t[1]")
    while true do
        local buffer = ffi.new("char[?]", capacity)
        local code = copy_out(handle, buffer, capacity, length)
        if code ~= ERR_BUFFER_TOO_SMALL then
            return code == OK and ffi.string(buffer, length[0]) or ""
        end
        capacity = tonumber(length[0]) + 1
    end
end

-- A JSON object of the library as a table. It is flat and compact, and its text has no control characters.
local escaped = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local function fields(object)
    local found = {}
    object = object:gsub("\\(.)", function(c) return ("\\%03d"):format((escaped[c] or c):byte()) end)
    for key, number in object:gmatch('"([%w_]+)":(%d+)') do found[key] = tonumber(number) end
    for key, value in object:gmatch('"([%w_]+)":"([^"]*)"') do
        found[key] = value:gsub("\\(%d%d%d)", string.char)
    end
    return found
end

-- The error of a call that completed with this code.
local function failure_of(code, handle)
    local last = fields(text(lib.tim_get_last_error, handle))
    return failure(code, nil, last.code == code and last.retry_after_ms or 0)
end

-- Who took over the session of this login; nil if the server ended it.
local function kicked_by(login_id, handle)
    local info = fields(text(lib.tim_get_kick_info, handle))
    return info.login_id == login_id and info or nil
end

-- A text for C, which a NUL would end early.
local function is_text(value)
    return type(value) == "string" and not value:find("\0", 1, true)
end

--- Creates a client from a table with the keys of tim.h's configuration. Returns nil and an error if it
-- is wrong.
function tim.new(config)
    local all = { event_delivery = "poll" }
    for key, value in pairs(config) do all[key] = value end
    local handle, message = ffi.new("uint64_t[1]"), ffi.new("char[512]")
    local code = lib.tim_client_create(json(all), handle, message, 512)
    if code ~= OK then return nil, failure(code, ffi.string(message)) end
    local self = { handle = handle[0], calls = {}, last_call = 0, queue = {}, event = ffi.new("timlogin_event") }
    -- A client that is forgotten is closed, with all that is left in it.
    self.guard = ffi.gc(handle, function(cdata)
        local event = ffi.new("timlogin_event")
        lib.tim_client_destroy(cdata[0], 0)
        repeat event.size = ffi.sizeof("timlogin_event")
        until lib.tim_poll_event(cdata[0], 1000, event) ~= OK or event.type == CLOSED
    end)
    return setmetatable(self, Client)
end

--- Takes one event or completion, waiting up to timeout_ms (0: not, -1: without limit). A completion
-- runs the `done` of its call; other events are kept for next_event. Returns false if there was none.
function Client:poll(timeout_ms)
    local event = self.event
    event.size = ffi.sizeof("timlogin_event")
    local code = lib.tim_poll_event(self.handle, timeout_ms, event)
    if code == ERR_TIMEOUT or code == ERR_NO_SUCH_CLIENT then return false end
    if code ~= OK then error(failure(code), 2) end
    if event.type == COMPLETION then
        local number = tonumber(event.user_data)
        local done = self.calls[number]
        self.calls[number] = nil
        if done then done(event.code ~= OK and failure_of(event.code, self.handle) or nil) end
    elseif types[event.type] then
        local login_id = tonumber(event.login_id)
        self.queue[#self.queue + 1] = {
            type = types[event.type],
            code = event.code,
            message = ffi.string(event.message),
            login_id = login_id,
            status = event.type == CONNECTION and connections[event.connection_status] or nil,
            seconds_left = event.type == USER_SIG_EXPIRING and tonumber(event.seconds_left) or nil,
            by = event.type == KICKED_OFFLINE and kicked_by(login_id, self.handle) or nil,
        }
    elseif event.type == CLOSED then
        self.closed = true
    end
    return not self.closed
end

-- Makes a call. Without `done` it waits, and returns true or nil and the error.
function Client:start(done, call)
    local result, finished
    self.last_call = self.last_call + 1
    self.calls[self.last_call] = done or function(err) result, finished = err, true end
    local code = call(self.last_call)
    if code ~= OK then
        self.calls[self.last_call] = nil
        return nil, failure(code)
    end
    if done then return true end
    while not finished do self:poll(-1) end
    if result then return nil, result end
    return true
end

--- Logs a user in. With `done`, returns at once, and done(err) runs in a later poll.
function Client:login(user_id, user_sig, done)
    if not is_text(user_id) then return nil, failure(ERR_INVALID_USER_ID) end
    if not is_text(user_sig) then return nil, failure(ERR_USER_SIG_UNREADABLE) end
    return self:start(done, function(number)
        return lib.tim_login(self.handle, user_id, user_sig, nil, number)
    end)
end

--- Logs the user out.
function Client:logout(done)
    return self:start(done, function(number) return lib.tim_logout(self.handle, nil, number) end)
end

--- Replaces the ticket of the session, without interrupting it.
function Client:renew_user_sig(user_sig, done)
    if not is_text(user_sig) then return nil, failure(ERR_USER_SIG_UNREADABLE) end
    return self:start(done, function(number)
        return lib.tim_renew_user_sig(self.handle, user_sig, nil, number)
    end)
end

--- Tells the library that the device changed networks (tim.network_changed) or that the app came to the
-- foreground (tim.foreground).
function Client:notify(hint)
    local code = lib.tim_notify(self.handle, hint)
    if code ~= OK then return nil, failure(code) end
    return true
end

--- The next event, waiting up to timeout_ms for one as in poll: a table with `type` and its fields, or nil.
function Client:next_event(timeout_ms)
    while not self.queue[1] and self:poll(timeout_ms or 0) do end
    return table.remove(self.queue, 1)
end

--- The descriptor that is readable while there is something to poll, for event loops.
function Client:fd()
    local fd = ffi.new("int32_t[1]")
    local code = lib.tim_get_wakeup_fd(self.handle, fd)
    if code ~= OK then return nil, failure(code) end
    return fd[0]
end

--- "logged_in", "logging_in", "logged_out" or "closed".
function Client:status() return logins[lib.tim_get_login_status(self.handle)] end

--- "connected", "disconnected", "connecting", "connect_failed" or "closed".
function Client:connection() return connections[lib.tim_get_connection_status(self.handle)] end

--- The user who is logged in, or the empty string.
function Client:user() return text(lib.tim_get_login_user, self.handle) end

--- The server's Unix time in ms, or nil and an error before the first login.
function Client:server_time_ms()
    local time = ffi.new("int64_t[1]")
    local code = lib.tim_get_server_time_ms(self.handle, time)
    if code ~= OK then return nil, failure(code) end
    return tonumber(time[0])
end

--- The latest error: a table with the address, the phase, the cause and what else tim_get_last_error tells.
function Client:last_error() return fields(text(lib.tim_get_last_error, self.handle)) end

--- Closes the client: pending calls end with TIM_ERR_INTERRUPTED. Does not log out.
function Client:close()
    if self.closed then return end
    lib.tim_client_destroy(self.handle, 0)
    while self:poll(-1) do end
    self.closed = true
    ffi.gc(self.guard, nil)
end

return tim
