"""The dated law table: rows with the days on which they are in force, never constants."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

LAW_FILE = Path(__file__).with_name("law.json")
SCHEMA = "qianshao-law/1"


class Subject(StrEnum):
    """What a row rules."""

    ENTRY = "entry"
    ENTRY_TO_STOP = "entry_to_stop"
    STOP_PAYMENT = "stop_payment"
    FREEZE = "freeze"
    ATM_TRANSFER = "atm_transfer"
    REFUND_NOTICE = "refund_notice"
    BANK_REFUND = "bank_refund"
    FACE_FILING = "face_filing"
    SANCTION = "sanction"


class LawError(ValueError):
    """A table that cannot be used, or a day on which no row is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One rule with its first and last day (None: still in force)."""

    id: str
    subject: Subject
    first: dt.date
    last: dt.date | None
    values: Mapping[str, Any]
    source: str
    status: str

    def is_in_force(self, day: dt.date) -> bool:
        """Whether it rules what happens on ``day``, both ends included."""
        return self.first <= day and (self.last is None or day <= self.last)


class Law:
    """All rows; two of one subject never rule the same day."""

    def __init__(self, rows: Sequence[LawRow]) -> None:
        self.rows = tuple(sorted(rows, key=lambda row: (row.subject, row.first)))
        for one, two in zip(self.rows, self.rows[1:], strict=False):
            if one.subject is two.subject and (one.last is None or one.last >= two.first):
                raise LawError(f"{one.id} and {two.id} are in force on the same day")

    def row(self, subject: Subject, day: dt.date) -> LawRow:
        """Return the row in force; raises LawError where there is none: nothing is guessed."""
        for row in self.rows:
            if row.subject is subject and row.is_in_force(day):
                return row
        raise LawError(f"no rule on {subject.value} is in force on {day}")

    def by_id(self, name: str) -> LawRow:
        """Return a row by its name; raises LawError."""
        for row in self.rows:
            if row.id == name:
                return row
        raise LawError(f"no rule is called {name[:60]!r}")


def load_law(path: Path = LAW_FILE) -> Law:
    """Read a table; raises LawError that names the row which is wrong."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            raise LawError(f"{path.name}: schema is not {SCHEMA}")
        rows = table["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LawError(f"{path.name}: {error}") from None
    return Law([_row(path.name, number, row) for number, row in enumerate(rows, start=1)])


def _row(file: str, number: int, row: Any) -> LawRow:
    try:
        return LawRow(
            id=row["id"],
            subject=Subject(row["subject"]),
            first=dt.date.fromisoformat(row["from"]),
            last=None if row["to"] is None else dt.date.fromisoformat(row["to"]),
            values=dict(row["values"]),
            source=row["source"],
            status=row["status"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LawError(f"{file}: row {number}: {error}") from None
