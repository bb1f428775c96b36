"""``qianshao rf scan``: one sniffer live in a terminal: what it is, its readings, detections."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from typing import TextIO

from contract.clock import Clock, SystemClock, UnixMicros
from contract.codec import rfc3339
from contract.messages import Detection
from hardware.devices import Trust, known
from hardware.identify import NAMELESS, Identity, NotIdentified, identify
from hardware.modems import DIALECTS, ModemDialect, ModemPoller
from hardware.modems.diag import DiagLink, DiagReader
from hardware.readings import CellReading, Item, NasReading, SweepReading, Unreadable
from hardware.serial.port import PortLost, PortOpened, SerialPort
from hardware.serial.ports import attached_ports
from hardware.serial.transport import LineSettings, PortError, device_of
from hardware.spectrum.uplink import is_uplink
from qianshao.replay import json_line, text_line
from qianshao.scan_others import LISTENERS, other_items, other_text
from qianshao.scan_view import ScanState, detection_row, render
from rf_watch.watch import RadioWatch

SCHEMA = "qianshao.scan/1"
DIAG = "diag"
OTHERS = ("board", "fm_tuner", "gpsd", "kraken", "nmea", "rf_explorer", "sweep_csv", "tinysa")
"""Kinds that are no modem."""
EXIT_OK, EXIT_FAILED, EXIT_PARTLY_UNREADABLE = 0, 1, 3
_OPEN_TIMEOUT_S = 5.0
_REDRAW_S = 0.5


class ScanError(Exception):
    """Why a scan cannot go on; the text is for the operator."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rf scan``."""
    parser.add_argument(
        "port", metavar="PORT|URL", help="/dev/..., usb://, socket://, rfc2217:// or replay://"
    )
    parser.add_argument(
        "--as",
        dest="kind",
        choices=[*sorted(DIALECTS), DIAG, *OTHERS],
        help="what it is: allows to write this device's commands to it",
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="allow to write to a port of unknown kind, to ask what it is",
    )
    parser.add_argument("--baud", type=int, default=115200, help="speed of a serial line (115200)")
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds")
    parser.add_argument(
        "--survey", action="store_true", help="survey the whole band first (minutes; some modems)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each item")


