"""Simulated RF Explorer, GNSS receiver, direction finder and uplink receiver.

Instruments for :class:`hardware.simulators.instruments.SimulatedInstrument`: bytes in, bytes out.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hardware.readings import Position
from hardware.simulators.fm_scene import FmScene

_POINTS = 112
_RANGE = re.compile(rb"C2-F:(\d{7}),(\d{7}),(-\d{3}),(-\d{3})")


class RfExplorerPeer:
    """An RF Explorer 3G before a scene. It sweeps by itself; commands that it does not know or
    whose length byte is wrong are passed over in silence, as the device does.
    """

    def __init__(
        self,
        scene: FmScene,
        now_us: Callable[[], int],
        *,
        ends_every: int = 0,
        garbage_every: int = 0,
        sweep_s: float = 0.0,
    ) -> None:
        """``sweep_s``: how long a sweep takes, 0 for tests that have no time;
        ``ends_every``: every so many sweeps one ends early, as a key pressed on the device does;
        ``garbage_every``: every so many a torn sweep and a line of noise come instead.
        """
        self._scene = scene
        self._now_us = now_us
        self._ends_every, self._garbage_every = ends_every, garbage_every
        self._sweep_us, self._began_us = sweep_s * 1e6, now_us()
        self._input = bytearray()
        self._khz = (430_000, 440_000)
        self._is_sweeping = False
        self._sweeps = 0

    def feed(self, data: bytes) -> bytes:
        """Obey what is whole; ``#``, a byte of length over all, a command."""
        self._input += data
        said = bytearray()
        while (at := self._input.find(b"#")) >= 0 and len(self._input) >= at + 2:
            size = self._input[at + 1]
            if size < 3:
                del self._input[: at + 1]
                continue
            if len(self._input) < at + size:
                break
            said += self._obey(bytes(self._input[at + 2 : at + size]))
            del self._input[: at + size]
        return bytes(said)

    def idle(self) -> bytes:
        """A sweep, while it sweeps."""
        now_us = self._now_us()
        if not self._is_sweeping or now_us - self._began_us < self._sweep_us:
            return b""
        self._began_us = now_us
        self._sweeps += 1
        body = self._levels()
        head = b"$S" + bytes([_POINTS])
        if self._ends_every and self._sweeps % self._ends_every == 0:
            return head + body[:40] + b"\xff\xfe\xff\xfe\x00"
        if self._garbage_every and self._sweeps % self._garbage_every == 0:
            return head + body[:60] + b"\r\n\x80\xff\xc3(mojibake\r\n"
        return head + body + b"\r\n"

    def _obey(self, command: bytes) -> bytes:
        if command == b"C0":
            self._is_sweeping = True
            return b"#C2-M:003,255,03.39\r\n" + self._configuration()
        if command == b"CH":
            self._is_sweeping = False
            return b""
        found = _RANGE.fullmatch(command)
        if found is None or int(found[1]) >= int(found[2]):
            return b""
        self._khz = (int(found[1]), int(found[2]))
        return self._configuration()

    def _configuration(self) -> bytes:
        low, high = self._khz
        step_hz = (high - low) * 1000 // (_POINTS - 1)
        return (
            b"#C2-F:%07d,%07d,-010,-120,%04d,0,000,0000050,0960000,0959950,00110,0000,000\r\n"
            % (low, step_hz, _POINTS)
        )

    def _levels(self) -> bytes:
        low, high = self._khz
        self._scene.receiver = replace(
            self._scene.receiver, low_mhz=low / 1000, high_mhz=high / 1000, points=_POINTS
        )
        levels = np.frombuffer(self._scene.sweep(self._now_us()).levels_dbm, dtype=np.float32)
        return np.clip(np.rint(-2 * levels), 0, 255).astype(np.uint8).tobytes()


