"""Who may speak: devices, their evidence keys, their certificates, and who is invited."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import tables as t
from contract.keys import CENTRAL, FindKey, KnownKey, PublicKey, key_id, load_public_pem
from contract.topics import check_id
from contract.words import DeviceKind

_ANY_KEY = (
    sa.select(t.device_keys.c.device, t.device_keys.c.public_pem)
    .join(t.devices)
    .where(t.device_keys.c.kid == sa.bindparam("at_kid"))
)
_VALID_KEY = _ANY_KEY.where(t.device_keys.c.revoked_at.is_(None), t.devices.c.revoked_at.is_(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Leave for one device to enrol once."""

    hashed: bytes
    device: str
    tenant: str
    kind: DeviceKind
    name: str
    made_at: int
    expires_at: int
    used_at: int | None = None
    used_kid: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate of a device, by its serial number."""

    serial: str
    """Hexadecimal."""
    device: str
    not_before: int
    not_after: int
    issued_at: int
    revoked_at: int | None = None


class InvitationError(ValueError):
    """A token that opens nothing; the message says why."""


class IdentityQueries:
    """The part of the store that knows identities."""

    _engine: sa.Engine

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        raise NotImplementedError

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[Any]:
        """See :class:`central.store.interface.Store`."""
        raise NotImplementedError

    # -- coming in ------------------------------------------------------------------------------

    def enrol(
        self, device: str, *, tenant: str, kind: DeviceKind, name: str, public_pem: str, at: int
    ) -> None:
        """Make a device known, or give a known one a further evidence key.

        Raises ValueError for a name that no device may bear or a key that is another's.
        """
        _check_name(device)
        with self.transaction() as tx:
            _enrol_device(tx._connection, device, tenant, kind, name, at)
            _add_key(tx._connection, device, public_pem, at)

    def invite(self, invitation: Invitation) -> None:
        """Let a device enrol once; an earlier invitation that it has not used is void.

        Raises ValueError for a name that no device may bear.
        """
        _check_name(invitation.device)
        i = t.invitations.c
        with self.transaction() as tx:
            tx._connection.execute(
                t.invitations.delete().where(i.device == invitation.device, i.used_at.is_(None))
            )
            tx._connection.execute(
                t.invitations.insert().values(
                    hashed=invitation.hashed,
                    device=invitation.device,
                    tenant=invitation.tenant,
                    kind=invitation.kind,
                    name=invitation.name,
                    made_at=invitation.made_at,
                    expires_at=invitation.expires_at,
                )
            )

    def redeem(self, hashed: bytes, device: str, public_pem: str, at: int) -> Invitation:
        """Use an invitation up and enrol its device with an evidence key; all or nothing.

        The same key may come again with the same token until it expires, because an answer can be
        lost on the way; no other key can. A device that was revoked is taken back, its former keys
        and certificates stay revoked. Raises InvitationError, or ValueError for a key that is
        another's.
        """
        kid = key_id(load_public_pem(public_pem))
        i = t.invitations.c
        with self.transaction() as tx:
            connection: sa.Connection = tx._connection
            row = connection.execute(
                sa.select(t.invitations).where(i.hashed == hashed)
            ).one_or_none()
            if row is None or row.device != device:
                raise InvitationError("the token is not known, or it is another device's")
            if at >= row.expires_at:
                raise InvitationError("the token has expired")
            if row.used_at is not None and row.used_kid != kid:
                raise InvitationError("the token was used before")
            if row.used_at is None:
                _enrol_device(connection, device, row.tenant, row.kind, row.name, at)
                _add_key(connection, device, public_pem, at)
                tx.update_device(device, revoked_at=None)
                connection.execute(
                    t.invitations.update()
                    .where(i.hashed == hashed)
                    .values(used_at=at, used_kid=kid)
                )
            return Invitation(**row._mapping)

    def invitations(self) -> Sequence[Invitation]:
        """All invitations, newest first."""
        rows = self._all(sa.select(t.invitations).order_by(t.invitations.c.made_at.desc()))
        return [Invitation(**row._mapping) for row in rows]

    # -- certificates ---------------------------------------------------------------------------

    def add_certificate(self, issued: IssuedCertificate) -> None:
        """Remember a certificate that was issued."""
        with self.transaction() as tx:
            tx._connection.execute(
                t.certificates.insert().values(
                    serial=issued.serial,
                    device=issued.device,
                    not_before=issued.not_before,
                    not_after=issued.not_after,
                    issued_at=issued.issued_at,
                )
            )

    def certificates(self, device: str | None = None) -> Sequence[IssuedCertificate]:
        """Certificates of a device, or of all, newest first."""
        c = t.certificates.c
        query = sa.select(t.certificates).order_by(c.issued_at.desc())
        rows = self._all(query if device is None else query.where(c.device == device))
        return [IssuedCertificate(**row._mapping) for row in rows]

    def certificate(self, serial: str) -> IssuedCertificate | None:
        """Return one certificate by its serial number (hexadecimal)."""
        row = self._one(sa.select(t.certificates).where(t.certificates.c.serial == serial))
        return None if row is None else IssuedCertificate(**row._mapping)

    def revoked_certificates(self, at: int) -> Sequence[IssuedCertificate]:
        """Certificates that are revoked and would otherwise still be valid."""
        c = t.certificates.c
        rows = self._all(
            sa.select(t.certificates)
            .where(c.revoked_at.is_not(None), c.not_after > at)
            .order_by(c.serial)
        )
        return [IssuedCertificate(**row._mapping) for row in rows]

    # -- going out ------------------------------------------------------------------------------

    def revoke(self, device: str, at: int) -> bool:
        """Take nothing more that this device signs; False if it is not known.

        Its keys, certificates and unused invitations go with it. What is stored stays evidence.
        """
        keys, certificates, invitations = t.device_keys, t.certificates, t.invitations
        with self.transaction() as tx:
            if tx.device(device) is None:
                return False
            tx.update_device(device, revoked_at=at)
            for table in (keys, certificates):
                tx._connection.execute(
                    table.update()
                    .where(table.c.device == device, table.c.revoked_at.is_(None))
                    .values(revoked_at=at)
                )
            tx._connection.execute(
                invitations.delete().where(
                    invitations.c.device == device, invitations.c.used_at.is_(None)
                )
            )
            tx._connection.execute(
                invitations.update()
                .where(invitations.c.device == device, invitations.c.expires_at > at)
                .values(expires_at=at)
            )
        return True

    # -- keys -----------------------------------------------------------------------------------

    def find_key(self, kid: bytes) -> KnownKey | None:
        """Return the key that may sign now; None if unknown or revoked."""
        return self._key(_VALID_KEY, kid)

    @contextmanager
    def finding_keys(self) -> Iterator[FindKey]:
        """As :meth:`find_key`, for many messages: each key is looked up once, all at one moment."""
        found: dict[bytes, KnownKey | None] = {}
        with self._reading() as connection:

            def find(kid: bytes) -> KnownKey | None:
                if kid not in found:
                    found[kid] = _known(connection, _VALID_KEY, kid)
                return found[kid]

            yield find

    def known_key(self, kid: bytes) -> KnownKey | None:
        """Return the key whether or not it was revoked since: for evidence already stored."""
        return self._key(_ANY_KEY, kid)

    def key_revoked_at(self, kid: bytes) -> int | None:
        """Return when a key was revoked; None if it was not."""
        row = self._one(sa.select(t.device_keys.c.revoked_at).where(t.device_keys.c.kid == kid))
        return None if row is None else row.revoked_at

    def _key(self, query: sa.Select[Any], kid: bytes) -> KnownKey | None:
        with self._reading() as connection:
            return _known(connection, query, kid)


def _known(connection: sa.Connection, query: sa.Select[Any], kid: bytes) -> KnownKey | None:
    row = connection.execute(query, {"at_kid": kid}).one_or_none()
    return None if row is None else KnownKey(row.device, _public(row.public_pem))


@functools.lru_cache(maxsize=4096)
def _public(pem: str) -> PublicKey:
    return load_public_pem(pem)


def _check_name(device: str) -> None:
    if check_id(device, "device") == CENTRAL:
        raise ValueError(f"{CENTRAL!r} signs receipts and is no device")


def _enrol_device(
    connection: sa.Connection, device: str, tenant: str, kind: DeviceKind, name: str, at: int
) -> None:
    here = t.devices.c.device == device
    if connection.execute(sa.select(t.devices.c.device).where(here)).one_or_none() is not None:
        connection.execute(t.devices.update().where(here).values(name=name, kind=kind))
        return
    connection.execute(
        t.devices.insert().values(
            device=device,
            tenant=tenant,
            kind=kind,
            name=name,
            version="",
            enrolled_at=at,
            duplicates=0,
            refused=0,
        )
    )


def _add_key(connection: sa.Connection, device: str, public_pem: str, at: int) -> None:
    keys = t.device_keys
    kid = key_id(load_public_pem(public_pem))
    row = connection.execute(
        sa.select(keys.c.device, keys.c.revoked_at).where(keys.c.kid == kid)
    ).one_or_none()
    if row is None:
        connection.execute(
            keys.insert().values(kid=kid, device=device, public_pem=public_pem, added_at=at)
        )
    elif row.device != device:
        raise ValueError(f"the evidence key of {device} already belongs to {row.device}")
    elif row.revoked_at is not None:
        raise ValueError(f"this evidence key of {device} was revoked: it needs a new one")
