"""A board in the real MicroPython: its release's modules, a pty as its USB line, chip models.

The line's path is a symbolic link, as udev makes one: a board that restarts gets a new pty behind
it. A watchdog file that stands still gets the process killed, as the chip would reset.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import threading
import time
import tty
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hardware.board import release
from tests.on_micropython.interpreter import FIRMWARE, HEAP, micropython

RESET_STATUS = 74
WDT_RESET = 3
POWER_ON = 1
AS_A_BOARD = "exec(open('boot.py').read()); exec(open('main.py').read())"
"""Both files run as programs, in this order, and are not imported."""
STATION = {"khz": 89300, "level": 62, "snr_db": 38, "groups": [[0x2010, 0x0540, 0xE0CD, 0x4142, 0]]}
SCENE: dict[str, Any] = {"chip": "si4735", "stations": [STATION], "tune_ms": 1}


def build(folder: Path) -> Path:
    """Compile the application and the simulated hardware once; returns the folder."""
    for part, sources in (
        ("app", release.sources("rp2040")),
        ("sim", sorted((FIRMWARE / "sim").glob("*.py"))),
    ):
        release.compile_to(folder / part, sources, "x64")
    for name in ("machine", "board_linux"):  # top-level names, as on a board
        shutil.move(folder / "sim" / "sim" / f"{name}.mpy", folder / "sim" / f"{name}.mpy")
    release.compile_to(folder / "resident", [FIRMWARE / "slots.py"], "x64")
    return folder


class Board:
    """One simulated board with its file system ``disk``; use it as a context manager."""

    def __init__(
        self,
        built: Path,
        folder: Path,
        scene: dict[str, Any] | None = None,
        *,
        heap: str = HEAP,
        app: Path | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self.link = folder / "board0"
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True, exist_ok=True)
        (self.disk / "scene.json").write_text(json.dumps(scene or SCENE))
        for name in ("boot.py", "main.py"):
            shutil.copy(FIRMWARE / name, self.disk / name)
        paths = [self.disk, built / "resident", built / "sim"]
        paths += [built / "app"] if app is None else [app]
        self._path = ":".join([*map(str, paths), ".frozen"])
        self._command = list(command) or ["-c", AS_A_BOARD]
        self._heap = heap
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._cause = POWER_ON
        self._errors = (folder / "stderr").open("ab")
        self._errors_path = folder / "stderr"
        self._thread: threading.Thread | None = None
        self.starts = 0
        self.watchdog_resets = 0

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unplug()
        self._errors.close()

    @property
    def errors(self) -> str:
        """What the interpreter said on its error stream."""
        return self._errors_path.read_text()

    def plug_in(self, cause: int = POWER_ON) -> None:
        """Power on."""
        self._stopping.clear()
        self._cause = cause
        self._spawn()
        self._thread = threading.Thread(target=self._look_after, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Power off; the line hangs up."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._thread is not None:
            self._thread.join()
        self.link.unlink(missing_ok=True)

    def fault(self, word: str) -> None:
        """Do something to the I2C bus; the empty word heals it."""
        (self.disk / "fault.new").write_text(word)
        (self.disk / "fault.new").rename(self.disk / "fault")

    def _spawn(self) -> None:
        (self.disk / "watchdog").unlink(missing_ok=True)
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        environment = {
            **os.environ,
            "MICROPYPATH": self._path,
            "BOARD_RESET_CAUSE": str(self._cause),
        }
        self._process = subprocess.Popen(
            [micropython(), "-X", f"heapsize={self._heap}", *self._command],
            stdin=master,
            stdout=master,
            stderr=self._errors,
            env=environment,
            cwd=self.disk,
        )
        self.starts += 1
        os.close(master)
        fresh = self.link.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.rename(self.link)
        # The slave stays open until the host has it: without any holder the board reads EIO.
        threading.Timer(1.0, os.close, (slave,)).start()

    def _look_after(self) -> None:
        content, changed = "", time.monotonic()
        while not self._stopping.wait(0.02):
            assert self._process is not None
            status = self._process.poll()
            watchdog = self.disk / "watchdog"
            now = watchdog.read_text() if watchdog.exists() else ""
            if now != content:
                content, changed = now, time.monotonic()
            limit_ms = int(content.split()[0]) if content else 10**9
            is_hung = (time.monotonic() - changed) * 1000 > limit_ms
            if is_hung and status is None:
                self._process.kill()
                self._process.wait()
                self.watchdog_resets += 1
            if is_hung or status is not None:
                if not is_hung and status != RESET_STATUS:
                    self.link.unlink(missing_ok=True)  # its pty may be another's soon
                    return  # it crashed: stderr says why
                self._cause = WDT_RESET if is_hung else POWER_ON
                self.link.unlink(missing_ok=True)
                content, changed = "", time.monotonic()
                self._spawn()
