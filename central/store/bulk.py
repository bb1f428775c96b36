"""Rows of a batch in one statement. SQLAlchemy's way with each value costs more than SQLite's work.

On SQLite the rows go straight to the driver, in the form that SQLAlchemy's types would give them;
elsewhere SQLAlchemy does it. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from central.store.tables import Json, Word, to_text


def _number_of(value: Any) -> int:
    return int(value)


def _text_of(word: Any) -> str:
    return str(word.value)


class Bulk:
    """The insert of one table for rows that have an attribute for each column."""

    def __init__(self, table: sa.Table) -> None:
        self._insert = table.insert()
        self._names = tuple(column.name for column in table.columns)
        marks = ", ".join("?" * len(self._names))
        self._sql = f"INSERT INTO {table.name} ({', '.join(self._names)}) VALUES ({marks})"  # noqa: S608 - our own table
        self._values: Callable[[Any], tuple[Any, ...]] = attrgetter(*self._names)
        self._forms = [
            (index, form)
            for index, column in enumerate(table.columns)
            if (form := _form_of(column.type)) is not None
        ]

    def run(self, connection: sa.Connection, rows: Sequence[Any]) -> None:
        """Insert rows."""
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._sql, [self._formed(row) for row in rows])
        else:
            names, values = self._names, self._values
            dicts = [dict(zip(names, values(row), strict=True)) for row in rows]
            connection.execute(self._insert, dicts)

    def _formed(self, row: Any) -> tuple[Any, ...]:
        if not self._forms:
            return self._values(row)
        values = list(self._values(row))
        for index, form in self._forms:
            if values[index] is not None:
                values[index] = form(values[index])
        return tuple(values)


def _form_of(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """What a value of a type is for the driver; None: as it is."""
    if isinstance(kind, Json):
        return to_text
    if isinstance(kind, Word):
        return _text_of
    return _number_of if isinstance(kind, sa.Boolean) else None
