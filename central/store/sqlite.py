"""The store in one SQLite file: WAL, and a commit that survives a power cut."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from central.store.interface import StoreUnavailableError
from central.store.migrations import migrate
from central.store.sql import SqlStore

BUSY_TIMEOUT_S = 2.0
"""How long a writer waits for another's lock before it says that the store is unavailable."""

_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024


def _set_up(connection: Any, _record: object) -> None:
    # SQLAlchemy's "begin" event below opens transactions; the driver must not open its own.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # law 1: a receipt follows only what a power cut cannot take
        "foreign_keys = ON",
        f"journal_size_limit = {_JOURNAL_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A deferred transaction that turns writer half-way can fail with SQLITE_BUSY at once.
    is_writer = connection.get_execution_options().get("qianshao_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def open_sqlite(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqlStore:
    """Open or create the store; raises StoreUnavailableError or MigrationError.

    The file is made readable by its owner only, and so are SQLite's companions of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=busy_timeout_s)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailableError(f"{path.name}: {error}") from error
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=8,
        max_overflow=32,
        pool_timeout=BUSY_TIMEOUT_S,
    )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return SqlStore(engine)
