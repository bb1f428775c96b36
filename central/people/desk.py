"""Signing in: who may, for how long, and what happens after wrong tries.

Every success, refusal and change is in the audit log, in the same transaction.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from central.actor import UNIT_ROLES, Actor, Role
from central.audit import REFUSED, TERMINAL, record
from central.people import passwords
from central.people.passwords import RefusedError, Vault
from central.store import people as stored
from central.store import unit_tables
from central.store.people import Person, ProgramKey, Session, SignInLink
from central.store.sql import SqlStore
from contract.clock import Clock

SECOND_US = 1_000_000
IDLE_S = 30 * 60
"""A browser that asks nothing for so long is signed out; a live page counts as asking."""
ABSOLUTE_S = 12 * 3600
"""One shift: after it everybody signs in again."""
LINK_S = 15 * 60
GLASS_S = 30 * 60
MIN_REASON = 10
"""Characters of a reason."""
FREE_TRIES = 5
"""Wrong tries before an account waits; the wait doubles with each further one."""
FIRST_LOCK_S = 30
LONGEST_LOCK_S = 3600
TOUCH_S = 30
"""How often a session's last use is written down."""

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,39}")
_AREA = re.compile(r"[0-9]{6}")
WHOLE_COUNTRY = "000000"


class SignInError(RefusedError):
    """Nobody is signed in; the message is what the person may know."""


class PersonError(ValueError):
    """A person that cannot be made or changed so; the message says why."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person and the session or key by which they came."""

    person: Person
    actor: Actor
    session: Session | None
    """None: a program with a key."""

    @property
    def csrf(self) -> str:
        """Token that every form of this session carries; empty for a program."""
        return "" if self.session is None else self.session.csrf

    @property
    def is_strong(self) -> bool:
        """Whether a second factor was shown, or a key that stands for both."""
        return self.session is None or self.session.is_strong


def hash_token(token: str) -> str:
    """SHA-256 of a cookie, link or key: what the store keeps of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_areas(areas: Iterable[str]) -> frozenset[str]:
    """Return administrative division codes; raises PersonError for anything else."""
    found = frozenset(areas)
    for area in found:
        if not _AREA.fullmatch(area):
            raise PersonError(f"{area!r} is not a six-digit administrative division code")
    return found


def _check_unit(connection: Any, unit: str, roles: frozenset[Role]) -> None:
    """Raise PersonError for a unit that is none, or for somebody who is not a unit's alone."""
    if not unit:
        return
    u = unit_tables.member_units.c.unit
    if connection.execute(sa.select(u).where(u == unit)).one_or_none() is None:
        raise PersonError(f"{unit[:40]!r} is no member unit")
    if not roles or not roles <= UNIT_ROLES:
        raise PersonError(
            "whoever acts for a member unit has its roles alone: bank, carrier or regulator"
        )


