"""The lists in the store: proposals, entries with their history, versions.

An entry is never changed but for the versions in which it came and went, so that the list of any
version, and the way from any version to the newest, can be read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import list_tables as t
from contract.account_list import ListedFor

_AT_ONCE = 10_000
"""Rows in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """A proposal, and what became of it."""

    id: int = 0
    kind: str
    state: str
    name: str
    note: str
    taken: int = 0
    refused: int = 0
    refusals: Sequence[Sequence[Any]] = ()
    back_to: int | None = None
    proposed_by: str
    proposed_at: int
    decided_by: str | None = None
    decided_at: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One reason to list one account."""

    id: int = 0
    account: bytes
    last4: str
    listed_for: int
    regime: int = 0
    from_at: int | None = None
    until_at: int | None = None
    source: str
    source_ref: str
    note: str = ""
    change_id: int | None = None
    added_version: int | None = None
    removed_version: int | None = None
    seal_id: bytes | None = None
    sealed: bytes | None = None
    key_number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVersion:
    """One list that was drawn up; ``sha256`` None: it is being made."""

    version: int
    why: str
    count: int
    added: int
    removed: int
    sha256: bytes | None
    made_at: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What a list says of one account; ``listed_for`` 0: it is off the list."""

    account: bytes
    listed_for: int
    regime: int
    until_at: int | None


# -- proposals -------------------------------------------------------------------------------------


def add_change(connection: sa.Connection, change: ListChange) -> int:
    """Store a proposal and return its number."""
    values = {name: getattr(change, name) for name in ListChange.__dataclass_fields__}
    values.pop("id")
    values["refusals"] = [list(row) for row in change.refusals]
    made = connection.execute(t.list_changes.insert().values(**values))
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def add_entries(connection: sa.Connection, entries: Iterable[ListEntry]) -> int:
    """Store entries, in pieces; returns how many."""
    names = [name for name in ListEntry.__dataclass_fields__ if name != "id"]
    rows: list[dict[str, Any]] = []
    stored = 0
    for entry in entries:
        rows.append({name: getattr(entry, name) for name in names})
        if len(rows) == _AT_ONCE:
            connection.execute(t.list_entries.insert(), rows)
            stored += len(rows)
            rows = []
    if rows:
        connection.execute(t.list_entries.insert(), rows)
    return stored + len(rows)


def add_targets(connection: sa.Connection, change_id: int, entries: Iterable[int]) -> None:
    """Name the entries that a proposal takes off."""
    rows = [{"change_id": change_id, "entry_id": entry} for entry in entries]
    if rows:
        connection.execute(t.list_change_targets.insert(), rows)


def set_counts(connection: sa.Connection, change_id: int, **values: Any) -> None:
    """Write down how a proposal's rows were taken, or how it was decided."""
    connection.execute(
        t.list_changes.update().where(t.list_changes.c.id == change_id).values(**values)
    )


def change(connection: sa.Connection, change_id: int) -> ListChange | None:
    """Return one proposal."""
    row = connection.execute(
        sa.select(t.list_changes).where(t.list_changes.c.id == change_id)
    ).one_or_none()
    return None if row is None else ListChange(**row._mapping)


def changes(connection: sa.Connection, limit: int) -> Sequence[ListChange]:
    """Newest proposals."""
    rows = connection.execute(
        sa.select(t.list_changes).order_by(t.list_changes.c.id.desc()).limit(limit)
    )
    return [ListChange(**row._mapping) for row in rows]


def waiting_changes(connection: sa.Connection) -> Sequence[ListChange]:
    """Approved proposals that are in no list yet, oldest first."""
    c = t.list_changes.c
    rows = connection.execute(
        sa.select(t.list_changes)
        .where(c.state == "approved", c.version.is_(None))
        .order_by(c.decided_at, c.id)
    )
    return [ListChange(**row._mapping) for row in rows]


# -- entries ---------------------------------------------------------------------------------------


def entries_of_change(connection: sa.Connection, change_id: int, limit: int) -> Sequence[ListEntry]:
    """Rows of a proposal, and those that it takes off."""
    e, named = t.list_entries.c, t.list_change_targets.c
    takes_off = sa.select(named.entry_id).where(named.change_id == change_id)
    rows = connection.execute(
        sa.select(t.list_entries)
        .where(sa.or_(e.change_id == change_id, e.id.in_(takes_off)))
        .order_by(e.id)
        .limit(limit)
    )
    return [ListEntry(**row._mapping) for row in rows]


def entries_of(
    connection: sa.Connection, accounts: Sequence[bytes], *, is_live: bool = True
) -> Sequence[ListEntry]:
    """Entries of accounts: those in the newest list, or all that ever were."""
    query = sa.select(t.list_entries).where(t.list_entries.c.account.in_(accounts))
    if is_live:
        query = query.where(t.IS_LIVE)
    rows = connection.execute(query.order_by(t.list_entries.c.id))
    return [ListEntry(**row._mapping) for row in rows]


