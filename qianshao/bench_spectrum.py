"""Sweeps for ``qianshao bench spectrum``."""

from __future__ import annotations

import math
import random
import struct
import time
from collections.abc import Callable

from hardware.modems.interface import Arrival
from hardware.readings import SweepReading
from hardware.spectrum.levels import LEVEL_MAX, LEVEL_MIN
from hardware.spectrum.tinysa import TinySa, scanraw

POINTS = 2050
DETECT_TARGET_US = 500.0
SWEEPS_A_SECOND = 4.0
"""A tinySA's rate over the FM band."""
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
    """Parse one sweep, usable levels and frequencies: our codec, and the same point by point."""
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
            level = raw / 32 - 174
            levels.append(level if LEVEL_MIN <= level <= LEVEL_MAX else math.nan)
            frequencies.append(_START_HZ + number * (_STOP_HZ - _START_HZ) / POINTS)

    return ours, peer


def detection_step_us(runs: int = 400) -> tuple[float, float]:
    """Microseconds to detect on one sweep of 2,050 points and 24 stations: median and p99."""
    from hardware.readings import Position
    from hardware.simulators.fm_scene import FmReceiver, city_scene
    from rf_watch.broadcast import BroadcastWatch, Licence, LicenceList

    here = Position(25.0, 102.7)
    licensed = [87.6 + 0.8 * n for n in range(24)]
    receiver = FmReceiver(points=POINTS, rbw_hz=10_000.0)
    scene = city_scene(licensed, here, receiver=receiver)
    licences = LicenceList([Licence(id=f"{mhz:g}", mhz=mhz) for mhz in licensed[:-2]])
    watch = BroadcastWatch("bench", None, licences)
    times: list[float] = []
    for number in range(runs):
        sweep = scene.sweep(round(number / SWEEPS_A_SECOND * 1e6))
        started = time.perf_counter()
        watch.feed(sweep)
        times.append((time.perf_counter() - started) * 1e6)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]
