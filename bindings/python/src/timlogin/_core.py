"""What the blocking and the asyncio client share: a polled client, its calls and its getters."""

from __future__ import annotations

import itertools
import threading
from typing import Any, Callable, Optional

from . import _library
from ._events import AnyEvent, ConnectionStatus, Hint, LoginStatus, TimError, event_of, failure
from ._library import library

#: Is called with None when the call has succeeded, or with its error.
Done = Callable[[Optional[TimError]], None]


class Core:
    """A polled client without the way in which its events reach the app."""

    def __init__(self, config: dict[str, Any]) -> None:
        config = {key: value for key, value in config.items() if value is not None}
        code, self.handle, error = _library.create({**config, "event_delivery": "poll"})
        if code != _library.OK:
            raise TimError(code, error)
        self._numbers = itertools.count(1)
        self._pending: dict[int, Done] = {}
        self._lock = threading.Lock()

    def start(self, done: Done, function: Any, *arguments: Any) -> None:
        """Makes a call that completes later. `done` runs where events are taken."""
        number = next(self._numbers)
        with self._lock:
            self._pending[number] = done
        code = function(self.handle, *arguments, None, number)
        if code != _library.OK:
            with self._lock:
                del self._pending[number]
            raise TimError(code)

    def login(self, done: Done, user_id: str, user_sig: str) -> None:
        self.start(done, library.tim_login, c_text(user_id, 7003), c_text(user_sig, 70003))

    def logout(self, done: Done) -> None:
        self.start(done, library.tim_logout)

    def renew(self, done: Done, user_sig: str) -> None:
        self.start(done, library.tim_renew_user_sig, c_text(user_sig, 70003))

    def take(self, timeout_ms: int, on_event: Callable[[AnyEvent], None]) -> bool:
        """Takes one event or completion. False: there is none, or the client has closed."""
        code, event = _library.poll(self.handle, timeout_ms)
        if code != _library.OK:
            if code not in (_library.ERR_TIMEOUT, _library.ERR_NO_SUCH_CLIENT):
                raise TimError(code)
            return False
        if event.type == _library.EVENT_COMPLETION:
            with self._lock:
                done = self._pending.pop(event.user_data or 0, None)
            if done is not None:
                done(None if event.code == _library.OK else failure(event.code, self.handle))
        else:
            known = event_of(event, self.handle)
            if known is not None:
                on_event(known)
        return bool(event.type != _library.EVENT_CLOSED)

    def begin_close(self) -> None:
        library.tim_client_destroy(self.handle, 0)


class Getters:
    """The state of a client, at any moment and on any thread."""

    _core: Core

    @property
    def status(self) -> LoginStatus:
        """Whether somebody is logged in."""
        return LoginStatus(library.tim_get_login_status(self._core.handle))

    @property
    def connection(self) -> ConnectionStatus:
        """The connection to the server."""
        return ConnectionStatus(library.tim_get_connection_status(self._core.handle))

    @property
    def user(self) -> str:
        """The user who is logged in, or the empty string."""
        return _library.text(library.tim_get_login_user, self._core.handle)

    @property
    def server_time_ms(self) -> int:
        """The server's Unix time in ms. An error before the first login."""
        code, time = _library.server_time_ms(self._core.handle)
        if code != _library.OK:
            raise TimError(code)
        return time

    def notify(self, hint: Hint) -> None:
        """Tells the library that the device changed networks or the app came to the foreground."""
        code = library.tim_notify(self._core.handle, int(hint))
        if code != _library.OK:
            raise TimError(code)


def c_text(text: str, code: int) -> bytes:
    """A text for C. A NUL would end it early, so it is the error that the library would give."""
    encoded = text.encode()
    if b"\0" in encoded:
        raise TimError(code)
    return encoded
