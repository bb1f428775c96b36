"""One picture for each kind of suspicion, drawn by the product of a scene of a published case.

``python -m qianshao.broadcast_pictures CASES.csv --folder DIR`` plays the rows through the detector
and draws spectrum and waterfall with what it made of them. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contract.messages import Detection
from hardware.readings import Position
from hardware.simulators.fm_scene import (
    EXAMPLE_MHZ,
    FmEmitter,
    FmReceiver,
    FmScene,
    audio_reference,
    case_hours,
    case_scene,
    licence_csv,
)
from qianshao.replay_broadcast import marks_of
from qianshao.spectrum_picture import HEIGHT, WIDTH, SpectrumPicture
from rf_watch.broadcast import BroadcastWatch, LicenceList, read_licences

HERE = Position(25.04, 102.71)
DAY_US = 1_795_536_000_000_000  # 2026-11-25 00:00 at +08:00
MINUTES, STEP_S, HEARD_S = 30, 5, 30
AERO_FM_MHZ, AERO_MHZ = (92.4, 106.9), 121.4
"""Field case: 2*106.9-92.4 beside the distress frequency 121.5 MHz."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One picture: its name, the case that shows it, and how the scene is heard."""

    name: str
    case: str
    is_heard: bool = False
    """Programmes are compared too; a sweep alone does not tell this kind."""


KINDS = (
    Kind("broadcast", "PFM-07"),
    Kind("broadcast-off-raster", "PFM-09"),
    Kind("broadcast-cochannel", "PFM-01", is_heard=True),
)


def aviation_scene() -> FmScene:
    """Two licensed stations, one of whose transmitters also radiates their product."""
    site = Position(HERE.lat + 0.02, HERE.lon)
    fm = [
        FmEmitter(id=f"licensed {mhz:g}", mhz=mhz, site=site, audio=f"licensed {mhz:g}")
        for mhz in AERO_FM_MHZ
    ]
    spurious = FmEmitter(id="spurious", mhz=AERO_MHZ, site=site, audio=fm[1].audio, loss_db=60.0)
    receiver = FmReceiver(high_mhz=137.0, points=1000, iip3_dbm=30.0)
    return FmScene([*fm, spurious], HERE, receiver, seed=4)


def play(
    scene: FmScene, start_us: int, title: str, *, is_heard: bool
) -> tuple[str, list[Detection]]:
    """Sweep for half an hour; returns the picture and what was alerted."""
    rows, _ = read_licences(licence_csv(scene))
    named = LicenceList([replace(row, audio=row.id) for row in rows])
    audio = {row.audio: audio_reference(row.audio) for row in named} if is_heard else {}
    watch = BroadcastWatch("pictures", None, named, audio)
    picture = SpectrumPicture(title)
    alerts: list[Detection] = []
    for second in range(0, MINUTES * 60, STEP_S):
        at_us = start_us + second * 1_000_000
        sweep = scene.sweep(at_us)
        picture.add(sweep)
        found = watch.feed(sweep)
        if is_heard and second % HEARD_S == 0:
            for reading in scene.carriers(at_us):
                found += watch.feed(reading)
        alerts += [d for d in found if d.alert is not None]
    return picture.svg(marks_of(watch)), alerts


def draw_all(cases: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, list[Detection]]]:
    """Return every picture by name, and the alerts it shows."""
    drawn: dict[str, tuple[str, list[Detection]]] = {}
    for kind in KINDS:
        row = cases[kind.case]
        hours = case_hours(row)
        start_us = DAY_US + ((hours[0] - 300) if hours else 12 * 3600) * 1_000_000
        scene = case_scene(row, EXAMPLE_MHZ, HERE)
        title = f"{kind.case}: {row['mhz']} MHz, {row['place']}"
        drawn[kind.name] = play(scene, start_us, title, is_heard=kind.is_heard)
    title = f"2 x {AERO_FM_MHZ[1]} - {AERO_FM_MHZ[0]} = {AERO_MHZ} MHz, radiated with a programme"
    drawn["broadcast-aviation"] = play(
        aviation_scene(), DAY_US + 12 * 3600 * 1_000_000, title, is_heard=True
    )
    return drawn


def render_png(svg: str, path: Path, browser: str) -> None:
    """Let a browser draw an SVG into a PNG; raises OSError or SubprocessError."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "picture.svg"
        source.write_text(svg, encoding="utf-8")
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{HEIGHT}",
                "--hide-scrollbars",
                f"--screenshot={path}",
                source.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures; PNG too where a Chromium is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path, help="CSV with the columns id, mhz, facts, lesson")
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args(arguments)
    with args.cases.open(encoding="utf-8") as file:
        cases = {row["id"]: row for row in csv.DictReader(file)}
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, (svg, alerts) in draw_all(cases).items():
        if browser is None:
            (args.folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        else:
            render_png(svg, (args.folder / f"{name}.png").resolve(), browser)
        told = {(str(d.subject["mhz"]), d.subkind or str(d.alert)) for d in alerts}
        sys.stdout.write(f"{name}: {', '.join(' '.join(pair) for pair in sorted(told))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
