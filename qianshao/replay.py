"""``qianshao rf replay``: the real parsers and detectors over recordings."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from contract.codec import rfc3339, to_json
from contract.messages import Detection
from contract.words import RivalVerdict
from hardware.readings import Item, SweepReading, Unreadable
from hardware.recordings import read_recording
from qianshao import rf_context as context
from qianshao.cells_seen import CellTable
from qianshao.replay_broadcast import (
    BroadcastOptions,
    PictureBook,
    add_broadcast_arguments,
    band_summary,
    read_options,
)
from rf_watch import RULES, CellContext
from rf_watch.broadcast.rules import BROADCAST_RULES, CARRIER
from rf_watch.dens import DEN_RULES
from rf_watch.watch import RadioWatch

SCHEMA = "qianshao.detection/1"
SENSOR = "replay"

EXIT_OK, EXIT_USAGE, EXIT_PARTLY_UNREADABLE = 0, 2, 3

Opener = Callable[[Path, int | None], Iterator[Item]]
"""Opens a recording: path, start time of one that has none."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST_YEAR = 2199
_OBSERVED = {rule.id: rule.observed for rule in RULES}
_OBSERVED.update((rule.id, rule.observed) for rule in BROADCAST_RULES)
_OBSERVED.update(DEN_RULES)


@dataclass(slots=True)
class Summary:
    """What a replay went through."""

    files: int = 0
    readings: int = 0
    detections: int = 0
    alerts: int = 0
    unreadable: int = 0
    passed_over: int = 0

    def text(self) -> str:
        """One line for stderr."""
        return (
            f"{self.files} files, {self.readings} readings, {self.detections} detections, "
            f"{self.alerts} alerts, {self.unreadable} unreadable places, "
            f"{self.passed_over} passed over"
        )

    def exit_code(self) -> int:
        """Exit status of the command."""
        return EXIT_PARTLY_UNREADABLE if self.unreadable else EXIT_OK


def start_time(text: str) -> int:
    """Parse RFC 3339 (no offset: UTC) to microseconds since 1970; raises ValueError."""
    moment = dt.datetime.fromisoformat(text)
    if not _EPOCH.year <= moment.year <= _LAST_YEAR:
        raise ValueError(f"{text!r} is outside {_EPOCH.year} to {_LAST_YEAR}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rf replay``."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", type=Path, help="recording; its kind shows by content"
    )
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="start time (RFC 3339, UTC without an offset) of a recording that has no times",
    )
    parser.add_argument(
        "--device", default="replay", help="device id that detection ids derive from"
    )
    context.add_arguments(parser)
    add_broadcast_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per detection")


def main_replay(args: argparse.Namespace) -> int:
    """Run the command; detections go to stdout, damage and the summary to stderr."""

    def opener(path: Path, start_us: int | None) -> Iterator[Item]:
        return read_recording(path, sensor=SENSOR, start_us=start_us)

    return run(args, opener, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, opener: Opener, out: TextIO, err: TextIO) -> int:
    """Replay every path through its own detector; returns the exit status."""
    start_us: int | None = None
    if args.at is not None:
        try:
            start_us = start_time(args.at)
        except (ValueError, OverflowError) as error:
            err.write(f"--at: {error}\n")
            return EXIT_USAGE
    options = read_options(args, err)
    if options is None:
        return EXIT_USAGE
    missing = [path for path in args.paths if not path.is_file()]
    for path in missing:
        problem = "is a folder, name its files" if path.is_dir() else "no such file"
        err.write(f"PATH: {_plain(str(path))}: {problem}\n")
    if missing:
        return EXIT_USAGE
    known = context.load(args, err)
    if known is None:
        return EXIT_USAGE
    summary = Summary(unreadable=known.bad_rows + options.list_problems)
    pictures = PictureBook(options.picture)
    show = json_line if args.json else text_line
    for path in args.paths:
        cells = CellTable()
        found = _replay_file(
            path,
            args.device,
            known.context,
            opener,
            start_us,
            options,
            summary,
            pictures,
            err,
            cells,
        )
        for detection in found:
            summary.detections += 1
            summary.alerts += detection.alert is not None
            out.write(show(detection) + "\n")
        if not args.json:
            out.write(_plain_lines(cells.text(found)))
        out.flush()
    err.write(summary.text() + "\n")
    return summary.exit_code()


def _replay_file(
    path: Path,
    device: str,
    known: CellContext,
    opener: Opener,
    start_us: int | None,
    options: BroadcastOptions,
    summary: Summary,
    pictures: PictureBook,
    err: TextIO,
    cells: CellTable,
) -> Collection[Detection]:
    """Return the last revision of every detection of one file, in order of first firing."""
    first: SweepReading | None = None
    watch = RadioWatch(device, context=known, broadcast=lambda: options.make(device, first))
    last: dict[bytes, Detection] = {}
    summary.files += 1
    for item in options.in_utc(opener(path, start_us)):
        if isinstance(item, Unreadable):
            _tell_unreadable(item, summary, err)
            continue
        summary.readings += 1
        if first is None and isinstance(item, SweepReading):
            first = item
        pictures.add(path.name, item)
        cells.note(item)
        last.update((d.detection_id, d) for d in watch.feed(item))
    last.update((d.detection_id, d) for d in watch.close())
    if watch.broadcast is not None:
        for line in band_summary(path.name, watch.broadcast):
            err.write(_plain(line) + "\n")
    pictures.write(watch.broadcast, err)
    return last.values()


def _tell_unreadable(item: Unreadable, summary: Summary, err: TextIO) -> None:
    if not item.is_damage:
        summary.passed_over += 1
        return
    summary.unreadable += 1
    err.write(f"{_plain(item.file)}: {_plain(item.place)}: {_plain(item.reason)}\n")


def json_line(detection: Detection) -> str:
    """One JSON object on one line."""
    return json.dumps({"schema": SCHEMA, **to_json(detection)})


def what_was_found(detection: Detection) -> str:
    """Level and kind in words; a carrier that no list was held against is called no more."""
    if {reason.rule for reason in detection.reasons} == {CARRIER.id}:
        return f"{detection.level.value} broadcast, compared with no licence list"
    return f"{detection.level.value} {detection.kind.value.replace('_', ' ')}"


def text_line(detection: Detection) -> str:
    """What was found, where and why, in plain words on one line."""
    subject = " ".join(f"{name} {value}" for name, value in sorted(detection.subject.items()))
    if detection.alert is None:
        alert = "no alert"
    else:
        alert = f"alert {detection.alert.value} ({detection.severity.value})"
    when = f"{rfc3339(detection.first_seen)} to {rfc3339(detection.last_seen)}"
    why = "; ".join(
        f"{_OBSERVED.get(reason.rule, reason.rule)} "
        f"[{reason.rule}: {', '.join(f'{n} {v}' for n, v in sorted(reason.values.items()))}]"
        for reason in detection.reasons
    )
    open_rivals = [
        rival.explanation
        for rival in detection.rivals
        if rival.verdict is not RivalVerdict.RULED_OUT
    ]
    parts = [
        f"{what_was_found(detection)}, {alert}",
        f"{detection.source.file} {detection.source.place}",
        f"{when} ({detection.time_basis.value} time)",
        subject,
        why,
        f"not ruled out: {', '.join(open_rivals) or 'none of the explanations looked at'}",
    ]
    return _plain(" | ".join(parts))


def _plain_lines(text: str) -> str:
    return "".join(_plain(line) + "\n" for line in text.splitlines())


def _plain(text: str) -> str:
    """Make control characters of a recording harmless to a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
