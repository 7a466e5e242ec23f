"""A tim-server for each test, and tickets for it. TIM_SERVER is the program, TIM_LIB the library."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest


class Server:
    """A server process with an app of its own."""

    def __init__(self, folder: Path) -> None:
        self._data = str(folder / "data")
        self._program = os.environ["TIM_SERVER"]
        self._address = "127.0.0.1:0"
        self.start()
        self.app_id = int((folder / "data" / "sdk_app_id").read_text())

    def start(self) -> None:
        """Starts the process, on the same port if it ran before."""
        self._process = subprocess.Popen(
            [self._program, "serve", "--listen", self._address, "--data-dir", self._data],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().strip()
        self._address = ready.rpartition("http=")[2]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ticket(self, user_id: str, expire_s: int = 3600) -> str:
        command = [self._program, "usersig", "--user-id", user_id, "--expire", str(expire_s)]
        return subprocess.check_output([*command, "--data-dir", self._data], text=True).strip()

    def config(self, **more: Any) -> dict[str, Any]:
        """A configuration with quick reconnects."""
        return {
            "server_url": f"http://{self._address}",
            "sdk_app_id": self.app_id,
            "reconnect": {"first_ms": 10, "max_ms": 100},
            **more,
        }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()
