"""Signs of life to systemd: said to a real socket, and to nobody where there is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from edge_agent.watchdog import Watchdog


def test_systemd_hears_that_the_agent_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(path)
        ear.settimeout(30)
        dog = Watchdog({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"})
        assert dog.period_s == 15.0
        assert [dog.ready(), dog.alive("5 waiting"), dog.stopping()] == [True] * 3
        heard = [ear.recv(100) for _ in range(3)]
    assert heard == [b"READY=1", b"WATCHDOG=1\nSTATUS=5 waiting", b"STOPPING=1"]
    assert not dog.alive()  # nobody is there any more, and that is no error here


def test_an_abstract_socket_is_found() -> None:
    name = f"qianshao-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name)
        ear.settimeout(30)
        assert Watchdog({"NOTIFY_SOCKET": "@" + name}).alive()
        assert ear.recv(100) == b"WATCHDOG=1"


def test_without_systemd_or_for_another_process_nothing_is_said() -> None:
    assert Watchdog({}).period_s is None
    assert not Watchdog({}).ready()
    other = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert Watchdog(other, pid=2).period_s is None
    assert Watchdog({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "abc"}).period_s is None
