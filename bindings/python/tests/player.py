"""Plays bindings/scenario with the blocking client. usage: player.py"""

from __future__ import annotations

import json
import sys
import threading
from typing import Callable

from timlogin import (
    AnyEvent,
    Client,
    ConnectionChanged,
    Hint,
    KickedOffline,
    TimError,
    UserSigExpired,
    UserSigExpiring,
)

# Threads say things at once.
output = threading.Lock()
clients: dict[str, Client] = {}
listeners: dict[str, threading.Thread] = {}


def say(*fields: object) -> None:
    with output:
        print(*fields, sep="\t", flush=True)


def in_words(status: int, name: str) -> str:
    return name.lower() if status else "closed"


def report(name: str, event: AnyEvent) -> None:
    if isinstance(event, ConnectionChanged):
        say("event", name, "connection", in_words(event.status, event.status.name), event.code)
    elif isinstance(event, KickedOffline):
        say("event", name, "kicked_offline", event.code, event.by.device_name if event.by else "")
    elif isinstance(event, UserSigExpiring):
        say("event", name, "user_sig_expiring", event.seconds_left)
    elif isinstance(event, UserSigExpired):
        say("event", name, "user_sig_expired", event.code)


def listen(name: str, client: Client) -> None:
    for event in client.events():
        report(name, event)


def finish(name: str, call: str, action: Callable[[], None]) -> None:
    try:
        action()
    except TimError as error:
        say("done", name, call, error.code)
    else:
        say("done", name, call, 0)


def create(name: str, config: str) -> None:
    clients[name] = Client(**json.loads(config))
    listeners[name] = threading.Thread(target=listen, args=(name, clients[name]), daemon=True)
    listeners[name].start()


def close(name: str) -> None:
    clients[name].close()
    listeners[name].join()


def answer(request: str, name: str, *fields: str) -> None:
    if request == "new":
        return finish(name, request, lambda: create(name, *fields))
    client = clients[name]
    if request == "login_status":
        return say(request, name, in_words(client.status, client.status.name))
    if request == "connection_status":
        return say(request, name, in_words(client.connection, client.connection.name))
    if request == "login_user":
        return say(request, name, client.user)
    calls: dict[str, Callable[[], None]] = {
        "login": lambda: client.login(*fields),
        "logout": lambda: client.logout(),
        "renew_user_sig": lambda: client.renew_user_sig(*fields),
        "notify": lambda: client.notify(Hint[fields[0].upper()]),
        "close": lambda: close(name),
    }
    # Calls block, so each has a thread.
    threading.Thread(target=finish, args=(name, request, calls[request]), daemon=True).start()


def main() -> None:
    for line in sys.stdin:
        request, *rest = line.rstrip("\n").split("\t")
        if request == "exit":
            sys.exit(0)
        answer(request, *rest)


if __name__ == "__main__":
    main()
