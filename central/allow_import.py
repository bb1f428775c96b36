"""Allow-lists from a table: CSV with a header, every refused row with its line and reason.

Pure. A row that is not taken stops no other; the same file read again gives the same answer, so
that what was previewed is what is added.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass

from central.allow import NAMES, Allowance, AllowanceError, AllowanceKind, check_match
from contract.codec import Scalar

MAX_BYTES = 400_000
MAX_ROWS = 5_000
_DAY_US = 86_400_000_000
_OWN = ("kind", "area", "note", "valid_from", "valid_until")
_SUBJECT = frozenset().union(*NAMES.values())
_AREA_DIGITS = 6
_MAX_TEXT = 80
_MAX_NOTE = 400
CHINA = dt.timezone(dt.timedelta(hours=8))
"""A date in a list is a day in China Standard Time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not taken."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds."""

    rows: tuple[tuple[int, Allowance], ...]
    """With the line of each."""
    refused: tuple[Refused, ...]


def read_allowances(raw: bytes, *, kind: AllowanceKind, area: str, now: int) -> Read:
    """Read a file; raises AllowanceError where nothing of it can be read.

    ``kind`` and ``area`` hold for rows that do not name their own. Columns are the names of a
    subject (``plmn``, ``arfcn``, ``mhz``, ``number``...) beside ``kind``, ``area``, ``note``,
    ``valid_from`` and ``valid_until`` (days, the last one included); empty cells say nothing.
    """
    text = decoded(raw)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise AllowanceError(f"line 1: {error}") from None
    _check_header(header)
    rows: list[tuple[int, Allowance]] = []
    refused: list[Refused] = []
    known: dict[tuple[object, ...], int] = {}
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            refused.append(Refused(line, f"is no row of CSV: {error}; nothing after it was read"))
            break
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) + len(refused) >= MAX_ROWS:
            refused.append(Refused(line, f"more than {MAX_ROWS} rows: nothing after it was read"))
            break
        try:
            row = _row(header, cells, kind, area, now)
            _check_new(row, line, known)
        except AllowanceError as error:
            refused.append(Refused(line, str(error)))
        else:
            rows.append((line, row))
    return Read(tuple(rows), tuple(refused))


def decoded(raw: bytes) -> str:
    """Decode what a spreadsheet saves: UTF-8 with or without a mark, or GB 18030."""
    if len(raw) > MAX_BYTES:
        raise AllowanceError(f"the file has more than {MAX_BYTES} bytes")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise AllowanceError("the file is neither UTF-8 nor GB 18030 text")


def _check_header(header: list[str]) -> None:
    if not any(header):
        raise AllowanceError("line 1: a header is expected, e.g. plmn,arfcn,note")
    strange = [name for name in header if name not in _SUBJECT and name not in _OWN]
    if strange:
        known = ", ".join([*_OWN, *sorted(_SUBJECT)])
        raise AllowanceError(f"line 1: unknown column {strange[0][:40]!r}; known are {known}")
    doubled = next((name for name in header if header.count(name) > 1), None)
    if doubled is not None:
        raise AllowanceError(f"line 1: column {doubled!r} stands twice")


def _row(
    header: list[str], cells: list[str], kind: AllowanceKind, area: str, now: int
) -> Allowance:
    if len(cells) > len(header):
        raise AllowanceError(f"has {len(cells)} cells, the header {len(header)}")
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    own = _kind(values.pop("kind", ""), kind)
    here = values.pop("area", "") or area
    if len(here) != _AREA_DIGITS or not (here.isascii() and here.isdigit()):
        raise AllowanceError(f"area: {here[:20]!r} is no six-digit division code")
    note = values.pop("note", "")
    if len(note) > _MAX_NOTE:
        raise AllowanceError(f"note: longer than {_MAX_NOTE} characters")
    begins = _day(values.pop("valid_from", ""), "valid_from")
    last = _day(values.pop("valid_until", ""), "valid_until")
    ends = None if last is None else last + _DAY_US
    if begins is not None and ends is not None and ends <= begins:
        raise AllowanceError("valid_until lies before valid_from")
    if ends is not None and ends <= now:
        raise AllowanceError("valid_until is over already")
    return Allowance(
        kind=own, match=check_match(own, _match(values)), area=here,
        valid_from=now if begins is None else begins, valid_until=ends, note=note,
        added_by="", added_at=now,
    )  # fmt: skip


def _match(values: Mapping[str, str]) -> dict[str, Scalar]:
    for name, value in values.items():
        if len(value) > _MAX_TEXT:
            raise AllowanceError(f"{name}: longer than {_MAX_TEXT} characters")
    return dict(values)


def _kind(text: str, otherwise: AllowanceKind) -> AllowanceKind:
    if not text:
        return otherwise
    try:
        return AllowanceKind(text.upper())
    except ValueError:
        known = ", ".join(kind.value for kind in AllowanceKind)
        raise AllowanceError(f"kind: {text[:40]!r} is none of {known}") from None


def _day(text: str, name: str) -> int | None:
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise AllowanceError(f"{name}: {text[:40]!r} is no day, 2026-11-25 is expected") from None
    if not 2000 <= day.year <= 2200:
        raise AllowanceError(f"{name}: {text[:40]!r} is out of reach")
    return round(dt.datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp()) * 1_000_000


def _check_new(row: Allowance, line: int, known: dict[tuple[object, ...], int]) -> None:
    name = (row.kind, row.area, tuple(sorted(row.match.items())), row.valid_from, row.valid_until)
    if name in known:
        raise AllowanceError(f"says the same as line {known[name]}")
    known[name] = line
