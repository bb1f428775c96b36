"""What was heard of each cell lately: sightings by carrier and identity, bounded in number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from hardware.readings import CellReading, Rat
from rf_watch.tables.eutra import is_same_carrier

V = TypeVar("V", int, "Placement")

PLACEMENTS_MAX = 16
"""Carriers and physical ids remembered for one identity."""
LACS_MAX = 64
"""Location areas remembered for one cell."""

READINGS_MAX = 100
"""Readings counted in one window, so that what was heard for long does not outvote what is new."""

_CELL_ID_LAST = {Rat.GSM: 0xFFFE, Rat.WCDMA: 0xFFFFFFE, Rat.LTE: 0xFFFFFFE, Rat.NR: 0xFFFFFFFFE}
_PHYSICAL_ID_LAST = {Rat.GSM: 63, Rat.WCDMA: 511, Rat.LTE: 503, Rat.NR: 1007}
_LAC_RESERVED = frozenset({0x0000, 0xFFFE, 0xFFFF})  # TS 23.003 section 4.1; FFFF: modems' unknown


class EmitterKey(NamedTuple):
    """What a detection of the cell detector is about.

    In GSM a carrier of a network (cells of one area share none, and some system information names
    no cell id); elsewhere a carrier is reused by every cell, so the cell id belongs to the key, or
    the physical id over all carriers where no cell id was read.
    """

    sensor: str
    rat: Rat
    plmn: str
    channel: int | None
    cell_id: int | None
    physical_id: int | None = None


class Identity(NamedTuple):
    """A global cell identity: CGI with its LAC for GSM and WCDMA, ECGI or NCGI without."""

    rat: Rat
    plmn: str
    lac: int | None
    cell_id: int


class Placement(NamedTuple):
    """Where an identity stands on the air."""

    channel: int
    physical_id: int | None


@dataclass(slots=True)
class Tally:
    """Readings of this window and of the one before."""

    window: int = 0
    now: int = 0
    before: int = 0

    def add(self, weight: int, window: int) -> None:
        """Count a reading of the given window (time divided by the window's length)."""
        if window != self.window:
            self.before = self.now if window == self.window + 1 else 0
            self.window, self.now = window, 0
        self.now = min(READINGS_MAX, self.now + weight)

    @property
    def total(self) -> int:
        """Both windows together."""
        return self.now + self.before


@dataclass(slots=True)
class Seen:
    """How often and when one value was read."""

    last_us: int
    first_raw: bytes
    tally: Tally = field(default_factory=Tally)


@dataclass(slots=True)
class Recent(Generic[V]):
    """The recent values of one property, e.g. the LACs of a carrier."""

    limit: int
    seen: dict[V, Seen] = field(default_factory=dict)
    last: V | None = None
    returns: int = 0
    """How often the property went back to a value it had left before."""

    def note(self, value: V, reading: CellReading, window_us: int) -> None:
        """Count one reading; values older than the window, and the oldest above the limit, go."""
        now = reading.stamp.at_us
        for old in [v for v, s in self.seen.items() if abs(now - s.last_us) > window_us]:
            del self.seen[old]
        if value in self.seen and self.last != value:
            self.returns += 1
        entry = self.seen.pop(value, None) or Seen(now, reading.raw)
        entry.last_us = now
        entry.tally.add(reading_weight(reading), now // window_us)
        self.seen[value] = entry
        self.last = value
        if len(self.seen) > self.limit:
            del self.seen[next(iter(self.seen))]

    def odd(self, is_odd: Callable[[V], bool], noise_ratio: int) -> tuple[V, int] | None:
        """Return the last odd value and how many misreads explain all odd ones; None: no odd one.

        Readings of the other values speak for a misread.
        """
        odd = [value for value in self.seen if is_odd(value)]
        if not odd:
            return None
        count = sum(self.seen[value].tally.total for value in odd)
        total = sum(entry.tally.total for entry in self.seen.values())
        return odd[-1], misreads(count, total, noise_ratio)

    def misreads(self, noise_ratio: int) -> int:
        """Readings that would have to be wrong for the property to have but one value."""
        counts = [entry.tally.total for entry in self.seen.values()]
        return misreads(sum(counts) - max(counts, default=0), sum(counts), noise_ratio)


def misreads(odd: int, total: int, noise_ratio: int) -> int:
    """Return how many misreads it takes to explain ``odd`` readings of ``total`` away.

    Odd readings below one in ``noise_ratio`` count as one however many they are: a noisy line
    makes some every hour.
    """
    return odd if odd * noise_ratio >= total else min(odd, 1)


def reading_weight(reading: CellReading) -> int:
    """Count a frame of a capture twice.

    Frames of a capture passed the air interface's own check (the Fire code of TS 45.003 section
    4.1, the CRC of TS 36.212); lines of a modem come over a serial port without any.
    """
    return 2 if reading.stamp.is_checked else 1


def known_cell_id(reading: CellReading) -> int | None:
    """Return the cell id, None also for the words that modems use for "unknown"."""
    value = reading.cell_id
    return value if value is not None and 0 <= value <= _CELL_ID_LAST[reading.rat] else None


def known_physical_id(reading: CellReading) -> int | None:
    """Return BSIC, PSC or PCI, None if not said or outside the standard's range."""
    value = reading.physical_id
    return value if value is not None and 0 <= value <= _PHYSICAL_ID_LAST[reading.rat] else None


def known_lac(reading: CellReading) -> int | None:
    """Return LAC or TAC, None if not said or reserved."""
    value = reading.lac_tac
    return value if value is not None and value not in _LAC_RESERVED else None


def key_of(reading: CellReading) -> EmitterKey | None:
    """Return what a reading is about, None if it names no network."""
    if not reading.plmns:
        return None
    sensor, rat, plmn = reading.stamp.sensor, reading.rat, reading.plmns[0]
    if rat is Rat.GSM and reading.channel is not None:
        return EmitterKey(sensor, rat, plmn, reading.channel, None)
    cell_id, physical_id = known_cell_id(reading), known_physical_id(reading)
    if cell_id is None and physical_id is not None and rat in {Rat.LTE, Rat.NR}:
        return EmitterKey(sensor, rat, plmn, None, None, physical_id)
    return EmitterKey(sensor, rat, plmn, reading.channel, cell_id)


def identity_of(reading: CellReading) -> Identity | None:
    """Return the global identity (of the first PLMN, TS 36.331), None if it is incomplete."""
    cell_id = known_cell_id(reading)
    if not reading.plmns or cell_id is None:
        return None
    if reading.rat in {Rat.LTE, Rat.NR}:
        return Identity(reading.rat, reading.plmns[0], None, cell_id)
    lac = known_lac(reading)
    return None if lac is None else Identity(reading.rat, reading.plmns[0], lac, cell_id)


def is_clash(rat: Rat, a: Placement, b: Placement) -> bool:
    """Return whether one identity at both placements is one too many; unknown is no clash."""
    is_one_carrier = a.channel == b.channel or (
        rat is Rat.LTE and is_same_carrier(a.channel, b.channel)
    )
    if not is_one_carrier:
        return True
    return None not in {a.physical_id, b.physical_id} and a.physical_id != b.physical_id


@dataclass(frozen=True, slots=True)
class Clash:
    """One identity heard at places that exclude each other."""

    identity: Identity
    here: Placement
    others: tuple[Placement, ...]
    misreads: int
    returns: int
    partner_raw: bytes
    """First record of the newest of the others."""


class IdentityIndex:
    """Placements of every identity heard lately, over all sensors of the device."""

    def __init__(self, window_us: int, limit: int, noise_ratio: int) -> None:
        self._window_us = window_us
        self._noise_ratio = noise_ratio
        self._limit = limit
        self._of: OrderedDict[Identity, Recent[Placement]] = OrderedDict()

    def note(self, reading: CellReading) -> Clash | None:
        """Count a reading; returns what it clashes with, if anything."""
        identity = identity_of(reading)
        if identity is None or reading.channel is None:
            return None
        recent = self._of.pop(identity, None) or Recent[Placement](PLACEMENTS_MAX)
        self._of[identity] = recent
        if len(self._of) > self._limit:
            self._of.popitem(last=False)
        here = Placement(reading.channel, known_physical_id(reading))
        recent.note(here, reading, self._window_us)
        others = [there for there in recent.seen if is_clash(reading.rat, here, there)]
        if not others:
            return None
        elsewhere = sum(recent.seen[there].tally.total for there in others)
        total = sum(entry.tally.total for entry in recent.seen.values())
        return Clash(
            identity=identity,
            here=here,
            others=tuple(others),
            misreads=misreads(min(elsewhere, total - elsewhere), total, self._noise_ratio),
            returns=recent.returns,
            partner_raw=recent.seen[others[-1]].first_raw,
        )
