"""Sweeps for ``qianshao bench spectrum``."""

from __future__ import annotations

import math
import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardware.modems.interface import Arrival
from hardware.readings import SweepReading
from hardware.spectrum.levels import LEVEL_MAX, LEVEL_MIN
from hardware.spectrum.tinysa import TinySa, scanraw

POINTS = 2050
DETECT_TARGET_US = 500.0
SWEEPS_A_SECOND = 4.0
"""A tinySA's rate over the FM band."""
WEEK_STEP_S = 300
WEEK_TARGET_MB = 80.0
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


@dataclass(frozen=True, slots=True)
class Detecting:
    """Microseconds to detect on one sweep of 2,050 points and 24 stations."""

    median_us: float
    p99_us: float
    cpu_median_us: float
    """Processor time, which other work on the machine does not lengthen."""
    cpu_p99_us: float


def detection_step_us(runs: int = 400) -> Detecting:
    """Measure detection sweep by sweep."""
    from hardware.readings import Position
    from hardware.simulators.fm_scene import FmReceiver, city_scene
    from rf_watch.broadcast import BroadcastWatch, Licence, LicenceList

    here = Position(25.0, 102.7)
    licensed = [87.6 + 0.8 * n for n in range(24)]
    receiver = FmReceiver(points=POINTS, rbw_hz=10_000.0)
    scene = city_scene(licensed, here, receiver=receiver)
    licences = LicenceList([Licence(id=f"{mhz:g}", mhz=mhz) for mhz in licensed[:-2]])
    watch = BroadcastWatch("bench", None, licences)
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(runs):
        sweep = scene.sweep(round(number / SWEEPS_A_SECOND * 1e6))
        started, worked = time.perf_counter(), time.thread_time()
        watch.feed(sweep)
        cpu.append((time.thread_time() - worked) * 1e6)
        wall.append((time.perf_counter() - started) * 1e6)
    wall.sort()
    cpu.sort()
    middle, late = runs // 2, int(runs * 0.99)
    return Detecting(wall[middle], wall[late], cpu[middle], cpu[late])


def week_rss_mb() -> float:
    """Resident memory of a fresh process that has watched a city for a simulated week."""
    done = subprocess.run(
        [sys.executable, "-m", "qianshao.bench_spectrum"],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return float(done.stdout)


def _watch_a_week() -> None:
    from hardware.readings import Position
    from hardware.simulators.fm_scene import city_scene
    from rf_watch.broadcast import BroadcastWatch, Licence, LicenceList

    licensed = [87.6 + 1.4 * n for n in range(15)]
    scene = city_scene(licensed, Position(25.0, 102.7))
    # three of them are in no list, so that cases and their evidence are kept too
    watch = BroadcastWatch(
        "bench", None, LicenceList([Licence(id=f"{m:g}", mhz=m) for m in licensed[3:]])
    )
    for second in range(0, 7 * 86_400, WEEK_STEP_S):
        watch.feed(scene.sweep(second * 1_000_000))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    sys.stdout.write(f"{pages * resource.getpagesize() / 1e6:.1f}\n")


if __name__ == "__main__":
    _watch_a_week()
