"""Child processes: started, watched, started again when they die, and ended by pid."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LogEvent = dict[str, Any]
OnLog = Callable[[str, LogEvent], None]

_PR_SET_PDEATHSIG = 1
_STOP_AFTER_S = 8.0


def _end_with_parent() -> None:
    """Ask Linux to end this child when its starter dies, so that kill -9 of it leaves nothing."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Part:
    """One process."""

    name: str
    command: Sequence[str]
    log_file: Path
    on_log: OnLog
    restarts: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _reader: threading.Thread | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Process id, None before the first start."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process is alive now."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and a thread that reads its log."""
        # The parent-death signal belongs to the thread that starts the child: always the main one.
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=_end_with_parent,  # noqa: PLW1509  only prctl runs between fork and exec
        )
        self._reader = threading.Thread(
            target=self._read_log, args=(self._process,), name=f"log-{self.name}", daemon=True
        )
        self._reader.start()

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr, self.log_file.open("a", encoding="utf-8") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                event = _as_event(line)
                if event is not None:
                    self.on_log(self.name, event)

    def restart_if_dead(self) -> int | None:
        """Start it again if it died; returns the exit status it died with, None if it lives."""
        if self._process is None or self.is_running:
            return None
        status = self._process.returncode
        self.restarts += 1
        self.start()
        return status

    def stop(self) -> None:
        """Ask it to end, and insist after a while; waits until it is gone."""
        if self._process is None:
            return
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(timeout=_STOP_AFTER_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)


def _as_event(line: str) -> LogEvent | None:
    """A structured log line as a dictionary; anything else (a traceback) stays in the log."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


class Crew:
    """All parts, in order of starting."""

    def __init__(self, on_death: Callable[[Part, int], None]) -> None:
        self._parts: list[Part] = []
        self._on_death = on_death
        self._dead_until: dict[str, float] = {}

    def add(self, part: Part) -> Part:
        """Start a part and keep it alive from now on."""
        self._parts.append(part)
        part.start()
        return part

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def tend(self) -> None:
        """Start again whatever died, at most once a second each."""
        now = time.monotonic()
        for part in self._parts:
            if part.is_running or self._dead_until.get(part.name, 0.0) > now:
                continue
            self._dead_until[part.name] = now + 1.0
            status = part.restart_if_dead()
            if status is not None:
                self._on_death(part, status)

    def pid_of(self, name: str) -> int | None:
        """Process id of a part by its name."""
        return next((part.pid for part in self._parts if part.name == name), None)

    def stop(self) -> None:
        """End all parts, last started first."""
        for part in reversed(self._parts):
            part.stop()
