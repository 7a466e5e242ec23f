"""The client whose calls block."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from typing import Callable

import pytest
from conftest import Server

from timlogin import (
    AnyEvent,
    Client,
    ConnectionChanged,
    ConnectionStatus,
    Hint,
    KickedOffline,
    LoginStatus,
    TimError,
    UserSigExpired,
    UserSigExpiring,
)


def status(client: Client) -> LoginStatus:
    return client.status


def wait_for(client: Client, wanted: Callable[[AnyEvent], bool]) -> AnyEvent:
    """Waits for an event, skipping others."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        event = client.next_event(timeout=60)
        if event is not None and wanted(event):
            return event
    raise AssertionError("the event did not come")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def is_connected(event: AnyEvent) -> bool:
    return isinstance(event, ConnectionChanged) and event.status == ConnectionStatus.CONNECTED


def test_a_login_makes_the_user_and_a_logout_ends_it(server: Server) -> None:
    with Client(**server.config()) as client:
        assert status(client) == LoginStatus.LOGGED_OUT and client.user == ""
        client.login("alice", server.ticket("alice"))
        assert status(client) == LoginStatus.LOGGED_IN and client.user == "alice"
        assert abs(client.server_time_ms / 1000 - time.time()) < 60
        client.notify(Hint.FOREGROUND)
        wait_for(client, is_connected)
        assert client.connection == ConnectionStatus.CONNECTED
        client.logout()
        assert status(client) == LoginStatus.LOGGED_OUT and client.user == ""


def test_a_refusal_is_an_error_with_its_code_and_words(server: Server) -> None:
    with Client(**server.config()) as client:
        with pytest.raises(TimError) as refused:
            client.login("bob", server.ticket("alice"))
        assert refused.value.code == 70013
        assert refused.value.name == "TIM_ERR_USER_SIG_OTHER_USER"
        assert "another user" in refused.value.message
        assert not refused.value.is_retryable
        for user_id, ticket, code in [("", "x", 7003), ("a\0b", "x", 7003), ("alice", "", 70002)]:
            with pytest.raises(TimError) as rejected:
                client.login(user_id, ticket)
            assert rejected.value.code == code


def test_a_configuration_that_is_wrong_names_the_key() -> None:
    with pytest.raises(TimError, match="sdk_app_id: missing"):
        Client(server_url="http://127.0.0.1:1")
    with pytest.raises(TimError, match="server_url: it does not begin"):
        Client(server_url="ftp://127.0.0.1:1", sdk_app_id=1)


def test_a_server_that_is_not_there_is_a_retryable_error(server: Server) -> None:
    server.kill()
    with Client(**server.config(login_timeout_ms=300)) as client:
        with pytest.raises(TimError) as failed:
            client.login("alice", server.ticket("alice"))
    assert failed.value.code == 9511 and failed.value.is_retryable


def test_a_kick_says_who_did_it(server: Server) -> None:
    with Client(**server.config(device_id="phone", device_name="my phone")) as phone:
        phone.login("alice", server.ticket("alice"))
        with Client(**server.config(device_id="tablet", device_name="my tablet")) as tablet:
            tablet.login("alice", server.ticket("alice"))
            event = wait_for(phone, lambda event: isinstance(event, KickedOffline))
            assert isinstance(event, KickedOffline) and event.code == 6208
            assert event.by is not None
            assert (event.by.cause, event.by.device_name) == ("other_device", "my tablet")
            assert status(phone) == LoginStatus.LOGGED_OUT


def test_a_ticket_is_reported_before_and_after_its_end_and_renewed(server: Server) -> None:
    with Client(**server.config()) as client:
        client.login("alice", server.ticket("alice", 3))
        event = wait_for(client, lambda event: isinstance(event, UserSigExpiring))
        assert isinstance(event, UserSigExpiring) and event.seconds_left <= 3
        client.renew_user_sig(server.ticket("alice", 3))
        assert status(client) == LoginStatus.LOGGED_IN
        ended = wait_for(client, lambda event: isinstance(event, UserSigExpired))
        assert isinstance(ended, UserSigExpired) and ended.code == 70001
        assert status(client) == LoginStatus.LOGGED_OUT
        with pytest.raises(TimError) as rejected:
            client.renew_user_sig(server.ticket("alice"))
        assert rejected.value.code == 6014


def test_a_restart_of_the_server_signs_nobody_out(server: Server) -> None:
    with Client(**server.config()) as client:
        client.login("alice", server.ticket("alice"))
        wait_for(client, is_connected)
        server.kill()
        wait_for(client, lambda event: not is_connected(event))
        assert status(client) == LoginStatus.LOGGED_IN
        server.start()
        wait_for(client, is_connected)
        assert client.user == "alice"


def test_unread_events_are_bounded_by_the_newest_of_each_type(server: Server) -> None:
    with Client(**server.config()) as client:
        client.login("alice", server.ticket("alice"))
        for _ in range(3):
            server.kill()
            until(lambda: client.connection != ConnectionStatus.CONNECTED)
            server.start()
            until(lambda: client.connection == ConnectionStatus.CONNECTED)
        client.logout()
        unread = [client.next_event(timeout=0) for _ in range(3)]
        assert [type(event) for event in unread if event] == [ConnectionChanged]


def test_a_login_of_another_user_switches(server: Server) -> None:
    with Client(**server.config()) as client:
        client.login("alice", server.ticket("alice"))
        client.login("bob", server.ticket("bob"))
        assert client.user == "bob"


def test_close_during_a_login_fails_it_and_ends_the_events(server: Server) -> None:
    server.kill()
    client = Client(**server.config())
    codes: list[int] = []

    def log_in() -> None:
        with pytest.raises(TimError) as failed:
            client.login("alice", server.ticket("alice"))
        codes.append(failed.value.code)

    caller = threading.Thread(target=log_in)
    caller.start()
    until(lambda: status(client) == LoginStatus.LOGGING_IN)
    client.close()
    caller.join()
    assert codes == [7009]
    list(client.events())
    assert status(client) == LoginStatus.NONE
    with pytest.raises(TimError) as rejected:
        client.logout()
    assert rejected.value.code == 7705
    client.close()


def test_a_thousand_clients_leave_no_thread_and_no_descriptor(server: Server) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        Client(**server.config(device_id="same")).close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_client_that_is_forgotten_is_closed(server: Server) -> None:
    Client(**server.config(device_id="same")).login("alice", server.ticket("alice"))
    gc.collect()
    deadline = time.monotonic() + 60
    while True:
        try:
            Client(**server.config(device_id="same")).close()
            return
        except TimError as error:
            assert error.code == 7706 and time.monotonic() < deadline


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "sys.exit(0)", "raise SystemExit(0)"])
def test_a_process_ends_at_any_moment(server: Server, end: str) -> None:
    config = server.config()
    program = f"""
import os, sys, threading
from timlogin import Client
client = Client(**{config!r})
client.login("alice", {server.ticket("alice")!r})
threading.Thread(target=lambda: list(client.events()), daemon=True).start()
{end}
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
