"""What else is heard around a cell: the other cells of its operator, and the other carriers."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hardware.readings import CellReading, Rat
from rf_watch.sightings import known_cell_id, known_lac

_CELLS_MAX = 512
"""Cells remembered of one network."""
_NETWORKS_MAX = 64
_CARRIERS_MAX = 512
_STRONG_DBM = -60.0
_SINK_DB = 10.0
_SINK_US = 20_000_000
_LEVEL_AGE_US = 60_000_000
WITNESSES_MIN = 3
"""So many other cells or carriers must be heard before a comparison says anything."""


class CellName(NamedTuple):
    """A cell of one network."""

    lac: int
    cell_id: int


@dataclass(slots=True)
class _Heard:
    last_us: int
    channel: int | None
    neighbour_channels: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Carrier:
    first_us: int
    levels: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=8))


class Asymmetry(NamedTuple):
    """Neighbour lists compared."""

    witnesses: int
    heard_channels: int


class Sunk(NamedTuple):
    """Carriers that sank while one rose."""

    level_dbm: float
    sunk: int
    others: int
    median_db: float


class Surroundings:
    """Cells and carriers heard within the window, over all sensors of the device."""

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._networks: OrderedDict[tuple[Rat, str], OrderedDict[CellName, _Heard]] = OrderedDict()
        self._carriers: OrderedDict[tuple[Rat, int], _Carrier] = OrderedDict()

    def note(self, reading: CellReading) -> None:
        """Remember one reading."""
        self._note_level(reading)
        cell_id, lac = known_cell_id(reading), known_lac(reading)
        if not reading.plmns or cell_id is None or lac is None:
            return
        network = (reading.rat, reading.plmns[0])
        cells = self._networks.pop(network, None)
        if cells is None:
            cells = OrderedDict()
        self._networks[network] = cells
        if len(self._networks) > _NETWORKS_MAX:
            self._networks.popitem(last=False)
        name = CellName(lac, cell_id)
        heard = cells.pop(name, None) or _Heard(0, None)
        heard.last_us, heard.channel = reading.stamp.at_us, reading.channel
        cells[name] = heard
        while cells:
            oldest = next(iter(cells.values()))
            is_old = abs(reading.stamp.at_us - oldest.last_us) > self._window_us
            if not is_old and len(cells) <= _CELLS_MAX:
                break
            cells.popitem(last=False)

    def note_list(self, rat: Rat, plmn: str, name: CellName, channels: tuple[int, ...]) -> None:
        """Remember the neighbour list of a cell that was heard."""
        cells = self._networks.get((rat, plmn))
        heard = None if cells is None else cells.get(name)
        if heard is not None:
            heard.neighbour_channels = channels

    def others(self, rat: Rat, plmn: str, not_at: int | None) -> Mapping[CellName, _Heard]:
        """Return the heard cells of a network that stand on other channels."""
        cells: Mapping[CellName, _Heard] = self._networks.get((rat, plmn), {})
        return {name: h for name, h in cells.items() if h.channel != not_at}

    def is_lonely(self, rat: Rat, plmn: str, lac: int, channel: int | None) -> int:
        """Return how many other cells are heard if all are of other areas; 0 if not lonely."""
        others = self.others(rat, plmn, channel)
        if len(others) < WITNESSES_MIN or any(name.lac == lac for name in others):
            return 0
        areas = [name.lac for name in others]
        # a witness area of its own cell alone would make everyone lonely: one must hold together
        return len(others) if len(set(areas)) < len(areas) else 0

    def asymmetry(
        self, rat: Rat, plmn: str, channel: int | None, own_list: tuple[int, ...]
    ) -> Asymmetry | None:
        """Compare neighbour lists; None where too few are known or one names the other."""
        others = self.others(rat, plmn, channel)
        lists = [h.neighbour_channels for h in others.values() if h.neighbour_channels is not None]
        heard = {h.channel for h in others.values() if h.channel is not None}
        if channel is None or len(lists) < WITNESSES_MIN:
            return None
        if any(channel in one for one in lists) or heard & set(own_list):
            return None
        return Asymmetry(len(lists), len(heard))

    def rose_while_others_sank(self, rat: Rat, channel: int, now_us: int) -> Sunk | None:
        """Compare levels before and after a strong carrier came up; None where nothing sank."""
        carrier = self._carriers.get((rat, channel))
        if carrier is None or not 0 <= now_us - carrier.first_us <= _SINK_US:
            return None
        level = carrier.levels[-1][1]
        if level < _STRONG_DBM:
            return None
        falls = [
            fall
            for key, other in self._carriers.items()
            if key != (rat, channel)
            and (fall := _fall(other, carrier.first_us, now_us)) is not None
        ]
        sunk = [fall for fall in falls if fall >= _SINK_DB]
        if len(sunk) < WITNESSES_MIN or len(sunk) * 4 < len(falls) * 3:
            return None
        return Sunk(level, len(sunk), len(falls), sorted(falls)[len(falls) // 2])

    def _note_level(self, reading: CellReading) -> None:
        if reading.level_dbm is None or reading.channel is None:
            return
        key, now = (reading.rat, reading.channel), reading.stamp.at_us
        carrier = self._carriers.pop(key, None)
        if carrier is None or abs(now - carrier.levels[-1][0]) > self._window_us:
            carrier = _Carrier(now)
        carrier.levels.append((now, reading.level_dbm))
        self._carriers[key] = carrier
        if len(self._carriers) > _CARRIERS_MAX:
            self._carriers.popitem(last=False)


def _fall(carrier: _Carrier, from_us: int, now_us: int) -> float | None:
    """How far a carrier's level fell, dB; None where it was not heard on both sides."""
    before = [dbm for at, dbm in carrier.levels if from_us - _LEVEL_AGE_US <= at < from_us]
    after = [dbm for at, dbm in carrier.levels if from_us <= at <= now_us]
    if not before or not after:
        return None
    return sum(before) / len(before) - after[-1]
