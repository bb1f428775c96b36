"""The licence list: who may be on the air where, when and under which identity.

Two forms are read: a CSV with a header, whose columns may be mapped to ours, and lists whose call
and frequency share a field (``K246AX-FM  97.1 MHz.``). Each bad line is told by its number; the
others count.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hardware.readings import Position

COLUMNS = (
    "id",
    "name",
    "mhz",
    "lat",
    "lon",
    "erp_w",
    "schedule",
    "pi",
    "ps",
    "audio",
    "valid_from",
    "valid_to",
    "protected",
)
"""Our names; all but mhz may be empty."""

_SYNONYMS = {
    "frequency": "mhz",
    "freq": "mhz",
    "frequency_mhz": "mhz",
    "频率": "mhz",
    "call": "name",
    "station": "name",
    "名称": "name",
    "台名": "name",
    "latitude": "lat",
    "纬度": "lat",
    "longitude": "lon",
    "long": "lon",
    "lng": "lon",
    "经度": "lon",
    "erp": "erp_w",
    "power_w": "erp_w",
    "功率": "erp_w",
    "hours": "schedule",
    "播出时间": "schedule",
    "保护": "protected",
    "受保护": "protected",
}
_YES_NO = {
    **dict.fromkeys(("yes", "y", "true", "1", "是"), True),
    **dict.fromkeys(("no", "n", "false", "0", "否", ""), False),
}
_MHZ_TEXT = re.compile(r"(\d{2,3}(?:\.\d{1,3})?)\s*(?:MHz|兆赫)\.*", re.IGNORECASE)
_UNIT = re.compile(r"[(（\[].*?[)）\]]")
"""``Frequency (MHz)``: the unit is told by the size of the number."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_HOURS = re.compile(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_MHZ_MIN, _MHZ_MAX = 30.0, 300.0
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class ListProblem:
    """A line of a list that could not be used."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hours:
    """Local hours on the air; may pass midnight."""

    start_min: int
    end_min: int

    def contain(self, minute: int) -> bool:
        """Whether a minute of the day lies inside."""
        if self.start_min == self.end_min:
            return True
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def text(self) -> str:
        """``06:00-23:00``."""
        parts = (f"{m // 60:02d}:{m % 60:02d}" for m in (self.start_min, self.end_min))
        return "-".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One licensed station; None means "not said"."""

    id: str
    mhz: float
    name: str = ""
    site: Position | None = None
    erp_w: float | None = None
    hours: Hours | None = None
    pi: int | None = None
    ps: str = ""
    audio: str = ""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    is_protected: bool = False
    """Its frequency and the channels beside it are to be kept clear before all others."""

    def is_valid_on(self, day: dt.date | None) -> bool:
        """Temporary licences begin and end; without a date every row counts."""
        if day is None:
            return True
        has_begun = self.valid_from is None or self.valid_from <= day
        return has_begun and (self.valid_to is None or day <= self.valid_to)


class LicenceList:
    """All licensed stations, by frequency."""

    def __init__(self, licences: Sequence[Licence]) -> None:
        self._rows = sorted(licences, key=lambda row: (row.mhz, row.id))
        self._mhz = [row.mhz for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Licence]:
        return iter(self._rows)

    def near(self, mhz: float, tolerance_khz: float) -> list[Licence]:
        """Rows within the tolerance of a frequency, whatever their dates."""
        low = bisect_left(self._mhz, mhz - tolerance_khz / 1000 - 1e-9)
        high = bisect_right(self._mhz, mhz + tolerance_khz / 1000 + 1e-9)
        return self._rows[low:high]

    def with_pi(self, pi: int) -> list[Licence]:
        """Rows that name a PI code."""
        return [row for row in self._rows if row.pi == pi]


