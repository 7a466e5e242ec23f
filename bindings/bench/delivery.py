"""What the delivery of events costs in Python, with ctypes and the asyncio binding."""

import asyncio
import ctypes
import json
import os
import threading
import time

from timlogin import KickedOffline, _library, aio

BATCH, BATCHES, KICKS = 64, 500, 300
NOBODY = "http://127.0.0.1:1"
URL = os.environ["TIM_URL"]
lib = _library.library
floor = ctypes.CDLL(os.environ["FLOOR_LIB"])
floor.floor_poll_event.argtypes = lib.tim_poll_event.argtypes
floor.floor_call_back.argtypes = [ctypes.c_void_p, ctypes.c_int32]
OnResult = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
OnKicked = ctypes.CFUNCTYPE(
    None, ctypes.c_uint64, ctypes.c_int32, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p
)
lib.tim_set_kicked_offline_callback.argtypes = [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p]


def create(url, delivery):
    code, client, error = _library.create({"server_url": url, "sdk_app_id": 1, "event_delivery": delivery})
    assert code == 0, error
    return client


def drain(what, poll, client):
    event = _library.Event()
    seen = 0
    time.sleep(0.001)  # the network thread, which every call wakes, has gone back to sleep
    start = time.monotonic_ns()
    for _ in range(BATCH):
        event.size = ctypes.sizeof(_library.Event)
        assert poll(client, 0, ctypes.byref(event)) == 0
        seen += event.type + event.code + (event.user_data or 0)
    print(what, (time.monotonic_ns() - start) / BATCH)


def by_poll():
    client = create(NOBODY, "poll")
    _library.wakeup_fd(client)
    for _ in range(BATCHES):
        drain("floor_pull", floor.floor_poll_event, client)
        for _ in range(BATCH):
            assert lib.tim_logout(client, None, None) == 0
        drain("pull", lib.tim_poll_event, client)


def by_callback():
    client = create(NOBODY, "callback")
    # The first callback of a batch waits until the whole batch is pending.
    all_pending, batch_delivered = threading.Semaphore(0), threading.Semaphore(0)
    times = [0, 0]
    delivered = 0

    def on_completion(code, message, user_data):
        nonlocal delivered
        if delivered == 0:
            all_pending.acquire()
            times[0] = time.monotonic_ns()
        delivered += 1
        if delivered == BATCH:
            times[1] = time.monotonic_ns()
            delivered = 0
            batch_delivered.release()

    kept = OnResult(on_completion)
    callback = ctypes.cast(kept, ctypes.c_void_p)

    def deliver_batch(what):
        all_pending.release()
        batch_delivered.acquire()
        print(what, (times[1] - times[0]) / (BATCH - 1))

    for _ in range(BATCHES):
        assert floor.floor_call_back(callback, BATCH) == 0
        deliver_batch("floor_callback")
        for _ in range(BATCH):
            assert lib.tim_logout(client, callback, None) == 0
        deliver_batch("callback")


def kicks_by_callback():
    client = create(URL, "callback")
    kicked = threading.Semaphore(0)
    at = 0

    def on_kicked(client, code, message, login_id, user_data):
        nonlocal at
        at = time.monotonic_ns()
        kicked.release()

    kept = OnKicked(on_kicked)
    lib.tim_set_kicked_offline_callback(client, ctypes.cast(kept, ctypes.c_void_p), None)
    for _ in range(KICKS):
        assert lib.tim_login(client, b"alice", b"ticket", None, None) == 0
        kicked.acquire()
        info = json.loads(_library.text(lib.tim_get_kick_info, client))
        print("latency_callback", (at - info["time_ms"]) / 1000)


async def by_binding():
    async with aio.Client(server_url=NOBODY, sdk_app_id=1) as client:
        for _ in range(BATCHES):
            start = time.monotonic_ns()
            await asyncio.gather(*(client.logout() for _ in range(BATCH)))
            print("binding", (time.monotonic_ns() - start) / BATCH)
    async with aio.Client(server_url=URL, sdk_app_id=1) as client:
        kicks = 0
        await client.login("alice", "ticket")
        async for event in client.events():
            now = time.monotonic_ns()
            if isinstance(event, KickedOffline):
                print("latency_pull", (now - event.by.time_ms) / 1000)
                kicks += 1
                if kicks == KICKS:
                    return
                await client.login("alice", "ticket")


by_poll()
by_callback()
asyncio.run(by_binding())
kicks_by_callback()
