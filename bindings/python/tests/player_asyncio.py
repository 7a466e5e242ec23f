"""Plays bindings/scenario with the asyncio client. usage: player_asyncio.py"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Awaitable

from player import in_words, report, say

from timlogin import Hint, TimError
from timlogin.aio import Client

clients: dict[str, Client] = {}
listeners: dict[str, asyncio.Task[None]] = {}
tasks: set[asyncio.Task[None]] = set()


def start(work: Awaitable[None]) -> asyncio.Task[None]:
    """Runs it beside the requests that follow."""

    async def run() -> None:
        await work

    task = asyncio.create_task(run())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def listen(name: str, client: Client) -> None:
    async for event in client.events():
        report(name, event)


async def finish(name: str, call: str, action: Awaitable[None]) -> None:
    try:
        await action
    except TimError as error:
        say("done", name, call, error.code)
    else:
        say("done", name, call, 0)


async def create(name: str, config: str) -> None:
    clients[name] = Client(**json.loads(config))
    listeners[name] = start(listen(name, clients[name]))


async def notify(name: str, hint: str) -> None:
    clients[name].notify(Hint[hint.upper()])


async def close(name: str) -> None:
    clients[name].close()
    await listeners[name]


async def answer(request: str, name: str, *fields: str) -> None:
    if request == "new":
        return await finish(name, request, create(name, *fields))
    client = clients[name]
    if request == "login_status":
        say(request, name, in_words(client.status, client.status.name))
    elif request == "connection_status":
        say(request, name, in_words(client.connection, client.connection.name))
    elif request == "login_user":
        say(request, name, client.user)
    elif request == "login":
        start(finish(name, request, client.login(*fields)))
    elif request == "logout":
        start(finish(name, request, client.logout()))
    elif request == "renew_user_sig":
        start(finish(name, request, client.renew_user_sig(*fields)))
    elif request == "notify":
        await finish(name, request, notify(name, *fields))
    elif request == "close":
        await finish(name, request, close(name))
    else:
        raise ValueError(request)


async def main() -> None:
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := (await requests.readline()).decode():
        request, *rest = line.rstrip("\n").split("\t")
        if request == "exit":
            sys.exit(0)
        await answer(request, *rest)


asyncio.run(main())