_ACCOUNT: sa.BindParameter[bytes] = sa.bindparam("at_account", type_=sa.LargeBinary)
_WHEN: sa.BindParameter[int] = sa.bindparam("at_time", type_=sa.BigInteger)
_THEN: sa.BindParameter[int] = sa.bindparam("at_version", type_=sa.BigInteger)
_IN_FORCE = (
    sa.select(t.list_versions.c.version)
    .where(t.list_versions.c.made_at <= _WHEN)
    .order_by(t.list_versions.c.version.desc())
    .limit(1)
)
_WATCHED = (
    sa.select(t.list_entries.c.id)
    .where(
        t.list_entries.c.account == _ACCOUNT,
        t.list_entries.c.listed_for.op("&")(int(ListedFor.WATCH)) != 0,
        sa.or_(t.list_entries.c.until_at.is_(None), t.list_entries.c.until_at > _WHEN),
        t.list_entries.c.added_version <= _THEN,
    )
    .limit(1)
)
# Two statements, so that each has its own index: few entries went since a visit was decided.
_WATCHES = _WATCHED.where(t.IS_LIVE)
_WATCHED_THEN = _WATCHED.where(t.list_entries.c.removed_version > _THEN)


def was_watched(connection: sa.Connection, account: bytes, at: int) -> bool:
    """Return whether the list in force at a time watched an account; a report may come late."""
    version = connection.execute(_IN_FORCE, {"at_time": at}).scalar()
    if version is None:
        return False
    asked = {"at_account": account, "at_time": at, "at_version": version}
    return any(
        connection.execute(query, asked).first() is not None for query in (_WATCHES, _WATCHED_THEN)
    )


def first_sanction(connection: sa.Connection, account: bytes, regime: int) -> int | None:
    """First day of the sanctions of one regime that an account is under; None: of none."""
    e = t.list_entries.c
    query = sa.select(sa.func.min(e.from_at)).where(
        t.IS_LIVE, e.account == account, e.regime == regime
    )
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def has_key_change(connection: sa.Connection, since: int) -> bool:
    """Whether the tenant's key was changed after a version."""
    c = t.list_changes.c
    query = sa.select(c.id).where(c.kind.in_(("key", "key_off")), c.version > since).limit(1)
    return connection.execute(query).one_or_none() is not None


