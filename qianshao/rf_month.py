"""``qianshao rf month``: the regulator's monthly columns from detections and the crews' figures."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from contract.words import AlertKind, TimeBasis
from qianshao.replay_broadcast import UsageError, read_offset
from rf_watch.monthly import COLUMNS, WORK_COLUMNS, Case, MonthlyFigures

EXIT_OK, EXIT_USAGE, EXIT_PARTLY_UNREADABLE = 0, 2, 3

_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_FIGURE = re.compile(r"\d{1,12}(\.\d{1,3})?", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="detections of rf replay --json"
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="CSV",
        help=f"what the crews did, a row a month: period and any of {', '.join(WORK_COLUMNS)}",
    )
    parser.add_argument(
        "--utc-offset", metavar="+HH:MM", default="+08:00", help="whose months (default +08:00)"
    )


def main_month(args: argparse.Namespace) -> int:
    """Run the command."""
    return run(args, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Print one CSV row a month; each bad line is told and the rest counts."""
    bad: list[str] = []
    try:
        figures = MonthlyFigures(read_offset(args.utc_offset))
        for path in args.paths:
            for case in _cases(path, bad):
                figures.add(case)
        work = {} if args.work is None else _work(args.work, bad)
    except OSError as error:
        err.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_USAGE
    except UsageError as error:
        err.write(f"{error}\n")
        return EXIT_USAGE
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(month.row() for month in figures.months(work))
    err.writelines(line + "\n" for line in bad)
    if figures.undated:
        err.write(f"{figures.undated} alerts have no date and belong to no month\n")
    return EXIT_PARTLY_UNREADABLE if bad else EXIT_OK


def _cases(path: Path, bad: list[str]) -> Iterator[Case]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _case(line)
            except (ValueError, KeyError, TypeError, RecursionError) as problem:
                bad.append(f"{path.name}: line {number}: no detection: {problem!r:.80}")


def _case(line: str) -> Case:
    record = json.loads(line)
    alert, track = record["alert"], record["track_id"]
    first = datetime.fromisoformat(record["first_seen"])
    if not isinstance(track, str):
        raise TypeError("track_id is no text")
    if first.tzinfo is None or not 1970 <= first.year < 9999:
        raise ValueError("first_seen has no zone or an absurd year")
    return Case(
        alert=None if alert is None else AlertKind(alert),
        track_id=track,
        first_seen=first.astimezone(UTC),
        is_dated=TimeBasis(record["time_basis"]) is not TimeBasis.SYNTHETIC,
    )


def _work(path: Path, bad: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        reader = csv.DictReader(lines)
        if "period" not in (reader.fieldnames or ()):
            raise UsageError(f"--work: {path.name}: line 1: no column period")
        for row in reader:
            period = (row["period"] or "").strip()
            figures = {n: v for n in WORK_COLUMNS if (v := (row.get(n) or "").strip())}
            odd = [name for name, value in figures.items() if not _FIGURE.fullmatch(value)]
            place = f"{path.name}: line {reader.line_num}"
            if not _PERIOD.fullmatch(period):
                bad.append(f"{place}: period: no month, e.g. 2026-07")
            elif period in found:
                bad.append(f"{place}: period: {period} was told already")
            else:
                bad.extend(f"{place}: {name}: no number" for name in odd)
                found[period] = {n: v for n, v in figures.items() if n not in odd}
    return found
