"""What an operator's genuine cells look like in one region: counts, and how odd a value is.

A baseline is learned from recordings or drives that nobody suspects (``qianshao rf learn``) and is
plain data: the JSON form is canonical, so that its SHA-256 names a version.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hardware.readings import CellReading, Rat
from rf_watch.sightings import known_cell_id, known_lac

FORMAT = "qianshao-cell-baseline/1"

CONSTANTS = (
    "t3212",
    "rxlev_access_min",
    "cro_db",
    "hysteresis_db",
    "ms_txpwr",
    "bandwidth_rb",
)
"""Broadcast constants that are counted; ``cro_db`` is negative where PENALTY_TIME is 31."""

CELLS_MIN = 5
"""Fewer genuine cells of a network say nothing about what is usual there."""
NATS_CAP = 4.0
"""No single constant is held more unlikely than e^-4, however many cells were learned."""


CHANNEL = "channel"

CellKey = tuple[int, int]
"""Area and cell id of a GSM or WCDMA cell; 0 and the cell id elsewhere."""


class Network(NamedTuple):
    """Of what a baseline counts cells."""

    rat: Rat
    plmn: str


class BaselineError(ValueError):
    """A baseline file that cannot be used, and why."""


def effective_cro_db(reading: CellReading) -> int | None:
    """Return the offset that a phone applies, in dB: negative with PENALTY_TIME 31.

    TS 45.008 section 6.4: C2 = C1 + CRO, but C1 - CRO where PENALTY_TIME is 31. A modem that prints
    C1 and C2 shows the same as their difference.
    """
    if reading.cro_db is not None:
        return -reading.cro_db if reading.penalty_time == 31 else reading.cro_db
    if reading.c1 is not None and reading.c2 is not None:
        return reading.c2 - reading.c1
    return None


def constants_of(reading: CellReading) -> dict[str, int]:
    """Return the constants that a reading names."""
    values = {
        "t3212": reading.t3212_decihours,
        "rxlev_access_min": reading.rxlev_access_min,
        "cro_db": effective_cro_db(reading),
        "hysteresis_db": reading.hysteresis_db,
        "ms_txpwr": reading.ms_txpwr_max_cch,
        "bandwidth_rb": reading.bandwidth_rb,
    }
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkBaseline:
    """One network's genuine cells."""

    cells: int
    areas: Mapping[int, int]
    """LAC or TAC to the number of cells in it."""
    constants: Mapping[str, Mapping[int, int]]
    """Constant to value to the number of cells that use it."""
    known: Mapping[CellKey, Mapping[str, int]] = field(default_factory=dict)
    """What each learned cell broadcasts: its channel and constants."""

    def is_known(self, key: CellKey, values: Mapping[str, int]) -> bool:
        """Whether a cell was learned with these very values, its channel among them."""
        learned = self.known.get(key)
        return (
            learned is not None
            and CHANNEL in values
            and learned.get(CHANNEL) == values[CHANNEL]
            and all(learned.get(name, value) == value for name, value in values.items())
        )

    def nats(self, name: str, value: int) -> float | None:
        """Return ln (p(usual value) / p(value)), add-one smoothed and capped.

        Against the most frequent value, so that a constant which differs from cell to cell anyway
        makes no cell odd. None where too few cells are known.
        """
        counts = self.constants.get(name, {})
        if sum(counts.values()) < CELLS_MIN:
            return None
        ratio = (max(counts.values()) + 1) / (counts.get(value, 0) + 1)
        return min(NATS_CAP, math.log(ratio))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """All networks of one region; without any it knows nothing and objects to nothing."""

    region: str = ""
    version: int = 0
    networks: Mapping[Network, NetworkBaseline] = field(default_factory=dict)

    def areas(self, rat: Rat, plmn: str) -> Mapping[int, int]:
        """Known LACs or TACs of a network, empty where too few cells are known."""
        found = self.networks.get(Network(rat, plmn))
        return found.areas if found is not None and found.cells >= CELLS_MIN else {}

    def highest_cro_db(self, plmn: str) -> int | None:
        """Highest offset that genuine GSM cells of the network use, None where too few are known.

        A value of a single cell in fifty or more is left out as a possible misread.
        """
        found = self.networks.get(Network(Rat.GSM, plmn))
        counts = found.constants.get("cro_db", {}) if found else {}
        total = sum(counts.values())
        if total < CELLS_MIN:
            return None
        return max(value for value, count in counts.items() if count > 1 or total < 50)

    def is_known(self, reading: CellReading) -> bool:
        """Whether a cell was learned just as this reading shows it."""
        key = cell_key(reading)
        found = self.networks.get(Network(reading.rat, reading.plmns[0])) if key else None
        if found is None or key is None or reading.channel is None:
            return False
        return found.is_known(key, {CHANNEL: reading.channel, **constants_of(reading)})

    def nats(self, rat: Rat, plmn: str, name: str, value: int) -> float | None:
        """Return how unusual a constant is, None where nothing is known."""
        found = self.networks.get(Network(rat, plmn))
        return None if found is None else found.nats(name, value)

    def to_json(self) -> str:
        """Return the canonical JSON form."""
        networks = [
            {
                "rat": network.rat.value,
                "plmn": network.plmn,
                "cells": found.cells,
                "areas": _pairs(found.areas),
                "constants": {
                    name: _pairs(found.constants[name]) for name in sorted(found.constants)
                },
                "known": [[*key, dict(found.known[key])] for key in sorted(found.known)],
            }
            for network, found in sorted(self.networks.items())
        ]
        document = {
            "format": FORMAT,
            "region": self.region,
            "version": self.version,
            "networks": networks,
        }
        return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1) + "\n"

    @property
    def sha256(self) -> str:
        """Name of this content."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def parse_baseline(text: str) -> Baseline:
    """Read the JSON form; raises BaselineError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"no JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BaselineError(f"not of the format {FORMAT}")
    try:
        networks = {
            Network(Rat(item["rat"]), str(item["plmn"])): NetworkBaseline(
                cells=_count(item["cells"]),
                areas=_counts(item["areas"]),
                constants={str(k): _counts(v) for k, v in item["constants"].items()},
                known={
                    (_whole(area), _whole(cell_id)): {str(k): _whole(v) for k, v in values.items()}
                    for area, cell_id, values in item["known"]
                },
            )
            for item in document["networks"]
        }
        return Baseline(
            region=str(document["region"]),
            version=_count(document["version"]),
            networks=networks,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BaselineError(f"{type(error).__name__}: {error}") from None


def _pairs(counts: Mapping[int, int]) -> list[list[int]]:
    return [[value, counts[value]] for value in sorted(counts)]


def _counts(pairs: object) -> dict[int, int]:
    if not isinstance(pairs, list):
        raise TypeError("a list of pairs is needed")
    return {_whole(value): _count(count) for value, count in pairs}


def _count(value: object) -> int:
    number = _whole(value)
    if number < 0:
        raise ValueError(f"{number} is no count")
    return number


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


# -- learning -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Cell:
    areas: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    constants: dict[str, Counter[int]] = field(default_factory=dict)

    def values(self) -> dict[str, int]:
        """Channel and constants, each as it was read most often."""
        values = {name: _usual(counts) for name, counts in self.constants.items()}
        return {CHANNEL: _usual(self.channels), **values} if self.channels else values


class BaselineLearner:
    """Counts cells, not readings: a cell parked beside for an hour weighs as much as any other.

    Of each cell the value read most often counts, so that single misreads are not learned.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[Network, CellKey], _Cell] = {}
        self.readings = 0
        self.left_out = 0
        """Readings of cells that a detection of suspected level named."""

    def feed(self, reading: CellReading) -> None:
        """Take one reading of a cell that names its network and itself."""
        key = cell_key(reading)
        if key is None:
            return
        self.readings += 1
        for plmn in reading.plmns:
            cell = self._cells.setdefault((Network(reading.rat, plmn), key), _Cell())
            area = known_lac(reading)
            if area is not None:
                cell.areas[area] += 1
            if reading.channel is not None:
                cell.channels[reading.channel] += 1
            for name, value in constants_of(reading).items():
                cell.constants.setdefault(name, Counter())[value] += 1

    def baseline(self, region: str, version: int, earlier: Baseline | None = None) -> Baseline:
        """Return what was learned; counts of an earlier baseline are kept beside it."""
        cells: Counter[Network] = Counter()
        areas: dict[Network, Counter[int]] = {}
        constants: dict[Network, dict[str, Counter[int]]] = {}
        known: dict[Network, dict[CellKey, Mapping[str, int]]] = {}
        for network, found in earlier.networks.items() if earlier else ():
            known[network] = dict(found.known)
        for (network, key), cell in self._cells.items():
            cells[network] += 1
            known.setdefault(network, {})[key] = cell.values()
            if cell.areas:
                areas.setdefault(network, Counter())[_usual(cell.areas)] += 1
            for name, counts in cell.constants.items():
                by_name = constants.setdefault(network, {})
                by_name.setdefault(name, Counter())[_usual(counts)] += 1
        for network, found in earlier.networks.items() if earlier else ():
            cells[network] += found.cells
            areas.setdefault(network, Counter()).update(found.areas)
            for name, old in found.constants.items():
                constants.setdefault(network, {}).setdefault(name, Counter()).update(old)
        return Baseline(
            region=region,
            version=version,
            networks={
                network: NetworkBaseline(
                    cells=count,
                    areas=dict(areas.get(network, {})),
                    constants={k: dict(v) for k, v in constants.get(network, {}).items()},
                    known=known.get(network, {}),
                )
                for network, count in cells.items()
            },
        )


def cell_key(reading: CellReading) -> CellKey | None:
    """Return what tells the cells of one network apart, None for a reading that names none."""
    cell_id, lac = known_cell_id(reading), known_lac(reading)
    if not reading.plmns or cell_id is None:
        return None
    if reading.rat in {Rat.LTE, Rat.NR}:
        return (0, cell_id)
    return None if lac is None else (lac, cell_id)


def _usual(counts: Counter[int]) -> int:
    return min(counts, key=lambda value: (-counts[value], value))


@dataclass(frozen=True, slots=True)
class Drift:
    """One constant of one network whose share changed."""

    network: Network
    name: str
    value: int
    share_before: float
    share_now: float


def drift(before: Baseline, now: Baseline, least: float = 0.1) -> list[Drift]:
    """Return values whose share among the cells changed by ``least`` or more, largest first."""
    found: list[Drift] = []
    for network in sorted(before.networks.keys() & now.networks.keys()):
        old, new = before.networks[network], now.networks[network]
        for name in sorted(old.constants.keys() | new.constants.keys() | {"area"}):
            a = old.areas if name == "area" else old.constants.get(name, {})
            b = new.areas if name == "area" else new.constants.get(name, {})
            found += [
                Drift(network, name, value, _share(a, value), _share(b, value))
                for value in sorted(a.keys() | b.keys())
                if abs(_share(a, value) - _share(b, value)) >= least
            ]
    return sorted(found, key=lambda d: -abs(d.share_now - d.share_before))


def _share(counts: Mapping[int, int], value: int) -> float:
    total = sum(counts.values())
    return counts.get(value, 0) / total if total else 0.0


def merge(baselines: Iterable[Baseline]) -> Baseline:
    """Return one baseline of several regions' files: counts added, the last file's version."""
    out = Baseline()
    for one in baselines:
        out = BaselineLearner().baseline(one.region, one.version, _sum(out, one))
    return out


def _sum(a: Baseline, b: Baseline) -> Baseline:
    networks = dict(a.networks)
    for network, found in b.networks.items():
        old = networks.get(network)
        if old is None:
            networks[network] = found
            continue
        names = old.constants.keys() | found.constants.keys()
        networks[network] = NetworkBaseline(
            cells=old.cells + found.cells,
            areas=_add(old.areas, found.areas),
            constants={
                name: _add(old.constants.get(name, {}), found.constants.get(name, {}))
                for name in names
            },
            known={**old.known, **found.known},
        )
    return Baseline(networks=networks)


def _add(a: Mapping[int, int], b: Mapping[int, int]) -> dict[int, int]:
    return dict(Counter(a) + Counter(b))
