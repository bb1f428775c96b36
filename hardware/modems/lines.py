"""What all AT dialects have in common: a stream of lines, each read, passed over or refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from hardware.modems import messages
from hardware.modems.at import (
    Line,
    LineKind,
    LineSplitter,
    kind_of,
    name_of,
    without_long_numbers,
)
from hardware.modems.cells import CellLine, LineError
from hardware.modems.interface import Arrival, LongCommand
from hardware.readings import Item, MessageReading, Rat, Stamp, Unreadable

_RAW_BYTES = 512
_BARE_NUMBER = re.compile(rb"[0-9]{14,}F?")
_COMMAND_NAME = re.compile(rb"AT([+#^$%*&][A-Z]+)")

FAMILY_OF: dict[bytes, str] = {
    b"+QENG": "quectel",
    b"+QSCAN": "quectel",
    b"+CENG": "simcom",
    b"+CPSI": "simcom",
    b"+CCINFO": "simcom",
    b"#MONI": "telit",
    b"#CSURV": "telit",
    b"+CGED": "ublox",
}
"""Names of answers that only one family of modems gives."""

MAKERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"quectel", re.IGNORECASE), "quectel"),
    (re.compile(rb"simcom", re.IGNORECASE), "simcom"),
    (re.compile(rb"telit", re.IGNORECASE), "telit"),
    (re.compile(rb"u-?blox", re.IGNORECASE), "ublox"),
)
"""What AT+CGMI says, and whose dialect that is."""


def maker_of(said: bytes) -> str | None:
    """Family whose maker's name stands in an answer; None: none of them."""
    return next((family for pattern, family in MAKERS if pattern.search(said)), None)


