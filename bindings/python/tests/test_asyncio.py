"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Coroutine

import pytest
from conftest import Server

from timlogin import ConnectionChanged, ConnectionStatus, KickedOffline, LoginStatus, TimError
from timlogin.aio import Client


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))


def test_a_login_and_its_events_use_the_loop(server: Server) -> None:
    async def test() -> None:
        async with Client(**server.config()) as client:
            await client.login("alice", server.ticket("alice"))
            assert client.status == LoginStatus.LOGGED_IN and client.user == "alice"
            async for event in client.events():
                if isinstance(event, ConnectionChanged):
                    if event.status == ConnectionStatus.CONNECTED:
                        break
            await client.renew_user_sig(server.ticket("alice"))
            await client.logout()
            assert client.user == ""

    run(test())


def test_a_refusal_is_raised_where_it_is_awaited(server: Server) -> None:
    async def test() -> None:
        async with Client(**server.config()) as client:
            with pytest.raises(TimError) as refused:
                await client.login("bob", server.ticket("alice"))
            assert refused.value.code == 70013

    run(test())


def test_a_kick_is_an_event_with_who_did_it(server: Server) -> None:
    async def test() -> None:
        async with Client(**server.config(device_id="phone")) as phone:
            await phone.login("alice", server.ticket("alice"))
            async with Client(**server.config(device_id="tablet", device_name="tab")) as tablet:
                await tablet.login("alice", server.ticket("alice"))
                async for event in phone.events():
                    if isinstance(event, KickedOffline):
                        assert event.by is not None and event.by.device_name == "tab"
                        return

    run(test())


def test_a_cancelled_login_leaves_the_client_usable(server: Server) -> None:
    async def test() -> None:
        async with Client(**server.config()) as client:
            login = asyncio.ensure_future(client.login("alice", server.ticket("alice")))
            await asyncio.sleep(0)
            login.cancel()
            with pytest.raises(asyncio.CancelledError):
                await login
            await client.login("bob", server.ticket("bob"))
            assert client.user == "bob"

    run(test())


def test_close_during_a_login_fails_it_and_ends_the_events(server: Server) -> None:
    async def test() -> None:
        server.kill()
        client = Client(**server.config())
        login = asyncio.ensure_future(client.login("alice", server.ticket("alice")))
        await asyncio.sleep(0)
        client.close()
        with pytest.raises(TimError) as failed:
            await login
        assert failed.value.code == 7009
        assert [event async for event in client.events() if isinstance(event, KickedOffline)] == []
        assert client.status == LoginStatus.NONE

    run(test())


def test_a_thousand_clients_leave_no_descriptor(server: Server) -> None:
    async def test() -> None:
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(1000):
            async with Client(**server.config(device_id="same")):
                pass
        assert len(os.listdir("/proc/self/fd")) == descriptors

    run(test())
