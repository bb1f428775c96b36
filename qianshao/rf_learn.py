"""``qianshao rf learn``: learn what genuine cells look like here, from recordings or a live drive.

Cells that the detectors suspect are left out: a baseline must not learn an attack.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from contract.codec import Values
from hardware.readings import CellReading, Item, Unreadable
from hardware.recordings import read_recording
from qianshao import rf_context
from rf_watch import CellContext, CellWatch
from rf_watch.baseline import (
    Baseline,
    BaselineError,
    BaselineLearner,
    cell_key,
    drift,
    parse_baseline,
)

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY_UNREADABLE = 0, 1, 2, 3

_DRIFTS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="recordings")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="baseline to write")
    parser.add_argument("--region", required=True, help="name of the district, e.g. 140500")
    parser.add_argument(
        "--live", metavar="PORT-OR-URL", help="a modem on a port, polled as the agent does"
    )
    parser.add_argument("--modem", default="quectel", help="its dialect (default quectel)")
    parser.add_argument("--seconds", type=float, default=3600, help="how long to listen")
    parser.add_argument(
        "--since",
        type=Path,
        metavar="FILE",
        help="an earlier baseline: its counts are kept, its version raised, the drift shown",
    )
    rf_context.add_arguments(parser)


def main_learn(args: argparse.Namespace) -> int:
    """Run the command."""
    return run(args, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Read everything twice: first to find suspects, then to learn the rest."""
    problem = _problem(args)
    if problem:
        err.write(f"{problem}\n")
        return EXIT_USAGE
    try:
        earlier = parse_baseline(args.since.read_text(encoding="utf-8")) if args.since else None
    except (OSError, UnicodeDecodeError, BaselineError) as error:
        err.write(f"--since: {args.since}: {error}\n")
        return EXIT_USAGE
    known = rf_context.load(args, err)
    if known is None:
        return EXIT_USAGE
    items = list(_live(args)) if args.live else [i for p in args.paths for i in read_recording(p)]
    learner, bad = learn(items, known.context)
    for item in bad:
        err.write(f"{item.file}: {item.place}: {item.reason}\n")
    if not learner.readings:
        err.write("no reading names a cell: nothing was learned\n")
        return EXIT_FAILED
    version = earlier.version + 1 if earlier else 1
    baseline = learner.baseline(args.region, version, earlier)
    try:
        args.out.write_text(baseline.to_json(), encoding="utf-8")
    except OSError as error:
        err.write(f"--out: {args.out}: {error.strerror}\n")
        return EXIT_FAILED
    out.write(_text(baseline, learner, earlier))
    return EXIT_PARTLY_UNREADABLE if bad or known.bad_rows else EXIT_OK


def _problem(args: argparse.Namespace) -> str:
    if bool(args.paths) == bool(args.live):
        return "PATH: name recordings, or a port with --live, and not both"
    missing = [path for path in args.paths if not path.is_file()]
    return f"PATH: {missing[0]}: no such file" if missing else ""


def learn(items: Iterable[Item], context: CellContext) -> tuple[BaselineLearner, list[Unreadable]]:
    """Learn from the cells that nobody suspects."""
    watch = CellWatch("learn", context=context)
    cells: list[CellReading] = []
    bad: list[Unreadable] = []
    suspects: set[tuple[object, object]] = set()
    for item in items:
        if isinstance(item, Unreadable):
            bad += [item] if item.is_damage else []
            continue
        if isinstance(item, CellReading):
            cells.append(item)
        for found in watch.feed(item):
            if found.alert is not None:
                suspects.add((found.subject.get("plmn"), _what(found.subject)))
    learner = BaselineLearner()
    for reading in cells:
        names = {reading.channel, reading.cell_id}
        is_suspect = any(plmn in reading.plmns and what in names for plmn, what in suspects)
        if is_suspect:
            learner.left_out += 1
        elif cell_key(reading) is not None:
            learner.feed(reading)
    return learner, bad


def _what(subject: Values) -> object:
    """Channel of a GSM suspect, cell id of another."""
    return subject.get("channel") if subject.get("rat") == "GSM" else subject.get("cell_id")


def _live(args: argparse.Namespace) -> Iterator[Item]:
    """Poll a modem for a while, as the agent does."""
    from contract.clock import SystemClock
    from hardware.modems import DIALECTS, ModemPoller
    from hardware.serial.port import SerialPort

    async def listen() -> list[Item]:
        items: list[Item] = []
        port = SerialPort(args.live, clock=SystemClock())
        async with port:
            poller = ModemPoller(port, DIALECTS[args.modem](sensor="learn", file=args.live))
            try:
                async with asyncio.timeout(args.seconds):
                    async for item in poller.items():
                        items.append(item)  # noqa: PERF401 - what came before the time-out stays
            except TimeoutError:
                pass
        return items

    yield from asyncio.run(listen())


def _text(baseline: Baseline, learner: BaselineLearner, earlier: Baseline | None) -> str:
    lines = [
        f"baseline of {baseline.region}, version {baseline.version}, sha256 {baseline.sha256}",
        f"{learner.readings} readings learned, {learner.left_out} of suspected cells left out",
    ]
    for network, found in sorted(baseline.networks.items()):
        names = ", ".join(
            f"{name} {_usual(counts)}" for name, counts in sorted(found.constants.items())
        )
        lines.append(
            f"{network.rat.value} {network.plmn}: {found.cells} cells in {len(found.areas)} areas; "
            f"usual {names or 'constants unknown'}"
        )
    if earlier is not None:
        drifts = drift(earlier, baseline)
        lines.append(f"drift since version {earlier.version}: {len(drifts) or 'none'}")
        lines += [
            f"  {d.network.rat.value} {d.network.plmn} {d.name} {d.value}: "
            f"{d.share_before:.0%} -> {d.share_now:.0%}"
            for d in drifts[:_DRIFTS_SHOWN]
        ]
    return "\n".join(lines) + "\n"


def _usual(counts: Mapping[int, int]) -> str:
    best = max(counts, key=lambda value: (counts[value], -value))
    return f"{best} ({counts[best]}/{sum(counts.values())})"
