"""Numbered plain-SQL schema history, applied in order, each step whole or not at all."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

SCHEMA = Path(__file__).with_name("schema")


class MigrationError(Exception):
    """A store that cannot be brought to the schema this program knows."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    sql: str


def migrations(folder: Path = SCHEMA) -> tuple[Migration, ...]:
    """Return the history in order; a hole in the numbers is a MigrationError."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9].sql"))
    steps = tuple(Migration(int(f.stem), f.read_text(encoding="utf-8")) for f in files)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise MigrationError(f"the numbers in {folder.name}/ do not run from 1 without a hole")
    return steps


def version_of(connection: sqlite3.Connection) -> int:
    """Number of the last migration applied; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, steps: tuple[Migration, ...] | None = None) -> int:
    """Apply what is missing and return the version reached.

    A store written by a newer program is refused: its rows may mean what this one does not know.
    """
    steps = migrations() if steps is None else steps
    found = version_of(connection)
    if found > len(steps):
        raise MigrationError(
            f"the store has schema {found}, this program knows {len(steps)}: run a newer one"
        )
    for step in steps[found:]:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{step.sql}\nPRAGMA user_version = {step.number};\nCOMMIT;"
            )
        except sqlite3.DatabaseError as error:
            if connection.in_transaction:
                connection.rollback()
            raise MigrationError(f"schema/{step.number:04}.sql: {error}") from error
    return len(steps)
