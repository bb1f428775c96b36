"""Scenes through the real detector: shared by the tests of this folder."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

from contract.messages import Detection
from hardware.readings import Position
from hardware.simulators.fm_scene import FmScene, audio_reference, case_hours
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch, Licence, LicenceList

HERE = Position(25.04, 102.71)
LICENSED = (88.7, 91.8, 95.4, 97.0, 100.8, 102.8, 105.8)
"""91.8 MHz is seen in a regulator's report; the others are invented neighbours."""
MICROS = 1_000_000
DAY_US = round(dt.datetime(2026, 11, 25, tzinfo=dt.UTC).timestamp()) * MICROS - 8 * 3600 * MICROS
"""Local midnight."""


def cases() -> list[dict[str, str]]:
    with (Path(__file__).parent / "pirate_fm_cases.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def licence_list(scene: FmScene) -> LicenceList:
    return LicenceList(
        [
            Licence(id=e.id, mhz=e.mhz, name=e.id, site=e.site, erp_w=e.erp_w, audio=e.id)
            for e in scene.emitters
            if e.id.startswith("licensed")
        ]
    )


def watch_of(
    scene: FmScene, *, settings: BroadcastSettings | None = None, has_audio: bool = True
) -> BroadcastWatch:
    licences = licence_list(scene)
    audio = {row.audio: audio_reference(row.audio) for row in licences} if has_audio else {}
    return BroadcastWatch("van-1", settings, licences, audio)


def play(
    scene: FmScene,
    watch: BroadcastWatch,
    start_us: int,
    seconds: float,
    *,
    step_s: float = 5.0,
    carriers_s: float = 0.0,
    df_sigma_deg: float | None = None,
) -> list[Detection]:
    """Sweep every step_s seconds; every carriers_s all stations are also heard one by one."""
    out: list[Detection] = []
    heard_us = start_us
    for number in range(int(seconds / step_s)):
        at_us = start_us + int(number * step_s * MICROS)
        out += watch.feed(scene.sweep(at_us))
        if carriers_s and at_us >= heard_us:
            heard_us = at_us + int(carriers_s * MICROS)
            for reading in scene.carriers(at_us, df_sigma_deg=df_sigma_deg):
                out += watch.feed(reading)
    return out


def case_start_us(row: dict[str, str]) -> int:
    """Five minutes before it comes on; noon where the case names no hours."""
    hours = case_hours(row)
    return DAY_US + ((hours[0] - 300) if hours else 12 * 3600) * MICROS


def alerts(detections: list[Detection]) -> list[Detection]:
    return [d for d in detections if d.alert is not None]
