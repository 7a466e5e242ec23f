"""What clients report: events, statuses and errors."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Optional, Union

from . import _library
from ._library import library


class LoginStatus(enum.IntEnum):
    """Whether somebody is logged in."""

    NONE = 0  #: the client is closed
    LOGGED_IN = 1
    LOGGING_IN = 2
    LOGGED_OUT = 3


class ConnectionStatus(enum.IntEnum):
    """The connection to the server."""

    NONE = 0  #: the client is closed
    CONNECTED = 1
    DISCONNECTED = 2
    CONNECTING = 3
    CONNECT_FAILED = 4


class Hint(enum.IntEnum):
    """What an app knows about the device."""

    NETWORK_CHANGED = 1
    FOREGROUND = 2


class TimError(Exception):
    """A call that was rejected or failed."""

    def __init__(self, code: int, message: str = "", retry_after_ms: int = 0) -> None:
        self.code = code  #: the number, TIM_ERR_* of tim.h
        self.name = _library.error_name(code)
        self.message = message or _library.error_message(code)
        self.is_retryable = bool(library.tim_error_is_retryable(code))
        self.retry_after_ms = retry_after_ms  #: how long the server asks to wait; 0 if it does not say
        super().__init__(f"{self.message} ({self.name}, {code})")


@dataclass(frozen=True)
class KickInfo:
    """Who took a session over."""

    cause: str  #: "other_device", "same_device" or "operator"
    platform: Optional[str]
    device_name: str
    time_ms: int  #: Unix time of the server


@dataclass(frozen=True)
class ConnectionChanged:
    """The status of the connection changed."""

    status: ConnectionStatus
    code: int  #: 0, or the cause
    message: str
    login_id: int


@dataclass(frozen=True)
class KickedOffline:
    """Another login took the session over, or the server ended it. Only a login takes it back."""

    code: int
    message: str
    login_id: int
    by: Optional[KickInfo]


@dataclass(frozen=True)
class UserSigExpired:
    """The ticket has expired or was revoked. Only a login with a new one helps."""

    code: int
    message: str
    login_id: int


@dataclass(frozen=True)
class UserSigExpiring:
    """The ticket expires soon: get a new one and renew."""

    seconds_left: int
    login_id: int


AnyEvent = Union[ConnectionChanged, KickedOffline, UserSigExpired, UserSigExpiring]


class Unread:
    """The events that the app has not taken yet, and their end. Not locked.

    Only the newest of each type is kept, as in the library, so that an app that reads none does not
    fill the memory.
    """

    def __init__(self) -> None:
        self._events: list[AnyEvent] = []
        self.has_ended = False

    def add(self, event: AnyEvent) -> None:
        self._events = [older for older in self._events if type(older) is not type(event)]
        self._events.append(event)

    def take(self) -> Optional[AnyEvent]:
        return self._events.pop(0) if self._events else None

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._events) or self.has_ended


def event_of(event: _library.Event, handle: int) -> Optional[AnyEvent]:
    """The event for the app; None for completions, for the end, and for types of later versions."""
    message = (event.message or b"").decode()
    if event.type == _library.EVENT_CONNECTION:
        status = ConnectionStatus(event.connection_status)
        return ConnectionChanged(status, event.code, message, event.login_id)
    if event.type == _library.EVENT_USER_SIG_EXPIRED:
        return UserSigExpired(event.code, message, event.login_id)
    if event.type == _library.EVENT_USER_SIG_EXPIRING:
        return UserSigExpiring(event.seconds_left, event.login_id)
    if event.type == _library.EVENT_KICKED_OFFLINE:
        info = json.loads(_library.text(library.tim_get_kick_info, handle) or "{}")
        by = None
        if info.get("login_id") == event.login_id:
            by = KickInfo(info["cause"], info["platform"], info["device_name"], info["time_ms"])
        return KickedOffline(event.code, message, event.login_id, by)
    return None


def failure(code: int, handle: int) -> TimError:
    """The error of a call that completed with this code."""
    last = json.loads(_library.text(library.tim_get_last_error, handle) or "{}")
    after = last.get("retry_after_ms", 0) if last.get("code") == code else 0
    return TimError(code, retry_after_ms=after)
