"""The functions of libtim that this package calls, for ctypes."""

from __future__ import annotations

import ctypes
import json
import os
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

OK = 0
ERR_NO_SUCH_CLIENT = 7705
ERR_TIMEOUT = 7708
ERR_BUFFER_TOO_SMALL = 7709

EVENT_COMPLETION = 1
EVENT_CONNECTION = 2
EVENT_USER_SIG_EXPIRED = 3
EVENT_KICKED_OFFLINE = 4
EVENT_USER_SIG_EXPIRING = 5
EVENT_CLOSED = 6


class Event(ctypes.Structure):
    """`tim_event` of tim.h."""

    _fields_ = [
        ("size", c_uint32),
        ("type", c_int32),
        ("code", c_int32),
        ("connection_status", c_int32),
        ("login_status", c_int32),
        ("is_retryable", c_int32),
        ("login_id", c_uint64),
        ("seconds_left", c_int64),
        ("user_data", c_void_p),
        ("message", c_char_p),
    ]


def _load() -> ctypes.CDLL:
    """The library: TIM_LIB, the one in this package, or the system's."""
    beside = os.path.join(os.path.dirname(__file__), "libtim.so")
    named = os.environ.get("TIM_LIB")
    path = named or (beside if os.path.exists(beside) else "libtim.so.0")
    # CDLL releases the GIL during calls, so that a blocked poll blocks no other thread.
    library = ctypes.CDLL(path)
    text_out = [c_uint64, c_char_p, c_size_t, POINTER(c_size_t)]
    for name, result, arguments in [
        ("tim_client_create", c_int32, [c_char_p, POINTER(c_uint64), c_char_p, c_size_t]),
        ("tim_client_destroy", c_int32, [c_uint64, c_int32]),
        ("tim_client_find", c_int32, [c_char_p, POINTER(c_uint64)]),
        ("tim_login", c_int32, [c_uint64, c_char_p, c_char_p, c_void_p, c_void_p]),
        ("tim_logout", c_int32, [c_uint64, c_void_p, c_void_p]),
        ("tim_renew_user_sig", c_int32, [c_uint64, c_char_p, c_void_p, c_void_p]),
        ("tim_notify", c_int32, [c_uint64, c_int32]),
        ("tim_poll_event", c_int32, [c_uint64, c_int32, POINTER(Event)]),
        ("tim_get_wakeup_fd", c_int32, [c_uint64, POINTER(c_int32)]),
        ("tim_get_login_status", c_int32, [c_uint64]),
        ("tim_get_connection_status", c_int32, [c_uint64]),
        ("tim_get_login_user", c_int32, text_out),
        ("tim_get_kick_info", c_int32, text_out),
        ("tim_get_last_error", c_int32, text_out),
        ("tim_get_server_time_ms", c_int32, [c_uint64, POINTER(c_int64)]),
        ("tim_error_name", c_char_p, [c_int32]),
        ("tim_error_message", c_char_p, [c_int32]),
        ("tim_error_is_retryable", c_int32, [c_int32]),
        ("tim_version", c_char_p, []),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


library = _load()


def create(config: dict[str, Any]) -> tuple[int, int, str]:
    """Creates a client: its code, its handle, and what is wrong with the configuration."""
    handle, error = c_uint64(), ctypes.create_string_buffer(512)
    text = json.dumps(config, ensure_ascii=False).encode()
    code = library.tim_client_create(text, byref(handle), error, len(error))
    return code, handle.value, error.value.decode(errors="replace")


def poll(handle: int, timeout_ms: int) -> tuple[int, Event]:
    """Takes one event."""
    event = Event(size=ctypes.sizeof(Event))
    return library.tim_poll_event(handle, timeout_ms, byref(event)), event


def wakeup_fd(handle: int) -> tuple[int, int]:
    """The descriptor that is readable while there is something to poll."""
    fd = c_int32(-1)
    return library.tim_get_wakeup_fd(handle, byref(fd)), fd.value


def text(function: Any, handle: int) -> str:
    """What a function copies out; empty where it has nothing."""
    capacity = 256
    while True:
        buffer, length = ctypes.create_string_buffer(capacity), c_size_t()
        code = function(handle, buffer, capacity, byref(length))
        if code != ERR_BUFFER_TOO_SMALL:
            return buffer.value.decode(errors="replace") if code == OK else ""
        capacity = length.value + 1


def server_time_ms(handle: int) -> tuple[int, int]:
    """The server's Unix time in ms."""
    time = c_int64()
    return library.tim_get_server_time_ms(handle, byref(time)), time.value


def error_name(code: int) -> str:
    return str(library.tim_error_name(code).decode())


def error_message(code: int) -> str:
    return str(library.tim_error_message(code).decode())