def main_scan(args: argparse.Namespace) -> int:
    """Run the command; Ctrl-C ends it as --seconds does."""
    clock = SystemClock()
    show = _Lines(sys.stdout, is_json=args.json)
    if not args.json and sys.stdout.isatty():
        show = _Screen(sys.stdout, clock)
    try:
        asyncio.run(scan(args, clock, show))
    except (ScanError, PortError) as error:
        sys.stderr.write(f"rf scan: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        pass  # as an operator ends it
    return EXIT_PARTLY_UNREADABLE if show.state.damages else EXIT_OK


@dataclass(frozen=True, slots=True)
class _Leave:
    """What may be written, and what the port is expected to be."""

    may_ask: bool
    expected: str | None
    reason: str


def _leave(args: argparse.Namespace) -> _Leave:
    """What is written to depends on what is known of the port, never on hope."""
    if args.kind is not None:
        return _Leave(may_ask=True, expected=args.kind, reason="--as")
    if args.probe:
        return _Leave(may_ask=True, expected=None, reason="--probe")
    path = device_of(args.port)
    port = next((one for one in attached_ports() if path in {one.path, one.by_id}), None)
    what = known(port) if port is not None else None
    if what is not None and what.trust is Trust.OTHER_PORT:
        raise ScanError(f"{args.port}: {what.what}; its AT port is another one (qianshao devices)")
    is_known = what is not None and what.trust is Trust.KNOWN
    return _Leave(
        may_ask=is_known, expected=what.kind if what and is_known else None, reason="USB identity"
    )


async def scan(args: argparse.Namespace, clock: Clock, show: _Lines) -> None:
    """Open, identify, read; ScanError and PortError say why not."""
    show.state.port = args.port
    leave = _leave(args)
    settings = LineSettings(baudrate=args.baud)
    async with SerialPort(args.port, clock=clock, settings=settings) as port:
        await _wait_open(port)
        if args.port.startswith("replay://"):
            raise ScanError(f"{args.port}: a recording; qianshao rf replay reads it")
        show.state.counters = port.counters
        if leave.expected == DIAG:
            items = _diag_items(port, args, show)
        else:
            items = await _identified_items(port, args, leave, show, clock)
        drawing = asyncio.create_task(_keep_drawing(show))
        try:
            async with asyncio.timeout(args.seconds):
                await _show_items(items, show)
        except TimeoutError:
            pass  # --seconds
        finally:
            drawing.cancel()
            show.end()


async def _keep_drawing(show: _Lines) -> None:
    """A device that says nothing changes its screen too: the seconds go on, and a hint comes."""
    while True:
        await asyncio.sleep(1.0)
        show.redraw()


async def _identified_items(
    port: SerialPort, args: argparse.Namespace, leave: _Leave, show: _Lines, clock: Clock
) -> AsyncIterator[Item]:
    """A spectrum device is asked in its own words where a person names it; a modem in those of AT.

    Questions of AT to an instrument would be orders to it.
    """
    is_named_other = leave.expected in OTHERS
    try:
        identity = await identify(port, may_ask=leave.may_ask and not is_named_other)
    except NotIdentified as error:
        if not is_named_other:
            raise ScanError(f"{args.port}: {error}") from error
        words = f"{leave.expected}, as told by {leave.reason}"
        identity = Identity(kind=leave.expected, words=words, has_been_asked=False)
    if identity.kind is None and is_named_other:
        identity = replace(identity, kind=leave.expected)
    if identity.kind in OTHERS and leave.expected in {None, identity.kind}:
        show.identified(identity, identity.kind, None)
        if not (leave.may_ask or identity.kind in LISTENERS):
            raise ScanError(
                f"{args.port}: {identity.words}; to have it work, say --as {identity.kind}: "
                "nothing was written"
            )
        return other_items(identity.kind, port, args.port, clock)
    return _modem_items(port, identity, args, leave, show)


def _modem_items(
    port: SerialPort,
    identity: Identity,
    args: argparse.Namespace,
    leave: _Leave,
    show: _Lines,
) -> AsyncIterator[Item]:
    dialect = _dialect(args.port, identity, leave)
    show.identified(identity, dialect.name, dialect)
    poller = ModemPoller(port, dialect, is_open=True)
    if args.survey:
        if not dialect.survey():
            raise ScanError(f"{dialect.name}: this family has no survey of the band")
        poller.request_survey()
    show.state.poller = lambda: poller.counters
    show.state.is_surveying = lambda: poller.is_surveying
    return poller.items()


def _diag_items(port: SerialPort, args: argparse.Namespace, show: _Lines) -> AsyncIterator[Item]:
    """A DIAG port does not say who it is; what it is not shows as damage."""
    reader = DiagReader(sensor="scan", file=args.port.rpartition("/")[2] or args.port)
    words = "a DIAG port, as told by --as"
    show.identified(Identity(kind=DIAG, words=words, has_been_asked=False), DIAG, None)
    return DiagLink(port, reader, is_open=True).items()


async def _wait_open(port: SerialPort) -> None:
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            event = await port.next_event()
    except TimeoutError as error:
        raise ScanError(f"{port.name}: cannot be opened within {_OPEN_TIMEOUT_S:g} s") from error
    if isinstance(event, PortLost):
        raise ScanError(f"{port.name}: {event.problem}")
    if not isinstance(event, PortOpened):
        raise ScanError(f"{port.name}: ends before it begins")


def _dialect(name: str, identity: Identity, leave: _Leave) -> ModemDialect:
    """The dialect of what was found; a device that is another than expected is named."""
    if identity.words == NAMELESS and leave.expected is not None:  # a person says what it is
        return DIALECTS[leave.expected](sensor="scan", file=name.rpartition("/")[2] or name)
    if identity.kind is None:
        raise ScanError(f"{name}: {identity.words} (--as KIND says what it is)")
    if leave.expected is not None and identity.kind != leave.expected:
        raise ScanError(
            f"{name}: answers as {identity.kind} ({identity.words}), not as {leave.expected} "
            f"({leave.reason})"
        )
    if identity.kind not in DIALECTS:
        raise ScanError(
            f"{name}: {identity.words}: rf scan shows modems ({', '.join(sorted(DIALECTS))})"
        )
    if not leave.may_ask:
        raise ScanError(
            f"{name}: {identity.words}; to poll it, say --as {identity.kind}: nothing was written"
        )
    return DIALECTS[identity.kind](sensor="scan", file=name.rpartition("/")[2] or name)


async def _show_items(items: AsyncIterator[Item], show: _Lines) -> None:
    watch = RadioWatch("scan")
    async for item in items:
        if isinstance(item, Unreadable):
            show.unreadable(item)
            continue
        show.reading(item)
        if isinstance(item, SweepReading) and is_uplink(item):
            continue  # handsets are no broadcasters
        for detection in watch.feed(item):
            show.detection(detection)


class _Lines:
    """Items one after the other, as text or as JSON."""

    def __init__(self, out: TextIO, *, is_json: bool = False) -> None:
        self.state = ScanState()
        self._out = out
        self._is_json = is_json

    def _write(self, text: str, document: Callable[[], dict[str, object]]) -> None:
        line = json.dumps(document(), ensure_ascii=False) if self._is_json else text
        self._out.write(line + "\n")
        self._out.flush()

    def redraw(self) -> None:
        """Time has passed."""

    def identified(self, identity: Identity, kind: str, dialect: ModemDialect | None) -> None:
        """Who it is."""
        self.state.identity, self.state.dialect = identity, dialect
        self._write(
            f"{self.state.port}: {identity.words} ({kind})",
            lambda: {
                "schema": SCHEMA,
                "item": "identity",
                "port": self.state.port,
                "kind": kind,
                "words": identity.words,
            },
        )

    def reading(self, item: Item) -> None:
        """A reading."""
        if isinstance(item, NasReading):
            self._nas(item)
        if not isinstance(item, CellReading):
            self._other(item)
            return
        self.state.take(item)
        self._write(
            cell_text(item),
            lambda: {
                "schema": SCHEMA,
                "item": "cell",
                "at": rfc3339(UnixMicros(item.stamp.at_us)),
                **{
                    name: value
                    for name, value in asdict(item).items()
                    if name not in {"stamp", "raw"} and value not in {None, ()}
                },
            },
        )

    def _other(self, item: Item) -> None:
        said = other_text(item)
        if said is None:
            return
        name, words = said
        self.state.readings += 1
        self.state.others[name] = words
        self._write(
            f"{name}: {words}",
            lambda: {"schema": SCHEMA, "item": name.partition(" ")[0], "name": name, "says": words},
        )

    def _nas(self, item: NasReading) -> None:
        self.state.readings += 1
        cause = "" if item.cause is None else f" cause {item.cause}"
        self._write(
            f"NAS {item.direction.value} {item.type.value}{cause}",
            lambda: {
                "schema": SCHEMA,
                "item": "nas",
                "at": rfc3339(UnixMicros(item.stamp.at_us)),
                "type": item.type.value,
                "direction": item.direction.value,
                "cause": item.cause,
            },
        )

    def unreadable(self, item: Unreadable) -> None:
        """Bytes that could not be read."""
        self.state.note(item)
        if item.is_damage:
            words = {"file": item.file, "place": item.place, "reason": item.reason}
            self._write(
                f"unreadable: {item.place}: {item.reason}: {item.raw[:80]!r}",
                lambda: {"schema": SCHEMA, "item": "unreadable", **words},
            )

    def detection(self, detection: Detection) -> None:
        """A detection, or more evidence for one."""
        line = text_line(detection)
        self.state.detections[detection.detection_id] = detection_row(detection)
        self._write(line, lambda: {"item": "detection", **json.loads(json_line(detection))})

    def end(self) -> None:
        """The last words."""
        if not self._is_json:
            self._out.write(self.state.summary() + "\n")
            self._out.flush()


class _Screen(_Lines):
    """The same as one screen that is drawn anew."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        super().__init__(out)
        self._clock = clock
        self._drawn_us = 0

    def _write(self, text: str, document: Callable[[], dict[str, object]]) -> None:
        if self._clock.mono() - self._drawn_us >= _REDRAW_S * 1e6:
            self._draw()

    def redraw(self) -> None:
        """See _Lines."""
        self._draw()

    def _draw(self) -> None:
        self._drawn_us = self._clock.mono()
        size = shutil.get_terminal_size()
        lines = render(self.state, size.columns, size.lines - 1, self._clock.wall())
        self._out.write("\x1b[H\x1b[2J" + "\n".join(lines) + "\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the last screen standing, and the summary under it."""
        self._draw()
        super().end()


def cell_text(cell: CellReading) -> str:
    """One cell on one line."""
    parts = [
        cell.rat.value,
        "serving" if cell.is_serving else "neighbour",
        ",".join(cell.plmns) or "-",
    ]
    named = {
        "channel": cell.channel,
        "lac/tac": cell.lac_tac,
        "cell": cell.cell_id,
        "bsic/pci": cell.physical_id,
        "dBm": cell.level_dbm,
        "c1": cell.c1,
        "c2": cell.c2,
        "cro_db": cell.cro_db,
    }
    parts += [f"{name} {value}" for name, value in named.items() if value is not None]
    return " ".join(parts)
