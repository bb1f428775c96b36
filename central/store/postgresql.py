"""The store in PostgreSQL: one writer at a time and snapshots for readers, as in SQLite.

A write transaction takes one advisory lock before its first look. That is what makes the rest of
the store true here too: nobody sees event 8 before event 7, and what a rule read is still so when
it writes. Readers are never held up.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.types.string import StrDumper
from sqlalchemy.engine import make_url

from central.store.dialect import FIRST_STEP, to_postgresql
from central.store.interface import StoreUnavailableError
from central.store.migrations import Migration, MigrationError, migrations
from central.store.sql import SqlStore

_WRITERS = 0x71_69_61_6E_73_68_61_6F
"""Key of the advisory lock of writers, "qianshao": other programs' locks have other keys."""
_CONNECT_S = 5
_STATEMENT_MS = 120_000


class _TextDumper(StrDumper):
    """PostgreSQL stores no NUL in a text, and what comes from outside may hold one."""

    def dump(self, obj: str) -> Any:
        """Text to bytes."""
        return super().dump(obj.replace("\x00", "\N{REPLACEMENT CHARACTER}"))


def _set_up(connection: Any, _record: object) -> None:
    connection.adapters.register_dumper(str, _TextDumper)


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("qianshao_writes", False):
        # The look that waits for the lock must not be the one that the transaction keeps.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_WRITERS,))


def version_of(connection: sa.Connection) -> int:
    """Number of the last migration applied; 0 for an empty database."""
    # Asked of the catalogue's rows: a look by name may answer from before the wait for the lock.
    known = connection.exec_driver_sql(
        "SELECT oid FROM pg_class WHERE relname = 'schema_version' AND pg_table_is_visible(oid)"
    ).scalar()
    if known is None:
        return 0
    return int(connection.exec_driver_sql("SELECT version FROM schema_version").scalar() or 0)


def migrate_postgresql(engine: sa.Engine, steps: tuple[Migration, ...] | None = None) -> int:
    """Apply what is missing, each step whole or not at all, and return the version reached.

    A store written by a newer program is refused. Of two programs that start together one waits.
    """
    steps = migrations() if steps is None else steps
    with engine.connect() as connection:
        writing = connection.execution_options(qianshao_writes=True)
        with writing.begin():
            found = version_of(writing)
            if found > len(steps):
                raise MigrationError(
                    f"the store has schema {found}, this program knows {len(steps)}: "
                    "run a newer one"
                )
    for step in steps[found:]:
        _apply(engine, step)
    return len(steps)


def _apply(engine: sa.Engine, step: Migration) -> None:
    with engine.connect() as connection:
        writing = connection.execution_options(qianshao_writes=True)
        with writing.begin():
            if version_of(writing) >= step.number:
                return  # another program was faster
            driver: Any = writing.connection.driver_connection
            try:
                if step.number == 1:
                    driver.execute(FIRST_STEP)
                driver.execute(to_postgresql(step.sql).encode())
                driver.execute("UPDATE schema_version SET version = %s", (step.number,))
            except psycopg.Error as error:
                raise MigrationError(f"schema/{step.number:04}.sql: {error}") from error


def open_postgresql(url: str) -> SqlStore:
    """Open the store; raises StoreUnavailableError or MigrationError.

    ``url``: ``postgresql://user@host/database``; what it does not name (password, certificates)
    is libpq's own: its password file, its environment.
    """
    engine = sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        isolation_level="REPEATABLE READ",
        connect_args={
            "connect_timeout": _CONNECT_S,
            # Compiling a query takes longer than any of these queries runs.
            "options": f"-c timezone=UTC -c jit=off -c statement_timeout={_STATEMENT_MS}",
        },
        pool_size=8,
        max_overflow=32,
        pool_timeout=2.0,
        pool_pre_ping=True,
    )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    try:
        migrate_postgresql(engine)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise StoreUnavailableError(f"PostgreSQL: {error.orig}") from error
    except MigrationError:
        engine.dispose()
        raise
    return SqlStore(engine)
