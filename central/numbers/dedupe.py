"""Dedupe: rows of many feeds become distinct numbers, each with every source that named it.

The rows lie in a temporary SQLite file, so that a million of them cost disk and no memory.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MIN_DIGITS, MAX_DIGITS = 3, 20
_CACHE_KIB = 16 * 1024
_COUNTRY = ("+86", "0086")
_NOISE = str.maketrans("", "", " -‐‑‒–—−()\t\u00a0\u2009\u200b\ufeff")


class NumberError(ValueError):
    """A text that is no telephone number."""


def normalise(text: str) -> str:
    """Return the digits of a number: NFKC, no spaces, hyphens or country code of China.

    A foreign number keeps its "+". Raises NumberError.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_NOISE)
    for prefix in _COUNTRY:
        if plain.startswith(prefix):
            plain = plain[len(prefix) :]
            break
    digits = plain.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and MIN_DIGITS <= len(digits) <= MAX_DIGITS):
        raise NumberError(f"{text[:30]!r} is no number")
    return plain


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a feed, with the line on which it stands."""

    number: str
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Merged:
    """One distinct number and where it came from."""

    number: str
    sources: tuple[tuple[str, int], ...]


class NumberStore:
    """Distinct numbers on disk; one writer."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")  # it can be made again from the feeds
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS rows (number TEXT, source TEXT, line INTEGER,"
            " PRIMARY KEY (number, source, line)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, rows: Iterable[Row]) -> list[tuple[Row, str]]:
        """Take rows; returns those that are refused, with the reason. The rest is taken."""
        refused: list[tuple[Row, str]] = []

        def good() -> Iterator[tuple[str, str, int]]:
            for row in rows:
                try:
                    yield normalise(row.number), row.source, row.line
                except NumberError as error:
                    refused.append((row, str(error)))

        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", good())
        self._db.execute("COMMIT")
        return refused

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(DISTINCT number) FROM rows").fetchone()[0])

    def __iter__(self) -> Iterator[Merged]:
        """Numbers in order, one at a time, each with its provenance."""
        number, sources = "", list[tuple[str, int]]()
        for found, source, line in self._db.execute("SELECT * FROM rows ORDER BY number"):
            if found != number:
                if sources:
                    yield Merged(number, tuple(sources))
                number, sources = found, []
            sources.append((source, line))
        if sources:
            yield Merged(number, tuple(sources))