class PeopleDesk:
    """Makes people, signs them in and out. Thread-safe: all state is in the store."""

    def __init__(
        self, store: SqlStore, clock: Clock, folder: Path, *, needs_second_factor: bool = True
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault_path = folder / "people.key"
        self.needs_second_factor = needs_second_factor

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        with self._store.transaction() as tx:
            yield tx

    # -- people -----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        roles: Iterable[Role],
        areas: Iterable[str],
        *,
        by: Actor | str = TERMINAL,
        shown: str = "",
        password: str | None = None,
        unit: str = "",
    ) -> Person:
        """Make a person known; raises PersonError or WeakPasswordError."""
        if not _NAME.fullmatch(name):
            raise PersonError("a name has 2 to 40 of a-z, 0-9 and . _ - and begins with a letter")
        person = Person(
            name=name,
            shown=" ".join(shown.split())[:80] or name,
            roles=frozenset(roles),
            areas=check_areas(areas),
            created_at=self._clock.wall(),
            created_by=by.name if isinstance(by, Actor) else by,
            password=None if password is None else self._hash(password, name),
            unit=unit or None,
        )
        with self._writing() as tx:
            _check_unit(tx._connection, unit, person.roles)
            try:
                stored.add_person(tx._connection, person)
            except ValueError as error:
                raise PersonError(str(error)) from error
            detail = {
                "roles": sorted(person.roles), "areas": sorted(person.areas), "unit": unit,
            }  # fmt: skip
            record(tx, self._clock.wall(), by, "people.create", name, detail=detail)
        return person

    def _hash(self, password: str, name: str) -> str:
        return passwords.hash_password(passwords.check_strength(password, name))

    def change(
        self,
        name: str,
        *,
        by: Actor,
        version: int,
        roles: Iterable[Role],
        areas: Iterable[str],
        shown: str,
        is_disabled: bool,
        unit: str = "",
    ) -> None:
        """Change what a person may; their open sessions end.

        Raises PersonError, and StaleVersionError if somebody was faster.
        """
        person = self._known(name)
        now = self._clock.wall()
        chosen, covered = frozenset(roles), check_areas(areas)
        if by.name == name and (is_disabled or Role.ADMINISTRATOR not in chosen):
            raise PersonError("nobody takes away their own administrator's role")
        with self._writing() as tx:
            connection = tx._connection
            _check_unit(connection, unit, chosen)
            stored.change_person(
                connection,
                name,
                version=version,
                unit=unit or None,
                roles=chosen,
                areas=covered,
                shown=" ".join(shown.split())[:80] or name,
                disabled_at=(person.disabled_at or now) if is_disabled else None,
            )
            before = person.roles, person.areas, person.unit or ""
            if (chosen, covered, unit) != before or is_disabled:
                stored.end_sessions(connection, name, now)
            detail = {
                "roles": [sorted(person.roles), sorted(chosen)],
                "areas": [sorted(person.areas), sorted(covered)],
                "unit": [person.unit or "", unit],
                "disabled": is_disabled,
            }
            record(tx, now, by, "people.change", name, detail=detail)

    def bind(self, name: str, unit: str, *, by: Actor | str = TERMINAL) -> None:
        """Let a person act for one member unit, or for none (empty); their open sessions end."""
        person, now = self._known(name), self._clock.wall()
        with self._writing() as tx:
            connection = tx._connection
            _check_unit(connection, unit, person.roles)
            try:
                stored.change_person(connection, name, version=person.version, unit=unit or None)
            except stored.StaleVersionError:
                raise PersonError("somebody else changed this person just now: try again") from None
            stored.end_sessions(connection, name, now)
            detail = {"unit": [person.unit or "", unit]}
            record(tx, now, by, "people.unit", name, detail=detail)

    def _known(self, name: str) -> Person:
        person = self._store.person(name)
        if person is None:
            raise PersonError(f"there is nobody called {name!r}")
        return person

    def set_password(self, name: str, password: str, *, by: Actor | str, keep: str = "") -> None:
        """Set a password and end the person's other sessions; raises WeakPasswordError."""
        self._known(name)
        hashed, now = self._hash(password, name), self._clock.wall()
        with self._writing() as tx:
            connection = tx._connection
            stored.change_person(connection, name, password=hashed, failures=0, locked_until=0)
            stored.end_sessions(connection, name, now, keep)
            record(tx, now, by, "people.password", name)

    def reset_second_factor(self, name: str, *, by: Actor | str) -> None:
        """Forget a lost authenticator; the person enrols a new one at the next sign-in."""
        self._known(name)
        now = self._clock.wall()
        with self._writing() as tx:
            connection = tx._connection
            stored.change_person(connection, name, second_factor=None)
            stored.end_sessions(connection, name, now)
            record(tx, now, by, "people.second_factor_reset", name)

    # -- the second factor ------------------------------------------------------------------------

    @property
    def _vault(self) -> Vault:
        return Vault(self._vault_path)

    def enrol_second_factor(self, visitor: Visitor, secret: bytes, code: str) -> None:
        """Take a new authenticator after one right code; this session is strong from then on."""
        now = self._clock.wall()
        step = passwords.matching_step(secret, code, now // SECOND_US)
        if step is None:
            raise SignInError("code", "the code is not the one of this moment")
        name = visitor.person.name
        sealed = self._vault.seal(secret, name)
        with self._writing() as tx:
            connection = tx._connection
            stored.change_person(connection, name, second_factor=sealed, second_factor_step=step)
            if visitor.session is not None:
                stored.change_session(connection, visitor.session.hashed, is_strong=True)
            record(tx, now, visitor.actor, "people.second_factor", name)

    # -- in ---------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, code: str, client: str) -> str:
        """Return the cookie of a new session; raises SignInError with one word for every wrong try.

        Whoever has an authenticator must show its code. Whoever has none gets a weak session, in
        which only their own account page opens, where a second factor is asked for.
        """
        now = self._clock.wall()
        person = self._store.person(name)
        if person is not None and person.locked_until > now:
            passwords.verify_password(None, password)
            wait_s = -(-(person.locked_until - now) // SECOND_US)
            raise SignInError("locked", f"too many wrong tries: wait {wait_s} s", wait_s)
        is_right = passwords.verify_password(None if person is None else person.password, password)
        step = None if person is None else self._second_factor_step(person, code, now)
        if person is None or person.disabled_at is not None or not is_right or step is None:
            self._note_failure(name, person, client)
            raise SignInError("wrong", "name, password or code is wrong")
        is_strong = person.second_factor is not None or not self.needs_second_factor
        with self._writing() as tx:
            stored.change_person(
                tx._connection,
                name,
                failures=0,
                locked_until=0,
                second_factor_step=max(step, person.second_factor_step),
            )
            return self._open(tx, person, client, is_strong=is_strong, how="password")

    def _second_factor_step(self, person: Person, code: str, now: int) -> int | None:
        """Return the step of a right code; 0 where none is asked for; None: wrong."""
        if person.second_factor is None:
            return 0
        secret = self._vault.open(person.second_factor, person.name)
        return passwords.matching_step(secret, code, now // SECOND_US, person.second_factor_step)

    def _note_failure(self, name: str, person: Person | None, client: str) -> None:
        now = self._clock.wall()
        with self._writing() as tx:
            if person is not None:
                failures = person.failures + 1
                over = failures - FREE_TRIES
                lock_s = min(FIRST_LOCK_S * 2 ** min(over, 20), LONGEST_LOCK_S) if over >= 0 else 0
                stored.change_person(
                    tx._connection,
                    person.name,
                    failures=failures,
                    locked_until=now + lock_s * SECOND_US if lock_s else 0,
                )
            # A name that is nobody's may be a password typed into the wrong field.
            actor = person.name if person is not None else "unknown"
            record(tx, now, actor, "sign_in", outcome=REFUSED, detail={"client": client})

    def _open(self, tx: Any, person: Person, client: str, *, is_strong: bool, how: str) -> str:
        cookie, now = secrets.token_urlsafe(32), self._clock.wall()
        session = Session(
            hashed=hash_token(cookie),
            person=person.name,
            csrf=secrets.token_urlsafe(24),
            created_at=now,
            seen_at=now,
            expires_at=now + ABSOLUTE_S * SECOND_US,
            is_strong=is_strong,
            client=client[:200],
        )
        stored.add_session(tx._connection, session)
        record(tx, now, person.actor, "sign_in", detail={"how": how, "client": session.client})
        return cookie

    def make_link(self, name: str, *, by: Actor | str = TERMINAL) -> str:
        """Return a token that signs a person in once, without password and second factor."""
        self._known(name)
        token, now = secrets.token_urlsafe(24), self._clock.wall()
        link = SignInLink(
            hashed=hash_token(token),
            person=name,
            made_at=now,
            expires_at=now + LINK_S * SECOND_US,
        )
        with self._writing() as tx:
            stored.add_link(tx._connection, link)
            record(tx, now, by, "people.link", name)
        return token

    def follow_link(self, token: str, client: str) -> str:
        """Return the cookie of a new session; raises SignInError."""
        now = self._clock.wall()
        with self._writing() as tx:
            name = stored.use_link(tx._connection, hash_token(token), now)
            person = None if name is None else self._store.person(name)
            if person is not None and person.disabled_at is None:
                return self._open(tx, person, client, is_strong=True, how="link")
        raise SignInError("link", "this link was used, has expired or never was one")

    # -- inside -----------------------------------------------------------------------------------

    def visitor(self, cookie: str) -> Visitor | None:
        """Return who holds a session's cookie; None where it has ended or is nobody's."""
        found = self._store.session(hash_token(cookie))
        if found is None:
            return None
        session, person = found
        now = self._clock.wall()
        is_over = (
            session.ended_at is not None
            or now >= session.expires_at
            or now - session.seen_at >= IDLE_S * SECOND_US
            or person.disabled_at is not None
        )
        if is_over:
            return None
        if now - session.seen_at >= TOUCH_S * SECOND_US:
            with self._writing() as tx:
                stored.change_session(
                    tx._connection,
                    session.hashed,
                    seen_at=now,
                )
        actor = person.actor
        if session.broken_until > now:
            actor = dataclasses.replace(actor, areas=frozenset({WHOLE_COUNTRY}))
        return Visitor(person, actor, session)

    def program(self, key: str) -> Visitor | None:
        """Return for whom a program's key acts."""
        found = self._store.program_key(hash_token(key))
        if found is None:
            return None
        made, person = found
        now = self._clock.wall()
        if made.revoked_at is not None or now >= made.expires_at or person.disabled_at is not None:
            return None
        return Visitor(person, person.actor, None)

    def make_key(self, name: str, label: str, days: int, *, by: Actor | str = TERMINAL) -> str:
        """Return a key with which a program acts for a person until it expires."""
        self._known(name)
        key, now = "qk_" + secrets.token_urlsafe(32), self._clock.wall()
        made = ProgramKey(
            hashed=hash_token(key),
            label=" ".join(label.split())[:80],
            person=name,
            made_at=now,
            expires_at=now + days * 86_400 * SECOND_US,
        )
        with self._writing() as tx:
            stored.add_program_key(tx._connection, made)
            detail = {"label": made.label, "days": days}
            record(tx, now, by, "people.key", name, detail=detail)
        return key

    def revoke_key(self, hashed: str, *, by: Actor | str) -> None:
        """Let a program's key open nothing more."""
        with self._writing() as tx:
            now = self._clock.wall()
            stored.revoke_program_key(tx._connection, hashed, now)
            record(tx, now, by, "people.key_revoke", hashed[:12])

    def open_sessions(self, name: str) -> Sequence[Session]:
        """Open sessions of a person, the latest used first."""
        return self._store.sessions_of(name, self._clock.wall())

    def sign_out(self, visitor: Visitor, hashed: str | None = None) -> None:
        """End one session of the person: this one, or another of theirs."""
        if visitor.session is None:
            return
        ended = hashed or visitor.session.hashed
        found = self._store.session(ended)
        if found is None or found[1].name != visitor.person.name:
            return
        now = self._clock.wall()
        with self._writing() as tx:
            stored.change_session(tx._connection, ended, ended_at=now)
            record(tx, now, visitor.actor, "sign_out")

    def break_glass(self, visitor: Visitor, reason: str) -> None:
        """Let a person act beyond their areas for a while; raises SignInError without a reason."""
        said = " ".join(reason.split())[:500]
        if len(said) < MIN_REASON or visitor.session is None:
            raise SignInError(
                "reason", "breaking the glass needs a reason of ten characters", MIN_REASON
            )
        now = self._clock.wall()
        until = now + GLASS_S * SECOND_US
        with self._writing() as tx:
            stored.change_session(
                tx._connection,
                visitor.session.hashed,
                broken_until=until,
                broken_reason=said,
            )
            record(tx, now, visitor.actor, "break_glass", detail={"reason": said, "until": until})
