"""``qianshao rf watch``: one spectrum device live in a terminal, with what the detector thinks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import math
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from contract.clock import SystemClock
from contract.messages import Detection
from hardware.readings import SweepReading, Unreadable
from qianshao.replay_broadcast import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hardware.readings import Item
    from rf_watch.broadcast import BroadcastWatch

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
BARS = " ▁▂▃▄▅▆▇█"
SPECTRUM_ROWS = 4
ROWS_MAX = 28
EVENTS_SHOWN = 5
REFRESH_S = 0.5

_CLEAR, _HOME, _RED, _GREEN, _PLAIN = "\x1b[2J", "\x1b[H", "\x1b[31m", "\x1b[32m", "\x1b[0m"


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rf watch``."""
    parser.add_argument("port", help="device, socket:// or replay:// of a spectrum device")
    parser.add_argument(
        "--kind",
        required=True,
        choices=["tinysa", "rf_explorer", "fm_tuner", "sweep_csv"],
        help="what is attached; nothing is probed",
    )
    parser.add_argument("--licences", metavar="FILE", type=Path, help="licensed FM stations")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="settings")
    parser.add_argument("--seconds", type=float, metavar="N", help="end by itself after N seconds")
    parser.add_argument("--plain", action="store_true", help="no colours, one last view at the end")


@dataclass(slots=True)
class BandView:
    """Draws the band: spectrum, carriers, news. Same inputs, same text."""

    watch: BroadcastWatch
    title: str
    is_coloured: bool = False
    last: SweepReading | None = None
    sweeps: int = 0
    errors: int = 0
    alerts: list[Detection] = field(default_factory=list)

    def take(self, item: Item) -> None:
        """Take what the device said."""
        if isinstance(item, Unreadable):
            self.errors += item.is_damage
            return
        if isinstance(item, SweepReading):
            self.last, self.sweeps = item, self.sweeps + 1
        if hasattr(item, "mhz") or isinstance(item, SweepReading):
            found = self.watch.feed(item)  # type: ignore[arg-type]
            self.alerts += [d for d in found if d.alert is not None]

    def text(self, width: int = 100) -> str:
        """Return the whole view."""
        lines = [f"{self.title}   {self.sweeps} sweeps, {self.errors} unreadable"]
        lines += [*self._spectrum(width), "", *self._carriers(width), "", *self._news()]
        return "\n".join(lines) + "\n"

    def _spectrum(self, width: int) -> list[str]:
        if self.last is None:
            return ["waiting for the first sweep"]
        from hardware.spectrum.levels import columns

        values = columns(self.last.levels_dbm, width)
        known = [v for v in values if not math.isnan(v)]
        if not known:
            return ["no level in the last sweep"]
        low, high = min(known), max(*known, min(known) + 20)
        steps = SPECTRUM_ROWS * (len(BARS) - 1)
        heights = [0 if math.isnan(v) else round((v - low) / (high - low) * steps) for v in values]
        rows: list[str] = []
        for row in reversed(range(SPECTRUM_ROWS)):
            base = row * (len(BARS) - 1)
            rows.append("".join(BARS[min(len(BARS) - 1, max(0, h - base))] for h in heights))
        left = f"{self.last.start_hz / 1e6:.1f} MHz"
        right = f"{self.last.stop_hz / 1e6:.1f} MHz"
        middle = f"{low:.0f} to {high:.0f} {'dBm' if self.last.is_calibrated else 'dB'}"
        room = max(1, width - len(left) - len(right))
        return [*rows, left + middle.center(room) + right]

    def _carriers(self, width: int) -> list[str]:
        head = f"{'MHz':>8} {'level':>7} {'over floor':>10} {'on air':>8}  {'state':<11} station"
        lines = [head]
        tracks = [t for t in self.watch.tracks() if not t.is_pi_alone]
        tracks.sort(key=lambda t: (self.watch.is_listed(t), t.mhz))
        for track in tracks[:ROWS_MAX]:
            rows = self.watch.licences_of(track)
            state = "listed" if rows else self.watch.state(track).value
            name = rows[0].name or rows[0].id if rows else ""
            pi = f" PI {track.pi:04X}" if track.pi is not None else ""
            said = track.texts.get("radiotext") or track.texts.get("ps", "")
            line = (
                f"{track.mhz:8.2f} {track.level_db:7.1f} {track.above_floor_db:10.1f} "
                f"{_minutes(track.dwell.seconds()):>8}  {state:<11} {name}{pi} {said}"
            )[:width].rstrip()
            line = "".join(c if c.isprintable() else "?" for c in line)  # names are others' text
            colour = _GREEN if rows else _RED
            lines.append(f"{colour}{line}{_PLAIN}" if self.is_coloured else line)
        if len(tracks) > ROWS_MAX:
            lines.append(f"and {len(tracks) - ROWS_MAX} more")
        return lines

    def _news(self) -> list[str]:
        lines: list[str] = []
        for event in self.watch.events[-EVENTS_SHOWN:]:
            listed = "listed" if event.is_listed else "not listed"
            lines.append(f"{_clock(event.at_us)} {event.mhz:.2f} MHz {event.event.value}, {listed}")
        for alert in self.alerts[-EVENTS_SHOWN:]:
            what = f"{alert.alert} {alert.subkind}".strip()
            mhz = alert.subject.get("mhz", "")
            lines.append(f"{_clock(alert.last_seen)} {mhz} MHz ALERT {what}")
        return lines


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _clock(at_us: int) -> str:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC).strftime("%H:%M:%S")


