"""People, their sessions, sign-in links and the keys of programs, in the store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.actor import Actor, Role
from central.store import unit_tables
from central.store.tables import Json, _may, _need, _table

people = _table(
    "people",
    _need("name", sa.Text, primary_key=True),
    _need("shown", sa.Text),
    _need("roles", Json),
    _need("areas", Json),
    _may("password", sa.Text),
    _may("second_factor", sa.Text),
    _need("second_factor_step", sa.BigInteger),
    _need("created_at", sa.BigInteger),
    _need("created_by", sa.Text),
    _may("disabled_at", sa.BigInteger),
    _need("failures", sa.BigInteger),
    _need("locked_until", sa.BigInteger),
    _need("version", sa.BigInteger),
    _may("unit", sa.Text, sa.ForeignKey(unit_tables.member_units.c.unit)),
)


def _person() -> sa.Column[Any]:
    return _need("person", sa.Text, sa.ForeignKey("people.name"))


sessions = _table(
    "sessions",
    _need("hashed", sa.Text, primary_key=True),
    _person(),
    _need("csrf", sa.Text),
    _need("created_at", sa.BigInteger),
    _need("seen_at", sa.BigInteger),
    _need("expires_at", sa.BigInteger),
    _may("ended_at", sa.BigInteger),
    _need("is_strong", sa.BigInteger),
    _need("client", sa.Text),
    _need("broken_until", sa.BigInteger),
    _need("broken_reason", sa.Text),
)
sa.Index("sessions_by_person", sessions.c.person)

sign_in_links = _table(
    "sign_in_links",
    _need("hashed", sa.Text, primary_key=True),
    _person(),
    _need("made_at", sa.BigInteger),
    _need("expires_at", sa.BigInteger),
    _may("used_at", sa.BigInteger),
)

program_keys = _table(
    "program_keys",
    _need("hashed", sa.Text, primary_key=True),
    _need("label", sa.Text),
    _person(),
    _need("made_at", sa.BigInteger),
    _need("expires_at", sa.BigInteger),
    _may("revoked_at", sa.BigInteger),
)


class StaleVersionError(Exception):
    """Somebody else changed the row since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who may sign in."""

    name: str
    shown: str
    roles: frozenset[Role]
    areas: frozenset[str]
    created_at: int
    created_by: str
    password: str | None = None
    second_factor: str | None = None
    second_factor_step: int = 0
    disabled_at: int | None = None
    failures: int = 0
    locked_until: int = 0
    version: int = 1
    unit: str | None = None
    """The member unit for which the person acts."""

    @property
    def actor(self) -> Actor:
        """The person as one who acts."""
        return Actor(self.name, self.roles, self.areas, self.unit or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser; the cookie itself is not kept."""

    hashed: str
    person: str
    csrf: str
    created_at: int
    seen_at: int
    expires_at: int
    ended_at: int | None = None
    is_strong: bool
    client: str
    broken_until: int = 0
    broken_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLink:
    """Leave to sign in once without a password."""

    hashed: str
    person: str
    made_at: int
    expires_at: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramKey:
    """A key with which a program acts for a person."""

    hashed: str
    label: str
    person: str
    made_at: int
    expires_at: int
    revoked_at: int | None = None


def _read_person(row: sa.Row[Any]) -> Person:
    values = dict(row._mapping)
    values["roles"] = frozenset(Role(word) for word in values["roles"])
    values["areas"] = frozenset(values["areas"])
    return Person(**values)


def _read_session(row: sa.Row[Any]) -> Session:
    values = dict(row._mapping)
    values["is_strong"] = bool(values["is_strong"])
    return Session(**values)


def _columns(**values: Any) -> dict[str, Any]:
    """Values as the columns want them."""
    for name in {"roles", "areas"} & values.keys():
        values[name] = sorted(values[name])
    if "is_strong" in values:
        values["is_strong"] = int(values["is_strong"])
    return values


