"""One emitter as it is followed: what was heard of it, and what that amounts to so far."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from contract.messages import Rival
from hardware.readings import CellReading, Stamp
from rf_watch.baseline import constants_of
from rf_watch.dossier import Dossier, RawEvidence
from rf_watch.rules import Finding
from rf_watch.sightings import (
    LACS_MAX,
    Clash,
    EmitterKey,
    Recent,
    Tally,
    known_lac,
    known_physical_id,
)
from rf_watch.trails import Trail

CELLS_MAX = 16
"""Cell ids remembered for one emitter."""
_VALUES_MAX = 16
"""Values remembered of one broadcast property of one cell."""


@dataclass(slots=True)
class CellMemory:
    """What was heard of one cell id of an emitter."""

    lacs: Recent[int] = field(default_factory=lambda: Recent[int](LACS_MAX))
    all_areas: Recent[int] = field(default_factory=lambda: Recent[int](LACS_MAX))
    """LACs with the reserved ones, of checked frames only: modems print these for unknown."""
    properties: dict[str, Recent[int]] = field(default_factory=dict)
    """Broadcast constants, ``neighbours`` and ``steering``, by name."""
    channels: Recent[int] = field(default_factory=lambda: Recent[int](_VALUES_MAX))
    physical_ids: set[int] = field(default_factory=set)
    neighbour_channels: tuple[int, ...] | None = None
    clash: Clash | None = None
    clash_us: int = 0

    def note(self, reading: CellReading, window_us: int) -> None:
        """Remember what one reading says."""
        physical_id, lac = known_physical_id(reading), known_lac(reading)
        if physical_id is not None:
            self.physical_ids.add(physical_id)
        if lac is not None:
            self.lacs.note(lac, reading, window_us)
        if reading.lac_tac is not None and reading.stamp.is_checked:
            self.all_areas.note(reading.lac_tac, reading, window_us)
        if reading.channel is not None:
            self.channels.note(reading.channel, reading, window_us)
        if reading.neighbour_channels is not None:
            self.neighbour_channels = reading.neighbour_channels
        for name, value in _properties_of(reading).items():
            recent = self.properties.get(name)
            if recent is None:
                recent = self.properties[name] = Recent[int](_VALUES_MAX)
            recent.note(value, reading, window_us)


def _properties_of(reading: CellReading) -> dict[str, int]:
    values = constants_of(reading)
    if reading.neighbours is not None:
        values["neighbours"] = reading.neighbours
    lte = [p for p in (reading.priority, reading.priority_lte) if p is not None]
    if reading.priority_geran is not None and lte:
        values["steering"] = reading.priority_geran - max(lte)
    return values


@dataclass(slots=True)
class Track:
    """One emitter, as long as it is heard without a gap."""

    key: EmitterKey
    last_us: int
    window: int
    first: Stamp
    """First reading of the window."""
    raw: RawEvidence
    tally: Tally = field(default_factory=Tally)
    is_complete: bool = False
    cells: OrderedDict[int | None, CellMemory] = field(default_factory=OrderedDict)
    """By cell id, the last heard at the end; None: no cell id was read yet."""
    has_partner_raw: bool = False
    readings: int = 0
    """Readings in this window."""
    messages: Counter[str] = field(default_factory=Counter)
    """Short messages received through it in this window, by class."""
    is_known: bool = False
    """The baseline holds the cell heard last, just as it is."""
    plate: str | None = None
    """Plate of the registered drive-test car that announces this cell."""
    findings: dict[str, Finding] = field(default_factory=dict)
    """Latest finding of each rule in this window."""
    rivals: dict[str, list[Rival]] = field(default_factory=dict)
    """What else it could be, by the same rules."""
    current: list[Finding] = field(default_factory=list)
    """What the reading heard last shows of the cell."""
    dossier: Dossier | None = None
    trail: Trail | None = None
    """Opened once the emitter is suspected."""

    def begin_window(self, window: int, first: Stamp, raw: RawEvidence) -> None:
        """Start a new detection of the same emitter; what was heard of it stays."""
        self.window, self.first, self.raw = window, first, raw
        self.has_partner_raw = False
        self.readings = 0
        self.messages.clear()
        self.findings.clear()
        self.current = []
        self.rivals.clear()

    def cell(self, cell_id: int | None, lac: int | None = None) -> CellMemory:
        """Return the memory of a cell id.

        A record without one belongs to the cell heard last, unless it names another area: two
        genuine cells may share a carrier, and SI4 names no cell.
        """
        if cell_id is None and self.cells:
            last = self.last_cell()[1]
            if lac is None or last.lacs.last in {None, lac}:
                return last
        memory = self.cells.pop(cell_id, None) or CellMemory()
        self.cells[cell_id] = memory
        if len(self.cells) > CELLS_MAX:
            self.cells.popitem(last=False)
        return memory

    def last_cell(self) -> tuple[int | None, CellMemory]:
        """The cell heard last."""
        cell_id = next(reversed(self.cells), None)
        return cell_id, self.cells.get(cell_id) or CellMemory()

    def marks(self) -> dict[str, int]:
        """What the cell heard last broadcasts that an emitter keeps under another name."""
        cell_id, cell = self.last_cell()
        marks = {n: r.last for n, r in cell.properties.items() if r.last is not None}
        if cell_id is not None:
            marks["cell_id"] = cell_id
        return marks

    def shares_cell_id(self, other: Track) -> bool:
        """Whether one cell id was heard of both."""
        return any(cell_id is not None and cell_id in other.cells for cell_id in self.cells)
