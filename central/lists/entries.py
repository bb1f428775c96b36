"""What may be listed, and rows of a file on their way into the list: taken, or refused by line.

Pure. A full number lives here as long as its row is read: its HMAC and last four digits go on, and
no refusal quotes it.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from central.clocks import Law, LawError, Subject, day_of, midnight, sanction_until
from contract.account_list import ListedFor, Regime
from contract.clock import UnixMicros

COLUMNS = ("account", "listed_for", "from", "ground", "until", "note")
MAX_NOTE = 200


class ListWord(StrEnum):
    """Why a file may list an account. Stops and freezes come by orders, which two officers sign."""

    SANCTION = "sanction"
    WATCH = "watch"
    LISTED_PAYEE = "listed_payee"
    DORMANT = "dormant"
    STEP_UP = "step_up"
    WARNED = "warned"

    @property
    def flag(self) -> ListedFor:
        """Its bit in the list."""
        return ListedFor[self.name]


_WORDS = frozenset(word.value for word in ListWord)
BY_ORDER = frozenset({"stop", "freeze"})
REGIMES: Mapping[str, Regime] = {
    "PBOC-2016-261": Regime.PBOC_2016_261,
    "PBOC-2019-85": Regime.PBOC_2019_85,
    "JOINT-2024": Regime.JOINT_2024,
}
"""Row of the law to what the machines call it."""


class RowError(ValueError):
    """A row that is not taken; the text holds no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One reason to list one account."""

    line: int
    number: str
    word: ListWord
    regime: Regime = Regime.NONE
    from_at: UnixMicros | None = None
    until_at: UnixMicros | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"Entry(line={self.line}, {self.word})"  # a number has no place in a log


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken, with its line in the file."""

    line: int
    reason: str


def read_entries(
    lines: Iterable[str], law: Law, now: UnixMicros | int
) -> Iterator[Entry | RefusedRow]:
    """Read a CSV with a header; each row is taken or refused by itself, nothing stops the rest.

    Columns: ``account,listed_for`` and optional ``from,ground,until,note``; days are YYYY-MM-DD.
    """
    rows = csv.reader(lines)
    header: list[str] | None = None
    seen: set[tuple[str, ListWord]] = set()
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield RefusedRow(rows.line_num, f"no CSV: {error}")
            continue
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = [cell.strip().lower().lstrip("\ufeff") for cell in row]
            strange = sorted(set(header) - set(COLUMNS))
            if strange or "account" not in header or "listed_for" not in header:
                words = (
                    f"the header is {','.join(COLUMNS)}, of which account and listed_for must be"
                )
                yield RefusedRow(rows.line_num, words)
                return
            continue
        try:
            entry = _entry(rows.line_num, dict(zip(header, row, strict=False)), law, now)
            if len(row) > len(header):
                raise RowError(f"{len(row)} cells under {len(header)} columns")
            if (entry.number, entry.word) in seen:
                raise RowError("the same account and reason as in a row before")
        except RowError as error:
            yield RefusedRow(rows.line_num, str(error))
            continue
        seen.add((entry.number, entry.word))
        yield entry


def _entry(line: int, row: Mapping[str, str], law: Law, now: UnixMicros | int) -> Entry:
    cell = {name: value.strip() for name, value in row.items()}
    number = cell.get("account", "").replace(" ", "").replace("-", "")
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19):
        raise RowError("an account has 12 to 19 digits")
    word = cell.get("listed_for", "").lower()
    if word in BY_ORDER:
        raise RowError(f"a {word} comes by an order that two officers sign, never by a file")
    if word not in _WORDS:
        raise RowError(f"listed_for is one of {', '.join(ListWord)}")
    note = cell.get("note", "")
    if len(note) > MAX_NOTE:
        raise RowError(f"a note has at most {MAX_NOTE} characters")
    begins, until = _day(cell, "from"), _day(cell, "until")
    if begins is not None and midnight(begins) > now:
        raise RowError(f"it begins on {begins}, which is still to come")
    regime, ground = Regime.NONE, cell.get("ground", "")
    if word == ListWord.SANCTION:
        if begins is None or not ground:
            raise RowError("a sanction needs its first day and its ground")
        regime, until = _term(law, begins, ground, until)
    elif ground:
        raise RowError("only a sanction has a ground")
    ends = None if until is None else midnight(until)
    if ends is not None and ends <= now:
        raise RowError(f"it was over on {until}")
    return Entry(
        line=line,
        number=number,
        word=ListWord(word),
        regime=regime,
        from_at=None if begins is None else midnight(begins),
        until_at=ends,
        note=note,
    )


def _term(law: Law, begins: dt.date, ground: str, until: dt.date | None) -> tuple[Regime, dt.date]:
    """Regime and end of a sanction by the row of the law in force on its first day."""
    try:
        row = law.row(Subject.SANCTION, begins)
        longest = sanction_until(row, ground, begins)
    except (LawError, ValueError) as error:
        raise RowError(str(error)) from None
    if row.id not in REGIMES:
        raise RowError(f"machines do not know the regime {row.id}")
    if until is not None and not begins < until <= longest:
        raise RowError(f"a sanction from {begins} ends on {longest} at the latest ({row.id})")
    return REGIMES[row.id], until or longest


def _day(cell: Mapping[str, str], name: str) -> dt.date | None:
    text = cell.get(name, "")
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise RowError(f"{name} is a day, YYYY-MM-DD") from None
    if not 2000 <= day.year < 2100:
        raise RowError(f"{name} is not within 2000 and 2099")
    return day


def over_on(until_at: int | None) -> dt.date | None:
    """Day on which an entry is over for a machine, which counts in days: never too early."""
    if until_at is None:
        return None
    return day_of(until_at - 1) + dt.timedelta(days=1)
