"""One scene in the shapes that programs write: the same twins are suspected in each of them."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware.readings import Position, SweepDevice, SweepReading
from hardware.simulators.fm_scene import (
    EXAMPLE_MHZ,
    FmReceiver,
    FmScene,
    case_scene,
    licence_csv,
)
from qianshao.__main__ import build_parser
from qianshao.replay import main_replay

CASES = Path(__file__).parents[1] / "rf_watch" / "broadcast" / "pirate_fm_cases.csv"
START_S = 1_795_535_700  # five minutes before midnight at +08:00: the twins are on
SWEEPS, STEP_S = 20, 10


def scene() -> FmScene:
    with CASES.open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["id"] == "PFM-07")
    receiver = FmReceiver(device=SweepDevice.RTL_POWER, points=840, rbw_hz=25e3)
    plain = case_scene(row, EXAMPLE_MHZ, Position(25.04, 102.71), seed=3)
    return FmScene(plain.emitters, plain.here, receiver, seed=3)


def local(sweep: SweepReading) -> dt.datetime:
    return dt.datetime.fromtimestamp(sweep.stamp.at_us / 1e6 + 8 * 3600, dt.UTC)


def hops(sweep: SweepReading, size: int, *, doubled: bool, order: Callable[[int], int]) -> str:
    """Rows of so many points, in the order of a program."""
    when, levels = local(sweep), list(sweep.levels_dbm)
    rows = []
    for index in sorted(range(len(levels) // size), key=order):
        part = [f"{x:.2f}" for x in levels[index * size : (index + 1) * size]]
        low = sweep.start_hz + index * size * sweep.step_hz
        head = [f"{when:%Y-%m-%d}", f"{when:%H:%M:%S.%f}" if not doubled else f"{when:%H:%M:%S}"]
        head += [f"{low:.0f}", f"{low + size * sweep.step_hz:.0f}", f"{sweep.step_hz:.2f}", "16"]
        rows.append(", ".join([*head, *part, *part[-1:] * doubled]))
    return "\n".join(rows) + "\n"


def rtl_power(sweeps: list[SweepReading]) -> str:
    return "".join(hops(s, 105, doubled=True, order=lambda i: i) for s in sweeps)


def hackrf_sweep(sweeps: list[SweepReading]) -> str:
    """Even rows first, then those between them."""
    return "".join(hops(s, 105, doubled=False, order=lambda i: (i % 2) * 100 + i) for s in sweeps)


def soapy_power(sweeps: list[SweepReading]) -> str:
    return "".join(hops(s, 420, doubled=False, order=lambda i: i) for s in sweeps)


def points(sweeps: list[SweepReading]) -> str:
    lines = ["Time;Frequency [kHz];Level [dB]"]
    for s in sweeps:
        for n, level in enumerate(s.levels_dbm):
            khz = (s.start_hz + n * s.step_hz) / 1000
            lines.append(f"{local(s):%d.%m.%Y %H:%M:%S};{khz:.0f};{level:.1f}".replace(".", ".", 2))
    return "\n".join(lines) + "\n"


def wide(sweeps: list[SweepReading]) -> str:
    first = sweeps[0]
    names = [f"{(first.start_hz + n * first.step_hz) / 1e6:.3f}" for n in range(840)]
    rows = [
        f"{local(s).isoformat()[:19]},{','.join(f'{x:.1f}' for x in s.levels_dbm)}" for s in sweeps
    ]
    return "\n".join([",".join(["time", *names]), *rows]) + "\n"


def table(sweeps: list[SweepReading]) -> str:
    """As rtl_power_fftw writes: times in comments, in UTC."""
    parts = []
    for s in sweeps:
        utc = dt.datetime.fromtimestamp(s.stamp.at_us / 1e6, dt.UTC)
        parts.append(
            f"# Acquisition start: {utc:%Y-%m-%d %H:%M:%S} UTC\n# frequency [Hz] power [dB]\n"
        )
        parts += [f"{s.start_hz + n * s.step_hz:.0f} {x:.2f}\n" for n, x in enumerate(s.levels_dbm)]
        parts.append("\n\n")
    return "".join(parts)


SHAPES = [rtl_power, hackrf_sweep, soapy_power, points, wide, table]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_twins_are_suspected_in_every_shape(
    shape: Callable[[list[SweepReading]], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = scene()
    sweeps = [played.sweep((START_S + n * STEP_S) * 1_000_000) for n in range(SWEEPS)]
    path, licences = tmp_path / "log", tmp_path / "licences.csv"
    path.write_bytes(gzip.compress(shape(sweeps).encode(), 1))
    licences.write_text(licence_csv(played), encoding="utf-8")
    words = ["rf", "replay", str(path), "--json", "--licences", str(licences)]
    words += ["--utc-offset", "+08:00", "--set", "fm.continuous_s=60"]
    assert main_replay(build_parser().parse_args(words)) == 0
    shown = capsys.readouterr()
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert {d["track_id"]: d["alert"] for d in found if d["alert"]} == {
        "fm/90.5": "BLACK_BROADCAST_SUSPECTED",
        "fm/94.5": "BLACK_BROADCAST_SUSPECTED",
    }
    assert {d["time_basis"] for d in found} == {"recorded"}
    assert {d["first_seen"][:19] for d in found} == {"2026-11-24T15:55:00"}
