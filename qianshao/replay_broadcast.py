"""What ``rf replay`` needs for broadcasts: licence list, band, local time, and a band summary."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hardware.readings import Item, SweepReading, Unreadable
from rf_watch.broadcast.tracks import UNMEASURED_DB

if TYPE_CHECKING:
    from qianshao.spectrum_picture import Mark, SpectrumPicture
    from rf_watch.broadcast import BroadcastSettings, BroadcastWatch, LicenceList

BROADCAST_LOW_MHZ, BROADCAST_HIGH_MHZ = 64.0, 108.0
"""FM broadcasting of any country lies inside."""

_BAND = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


class UsageError(Exception):
    """An option that cannot be used; the text names it."""


def add_broadcast_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rf replay`` that concern broadcasts."""
    parser.add_argument(
        "--licences", metavar="FILE", type=Path, help="CSV of the licensed FM stations"
    )
    parser.add_argument(
        "--fm-band",
        metavar="LOW-HIGH",
        help="broadcast band in MHz (default 87-108; a recording that lies wholly beside it, but "
        "within 64-108, brings its own)",
    )
    parser.add_argument(
        "--utc-offset",
        metavar="+HH:MM",
        default="+00:00",
        help="local time of the recording: for the times that rtl_power and RDS logs print without "
        "a zone, and for licensed hours",
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="a setting of the broadcast detector, e.g. fm.continuous_s=60",
    )
    parser.add_argument(
        "--picture", metavar="SVG", type=Path, help="draw spectrum and waterfall of the sweeps"
    )


@dataclass(slots=True)
class BroadcastOptions:
    """The options, read and checked."""

    licences: LicenceList | None
    list_problems: int
    settings: BroadcastSettings
    has_band: bool
    utc_offset_s: int
    picture: Path | None

    def make(self, device: str, first: SweepReading | None) -> BroadcastWatch:
        """Return a watch for one recording, on the recording's own band if it must be."""
        from rf_watch.broadcast import BroadcastWatch

        settings = self.settings
        if first is not None and not self.has_band:
            low, high = first.start_hz / 1e6, first.stop_hz / 1e6
            is_beside = high < settings.band_low_mhz
            if is_beside and low >= BROADCAST_LOW_MHZ and high > low:
                settings = replace(settings, band_low_mhz=low, band_high_mhz=high)
        return BroadcastWatch(device, settings, self.licences)

    def in_utc(self, items: Iterator[Item]) -> Iterator[Item]:
        """Move times that were written without a zone."""
        if not self.utc_offset_s:
            yield from items
            return
        for item in items:
            if isinstance(item, Unreadable) or not item.stamp.is_local_time:
                yield item
                continue
            at_us = item.stamp.at_us - self.utc_offset_s * 1_000_000
            stamp = replace(item.stamp, at_us=at_us, is_local_time=False)
            yield replace(item, stamp=stamp)


def read_options(args: argparse.Namespace, err: TextIO) -> BroadcastOptions | None:
    """Check the options; None where a usage error was written. Needs numpy only if they are used.

    Problems of the list are written by line; its other rows count.
    """
    try:
        return _options(args, err)
    except UsageError as problem:
        err.write(f"{problem}\n")
        return None


def _options(args: argparse.Namespace, err: TextIO) -> BroadcastOptions:
    from rf_watch.broadcast.licences import read_licences
    from rf_watch.broadcast.settings import BroadcastSettings
    from rf_watch.settings import SettingError

    offset = read_offset(args.utc_offset)
    values: dict[str, float] = {"fm.utc_offset_min": offset / 60}
    for text in args.settings:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UsageError(f"--set: {text!r} is not NAME=VALUE") from error
    if args.fm_band is not None:
        band = _BAND.fullmatch(args.fm_band)
        if band is None:
            raise UsageError(f"--fm-band: {args.fm_band!r} is not LOW-HIGH in MHz")
        values["fm.band_low_mhz"], values["fm.band_high_mhz"] = float(band[1]), float(band[2])
    try:
        settings = BroadcastSettings().with_named(values)
    except SettingError as problem:
        raise UsageError(f"--set: {problem}") from problem
    licences, problems = None, 0
    if args.licences is not None:
        try:
            text = args.licences.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"--licences: {args.licences.name}: {error.strerror}") from error
        licences, bad = read_licences(text)
        for row in bad:
            err.write(f"{args.licences.name}: line {row.line}: {row.reason}\n")
        problems = len(bad)
        if not len(licences):
            raise UsageError(f"--licences: {args.licences.name}: no usable row")
    has_band = args.fm_band is not None or any(n.startswith("fm.band") for n in values)
    return BroadcastOptions(licences, problems, settings, has_band, offset, args.picture)