def live_sealed(connection: sa.Connection, key_number: int) -> Iterator[ListEntry]:
    """Rows in the newest list under one key whose number is sealed here, in pieces."""
    e, last = t.list_entries.c, 0
    while True:
        rows = connection.execute(
            sa.select(t.list_entries)
            .where(t.IS_LIVE, e.id > last, e.key_number == key_number, e.sealed.is_not(None))
            .order_by(e.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        yield from (ListEntry(**row._mapping) for row in rows)
        last = rows[-1].id


def live_orders(connection: sa.Connection) -> dict[str, int]:
    """Entries of orders in the newest list: the order's id to the entry's number."""
    e = t.list_entries.c
    rows = connection.execute(sa.select(e.source_ref, e.id).where(t.IS_LIVE, e.source == "order"))
    return {row.source_ref: row.id for row in rows}


def has_over(connection: sa.Connection, now: int) -> bool:
    """Whether the term of something in the list is over."""
    query = sa.select(t.list_entries.c.id).where(t.IS_LIVE, t.list_entries.c.until_at <= now)
    return connection.execute(query.limit(1)).one_or_none() is not None


def bring_in(connection: sa.Connection, change_id: int, version: int) -> None:
    """Let the rows of an approved proposal come with a version."""
    e = t.list_entries
    connection.execute(
        e.update()
        .where(e.c.change_id == change_id, e.c.added_version.is_(None))
        .values(added_version=version)
    )


def take_off(connection: sa.Connection, version: int, which: sa.ColumnElement[bool]) -> None:
    """Let entries go with a version."""
    e = t.list_entries
    connection.execute(e.update().where(t.IS_LIVE, which).values(removed_version=version))


def targets_of(change_id: int) -> sa.ColumnElement[bool]:
    """Entries that a proposal takes off."""
    named = t.list_change_targets.c
    return t.list_entries.c.id.in_(sa.select(named.entry_id).where(named.change_id == change_id))


def go_back(connection: sa.Connection, to: int, version: int, now: int) -> None:
    """Let a version say again what an earlier one said, but for what orders hold.

    What came since goes, and what went since comes again as an entry of its own. Orders are not
    touched: a stop lives and ends by its officers' signatures alone.
    """
    e = t.list_entries
    no_order = e.c.source != "order"
    again = sa.select(
        *(
            sa.literal(version) if c.name == "added_version" else c
            for c in e.columns
            if c.name not in {"id", "removed_version"}
        )
    ).where(
        no_order,
        e.c.added_version <= to,
        e.c.removed_version > to,
        sa.or_(e.c.until_at.is_(None), e.c.until_at > now),
    )
    names = [c.name for c in e.columns if c.name not in {"id", "removed_version"}]
    take_off(connection, version, sa.and_(no_order, e.c.added_version.between(to + 1, version - 1)))
    connection.execute(e.insert().from_select(names, again))


# -- versions --------------------------------------------------------------------------------------


def begin_version(connection: sa.Connection, why: str, now: int, beyond: int = 0) -> int:
    """Draw up the next version, without a hash yet, and return its number, above ``beyond``."""
    last = connection.execute(sa.select(sa.func.max(t.list_versions.c.version))).scalar() or 0
    last = max(int(last), beyond)
    connection.execute(
        t.list_versions.insert().values(
            version=last + 1, why=why, count=0, added=0, removed=0, made_at=now
        )
    )
    return last + 1


def close_version(connection: sa.Connection, version: int, count: int, sha256: bytes) -> None:
    """Write down what a version's file is, and how many entries came and went."""
    e = t.list_entries.c

    def number(column: sa.ColumnElement[Any]) -> int:
        query = sa.select(sa.func.count()).select_from(t.list_entries).where(column == version)
        return int(connection.execute(query).scalar() or 0)

    connection.execute(
        t.list_versions.update()
        .where(t.list_versions.c.version == version)
        .values(
            count=count,
            sha256=sha256,
            added=number(e.added_version),
            removed=number(e.removed_version),
        )
    )


def newest_version(connection: sa.Connection) -> ListVersion | None:
    """Return the newest list, made or being made."""
    row = connection.execute(
        sa.select(t.list_versions).order_by(t.list_versions.c.version.desc()).limit(1)
    ).one_or_none()
    return None if row is None else ListVersion(**row._mapping)


def versions(connection: sa.Connection, limit: int) -> Sequence[ListVersion]:
    """Newest lists."""
    rows = connection.execute(
        sa.select(t.list_versions).order_by(t.list_versions.c.version.desc()).limit(limit)
    )
    return [ListVersion(**row._mapping) for row in rows]


# Bits of single reasons add up to what the account is listed for. The strictest regime has the
# smallest number, and an entry without an end has no end.
_MERGED = """
SELECT account, SUM(DISTINCT listed_for) AS listed_for, MIN(NULLIF(regime, 0)) AS regime,
  CASE WHEN COUNT(until_at) = COUNT(*) THEN MAX(until_at) END AS until_at
FROM list_entries
WHERE added_version IS NOT NULL AND removed_version IS NULL
"""
_WHOLE = sa.text(
    "SELECT account, listed_for, regime, until_at FROM list_entries"
    " WHERE added_version IS NOT NULL AND removed_version IS NULL ORDER BY account"
)
_TOUCHED = """
SELECT account FROM list_entries WHERE added_version > :older
UNION SELECT account FROM list_entries WHERE removed_version > :older
"""
_STILL = sa.text(_MERGED + f"AND account IN ({_TOUCHED}) GROUP BY account ORDER BY account")
_COUNT = sa.text(
    "SELECT COUNT(*) FROM (SELECT DISTINCT account FROM list_entries"
    " WHERE added_version IS NOT NULL AND removed_version IS NULL) AS listed"
)


def count_accounts(connection: sa.Connection) -> int:
    """Accounts in the newest list."""
    return int(connection.execute(_COUNT).scalar() or 0)


Reason = tuple[bytes, int, int, int | None]
"""Account, one bit of what it is listed for, regime, end."""


def whole_list(connection: sa.Connection) -> Iterator[Sequence[Reason]]:
    """Single reasons of the newest list by account, in pieces: any length costs no memory."""
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(_WHOLE)
    yield from rows.partitions()


def changed_since(connection: sa.Connection, older: int) -> list[Merged]:
    """What the newest list says of every account that was touched after a version, in order."""
    touched = connection.execute(sa.text(_TOUCHED), {"older": older}).scalars()
    off = {bytes(account): Merged(bytes(account), 0, 0, None) for account in touched}
    still = connection.execute(_STILL, {"older": older})
    found = off | {bytes(row.account): _merged(row) for row in still}
    return [found[account] for account in sorted(found)]


def count_changed(connection: sa.Connection, older: int) -> int:
    """How many accounts were touched after a version."""
    query = sa.text(f"SELECT COUNT(*) FROM ({_TOUCHED}) AS touched")  # noqa: S608 - our own words
    return int(connection.execute(query, {"older": older}).scalar() or 0)


def _merged(row: Any) -> Merged:
    account, listed_for, regime, until_at = row
    return Merged(bytes(account), int(listed_for), regime or 0, until_at)
