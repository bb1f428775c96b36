"""Simulated spectrum instruments on a pseudo-terminal, driven by a scene of emitters.

``python -m hardware.simulators.instruments tinysa --link /tmp/sa0`` makes a device that any serial
program can open; ``fm_tuner`` makes a tuner of the FM-DX dialect. Both answer as the firmware does,
with the unkindness that :class:`Mood` asks for: answers in odd portions, sweeps that a touch ends,
and silence after so many scans until they are asked to abort.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import select
import signal
import struct
import threading
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from contract.clock import SystemClock
from hardware.readings import Position
from hardware.simulators.fm_scene import EXAMPLE_MHZ, FmEmitter, FmScene, city_scene
from hardware.simulators.receivers import FinderPeer, GnssPeer, RfExplorerPeer, Sky, UplinkPeer

_SCANRAW = re.compile(rb"scanraw (\d+) (\d+) (\d+)")
_ZERO_DB = 174
_LOOK_S = 0.02
_SWEEP_BYTES = 300


@dataclass(frozen=True, slots=True)
class Mood:
    """How unkind a device is."""

    is_torn: bool = False
    """Bytes come in odd portions."""
    ends_every: int = 0
    """Every so many sweeps somebody touches the screen and the sweep ends early."""
    sweep_s: float = 0.25
    """How long a sweep takes: the devices take 0.25 to 1 s; 0 for tests that have no time."""
    silent_every: int = 0
    """After so many sweeps it says nothing until it gets an ``abort``."""


class Instrument(Protocol):
    """What a device answers: bytes in, bytes out."""

    def feed(self, data: bytes) -> bytes:
        """Take what the host wrote; return what the device says."""

    def idle(self) -> bytes:
        """What it says by itself, asked a few times a second."""


class TinySaPeer:
    """A tinySA Ultra before a scene."""

    def __init__(self, scene: FmScene, now_us: Callable[[], int], mood: Mood | None = None) -> None:
        self._scene = scene
        self._now_us = now_us
        self._mood = mood or Mood()
        self._command = bytearray()
        self._sweeps = 0
        self._is_silent = False

    def feed(self, data: bytes) -> bytes:
        """Echo and obey; a command ends with ``\\r``, line feeds are ignored."""
        said = bytearray()
        for byte in data:
            if byte == 0x0D:
                command = bytes(self._command).strip()
                self._command.clear()
                said += self._obey(command)
            elif byte >= 0x20:
                self._command.append(byte)
        return bytes(said)

    def idle(self) -> bytes:
        """It speaks only when asked."""
        return b""

    def _obey(self, command: bytes) -> bytes:
        if command == b"abort":
            self._is_silent = False
            return b"abort\r\nch> "
        if self._is_silent:
            return b""
        echo = command + b"\r\n"
        if command == b"version":
            return echo + b"tinySA4_v1.4-143-g864bb27\r\nHW Version:V0.4.5.1 \r\nch> "
        if command == b"zero":
            return echo + b"usage: zero {level}\r\n%ddBm\r\nch> " % _ZERO_DB
        if (step := re.fullmatch(rb"attenuate (\d+)", command)) is not None:
            self._scene.receiver = replace(self._scene.receiver, attenuation_db=float(step[1]))
            return echo + b"ch> "
        if (scan := _SCANRAW.fullmatch(command)) is not None:
            return echo + self._sweep(*(int(part) for part in scan.groups()))
        return echo + (command + b"?\r\nch> " if command else b"ch> ")

    def _sweep(self, low_hz: int, high_hz: int, points: int) -> bytes:
        self._sweeps += 1
        if self._mood.silent_every and self._sweeps % self._mood.silent_every == 0:
            self._is_silent = True
            return b""
        self._scene.receiver = replace(
            self._scene.receiver, low_mhz=low_hz / 1e6, high_mhz=high_hz / 1e6, points=points
        )
        levels = np.frombuffer(self._scene.sweep(self._now_us()).levels_dbm, dtype=np.float32)
        raw = np.clip(np.rint((levels + _ZERO_DB) * 32), 0, 0xFFFF).astype(int).tolist()
        if self._mood.ends_every and self._sweeps % self._mood.ends_every == 0:
            raw = raw[: points // 3]
        return b"{" + b"".join(b"x" + struct.pack("<H", value) for value in raw) + b"}ch> "


class TunerPeer:
    """A TEF6686 with FM-DX firmware before a scene."""

    def __init__(
        self, scene: FmScene, now_us: Callable[[], int], names: dict[float, tuple[int, str]]
    ) -> None:
        """``names``: PI and eight-character name of the stations that send RDS, by MHz."""
        self._scene = scene
        self._now_us = now_us
        self._names = names
        self._line = bytearray()
        self._khz = 87_500
        self._scan = {b"Sa": 87_500, b"Sb": 108_000, b"Sc": 100, b"Sw": 114_000}
        self._is_on = False
        self._segment = 0

    def feed(self, data: bytes) -> bytes:
        """Obey lines."""
        self._line += data
        *lines, rest = self._line.split(b"\n")
        self._line = bytearray(rest)
        return b"".join(self._obey(bytes(line.strip())) for line in lines)

    def idle(self) -> bytes:
        """Status and RDS of the station it stands on."""
        if not self._is_on:
            return b""
        level = max(8.0, self._level_dbf(self._khz / 1000))
        said = b"Sm%.1f,2,3,97\n" % level
        name = self._names.get(self._khz / 1000)
        if name is None or level < 20 or not self._is_heard(self._khz / 1000):
            return said
        pi, ps = name
        self._segment = (self._segment + 1) % 4
        text = ps.ljust(8)[2 * self._segment : 2 * self._segment + 2].encode("ascii")
        blocks = (0x0400 | self._segment, 0xE0CD, int.from_bytes(text, "big"))
        return said.replace(b"Sm", b"Ss") + b"P%04X\nR%04X%04X%04X00\n" % (pi, *blocks)

    def _obey(self, line: bytes) -> bytes:
        if line == b"x":
            self._is_on = True
            return b"OK\nT%d\nG00\n" % self._khz
        if line == b"X":
            self._is_on = False
            return b""
        if line[:1] == b"T" and line[1:].isdigit():
            self._khz = int(line[1:])
            return line + b"\n"
        if line[:2] in self._scan and line[2:].isdigit():
            self._scan[line[:2]] = int(line[2:])
            return b""
        return self._spectrum() if line == b"S" else b""

    def _spectrum(self) -> bytes:
        sweep = self._scene.sweep(self._now_us())
        hz = sweep.start_hz + np.arange(len(sweep.levels_dbm)) * sweep.step_hz
        power = 10 ** (np.frombuffer(sweep.levels_dbm, dtype=np.float32) / 10)
        points: list[bytes] = []
        for khz in range(self._scan[b"Sa"], self._scan[b"Sb"] + 1, self._scan[b"Sc"]):
            inside = np.abs(hz - khz * 1000) <= self._scan[b"Sw"] / 2
            dbm = 10 * np.log10(power[inside].mean()) if inside.any() else -120.0
            points.append(b"%d = %d" % (khz, round(float(dbm) + 120)))
        return b"U" + b", ".join(points) + b", \n"

    def _is_heard(self, mhz: float) -> bool:
        return any(e.mhz == mhz for e in self._scene.on_air(self._now_us()))

    def _level_dbf(self, mhz: float) -> float:
        levels = [
            self._scene.level_dbm(e, self._now_us()) - 25 * (abs(e.mhz - mhz) / 0.1)
            for e in self._scene.on_air(self._now_us())
        ]
        return max([-112.0, *levels]) + 120


class SimulatedInstrument:
    """An instrument whose device is the symbolic link ``link``; context manager of its thread."""

    def __init__(self, instrument: Instrument, link: Path, mood: Mood | None = None) -> None:
        self.link = link
        self._instrument = instrument
        self._mood = mood or Mood()
        self._rng = random.Random(1)  # noqa: S311 - tears bytes, guards nothing
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._fds: tuple[int, int] | None = None

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

    def plug_in(self) -> None:
        """Make the device appear."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))
        self._fds = (master, slave)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(master,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Make the device vanish; raises what its thread died of."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
        if self._fds is not None:
            self.link.unlink(missing_ok=True)
            for fd in self._fds:
                os.close(fd)
            self._fds = None
        if self._failure is not None:
            raise self._failure

    def _run(self, master: int) -> None:
        try:
            while not self._stop.is_set():
                readable, _, _ = select.select([master], [], [], _LOOK_S)
                said = self._instrument.feed(os.read(master, 4096)) if readable else b""
                if len(said) > _SWEEP_BYTES:
                    self._stop.wait(self._mood.sweep_s)
                self._say(master, said or self._instrument.idle())
        except BaseException as error:  # noqa: BLE001 - unplug raises it
            self._failure = error

    def _say(self, master: int, data: bytes) -> None:
        """Write all, in odd portions if so asked; what nobody reads for a second is lost."""
        waited = 0
        while data and not self._stop.is_set() and waited < 50:
            portion = self._rng.randint(1, 61) if self._mood.is_torn else len(data)
            try:
                data = data[os.write(master, data[:portion]) :]
            except BlockingIOError:
                waited += 1
                self._stop.wait(_LOOK_S)


def example_scene(new_after_s: float, now_us: int) -> FmScene:
    """Licensed stations, and an unlisted one that comes on after a while."""
    scene = city_scene(EXAMPLE_MHZ, Position(25.04, 102.71), seed=1)
    start_s = int(now_us / 1e6 + scene.utc_offset_s + new_after_s) % 86_400
    new = FmEmitter(
        id="unlisted",
        mhz=92.3,
        site=Position(25.05, 102.72),
        erp_w=300,
        hours_s=(start_s, (start_s + 43_200) % 86_400),
    )
    return FmScene([*scene.emitters, new], scene.here, scene.receiver, seed=1)


def simulated(kind: str, scene: FmScene, now_us: Callable[[], int], mood: Mood) -> Instrument:
    """The peer of a kind before a scene."""
    match kind:
        case "tinysa":
            return TinySaPeer(scene, now_us, mood)
        case "rf_explorer":
            return RfExplorerPeer(scene, now_us, sweep_s=mood.sweep_s)
        case "nmea":
            return GnssPeer(lambda: Sky(scene.here), now_us, period_s=1.0)
        case "kraken":
            return FinderPeer(scene.here, Position(25.05, 102.72), now_us, mhz=92.3, period_s=1.0)
        case "uplink":
            return UplinkPeer(90.0, now_us, period_s=1.0)
        case _:
            return TunerPeer(scene, now_us, {91.8: (0x3A1B, "TRAFFIC"), 92.3: (0x7000, "TEL 138")})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="a simulated spectrum instrument")
    kinds = ["tinysa", "fm_tuner", "rf_explorer", "nmea", "kraken", "uplink"]
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--link", type=Path, required=True, help="where the device appears")
    parser.add_argument("--new-after", type=float, default=10.0, metavar="S")
    parser.add_argument("--torn", action="store_true", help="bytes in odd portions")
    parser.add_argument(
        "--sweep-s",
        type=float,
        default=Mood().sweep_s,
        metavar="S",
        help="how long a sweep takes (%(default)s; the devices take 0.25 to 1)",
    )
    args = parser.parse_args(arguments)
    clock = SystemClock()
    scene = example_scene(args.new_after, clock.wall())
    mood = Mood(is_torn=args.torn, sweep_s=args.sweep_s)
    peer = simulated(args.kind, scene, clock.wall, mood)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with SimulatedInstrument(peer, args.link, mood):
        print(f"{args.kind} at {args.link}", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        raise SystemExit(main())
