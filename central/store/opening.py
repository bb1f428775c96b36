"""Which database a central's settings name."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from central.store.sql import SqlStore
from central.store.sqlite import open_sqlite


def open_store(path: Path, url: str | None = None) -> SqlStore:
    """Open the store: PostgreSQL where ``url`` names it, else the SQLite file at ``path``."""
    if url is None:
        return open_sqlite(path)
    from central.store.postgresql import open_postgresql

    return open_postgresql(url)


def check_store_url(text: str) -> str:
    """Return the URL of a PostgreSQL store; raises ValueError if it is none or holds a password."""
    try:
        url = make_url(text)
    except sa.exc.ArgumentError as error:
        raise ValueError("it is no URL: postgresql://user@host/database") from error
    if url.drivername != "postgresql":
        raise ValueError("only postgresql://user@host/database is known")
    if url.password is not None:
        raise ValueError("it holds a password: that belongs into the password file (PGPASSFILE)")
    return text