def main_watch(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        watch = _make_watch(args)
    except UsageError as problem:
        sys.stderr.write(f"{problem}\n")
        return EXIT_USAGE
    view = BandView(watch, f"{args.kind} at {args.port}", is_coloured=not args.plain)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(args, view, sys.stdout))
    return EXIT_OK if view.sweeps else EXIT_FAILED


def _make_watch(args: argparse.Namespace) -> BroadcastWatch:
    from rf_watch.broadcast import BroadcastSettings, BroadcastWatch, read_licences
    from rf_watch.settings import SettingError

    licences = None
    if args.licences is not None:
        try:
            text = args.licences.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"--licences: {args.licences.name}: {error.strerror}") from error
        licences, problems = read_licences(text)
        for row in problems:
            sys.stderr.write(f"{args.licences.name}: line {row.line}: {row.reason}\n")
    values: dict[str, float] = {}
    for text in args.settings:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UsageError(f"--set: {text!r} is not NAME=VALUE") from error
    try:
        return BroadcastWatch("watch", BroadcastSettings().with_named(values), licences)
    except SettingError as problem:
        raise UsageError(f"--set: {problem}") from problem


async def _run(args: argparse.Namespace, view: BandView, out: TextIO) -> None:
    from hardware.serial.port import SerialPort
    from hardware.spectrum.dialects import DIALECTS, SweepRange
    from hardware.spectrum.poller import SpectrumPoller

    settings = view.watch.settings
    sweep = SweepRange(int(settings.band_low_mhz * 1e6), int(settings.band_high_mhz * 1e6))
    dialect = DIALECTS[args.kind](sensor="sensor0", file=Path(args.port).name, sweep=sweep)
    async with SerialPort(args.port, clock=SystemClock()) as port:
        items = SpectrumPoller(port, dialect).items()
        drawing = asyncio.create_task(_draw(view, out)) if not args.plain else None
        try:
            async with asyncio.timeout(args.seconds):
                await _take_all(items, view)
        except TimeoutError:
            pass
        finally:
            if drawing is not None:
                drawing.cancel()
    if args.plain:
        out.write(view.text(shutil.get_terminal_size((100, 30)).columns))


async def _take_all(items: AsyncIterator[Item], view: BandView) -> None:
    async for item in items:
        view.take(item)


async def _draw(view: BandView, out: TextIO) -> None:
    out.write(_CLEAR)
    while True:
        width = shutil.get_terminal_size((100, 30)).columns
        body = view.text(width).replace("\n", "\x1b[K\n")
        out.write(f"{_HOME}{body}\x1b[J")
        out.flush()
        await asyncio.sleep(REFRESH_S)
