"""The demo as a newcomer starts it: a process, its words, its summary."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LONGEST_S = 180.0
_PROCESS = re.compile(r"s  (\w+) .*\bprocess (\d+)$")
_PAGE = re.compile(r"PAGE +(http://\S+)")


class DemoProcess:
    """``qianshao demo`` in a folder of its own; a context manager that ends it by pid."""

    def __init__(
        self, folder: Path, *, field_data: Path | None, seconds: float = LONGEST_S
    ) -> None:
        """``seconds``: when it ends by itself; most tests end it when they have seen enough."""
        self.folder = folder
        environment = dict(os.environ)
        environment["QIANSHAO_FIELD_DATA"] = str(field_data or folder / "no-recordings")
        command = [sys.executable, "-m", "qianshao", "demo", "--headless", "--json"]
        command += ["--folder", str(folder), "--seconds", str(seconds)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.words: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)
        self._reader.join(timeout=5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.words.append(line.rstrip())

    def wait_for(self, words: str, timeout_s: float = 90.0, *, since: int = 0) -> str:
        """Return the first line that holds the words, not counting so many before it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for line in list(self.words)[since:]:
                if words in line:
                    return line
            assert self._process.poll() is None, "\n".join(self.words)
            time.sleep(0.05)
        raise AssertionError(f"never said {words!r}:\n" + "\n".join(self.words))

    def pid_of(self, part: str) -> int:
        """Pid of a part as the demo told it last."""
        if part == "broker":
            pid_files = list((self.folder / "central" / "broker").glob("*.pid"))
            assert len(pid_files) == 1, pid_files
            return int(pid_files[0].read_text(encoding="ascii").split()[0])
        self.wait_for(f"{part:7} process")
        told = [found for line in list(self.words) if (found := _PROCESS.search(line))]
        return int([found[2] for found in told if found[1] == part][-1])

    @property
    def page(self) -> str:
        """Address of the page."""
        found = _PAGE.search(self.wait_for("PAGE    http"))
        assert found is not None
        return found[1]

    def kill(self, part: str) -> None:
        """kill -9 of one part; ProcessLookupError or FileNotFoundError if it is dead already."""
        pid = self.pid_of(part)
        # A dead part's number may be somebody else's by now: only our own folder's is touched.
        if str(self.folder).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
            raise ProcessLookupError(pid)
        os.kill(pid, signal.SIGKILL)

    def end(self) -> tuple[int, dict[str, Any]]:
        """Ask it to end, as Ctrl-C does; returns the exit status and the summary."""
        self._process.terminate()
        return self.summary()

    def summary(self, timeout_s: float = 120.0) -> tuple[int, dict[str, Any]]:
        """Wait for the end; returns the exit status and the summary."""
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        status = self._process.wait(timeout=timeout_s)
        assert out, "\n".join(self.words)
        return status, json.loads(out)
