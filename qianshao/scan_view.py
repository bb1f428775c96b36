"""The screen of ``rf scan``: state in, lines out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from contract.messages import Detection
from hardware.devices import keep_away
from hardware.identify import Identity
from hardware.modems import ModemDialect, PollerCounters
from hardware.readings import CellReading, Unreadable
from hardware.serial.port import PortCounters
from qianshao.replay import what_was_found

_FADE_S = 60
"""A cell that was not heard for so long leaves the screen."""
_QUIET_S = 5.0
_ENOUGH_BYTES = 2000
_DETECTIONS_SHOWN = 4
_HEADING = (
    f"  {'rat':5} {'plmn':8} {'channel':>7} {'lac/tac':>8} {'cell':>11} {'id':>4} {'dBm':>6} "
    f"{'c1':>4} {'c2':>4} {'cro':>4} {'age s':>5}"
)


@dataclass(slots=True)
class ScanState:
    """What a scan has seen."""

    port: str = ""
    identity: Identity | None = None
    dialect: ModemDialect | None = None
    counters: Callable[[], PortCounters] | None = None
    poller: Callable[[], PollerCounters] | None = None
    is_surveying: Callable[[], bool] = lambda: False
    cells: dict[tuple[object, ...], CellReading] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    """The newest words of each thing that is no cell."""
    unreadable: deque[Unreadable] = field(default_factory=lambda: deque(maxlen=3))
    detections: dict[bytes, str] = field(default_factory=dict)
    readings: int = 0
    damages: int = 0
    passed_over: int = 0

    def take(self, cell: CellReading) -> None:
        """Keep the newest reading of each cell."""
        self.readings += 1
        if cell.is_serving:  # there is one at a time of each technology
            for key in [k for k, c in self.cells.items() if c.is_serving and c.rat is cell.rat]:
                del self.cells[key]
        key = (cell.rat, cell.channel, cell.physical_id, cell.plmns)
        self.cells[key] = cell

    def note(self, item: Unreadable) -> None:
        """Count what could not be read, and keep the last of it."""
        if item.is_damage:
            self.damages += 1
            self.unreadable.append(item)
        else:
            self.passed_over += 1

    def summary(self) -> str:
        """One line at the end."""
        return (
            f"{self.readings} readings, {_counted(self.detections)}, "
            f"{self.damages} unreadable places, {self.passed_over} passed over"
        )


def render(state: ScanState, width: int, height: int, now_us: int) -> list[str]:
    """Return the lines of the screen, at most ``height`` of ``width`` characters."""
    lines = [*_head(state), "", *_others(state, height // 2)]
    if state.cells or (state.dialect is not None and not state.others):
        lines.append(_HEADING)
    cells = [c for c in state.cells.values() if now_us - c.stamp.at_us < _FADE_S * 1_000_000]
    cells.sort(key=lambda c: (not c.is_serving, -(c.level_dbm or -200), c.channel or 0))
    tail = _tail(state)
    room = max(1, height - len(lines) - len(tail))
    lines += [_row(cell, now_us) for cell in cells[:room]]
    if len(cells) > room:
        lines[-1] = f"  ... {len(cells) - room + 1} more"
    return [line[:width] for line in (lines + tail)[:height]]


def _head(state: ScanState) -> list[str]:
    words = state.identity.words if state.identity else "?"
    kind = (state.identity.kind if state.identity else None) or "?"
    name = state.dialect.name if state.dialect else kind
    lines = [f"{state.port}", f"  is       {words} (dialect {name})"]
    if state.counters is not None:
        port = state.counters()
        told = "open" if port.is_open else f"not open: {port.problem}"
        busy = f", ALSO READ BY {', '.join(port.other_readers)}" if port.other_readers else ""
        age = "-" if port.last_data_age_s is None else f"{port.last_data_age_s:.1f} s ago"
        lines.append(
            f"  port     {told}{busy}, {port.bytes_in} bytes, last {age}, "
            f"lost {port.losses} times, {port.dropped_bytes} bytes dropped"
        )
        lines += [f"  hint     {hint}" for hint in _hints(state, port)]
    if state.poller is not None:
        poll = state.poller()
        lines.append(
            f"  polling  {poll.rounds} rounds, {poll.errors} refused commands, {poll.timeouts} "
            f"unanswered, {poll.surveys} surveys"
        )
    if state.dialect is not None and state.dialect.forms:
        forms = ", ".join(f"{form} ({n})" for form, n in sorted(state.dialect.forms.items()))
        lines.append(f"  forms    {forms}")
    return lines


def _hints(state: ScanState, port: PortCounters) -> list[str]:
    """What to look at where a port is open and nothing comes of it."""
    hints = [keep_away(port.other_readers)] if keep_away(port.other_readers) else []
    if not port.is_open:
        return hints
    if port.last_data_age_s is None or port.last_data_age_s > _QUIET_S:
        if state.is_surveying():
            hints.append("it surveys the band: minutes without a word are usual")
        else:
            hints.append(
                "it says nothing more: another device than told, its baud rate, or its cable"
            )
    elif not state.readings and port.bytes_in > _ENOUGH_BYTES:
        hints.append("bytes come, but nothing that reads: another device, or another baud rate")
    return hints


def detection_row(detection: Detection) -> str:
    """What and where first: a screen cuts the rest."""
    what = what_was_found(detection)
    subject = " ".join(f"{name} {value}" for name, value in sorted(detection.subject.items()))
    alert = "no alert" if detection.alert is None else detection.alert.value
    rules = ", ".join(reason.rule for reason in detection.reasons)
    return f"{what}: {subject}; {alert}; {rules}"


def _others(state: ScanState, room: int) -> list[str]:
    """Tuners, sweeps, RDS, fixes, bearings: the last of each, at most ``room`` of them."""
    lines = [f"  {name:18} {state.others[name]}" for name in sorted(state.others, key=_by_mhz)]
    if len(lines) > room:
        lines = [*lines[: room - 1], f"  ... {len(lines) - room + 1} more"]
    return lines


def _by_mhz(name: str) -> tuple[str, float, str]:
    """88.70 MHz stands before 100.80 MHz, which as text it would not."""
    what, _, rest = name.partition(" ")
    number = rest.removesuffix(" MHz")
    return what, float(number) if number.replace(".", "", 1).isdecimal() else 0.0, name


def _row(cell: CellReading, now_us: int) -> str:
    def text(value: object) -> str:
        return "-" if value is None else str(value)

    lac = None if cell.lac_tac is None else f"{cell.lac_tac:X}"
    return (
        f"{'*' if cell.is_serving else ' '} {cell.rat.value:5} {','.join(cell.plmns) or '-':8} "
        f"{text(cell.channel):>7} {text(lac):>8} {text(cell.cell_id):>11} "
        f"{text(cell.physical_id):>4} {text(cell.level_dbm):>6} {text(cell.c1):>4} "
        f"{text(cell.c2):>4} {text(cell.cro_db):>4} "
        f"{max(0, now_us - cell.stamp.at_us) // 1_000_000:>5}"
    )


def _tail(state: ScanState) -> list[str]:
    newest = list(state.detections.values())[-_DETECTIONS_SHOWN:]
    of_all = f", the newest {len(newest)}:" if len(newest) < len(state.detections) else ""
    lines = ["", _counted(state.detections) + of_all]
    lines += [f"  {line}" for line in newest]
    lines.append(f"{state.damages} unreadable places, {state.passed_over} passed over")
    lines += [f"  {item.place}: {item.reason}: {item.raw[:60]!r}" for item in state.unreadable]
    return lines


def _counted(detections: dict[bytes, str]) -> str:
    return f"{len(detections)} detection{'' if len(detections) == 1 else 's'}"
