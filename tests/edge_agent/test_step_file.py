"""A step is there as a whole or not at all, and one that failed keeps no other out."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from edge_agent.step_file import StepFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS one (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS two (one INTEGER REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED);
"""


@pytest.fixture
def file(tmp_path: Path) -> StepFile:
    return StepFile(tmp_path / "steps.sqlite3", _SCHEMA, ["foreign_keys = ON"])


def rows(file: StepFile) -> int:
    with file.transaction() as db:
        return int(db.execute("SELECT count(*) FROM two").fetchone()[0])


def test_a_step_that_raises_is_undone(file: StepFile) -> None:
    with contextlib.suppress(KeyError), file.transaction() as db:
        db.execute("INSERT INTO two VALUES (NULL)")
        raise KeyError
    assert rows(file) == 0


def test_a_commit_that_fails_is_undone_and_the_next_step_goes(file: StepFile) -> None:
    with pytest.raises(sqlite3.IntegrityError), file.transaction() as db:
        db.execute("INSERT INTO two VALUES (7)")  # looked at when it is committed
    with file.transaction() as db:
        db.execute("INSERT INTO two VALUES (NULL)")
    assert rows(file) == 1


def test_only_its_owner_reads_it(tmp_path: Path, file: StepFile) -> None:
    assert (tmp_path / "steps.sqlite3").stat().st_mode & 0o777 == 0o600
    file.close()
