"""The operators' cell plan and the register of drive-test cars, as a deployment loads them.

CSV with a header (DESIGN: ``rf replay --plan`` and ``--register``). Pure: text in, rows and bad
rows out.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hardware.readings import CellReading, Rat

PLAN_COLUMNS = (
    *("rat", "plmn", "channel", "lac_tac", "ci", "pci", "lat", "lon"),
    *("cro_db", "penalty_time", "t3212_decihours", "valid_from", "valid_to"),
)
REGISTER_COLUMNS = (
    *("plate", "unit", "rat", "plmn", "channel", "lac_tac", "ci", "valid_from", "valid_to"),
)

_PLMN = re.compile(r"\d{3}-\d{2,3}")
_DAY_US = 86_400_000_000
_EPOCH = dt.date(1970, 1, 1).toordinal()

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its line in the file and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One planned cell; None: not said."""

    rat: Rat
    plmn: str
    channel: int | None = None
    lac_tac: int | None = None
    ci: int | None = None
    pci: int | None = None
    lat: float | None = None
    lon: float | None = None
    cro_db: int | None = None
    penalty_time: int | None = None
    t3212_decihours: int | None = None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    def is_in_force(self, at_us: int | None) -> bool:
        """Whether the row holds at a time; without a date every row does."""
        return _is_in_force(self.valid_from, self.valid_to, at_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """One registered drive-test transmitter; what is None matches anything."""

    plate: str
    unit: str
    rat: Rat
    plmn: str
    channel: int | None
    lac_tac: int | None
    ci: int | None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


class CellPlan:
    """Planned cells. An empty plan knows nothing and objects to nothing."""

    def __init__(self, rows: Sequence[PlanRow] = ()) -> None:
        self.rows = tuple(rows)
        self._by_network: dict[tuple[Rat, str], list[PlanRow]] = {}
        self._by_rat: dict[Rat, list[PlanRow]] = {}
        for row in self.rows:
            self._by_network.setdefault((row.rat, row.plmn), []).append(row)
            self._by_rat.setdefault(row.rat, []).append(row)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def network(self, rat: Rat, plmn: str) -> Sequence[PlanRow]:
        """Rows of one network; those of the whole city where GSM of the PLMN has none."""
        rows = self._by_network.get((rat, plmn), [])
        return rows or (self._by_rat.get(rat, []) if rat is Rat.GSM else [])

    def is_area_unplanned(self, rat: Rat, plmn: str, area: int, at_us: int | None) -> bool:
        """Whether a LAC or TAC is in no row; False where the plan says nothing of the network."""
        rows = self.network(rat, plmn)
        return bool(rows) and not any(
            row.lac_tac in {None, area} and row.is_in_force(at_us) for row in rows
        )

    def highest_cro_db(self, plmn: str) -> int | None:
        """Highest offset that the operator's planned GSM cells use, 0 if it has none."""
        if not self.rows:
            return None
        own = self._by_network.get((Rat.GSM, plmn), [])
        return max((row.cro_db or 0 for row in own if row.penalty_time != 31), default=0)

    def is_pci_planned(self, plmn: str, pci: int, earfcn: int) -> bool | None:
        """Whether an LTE carrier bears this PCI in the plan; None: the plan lacks the network."""
        rows = self._by_network.get((Rat.LTE, plmn))
        if not rows:
            return None
        return any(row.pci == pci and row.channel in {None, earfcn} for row in rows)

    def match(self, reading: CellReading, at_us: int | None) -> PlanRow | None:
        """Return the row that a reading is in every field that both name.

        Network and channel must be named by both, and one of cell id and physical id.
        """
        for plmn in reading.plmns:
            for row in self._by_network.get((reading.rat, plmn), []):
                if row.is_in_force(at_us) and _matches(row, reading):
                    return row
        return None


def _matches(row: PlanRow, reading: CellReading) -> bool:
    pairs = (
        (row.channel, reading.channel),
        (row.lac_tac, reading.lac_tac),
        (row.ci, reading.cell_id),
        (row.pci, reading.physical_id),
        (row.cro_db, reading.cro_db),
        (row.penalty_time, reading.penalty_time),
        (row.t3212_decihours, reading.t3212_decihours),
    )
    named = [a == b for a, b in pairs if a is not None and b is not None]
    has_name = None not in {row.channel, reading.channel, row.lac_tac, reading.lac_tac} and (
        None not in {row.ci, reading.cell_id} or None not in {row.pci, reading.physical_id}
    )
    return has_name and all(named)


class VehicleRegister:
    """Registered drive-test cars: a lawful transmitter that looks like a fake one."""

    def __init__(self, rows: Sequence[RegisterRow] = ()) -> None:
        self.rows = tuple(rows)

    def match(self, reading: CellReading, at_us: int | None) -> RegisterRow | None:
        """Return the car whose announced cell this is."""
        for row in self.rows:
            if (
                row.rat is reading.rat
                and row.plmn in reading.plmns
                and row.channel in {None, reading.channel}
                and row.lac_tac in {None, reading.lac_tac}
                and row.ci in {None, reading.cell_id}
                and None not in {row.channel, row.lac_tac}
                and _is_in_force(row.valid_from, row.valid_to, at_us)
            ):
                return row
        return None


def parse_plan(text: str) -> tuple[CellPlan, list[BadRow]]:
    """Read a plan; rows that cannot be used are returned with their lines."""
    rows, bad = _parse(text, PLAN_COLUMNS, _plan_row)
    return CellPlan(rows), bad


def parse_register(text: str) -> tuple[VehicleRegister, list[BadRow]]:
    """Read a register of drive-test cars; as :func:`parse_plan`."""
    rows, bad = _parse(text, REGISTER_COLUMNS, _register_row)
    return VehicleRegister(rows), bad


def _parse(
    text: str, columns: Sequence[str], read: Callable[[dict[str, str]], Row]
) -> tuple[list[Row], list[BadRow]]:
    """Read rows under a header that has all the columns, in any order."""
    rows: list[Row] = []
    bad: list[BadRow] = []
    source = io.StringIO(text.removeprefix("\ufeff"), newline=None)
    reader = csv.DictReader(source, restkey="", restval="")
    try:
        names = reader.fieldnames or []
    except csv.Error as error:
        return [], [BadRow(1, str(error))]
    missing = [name for name in columns if name not in names]
    if missing:
        return [], [BadRow(1, f"the header lacks {', '.join(missing)}")]
    for line, fields in _lines(reader, bad):
        try:
            rows.append(read({name: (fields.get(name) or "").strip() for name in columns}))
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
    return rows, bad


def _lines(reader: csv.DictReader[str], bad: list[BadRow]) -> Iterator[tuple[int, dict[str, str]]]:
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad.append(BadRow(reader.line_num, str(error)))
            continue
        yield reader.line_num, fields


def _plan_row(fields: dict[str, str]) -> PlanRow:
    return PlanRow(
        rat=_rat(fields["rat"]),
        plmn=_plmn(fields["plmn"]),
        channel=_number(fields, "channel", 0, 3_279_165),
        lac_tac=_number(fields, "lac_tac", 0, 0xFFFFFF),
        ci=_number(fields, "ci", 0, 0xFFFFFFFFF),
        pci=_number(fields, "pci", 0, 1007),
        lat=_degrees(fields, "lat", 90),
        lon=_degrees(fields, "lon", 180),
        cro_db=_number(fields, "cro_db", 0, 126),
        penalty_time=_number(fields, "penalty_time", 0, 31),
        t3212_decihours=_number(fields, "t3212_decihours", 0, 255),
        valid_from=_date(fields, "valid_from"),
        valid_to=_date(fields, "valid_to"),
    )


def _register_row(fields: dict[str, str]) -> RegisterRow:
    if not fields["plate"]:
        raise ValueError("plate is empty")
    return RegisterRow(
        plate=fields["plate"],
        unit=fields["unit"],
        rat=_rat(fields["rat"]),
        plmn=_plmn(fields["plmn"]),
        channel=_number(fields, "channel", 0, 3_279_165),
        lac_tac=_number(fields, "lac_tac", 0, 0xFFFFFF),
        ci=_number(fields, "ci", 0, 0xFFFFFFFFF),
        valid_from=_date(fields, "valid_from"),
        valid_to=_date(fields, "valid_to"),
    )


def _rat(text: str) -> Rat:
    try:
        return Rat(text.upper())
    except ValueError:
        raise ValueError(f"rat {text!r} is none of {', '.join(Rat)}") from None


def _plmn(text: str) -> str:
    if not _PLMN.fullmatch(text):
        raise ValueError(f"plmn {text!r} is not of the form MCC-MNC")
    return text


def _number(fields: dict[str, str], name: str, lowest: int, highest: int) -> int | None:
    text = fields[name]
    if not text:
        return None
    try:
        value = int(text, 10)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is no whole number") from None
    if not lowest <= value <= highest:
        raise ValueError(f"{name} {value} is outside {lowest}..{highest}")
    return value


def _degrees(fields: dict[str, str], name: str, limit: int) -> float | None:
    text = fields[name]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is no number") from None
    if not -limit <= value <= limit:
        raise ValueError(f"{name} {text} is outside {-limit}..{limit}")
    return value


def _date(fields: dict[str, str], name: str) -> dt.date | None:
    text = fields[name]
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is no date (YYYY-MM-DD)") from None


def _is_in_force(first: dt.date | None, last: dt.date | None, at_us: int | None) -> bool:
    if at_us is None:
        return True
    day = at_us // _DAY_US + _EPOCH
    return (first is None or first.toordinal() <= day) and (last is None or day <= last.toordinal())
