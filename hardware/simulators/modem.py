"""A simulated AT modem on a pseudo-terminal, as a program and as a thread.

``python -m hardware.simulators.modem --link /tmp/modem0 --scene fake_cell`` makes a device that
any serial program can open at ``/tmp/modem0``. It echoes, answers, and can be as unkind as a real
one: bytes in odd portions with unsolicited lines between (``--torn``), and a plug that falls out
(``--unplug-every``).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import signal
import sys
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import Self

from hardware.simulators.modem_scripts import (
    SCENES,
    SceneScript,
    Script,
    TranscriptError,
    TranscriptScript,
    normalised,
)
from hardware.simulators.peers import PEERS, PeerScript
from hardware.simulators.scene import CENTRE, GENUINE, RadioScene, fake_cell

_MAX_COMMAND_BYTES = 1024
_MAX_PENDING_BYTES = 64 * 1024
_UNSOLICITED = ("+CREG: 1", '+QIND: "csq",21,99', "RING", "+CTZV: 24/06/01,08:00:00+32,0")


class SimulatedModem:
    """A modem whose device is the symbolic link ``link``; context manager around its thread.

    The pseudo-terminal is made by :meth:`run`; a new one, under the same link, after each
    :meth:`unplug` and :meth:`plug_in`. :meth:`stop` raises what the thread died of, if it did. A
    survey takes as long as its script says, times ``survey_factor``.
    """

    def __init__(
        self,
        script: Script,
        link: Path,
        *,
        is_torn: bool = False,
        unplug_every_s: float | None = None,
        away_s: float = 0.5,
        survey_factor: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.link = link
        self.dropped_bytes = 0
        """Output that nobody read in time; a UART without flow control loses it."""
        self._script = script
        self._is_torn = is_torn
        self._unplug_every_s = unplug_every_s
        self._away_s = away_s
        self._survey_factor = survey_factor
        self._rng = random.Random(seed)  # noqa: S311 - tears bytes, guards nothing
        self._master: int | None = None
        self._slave: int | None = None
        self._command = bytearray()
        self._output = bytearray()
        self._is_echoing = True
        self._write_from_s = 0.0
        self._busy_with: str | None = None
        self._busy_until_s = 0.0
        self._replug_at_s: float | None = None
        self._is_wanted = True
        self._is_stopping = False
        self._plug_changed = threading.Condition()
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    # -- from other threads -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run_thread, name="modem", daemon=True)
        self._thread.start()
        self._wait_for_plug(is_in=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Pull the plug for good, remove the link and wait for the thread."""
        self.request_stop()
        if self._thread is not None:
            self._thread.join(5.0)
            if self._thread.is_alive():
                raise RuntimeError(f"the modem at {self.link} does not end")
        if self._failure is not None:
            raise self._failure

    def request_stop(self) -> None:
        """Ask :meth:`run` to end; may be called from a signal handler."""
        self._is_stopping = True
        self._wake()

    def unplug(self) -> None:
        """Pull the plug; returns when the device is gone."""
        self._is_wanted = False
        self._wake()
        self._wait_for_plug(is_in=False)

    def plug_in(self) -> None:
        """Put the plug back; returns when the device is there."""
        self._is_wanted = True
        self._wake()
        self._wait_for_plug(is_in=True)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # ended already
            os.write(self._wake_write, b"!")

    def _wait_for_plug(self, *, is_in: bool) -> None:
        with self._plug_changed:
            self._plug_changed.wait_for(
                lambda: (self._master is not None) == is_in or self._failure is not None, 5.0
            )
        if self._failure is not None:
            raise self._failure

    def _run_thread(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - stop and unplug raise it
            with self._plug_changed:
                self._failure = error
                self._plug_changed.notify_all()

    # -- the device -------------------------------------------------------------------------------

    def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Be a modem until :meth:`request_stop`; OSError when the link cannot be made.

        ``on_ready`` is called once, when the device is there.
        """
        try:
            while not self._is_stopping:
                self._move_plug()
                if on_ready is not None and self._master is not None:
                    on_ready()
                    on_ready = None
                self._turn()
        finally:
            self._remove()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _move_plug(self) -> None:
        now_s = monotonic()
        is_due = self._replug_at_s is not None and now_s >= self._replug_at_s
        if self._master is not None and (not self._is_wanted or is_due):
            self._remove()
            self._replug_at_s = now_s + self._away_s if is_due else None
        elif self._master is None and self._is_wanted and (self._replug_at_s is None or is_due):
            self._insert()
            every_s = self._unplug_every_s
            self._replug_at_s = None if every_s is None else now_s + every_s

    def _insert(self) -> None:
        master, slave = os.openpty()
        try:
            tty.setraw(slave)
            os.set_blocking(master, False)
            _point(self.link, os.ttyname(slave))
        except OSError:
            os.close(master)
            os.close(slave)
            raise
        # the slave stays open here as well, or the master would fail while no client is there
        with self._plug_changed:
            self._master, self._slave = master, slave
            self._plug_changed.notify_all()

    def _remove(self) -> None:
        master, slave = self._master, self._slave
        if master is None or slave is None:
            return
        if self.link.is_symlink() and str(self.link.readlink()) == os.ttyname(slave):
            self.link.unlink()
        os.close(slave)
        os.close(master)
        self._command.clear()
        self._output.clear()
        self._is_echoing = True
        self._busy_with = None
        with self._plug_changed:
            self._master = self._slave = None
            self._plug_changed.notify_all()

    def _turn(self) -> None:
        """Wait for input, room for output, a call from another thread, or the next due time."""
        now_s = monotonic()
        master = self._master
        reads = [self._wake_read] if master is None else [self._wake_read, master]
        may_write = bool(self._output) and now_s >= self._write_from_s
        writes = [master] if may_write and master is not None else []
        if self._busy_with is not None and now_s >= self._busy_until_s:
            command, self._busy_with = self._busy_with, None
            self._reply(self._script.answer(command))
            return
        times_s = [t for t in (self._replug_at_s, self._tick(now_s)) if t is not None]
        if self._busy_with is not None:
            times_s.append(self._busy_until_s)
        if self._output and not may_write:
            times_s.append(self._write_from_s)
        timeout_s = max(0.0, min(times_s) - now_s) if times_s else None
        readable, writable, _ = select.select(reads, writes, [], timeout_s)
        if self._wake_read in readable:
            os.read(self._wake_read, 64)
        if master is not None and master in readable:
            self._take(os.read(master, 4096))
        if writable:
            self._write_some()

    def _tick(self, now_s: float) -> float | None:
        """Say what is due unasked; return when something is due again. A modem has nothing."""
        return None

    def _write_some(self) -> None:
        assert self._master is not None
        portion = self._rng.randint(1, 13) if self._is_torn else len(self._output)
        with contextlib.suppress(BlockingIOError):
            del self._output[: os.write(self._master, self._output[:portion])]
        if self._is_torn:
            self._write_from_s = monotonic() + self._rng.uniform(0.0, 0.002)

    def _take(self, data: bytes) -> None:
        if self._busy_with is not None:  # any byte ends a survey, V.250 section 5.6.1
            self._busy_with = None
            self._reply(("OK",))
            return
        if self._is_echoing:
            self._say(data)
        for byte in data:
            if byte in b"\r\n":
                if self._command:
                    self._obey(self._command.decode("latin-1").strip())
                self._command.clear()
            elif len(self._command) < _MAX_COMMAND_BYTES:
                self._command.append(byte)

    def _obey(self, command: str) -> None:
        key = normalised(command)
        answer: Sequence[str] | None
        if key in {"ATE0", "ATE1"}:
            self._is_echoing = key == "ATE1"
            answer = ("OK",)
        elif (duration_s := self._duration_s(command)) > 0:
            self._busy_with, self._busy_until_s = command, monotonic() + duration_s
            return
        else:
            answer = ("OK",) if key == "AT" else self._script.answer(command)
        self._reply(answer)

    def _duration_s(self, command: str) -> float:
        duration_s = self._script.duration_s(command) if isinstance(self._script, PeerScript) else 0
        return duration_s * self._survey_factor

    def _reply(self, answer: Sequence[str] | None) -> None:
        lines = list(answer or ("ERROR",))
        for index, line in enumerate(lines):
            if self._is_torn and self._rng.random() < 0.3:
                self._say(f"\r\n{self._rng.choice(_UNSOLICITED)}\r\n".encode())
            is_final = index == len(lines) - 1
            lead = "\r\n" if index == 0 or is_final else ""
            self._say(f"{lead}{line}\r\n".encode("latin-1"))

    def _say(self, data: bytes) -> None:
        room = _MAX_PENDING_BYTES - len(self._output)
        self._output += data[:room]
        self.dropped_bytes += max(0, len(data) - room)


def _point(link: Path, target: str) -> None:
    """Make or replace a symbolic link at once, so that nobody sees it half way."""
    if link.exists() and not link.is_symlink():
        raise FileExistsError(17, "in the way, and no symbolic link", str(link))
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)


# -- the program ----------------------------------------------------------------------------------


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m hardware.simulators.modem",
        description="A simulated AT modem on a pseudo-terminal.",
    )
    parser.add_argument("--link", type=Path, required=True, help="where the device appears")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--transcript", type=Path, help="play the answers of this AT log")
    source.add_argument("--scene", choices=SCENES, default="genuine", help="invented cells")
    source.add_argument(
        "--peer",
        choices=PEERS,
        help="a modem in the simulated radio scene, where a fake cell drives past",
    )
    parser.add_argument(
        "--fake-after",
        type=int,
        default=5,
        metavar="N",
        help="polls (--peer: seconds) before the fake cell (5)",
    )
    parser.add_argument("--torn", action="store_true", help="odd portions, unsolicited lines")
    parser.add_argument("--unplug-every", type=_positive, metavar="S", help="seconds")
    parser.add_argument("--seed", type=int, default=0, help="of levels and tearing (0)")
    return parser.parse_args(argv)


def _script(options: argparse.Namespace) -> Script:
    if options.transcript is not None:
        return TranscriptScript.from_file(options.transcript)
    if options.peer is None:
        return SceneScript(options.scene, fake_after=options.fake_after, seed=options.seed)
    started_s = monotonic()
    emitters = (*GENUINE, fake_cell(starts_s=float(options.fake_after)))
    return PEERS[options.peer](
        RadioScene(emitters, CENTRE, lambda: monotonic() - started_s, seed=options.seed)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT: 0; 2 when the transcript or the link is unusable."""
    options = _arguments(argv)
    try:
        script = _script(options)
    except TranscriptError as error:
        print(f"modem: {error}", file=sys.stderr)
        return 2
    modem = SimulatedModem(
        script,
        options.link,
        is_torn=options.torn,
        unplug_every_s=options.unplug_every,
        seed=options.seed,
    )

    try:
        with _ended_by_signals(modem):
            modem.run(lambda: print(f"modem at {options.link}", flush=True))
    except OSError as error:
        print(f"modem: --link {options.link}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


@contextlib.contextmanager
def _ended_by_signals(modem: SimulatedModem) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:
        modem.request_stop()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
