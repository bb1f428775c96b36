"""A broker's process: started or adopted, watched and ended by its process id alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from mqtt_bridge.brokers.interface import LOOPBACK, BrokerFailedError, PortTakenError

_START_S = 15.0
_TERM_S = 8.0
_KILL_S = 2.0
_POLL_S = 0.02
_LAST_WORDS_BYTES = 2000

log = structlog.get_logger(__name__)


class BrokerProcess:
    """A process that is known by a file with its id, and by naming our file in its command line.

    It runs in a session of its own: a Ctrl-C at the central's terminal, or the central's sudden
    death, leaves it serving the devices until the next central adopts it.
    """

    def __init__(self, folder: Path, argv: Sequence[str], config: Path) -> None:
        self._argv = list(argv)
        self._config = config
        self._pid_file = folder / "broker.pid"
        self._output = folder / "broker.out"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Id of the living process that is ours, or None."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if _names(pid, self._config) else None

    def start(self, host: str, port: int) -> None:
        """Start the process and wait until it listens; raises what Broker.start() raises."""
        _check_free(host, port)
        with self._output.open("wb") as output:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _write_pid(self._pid_file, self._child.pid)
        until = time.monotonic() + _START_S
        while not _listens(host, port):
            if self._child.poll() is not None:
                raise BrokerFailedError(self._argv[0], self._last_words())
            if time.monotonic() > until:
                self.stop()
                raise BrokerFailedError(self._argv[0], f"{host}:{port} silent for {_START_S:g} s")
            time.sleep(_POLL_S)
        log.info("broker_started", pid=self._child.pid, port=port)

    def hang_up(self) -> None:
        """Make it read its configuration again (SIGHUP)."""
        self._signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it: politely first, then at once; bounded."""
        self._signal(signal.SIGTERM)
        if not self._is_gone_within(_TERM_S):
            self._signal(signal.SIGKILL)
            self._is_gone_within(_KILL_S)
        if self.pid is None:
            self._pid_file.unlink(missing_ok=True)
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                log.info("broker_already_gone", pid=pid)

    def _is_gone_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_S)
        return True

    def _last_words(self) -> str:
        return self._output.read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip()


def free_port(host: str = LOOPBACK) -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(host, port) from error


def _listens(host: str, port: int) -> bool:
    target = LOOPBACK if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
    try:
        with socket.create_connection((target, port), timeout=1.0):
            return True
    except OSError:
        return False


def _names(pid: int, config: Path) -> bool:
    """Whether a process lives (a zombie does not) and has the file in its command line."""
    folder = Path("/proc") / str(pid)
    try:
        arguments = (folder / "cmdline").read_bytes().split(b"\0")
        state = (folder / "stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[-1]
    except OSError:
        return False
    return os.fsencode(config) in arguments and not state.lstrip().startswith("Z")


def _write_pid(path: Path, pid: int) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(f"{pid}\n", encoding="ascii")
    scratch.replace(path)