def read_licences(
    text: str, mapping: Mapping[str, str] | None = None
) -> tuple[LicenceList, list[ListProblem]]:
    """Read a list; ``mapping`` gives a column of the file for some of ours (``{"mhz": "Freq"}``).

    Returns the usable rows and the problems by line; a file without a usable header is one problem
    at line 1.
    """
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""))
    rows: list[Licence] = []
    problems: list[ListProblem] = []
    header: dict[str, int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = _header(cells, mapping or {})
                if "mhz" not in header and "name" not in header:
                    return LicenceList([]), [ListProblem(reader.line_num, "no column mhz")]
                continue
            try:
                rows.append(_row(cells, header, reader.line_num))
            except ValueError as problem:
                problems.append(ListProblem(reader.line_num, str(problem)))
    except csv.Error as problem:
        problems.append(ListProblem(reader.line_num, f"no CSV from here on: {problem}"))
    return LicenceList(rows), problems


def _header(cells: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Column of each of our names; the mapping wins over the name, the name over its synonyms."""
    names = [_UNIT.sub("", cell).strip().lower() for cell in cells]
    found: dict[str, int] = {}
    for index, name in enumerate(names):
        ours = name if name in COLUMNS else _SYNONYMS.get(name)
        if ours is not None and (ours not in found or name in COLUMNS):
            found[ours] = index
    for ours, theirs in mapping.items():
        wanted = _UNIT.sub("", theirs).strip().lower()
        if wanted in names:
            found[ours] = names.index(wanted)
    return found


def _row(cells: Sequence[str], header: Mapping[str, int], line: int) -> Licence:
    def cell(name: str) -> str:
        index = header.get(name)
        return cells[index].strip() if index is not None and index < len(cells) else ""

    name, mhz_text = cell("name"), cell("mhz")
    mhz = _mhz(mhz_text or name)
    if not mhz_text:
        name = _MHZ_TEXT.sub("", name).strip()
    lat, lon = _number("lat", cell("lat"), -90, 90), _number("lon", cell("lon"), -180, 180)
    if (lat is None) != (lon is None):
        raise ValueError("a latitude without a longitude, or the other way round")
    site = None if lat is None or lon is None or (lat, lon) == (0, 0) else Position(lat, lon)
    return Licence(
        id=cell("id") or f"line {line}",
        mhz=mhz,
        name=name,
        site=site,
        erp_w=_number("erp_w", cell("erp_w"), 0.001, 10_000_000),
        hours=_hours(cell("schedule")),
        pi=_pi(cell("pi")),
        ps=cell("ps"),
        audio=cell("audio"),
        valid_from=_date("valid_from", cell("valid_from")),
        valid_to=_date("valid_to", cell("valid_to")),
        is_protected=_yes("protected", cell("protected")),
    )


def _mhz(text: str) -> float:
    """``97.1``, ``97.1 MHz.``, ``K246AX-FM  97.1 MHz.``; kHz and Hz are told by their size."""
    marked = _MHZ_TEXT.search(text)
    bare = text.rstrip(". ").strip()
    if marked is not None:
        value = float(marked[1])
    elif _NUMBER.fullmatch(bare):
        value = float(bare)
        value /= 1e6 if value >= 1e7 else 1e3 if value >= 1e4 else 1
    else:
        raise ValueError(f"no frequency in {text[:40]!r}")
    if not _MHZ_MIN <= value <= _MHZ_MAX:
        raise ValueError(f"{value:g} MHz is no broadcast frequency")
    return round(value, 6)


def _number(name: str, text: str, low: float, high: float) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}: {text[:40]!r} is no number")
    value = float(text)
    if not low <= value <= high:
        raise ValueError(f"{name}: {value:g} is not between {low:g} and {high:g}")
    return value


def _hours(text: str) -> Hours | None:
    if not text:
        return None
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"schedule: {text[:40]!r} is not HH:MM-HH:MM")
    start = int(match[1]) * 60 + int(match[2])
    end = int(match[3]) * 60 + int(match[4])
    if start > _DAY_MIN or end > _DAY_MIN or int(match[2]) > 59 or int(match[4]) > 59:
        raise ValueError(f"schedule: {text!r} names no hours of a day")
    return Hours(start % _DAY_MIN, end % _DAY_MIN)


def _pi(text: str) -> int | None:
    if not text:
        return None
    digits = text.lower().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]{4}", digits):
        raise ValueError(f"pi: {text[:40]!r} is not four hexadecimal digits")
    return int(digits, 16)


def _yes(name: str, text: str) -> bool:
    if text.lower() not in _YES_NO:
        raise ValueError(f"{name}: {text[:40]!r} is neither yes nor no")
    return _YES_NO[text.lower()]


def _date(name: str, text: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{name}: {text[:40]!r} is no date") from error
