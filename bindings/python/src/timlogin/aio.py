"""The client for asyncio. It uses no thread: the event loop watches the library's descriptor.

    async with Client(server_url="http://127.0.0.1:7700", sdk_app_id=1400000001) as client:
        await client.login("alice", ticket)
        async for event in client.events():
            print(event)
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, AsyncIterator, Optional

from . import _library
from ._core import Core, Done, Getters
from ._events import AnyEvent, TimError, Unread

__all__ = ["Client"]


class Client(Getters):
    """A client of the running event loop, whose methods must be called in it. Also a context manager.

    The keyword arguments are the keys of tim.h's configuration.
    """

    def __init__(self, **config: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._core = Core(config)
        self._unread = _Unread()
        code, fd = _library.wakeup_fd(self._core.handle)
        # The loop holds no reference to the client, so that a forgotten one is closed.
        self._close = weakref.finalize(self, _end, self._loop, self._core, self._unread, fd)
        self._close.atexit = False
        if code != _library.OK:
            self._close()
            raise TimError(code)
        self._loop.add_reader(fd, _drain, self._core, self._unread)

    async def login(self, user_id: str, user_sig: str) -> None:
        """Logs a user in. Raises TimError if the server refuses or cannot be reached in time."""
        future, done = self._future()
        self._core.login(done, user_id, user_sig)
        await future

    async def logout(self) -> None:
        """Logs the user out. An error says that the server does not know of it yet."""
        future, done = self._future()
        self._core.logout(done)
        await future

    async def renew_user_sig(self, user_sig: str) -> None:
        """Replaces the ticket of the session, without interrupting it."""
        future, done = self._future()
        self._core.renew(done, user_sig)
        await future

    async def events(self) -> AsyncIterator[AnyEvent]:
        """The events from now on, until the client is closed. For one task at a time.

        Of events that nobody has read, only the newest of each type is kept.
        """
        while (event := await self._unread.wait()) is not None:
            yield event

    def close(self) -> None:
        """Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out."""
        self._close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _future(self) -> tuple[asyncio.Future[None], Done]:
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: Optional[TimError]) -> None:
            if future.done():
                return  # the task that waited was cancelled
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        return future, done


class _Unread(Unread):
    """Filled and read in one loop."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def put(self, event: AnyEvent) -> None:
        self.add(event)
        self._changed.set()

    def end(self) -> None:
        self.has_ended = True
        self._changed.set()

    async def wait(self) -> Optional[AnyEvent]:
        while not self:
            self._changed.clear()
            await self._changed.wait()
        return self.take()


def _drain(core: Core, unread: _Unread) -> None:
    while core.take(0, unread.put):
        pass


def _end(loop: asyncio.AbstractEventLoop, core: Core, unread: _Unread, fd: int) -> None:
    # Before the last event is taken: then the library closes the descriptor.
    if fd >= 0 and not loop.is_closed():
        loop.remove_reader(fd)
    core.begin_close()
    try:
        _drain(core, unread)
    finally:
        unread.end()