class _Paced:
    """Speaks by itself, and not more often than every so many seconds; it listens to nobody."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due_s = 0.0

    def feed(self, data: bytes) -> bytes:
        """Nothing answers."""
        return b""

    def _is_due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._period_s
        return True


@dataclass(frozen=True, slots=True)
class Sky:
    """What a GNSS receiver hears."""

    position: Position
    has_fix: bool = True
    satellites: int = 9
    hdop: float = 0.9


class GnssPeer(_Paced):
    """A receiver that says GGA and RMC; every so often a sentence is torn or its sum is wrong."""

    def __init__(
        self,
        sky: Callable[[], Sky],
        now_us: Callable[[], int],
        *,
        period_s: float = 0.1,
        torn_every: int = 0,
    ) -> None:
        super().__init__(period_s)
        self._sky, self._now_us, self._torn_every = sky, now_us, torn_every
        self._epochs = 0

    def idle(self) -> bytes:
        """One epoch."""
        if not self._is_due():
            return b""
        self._epochs += 1
        sky = self._sky()
        at = time.gmtime(self._now_us() // 1_000_000)
        clock, date = time.strftime("%H%M%S.00", at), time.strftime("%d%m%y", at)
        place = ",,,"
        if sky.has_fix:
            place = f"{_dm(sky.position.lat, 'NS', 2)},{_dm(sky.position.lon, 'EW', 3)}"
        said = _sentence(
            f"GNGGA,{clock},{place},{int(sky.has_fix)},{sky.satellites:02d},{sky.hdop},"
            "1890.0,M,-30.0,M,,"
        )
        said += _sentence(f"GNRMC,{clock},{'A' if sky.has_fix else 'V'},{place},0.0,0.0,{date},,,A")
        if self._torn_every and self._epochs % self._torn_every == 0:
            return said[:30] + b"\xff\xfe" + said[40:]
        return said


def _dm(degrees: float, sides: str, width: int) -> str:
    whole = int(abs(degrees))
    minutes = (abs(degrees) - whole) * 60
    return f"{whole:0{width}d}{minutes:08.5f},{sides[degrees < 0]}"


def _sentence(body: str) -> bytes:
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"${body}*{check:02X}\r\n".encode()


class FinderPeer(_Paced):
    """A KrakenSDR that stands on one emitter: the true bearing with a spread, as CSV lines."""

    def __init__(
        self,
        here: Position,
        there: Position,
        now_us: Callable[[], int],
        *,
        mhz: float,
        heading_deg: float = 0.0,
        sigma_deg: float = 3.0,
        period_s: float = 0.1,
    ) -> None:
        super().__init__(period_s)
        self._here, self._now_us, self._mhz = here, now_us, mhz
        self._heading_deg, self._sigma_deg = heading_deg, sigma_deg
        self._rng = random.Random(1)  # noqa: S311 - a spread, guards nothing
        north = there.lat - here.lat
        east = (there.lon - here.lon) * math.cos(math.radians(here.lat))
        self.bearing_deg = math.degrees(math.atan2(east, north)) % 360

    def idle(self) -> bytes:
        """One bearing."""
        if not self._is_due():
            return b""
        noisy = self.bearing_deg + self._rng.gauss(0.0, self._sigma_deg)
        angle = round(noisy - self._heading_deg) % 360
        line = (
            f"{self._now_us() // 1000}, {angle:03d}, 42.5, -31.0, {self._mhz * 1e6:.0f}, UCA, 100, "
            f"VAN, {self._here.lat:.6f}, {self._here.lon:.6f}, 0.0, {self._heading_deg}, Compass, "
            "R, R, R, R, " + ", ".join(["0.1"] * 360)
        )
        return line.encode() + b"\n"


class UplinkPeer(_Paced):
    """Rows of rtl_power over an uplink band with so many bursts a minute, each one row long."""

    def __init__(
        self,
        bursts_per_min: float,
        now_us: Callable[[], int],
        *,
        low_mhz: float = 890.0,
        channels: Sequence[int] = range(10, 100),
        level_dbm: float = -62.0,
        period_s: float = 0.1,
    ) -> None:
        super().__init__(period_s)
        self._chance = bursts_per_min / 60
        self._now_us, self._low_hz = now_us, round(low_mhz * 1e6)
        self._channels, self._level_dbm = list(channels), level_dbm
        self._rng = random.Random(2)  # noqa: S311 - a simulated crowd, guards nothing
        self._row_s = 0

    def idle(self) -> bytes:
        """One row, of the second that begins."""
        if not self._is_due():
            return b""
        self._row_s = max(self._row_s + 1, self._now_us() // 1_000_000)
        levels = [self._rng.gauss(-95.0, 1.0) for _ in range(125)]
        whole = int(self._chance) + (self._rng.random() < self._chance % 1)
        for _ in range(whole):
            levels[self._rng.choice(self._channels)] = self._level_dbm
        at = time.strftime("%Y-%m-%d, %H:%M:%S", time.gmtime(self._row_s))
        high_hz = self._low_hz + 125 * 200_000
        cells = ", ".join(f"{level:.2f}" for level in levels)
        return f"{at}, {self._low_hz}, {high_hz}, 200000.00, 8, {cells}\n".encode()
