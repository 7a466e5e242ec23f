-- What the delivery of events costs in LuaJIT, with its FFI and the binding. It cannot take callbacks
-- from the library's thread: the interpreter crashes.

local ffi = require("ffi")
local tim = require("timlogin")

ffi.cdef [[
typedef struct { long s, ns; } bench_time;
int clock_gettime(int clock, bench_time *time);
int usleep(unsigned us);
int32_t floor_poll_event(uint64_t client, int32_t timeout_ms, timlogin_event *event);
]]

local BATCH, BATCHES, KICKS = 64, 500, 300
local lib, floor = ffi.load(os.getenv("TIM_LIB")), ffi.load(os.getenv("FLOOR_LIB"))
local time, event = ffi.new("bench_time"), ffi.new("timlogin_event")

-- CLOCK_MONOTONIC is 1. A Lua number holds the nanoseconds of 100 days.
local function now_ns()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.s) * 1e9 + tonumber(time.ns)
end

local function drain(what, poll)
    local seen = 0
    ffi.C.usleep(1000) -- the network thread, which every call wakes, has gone back to sleep
    local start = now_ns()
    for _ = 1, BATCH do
        event.size = ffi.sizeof("timlogin_event")
        assert(poll() == 0)
        seen = seen + event.type + event.code + tonumber(event.user_data)
    end
    print(what, (now_ns() - start) / BATCH)
    return seen
end

local client = assert(tim.new { server_url = "http://127.0.0.1:1", sdk_app_id = 1 })
client:fd()
local handle = client.handle
local function pull() return lib.tim_poll_event(handle, 0, event) end
local function floor_pull() return floor.floor_poll_event(handle, 0, event) end
for _ = 1, BATCHES do
    drain("floor_pull", floor_pull)
    for _ = 1, BATCH do assert(lib.tim_logout(handle, nil, 0) == 0) end
    drain("pull", pull)
end

local completed = 0
local function done(err)
    assert(not err)
    completed = completed + 1
end
for _ = 1, BATCHES do
    completed = 0
    local start = now_ns()
    for _ = 1, BATCH do assert(client:logout(done)) end
    while completed < BATCH do client:poll(-1) end
    print("binding", (now_ns() - start) / BATCH)
end
client:close()

client = assert(tim.new { server_url = os.getenv("TIM_URL"), sdk_app_id = 1 })
for _ = 1, KICKS do
    assert(client:login("alice", "ticket"))
    local taken
    repeat taken = assert(client:next_event(60000)) until taken.type == "kicked_offline"
    print("latency_pull", (now_ns() - taken.by.time_ms) / 1000)
end
client:close()
