"""Sweeps for ``qianshao bench spectrum``."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from hardware.modems.interface import Arrival
from hardware.readings import SweepReading
from hardware.spectrum.tinysa import TinySa, scanraw

POINTS = 2050
_START_HZ, _STOP_HZ = 87_000_000, 108_000_000
_NOW = Arrival(at_us=0, time_basis="live")


def tinysa_reply(points: int = POINTS, seed: int = 1) -> bytes:
    """One sweep of noise as the device sends it."""
    rng = random.Random(seed)  # noqa: S311 - invented noise
    body = b"".join(
        b"x" + struct.pack("<H", round(rng.gauss(69.0, 2.0) * 32)) for _ in range(points)
    )
    return scanraw(_START_HZ, _STOP_HZ, points) + b"\n{" + body + b"}ch> "


def parse_steps() -> tuple[Callable[[], None], Callable[[], None]]:
    """Parse one sweep: through our codec from bytes to reading, and point by point."""
    reply = tinysa_reply()

    def ours() -> None:
        codec = TinySa(sensor="sa0", file="bench")
        (item,) = codec.feed(reply, _NOW)
        assert isinstance(item, SweepReading)

    def peer() -> None:
        at = reply.index(b"{") + 1
        levels: list[float] = []
        frequencies: list[float] = []
        for number in range(POINTS):
            mark, raw = struct.unpack_from("<BH", reply, at + 3 * number)
            if mark != 0x78:
                raise ValueError("torn")
            levels.append(raw / 32 - 174)
            frequencies.append(_START_HZ + number * (_STOP_HZ - _START_HZ) / POINTS)

    return ours, peer