class PeopleQueries:
    """The part of the store that knows people."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[Any]:
        """See :class:`central.store.interface.Store`."""
        raise NotImplementedError

    def person(self, name: str) -> Person | None:
        """Return one person."""
        row = self._one(sa.select(people).where(people.c.name == name))
        return None if row is None else _read_person(row)

    def people(self) -> Sequence[Person]:
        """All people by name."""
        return [_read_person(row) for row in self._all(sa.select(people).order_by(people.c.name))]

    def session(self, hashed: str) -> tuple[Session, Person] | None:
        """Return a session with its person."""
        row = self._one(sa.select(sessions).where(sessions.c.hashed == hashed))
        if row is None:
            return None
        person = self.person(row.person)
        assert person is not None  # a foreign key
        return _read_session(row), person

    def sessions_of(self, person: str, at: int) -> Sequence[Session]:
        """Sessions of a person that are open, the newest first."""
        s = sessions.c
        rows = self._all(
            sa.select(sessions)
            .where(s.person == person, s.ended_at.is_(None), s.expires_at > at)
            .order_by(s.seen_at.desc())
        )
        return [_read_session(row) for row in rows]

    def program_key(self, hashed: str) -> tuple[ProgramKey, Person] | None:
        """Return a program's key with the person for whom it acts."""
        row = self._one(sa.select(program_keys).where(program_keys.c.hashed == hashed))
        if row is None:
            return None
        person = self.person(row.person)
        assert person is not None  # a foreign key
        return ProgramKey(**row._mapping), person

    def program_keys(self) -> Sequence[ProgramKey]:
        """All keys of programs, the newest first."""
        rows = self._all(sa.select(program_keys).order_by(program_keys.c.made_at.desc()))
        return [ProgramKey(**row._mapping) for row in rows]


def add_person(connection: sa.Connection, person: Person) -> None:
    """Store a new person; ValueError if the name is taken."""
    here = people.c.name == person.name
    if connection.execute(sa.select(people.c.name).where(here)).one_or_none() is not None:
        raise ValueError(f"there is a person called {person.name!r} already")
    values = {name: getattr(person, name) for name in Person.__dataclass_fields__}
    connection.execute(people.insert().values(**_columns(**values)))


def change_person(
    connection: sa.Connection, name: str, *, version: int | None = None, **changes: Any
) -> None:
    """Change columns of a person.

    With ``version`` only if nobody changed the person since that version was read; otherwise
    StaleVersionError.
    """
    here = people.c.name == name
    if version is not None:
        here &= people.c.version == version
        changes["version"] = people.c.version + 1
    done = connection.execute(people.update().where(here).values(**_columns(**changes)))
    if version is not None and done.rowcount != 1:
        raise StaleVersionError(name)


def add_session(connection: sa.Connection, session: Session) -> None:
    """Store a new session."""
    values = {name: getattr(session, name) for name in Session.__dataclass_fields__}
    connection.execute(sessions.insert().values(**_columns(**values)))


def change_session(connection: sa.Connection, hashed: str, **changes: Any) -> None:
    """Change columns of a session."""
    connection.execute(
        sessions.update().where(sessions.c.hashed == hashed).values(**_columns(**changes))
    )


def end_sessions(connection: sa.Connection, person: str, at: int, keep: str = "") -> int:
    """End a person's open sessions, all but one; returns how many."""
    s = sessions.c
    done = connection.execute(
        sessions.update()
        .where(s.person == person, s.ended_at.is_(None), s.hashed != keep)
        .values(ended_at=at)
    )
    return int(done.rowcount)


def add_link(connection: sa.Connection, link: SignInLink) -> None:
    """Store a link to sign in by."""
    connection.execute(
        sign_in_links.insert().values(
            hashed=link.hashed,
            person=link.person,
            made_at=link.made_at,
            expires_at=link.expires_at,
        )
    )


def use_link(connection: sa.Connection, hashed: str, at: int) -> str | None:
    """Use a link up and return whose it is; None if it opens nothing (any more)."""
    c = sign_in_links.c
    done = connection.execute(
        sign_in_links.update()
        .where(c.hashed == hashed, c.used_at.is_(None), c.expires_at > at)
        .values(used_at=at)
    )
    if done.rowcount != 1:
        return None
    return str(connection.execute(sa.select(c.person).where(c.hashed == hashed)).scalar_one())


def add_program_key(connection: sa.Connection, key: ProgramKey) -> None:
    """Store a program's key."""
    connection.execute(
        program_keys.insert().values(
            hashed=key.hashed,
            label=key.label,
            person=key.person,
            made_at=key.made_at,
            expires_at=key.expires_at,
        )
    )


def revoke_program_key(connection: sa.Connection, hashed: str, at: int) -> None:
    """Let a program's key open nothing more."""
    c = program_keys.c
    connection.execute(
        program_keys.update()
        .where(c.hashed == hashed, c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