class LineDialect:
    """Base of the dialects: :meth:`is_cell_line` and :meth:`parse` are what they differ in."""

    name = ""
    identity: tuple[bytes, ...] = (b"AT+CGMI\r",)
    """Asked first: a modem of another maker is named where it would only refuse the rest."""
    setup: tuple[bytes, ...] = ()
    """Commands sent once after the port was opened."""
    messages_setup: tuple[bytes, ...] = (b"AT+CMGF=0\r", b"AT+CNMI=2,2,0,0,0\r")
    """Short messages are printed as PDUs when they come, and stored nowhere (TS 27.005 3.4.1)."""
    round: tuple[bytes, ...] = ()
    """Commands of a survey round. What a model does not know it refuses: from the second round on
    only those are sent that a cell came from, if there are any."""
    long: tuple[LongCommand, ...] = ()
    """Surveys of whole bands; on request only."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._splitter = LineSplitter()
        self._rounds = 0
        self._useful: set[bytes] = set()
        self._forms: Counter[str] = Counter()
        self._message_head: bytes | None = None
        self._serving = Rat.GSM

    # -- what a dialect says ----------------------------------------------------------------------

    def is_cell_line(self, line: bytes) -> bool:
        """Whether this line belongs to the answers read here, whole or torn at its end."""
        raise NotImplementedError

    def parse(self, line: bytes) -> CellLine | None:
        """Read such a line; None for a state without a cell. LineError says why not."""
        raise NotImplementedError

    def parse_all(self, line: bytes) -> Sequence[CellLine]:
        """Read such a line, which may name several cells; see :meth:`parse`."""
        cell = self.parse(line)
        return () if cell is None else (cell,)

    def starts_round(self, line: bytes) -> bool:
        """Whether an answer to the first command of a round begins with this line."""
        return False

    # -- the protocol -----------------------------------------------------------------------------

    @property
    def forms(self) -> Mapping[str, int]:
        """Forms of line seen so far, by name: they tell a firmware's variant."""
        return self._forms

    def poll(self) -> Sequence[bytes]:
        """Commands of the next round; see ModemDialect."""
        self._rounds += 1
        if self._rounds == 1:
            return self.identity + self.messages_setup + self.setup + self.round
        names = {command: _COMMAND_NAME.match(command) for command in self.round}
        useful = [c for c, name in names.items() if name and name.group(1) in self._useful]
        return tuple(useful) or self.round

    def survey(self) -> Sequence[LongCommand]:
        """Surveys of whole bands; see ModemDialect."""
        return self.long

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Return one item for each cell named and each line not readable; see ModemDialect."""
        lines = self._splitter.feed(data)
        return [item for line in lines for item in self._read(line, arrival)]

    def close(self) -> list[Item]:
        """A line without its end cannot be trusted: its last number may be half a number."""
        self._rounds = 0  # what is plugged in next may be in another mode
        self._useful.clear()
        self._message_head = None
        return [
            self._refuse(line, "the stream breaks off within this line")
            for line in self._splitter.close()
        ]

    # -- lines ------------------------------------------------------------------------------------

    def _read(self, line: Line, arrival: Arrival) -> list[Item]:
        """Read a line; nothing for an echo, a final result and a state without a cell."""
        if line.is_overlong:
            return [self._refuse(line, f"a line of {line.length} bytes")]
        head, self._message_head = self._message_head, None
        if head is not None and kind_of(line.data) is not LineKind.NAMED:
            return [self._message(head, line, arrival)]
        if messages.is_head(line.data):
            self._message_head = line.data
            return []
        if not self.is_cell_line(line.data):
            passed = self._pass_over(line)
            return [] if passed is None else [passed]
        try:
            cells = self.parse_all(line.data)
        except LineError as problem:
            return [self._refuse(line, str(problem))]
        return [self._reading(cell, line, arrival) for cell in cells]

    def _reading(self, cell: CellLine, line: Line, arrival: Arrival) -> Item:
        self._useful.add(name_of(line.data))
        self._forms[cell.form] += 1
        reading = cell.reading(self._stamp(line, arrival), line.data)
        if reading.is_serving:
            self._serving = reading.rat
        return reading

    def _message(self, head: bytes, line: Line, arrival: Arrival) -> Item:
        """Read the line after +CMT; where it cannot be read, no word of it is kept."""
        try:
            heard = messages.read(head, line.data)
        except LineError as problem:
            return self._unreadable(line, str(problem), b"", is_damage=True)
        return MessageReading(
            stamp=self._stamp(line, arrival),
            raw=heard.raw,
            sender=heard.message.sender,
            text=heard.message.text,
            sent=heard.message.sent,
            part=heard.message.part,
            rat=self._serving,
        )

    def _stamp(self, line: Line, arrival: Arrival) -> Stamp:
        return Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"line {line.number}",
            received_us=arrival.received_us,
        )

    def _pass_over(self, line: Line) -> Item | None:
        kind = kind_of(line.data)
        if kind in {LineKind.ECHO, LineKind.OK, LineKind.ERROR}:
            return None
        if kind in {LineKind.NAMED, LineKind.WORD}:
            # of a named line only the name is kept: the rest may be a caller or a message
            name = name_of(line.data) or line.data
            family = FAMILY_OF.get(name, self.name)
            if family != self.name:
                reason = f"{name.decode()} is an answer of a {family} modem, not of {self.name}"
                return self._unreadable(line, reason, name, is_damage=True)
            reason = f"{name.decode()} is passed over"
            return self._unreadable(line, reason, name, is_damage=False)
        if (maker := maker_of(line.data)) is not None:
            if maker == self.name:
                return None
            reason = f"it says that it is a {maker} modem, not {self.name}"
            return self._unreadable(line, reason, line.data, is_damage=True)
        if _BARE_NUMBER.fullmatch(line.data):
            return self._unreadable(line, "a bare number, not kept", b"", is_damage=False)
        return self._refuse(line, "no line of this dialect")

    def _refuse(self, line: Line, reason: str) -> Unreadable:
        return self._unreadable(line, reason, line.data, is_damage=True)

    def _unreadable(self, line: Line, reason: str, raw: bytes, *, is_damage: bool) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"line {line.number}",
            reason=reason,
            raw=without_long_numbers(raw)[:_RAW_BYTES],
            is_damage=is_damage,
        )
