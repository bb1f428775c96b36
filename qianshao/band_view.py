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
from rf_watch.broadcast.tracks import UNMEASURED_DB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hardware.readings import Item
    from rf_watch.broadcast import BroadcastWatch
    from rf_watch.broadcast.tracks import Track

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
BARS = " ▁▂▃▄▅▆▇█"
SPECTRUM_ROWS = 4
ROWS_MAX = 28
EVENTS_SHOWN, EVENTS_LOOKED_AT = 5, 40
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
    port_problem: Callable[[], str | None] = lambda: None
    """Why the port cannot be used now."""

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

    def text(self, width: int = 100, height: int = 40) -> str:
        """Return the whole view, no wider and no higher than the terminal."""
        head = [self._head(width), *self._port(width), *self._spectrum(width)]
        news = self._news(width)
        room = max(3, height - len(head) - len(news) - 4)
        return "\n".join([*head, "", *self._carriers(width, room), "", *news]) + "\n"

    def _tracks(self) -> list[Track]:
        """Those that no list names first."""
        tracks = [t for t in self.watch.tracks() if not t.is_pi_alone]
        return sorted(tracks, key=lambda t: (self.watch.is_listed(t), t.mhz))

    def _head(self, width: int) -> str:
        tracks = self._tracks()
        unlisted = sum(not self.watch.is_listed(t) for t in tracks)
        parts = [self.title, f"{self.sweeps} sweeps", f"{self.errors} unreadable"]
        parts.append(f"{len(tracks)} carriers, {unlisted} not listed")
        parts.append(f"{len({a.track_id for a in self.alerts})} alerts")
        if self.watch.has_no_list:
            parts.append("no licence list: nobody is suspected")
        return "   ".join(parts)[:width]

    def _port(self, width: int) -> list[str]:
        if (problem := self.port_problem()) is None:
            return []
        line = f"the port cannot be used: {problem}; it is tried again until it can"[:width]
        return [self._paint(line, _RED)]

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
        return [*rows, self._marks(len(values)), left + middle.center(room) + right]

    def _marks(self, width: int) -> str:
        """Under the spectrum: a point for a listed carrier, an arrow for one that is not."""
        assert self.last is not None
        span = max(self.last.stop_hz - self.last.start_hz, 1.0)
        cells = [" "] * width
        for track in reversed(self._tracks()):  # those that are not listed are drawn last
            at = int((track.mhz * 1e6 - self.last.start_hz) / span * width)
            if 0 <= at < width and track.is_on:
                is_listed = self.watch.is_listed(track)
                cells[at] = self._paint("·" if is_listed else "▲", _GREEN if is_listed else _RED)
        return "".join(cells).rstrip()

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self.is_coloured else text

    def _carriers(self, width: int, room: int) -> list[str]:
        unit = "dBm" if self.last is not None and self.last.is_calibrated else "dB"
        head = f"{'MHz':>8} {unit:>7} {'over floor':>10} {'on air':>8}  {'state':<22} station"
        lines = [head[:width]]
        tracks = self._tracks()
        shown = min(ROWS_MAX, room - 1 - (len(tracks) > room - 1))
        for track in tracks[:shown]:
            rows = self.watch.licences_of(track)
            name = rows[0].name or rows[0].id if rows else ""
            pi = f" PI {track.pi:04X}" if track.pi is not None else ""
            said = track.texts.get("radiotext") or track.texts.get("ps", "")
            level = "-" if track.level_db == UNMEASURED_DB else f"{track.level_db:.1f}"
            line = (
                f"{track.mhz:8.2f} {level:>7} {track.above_floor_db:10.1f} "
                f"{_minutes(track.dwell.seconds()):>8}  {self._state(track):<22} {name}{pi} {said}"
            )[:width].rstrip()
            line = "".join(c if c.isprintable() else "?" for c in line)  # names are others' text
            lines.append(self._paint(line, _GREEN if rows else _RED))
        if len(tracks) > shown:
            lines.append(f"and {len(tracks) - shown} more")
        return lines

    def _state(self, track: Track) -> str:
        """State of a carrier's case, and how long until its dwell is over."""
        if self.watch.has_no_list:
            return "no list"
        if self.watch.is_listed(track):
            return "listed" if track.is_on else "listed, silent"
        state = self.watch.state(track).value
        left_s = self.watch.settings.continuous_s - track.dwell.seconds()
        return f"{state} {_minutes(left_s)} to go" if state == "CANDIDATE" and left_s > 0 else state

    def _news(self, width: int) -> list[str]:
        lines: list[str] = []
        # at the start everything is news: what no list names comes before what one does
        newest = sorted(
            self.watch.events[-EVENTS_LOOKED_AT:], key=lambda e: (e.is_listed, -e.at_us)
        )
        for event in sorted(newest[:EVENTS_SHOWN], key=lambda e: e.at_us):
            listed = "listed" if event.is_listed else "not listed"
            lines.append(f"{_clock(event.at_us)} {event.mhz:.2f} MHz {event.event.value}, {listed}")
        for alert in self.alerts[-EVENTS_SHOWN:]:
            what = f"{alert.alert} {alert.subkind}".strip()
            mhz = alert.subject.get("mhz", "")
            text = f"{_clock(alert.last_seen)} {mhz} MHz ALERT {what}"[:width]
            lines.append(self._paint(text, _RED))
        return [line if line.startswith("\x1b") else line[:width] for line in lines]


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
        view.port_problem = lambda: port.counters().problem
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
        size = shutil.get_terminal_size((100, 40))
        out.write(view.text(size.columns, size.lines))


async def _take_all(items: AsyncIterator[Item], view: BandView) -> None:
    async for item in items:
        view.take(item)


async def _draw(view: BandView, out: TextIO) -> None:
    out.write(_CLEAR)
    while True:
        size = shutil.get_terminal_size((100, 40))
        body = view.text(size.columns, size.lines).rstrip("\n").replace("\n", "\x1b[K\n")
        out.write(f"{_HOME}{body}\x1b[K\x1b[J")
        out.flush()
        await asyncio.sleep(REFRESH_S)
