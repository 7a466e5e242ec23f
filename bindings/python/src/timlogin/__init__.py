"""Sign-in for instant messaging with libtim: a client whose calls block. For asyncio: timlogin.aio.

    with Client(server_url="http://127.0.0.1:7700", sdk_app_id=1400000001) as client:
        client.login("alice", ticket)
        print(client.user)
"""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from typing import Any, Iterator, Optional

from ._core import Core, Done, Getters
from ._events import (
    AnyEvent,
    ConnectionChanged,
    ConnectionStatus,
    Hint,
    KickedOffline,
    KickInfo,
    LoginStatus,
    TimError,
    Unread,
    UserSigExpired,
    UserSigExpiring,
)

__all__ = [
    "AnyEvent",
    "Client",
    "ConnectionChanged",
    "ConnectionStatus",
    "Hint",
    "KickInfo",
    "KickedOffline",
    "LoginStatus",
    "TimError",
    "UserSigExpired",
    "UserSigExpiring",
]


class Client(Getters):
    """A client whose calls block until they have completed; also a context manager.

    The keyword arguments are the keys of tim.h's configuration. A daemon thread takes the events.
    Every method may be called on any thread.
    """

    def __init__(self, **config: Any) -> None:
        self._core = Core(config)
        self._unread = _Unread()
        arguments = (self._core, self._unread)
        self._thread = threading.Thread(target=_take_events, args=arguments, name="timlogin", daemon=True)
        self._thread.start()
        # A client that is forgotten is closed; its thread holds no reference to it.
        self._close = weakref.finalize(self, self._core.begin_close)
        # At exit the process ends with its threads.
        self._close.atexit = False

    def login(self, user_id: str, user_sig: str) -> None:
        """Logs a user in. Raises TimError if the server refuses or cannot be reached in time."""
        future, done = _future()
        self._core.login(done, user_id, user_sig)
        future.result()

    def logout(self) -> None:
        """Logs the user out. An error says that the server does not know of it yet."""
        future, done = _future()
        self._core.logout(done)
        future.result()

    def renew_user_sig(self, user_sig: str) -> None:
        """Replaces the ticket of the session, without interrupting it."""
        future, done = _future()
        self._core.renew(done, user_sig)
        future.result()

    def events(self) -> Iterator[AnyEvent]:
        """The events from now on, until the client is closed. For one thread at a time.

        Of events that nobody has read, only the newest of each type is kept.
        """
        while (event := self.next_event()) is not None:
            yield event

    def next_event(self, timeout: Optional[float] = None) -> Optional[AnyEvent]:
        """Waits up to `timeout` seconds for an event; None if there is none or the client is closed."""
        return self._unread.wait(timeout)

    def close(self) -> None:
        """Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out."""
        self._close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Unread(Unread):
    """Filled by one thread and read by others."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def put(self, event: AnyEvent) -> None:
        with self._changed:
            self.add(event)
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def wait(self, timeout: Optional[float]) -> Optional[AnyEvent]:
        with self._changed:
            self._changed.wait_for(self.__bool__, timeout)
            return self.take()


def _take_events(core: Core, unread: _Unread) -> None:
    while core.take(-1, unread.put):
        pass
    unread.end()


def _future() -> tuple[Future[None], Done]:
    future: Future[None] = Future()

    def done(error: Optional[TimError]) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return future, done