def read_offset(text: str) -> int:
    """Return a zone written as +HH:MM in seconds."""
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        raise UsageError(f"--utc-offset: {text!r} is not +HH:MM")
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds


def band_summary(file: str, watch: BroadcastWatch) -> list[str]:
    """Return lines for a terminal: the carriers of a recording and what became of each.

    Carriers that no list names come first; a station that only named itself has no frequency.
    """
    tracks = sorted(watch.tracks(), key=lambda t: (t.is_pi_alone, watch.is_listed(t), t.mhz))
    if not tracks:
        return [f"{file}: no carrier"]
    lines = [
        f"{file}: {'carrier':>12} {'level':>7} {'over floor':>10} {'on air':>8} {'looks':>6}  state"
    ]
    for track in tracks:
        rows = watch.licences_of(track)
        state = "listed" if rows else watch.state(track).value
        state = "no list" if watch.has_no_list else state
        name = rows[0].name or rows[0].id if rows else ""
        text = track.texts.get("radiotext") or track.texts.get("ps", "")
        pi = f"PI {track.pi:04X}" if track.pi is not None else ""
        is_levelled = not track.is_pi_alone and track.level_db != UNMEASURED_DB
        on_s = int(sum(b - a for a, b in track.episodes) / 1e6) if track.episodes else 0
        on_s += int(track.dwell.seconds())
        cells = [
            f"{track.mhz:8.3f} MHz" if not track.is_pi_alone else f"{'RDS alone':>12}",
            f"{track.level_db:7.1f}" if is_levelled else f"{'-':>7}",
            f"{track.above_floor_db:10.1f}" if is_levelled else f"{'-':>10}",
            f"{on_s // 3600}:{on_s // 60 % 60:02d}:{on_s % 60:02d}".rjust(8),
            f"{track.sightings:6d}",
            f" {state:10s}",
            " ".join(part for part in (name, pi, text) if part),
        ]
        lines.append(f"{file}: {' '.join(cells)}".rstrip())
    return lines


class PictureBook:
    """Draws the sweeps of a replay: one picture, of the first range that was swept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._picture: SpectrumPicture | None = None

    def add(self, file: str, item: Item) -> None:
        """Take an item; only sweeps are drawn."""
        if self._path is None or not isinstance(item, SweepReading):
            return
        if self._picture is None:
            from qianshao.spectrum_picture import SpectrumPicture

            self._picture = SpectrumPicture(file)
        self._picture.add(item)

    def write(self, watch: BroadcastWatch | None, err: TextIO) -> None:
        """Write the picture, with the carriers that the watch follows."""
        if self._path is None:
            return
        if self._picture is None:
            err.write("--picture: no sweep to draw\n")
            return
        try:
            self._path.write_text(self._picture.svg(marks_of(watch)), encoding="utf-8")
        except (OSError, ValueError) as problem:
            err.write(f"--picture: {problem}\n")


def marks_of(watch: BroadcastWatch | None) -> list[Mark]:
    """What a picture names: listed carriers, the states of others, a hijack, the aviation band."""
    from qianshao.spectrum_picture import Mark

    marks: list[Mark] = []
    if watch is None:
        return marks
    for track in watch.tracks():
        if track.is_pi_alone:
            continue
        state = watch.state(track).value
        is_plain = watch.is_listed(track) and state != "DISCOVERED"
        marks.append(
            Mark(track.mhz, f"{track.mhz:.2f}" + ("" if is_plain else f" {state}"), is_plain)
        )
    for mhz, is_alert in watch.air_cases():
        marks.append(Mark(mhz, f"{mhz:.3f} {'ALERT' if is_alert else 'observed'}", False))
    return marks
