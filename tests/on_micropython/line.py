"""A line between host and board that a test can damage, stall, cut, or fill with garbage."""

from __future__ import annotations

import os
import pty
import random
import select
import termios
import threading
import time
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware.board.fuzz import damage


class Line:
    """The host opens ``link``; behind it a thread moves bytes to and from the board's own pty."""

    def __init__(self, board: Path, folder: Path, seed: int) -> None:
        self.link = folder / "line0"
        self.rate = 0.0
        """Share of bytes damaged, both ways."""
        self.is_stalled = False
        """The board's bytes stay where they are."""
        self.frames_from_board = 0
        """Counted before any damage: what the board put on the wire."""
        self._rng = random.Random(seed)
        self._garbage = bytearray()
        self._partial = b""
        self._lock = threading.Lock()
        self._board = self._open(board)
        self._master, self._slave = self._make()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _open(self, path: Path) -> int:
        end = time.monotonic() + 5
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(fd, termios.TCSANOW)
        return fd

    def _make(self) -> tuple[int, int]:
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        fresh = self.link.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.rename(self.link)
        return master, slave

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for fd in (self._board, self._master, self._slave):
            os.close(fd)

    def replug(self, away_s: float = 0.05) -> None:
        """The host loses the device and finds it again; the board goes on meanwhile."""
        with self._lock:
            self.link.unlink()
            os.close(self._master)
            os.close(self._slave)
            time.sleep(away_s)
            self._master, self._slave = self._make()

    def garbage(self, data: bytes) -> None:
        """Bytes of nobody, both ways."""
        with self._lock:
            self._garbage += data

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                self._turn()
            time.sleep(0.0005)

    def _turn(self) -> None:
        garbage, self._garbage = bytes(self._garbage), bytearray()
        if not self.is_stalled:
            data = _read(self._board)
            *whole, self._partial = (self._partial + data).split(b"\0")
            self.frames_from_board += sum(1 for part in whole if part)
            _write(self._master, garbage + self._hurt(data))
        _write(self._board, garbage + self._hurt(_read(self._master)))

    def _hurt(self, data: bytes) -> bytes:
        return damage(data, self.rate, self._rng) if self.rate and data else data


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536) if select.select([fd], [], [], 0)[0] else b""
    except OSError:  # nobody at the other end
        return b""


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:  # full: a line loses what it cannot hold
            return
