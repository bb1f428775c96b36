"""Passkeys with which officers sign: made in the officer's browser, decided on by an administrator.

A new credential is taken without attestation (format ``none``): who made it is known by the session
in which it was made, and the administrator compares its key id with what the officer's page shows.
So all that is verified here is small, and no library of attestation formats is wanted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from central.actor import Actor
from central.audit import record
from central.orders.settings import PasskeyPlace
from central.store.order_tables import waiting_passkeys
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.codec import DecodeError, decode
from contract.keys import Algorithm, PublicKey, key_id, public_pem
from contract.webauthn import (
    MAX_CREDENTIAL_ID,
    WebAuthnError,
    check_authenticator,
    check_client_data,
)

MAX_WAITING = 3
"""Passkeys of one person that may wait at a time."""
MAX_ATTESTATION = 4000

_DOMAIN = b"qianshao/webauthn-new/1\0"
_FIXED = 37 + 16 + 2  # hash of the domain, flags, counter; model; length of the credential id
_HAS_CREDENTIAL, _HAS_EXTENSIONS = 0x40, 0x80
_KTY, _ALG, _CRV, _X, _Y = 1, 3, -1, -2, -3
_OKP, _EC2, _ED25519, _P256 = 1, 2, 6, 1
_COORDINATE_BYTES = 32


class PasskeyError(ValueError):
    """A passkey that cannot be taken: nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPasskey:
    """A passkey that an officer made and no administrator has decided on."""

    kid: bytes
    person: str
    credential_id: bytes
    public_pem: str
    made_at: UnixMicros


def read_attestation(raw: bytes, rp_id: str) -> tuple[bytes, PublicKey]:
    """Return credential id and key of a new credential; raises WebAuthnError, whatever it is.

    WebAuthn level 2 sections 6.5 and 7.1; CTAP2 demands canonical CBOR of authenticators, so that
    nothing stands twice and nothing behind it.
    """
    if len(raw) > MAX_ATTESTATION:
        raise WebAuthnError(f"a new credential has at most {MAX_ATTESTATION} bytes")
    try:
        table: Any = decode(raw, "attestation")
        if not isinstance(table, dict) or set(table) != {"fmt", "attStmt", "authData"}:
            raise WebAuthnError("no attestation object")
        if table["fmt"] != "none" or table["attStmt"] != {}:
            raise WebAuthnError("attested, which was not asked for")
        data = table["authData"]
        if not isinstance(data, bytes):
            raise WebAuthnError("authenticator data are no bytes")
        flags = check_authenticator(data, rp_id)
        if not flags & _HAS_CREDENTIAL or flags & _HAS_EXTENSIONS or len(data) < _FIXED:
            raise WebAuthnError("authenticator data hold no credential, or more than one")
        length = int.from_bytes(data[_FIXED - 2 : _FIXED], "big")
        credential_id, cose_key = data[_FIXED : _FIXED + length], data[_FIXED + length :]
        if not 1 <= len(credential_id) == length <= MAX_CREDENTIAL_ID:
            raise WebAuthnError(f"a credential id has 1 to {MAX_CREDENTIAL_ID} bytes")
        return credential_id, read_cose_key(decode(cose_key, "key"))
    except DecodeError as error:
        raise WebAuthnError(str(error)) from None


def read_cose_key(table: Any) -> PublicKey:
    """Return an ES256 or Ed25519 key (RFC 9053 section 7); raises WebAuthnError."""
    if not isinstance(table, dict):
        raise WebAuthnError("a key is a map")
    said = [table.get(name) for name in (_KTY, _ALG, _CRV)]
    if any(type(value) is not int for value in said):
        raise WebAuthnError("a key names kind, algorithm and curve")
    x = _coordinate(table, _X)
    try:
        if said == [_OKP, Algorithm.EDDSA, _ED25519] and len(table) == 4:
            return ed25519.Ed25519PublicKey.from_public_bytes(x)
        if said == [_EC2, Algorithm.ES256, _P256] and len(table) == 5:
            whole = b"\x04" + x + _coordinate(table, _Y)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), whole)
    except ValueError as error:
        raise WebAuthnError(f"no point of its curve: {error}") from None
    raise WebAuthnError("neither ES256 nor Ed25519")


def _coordinate(table: dict[Any, Any], name: int) -> bytes:
    value = table.get(name)
    if not isinstance(value, bytes) or len(value) != _COORDINATE_BYTES:
        raise WebAuthnError(f"a coordinate has {_COORDINATE_BYTES} bytes")
    return value


class PasskeyDesk:
    """Takes officers' new passkeys and keeps them until they are decided on."""

    def __init__(
        self, store: SqlStore, clock: Clock, tenant: str, place: PasskeyPlace | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._tenant = tenant
        self.place = place
        """None: passkeys are not offered."""

    def challenge(self, name: str, session_token: str) -> bytes:
        """Return what a new credential of this session has to be made for."""
        parts = "\0".join((self._tenant, name, session_token))
        return hashlib.sha256(_DOMAIN + parts.encode()).digest()

    def options(self, name: str, session_token: str, known: Iterable[bytes]) -> str:
        """Return, as JSON, what the page's script asks the browser for; empty: not offered.

        ``known``: credentials that the person has already, so that no authenticator holds two.
        """
        if self.place is None:
            return ""
        known = [*known, *(one.credential_id for one in self.waiting(name))]
        user = hashlib.sha256(f"{self._tenant}\0{name}".encode()).hexdigest()
        table = {
            "challenge": self.challenge(name, session_token).hex(),
            "rp_id": self.place.rp_id,
            "origins": self.place.origins,
            "user": {"id": user, "name": name},
            "known": [credential.hex() for credential in known],
        }
        return json.dumps(table, separators=(",", ":"))

    def offer(
        self, actor: Actor, session_token: str, attestation: bytes, client_data: bytes
    ) -> WaitingPasskey:
        """Keep a person's new passkey for an administrator; raises PasskeyError."""
        place, now = self.place, self._clock.wall()
        if place is None or not session_token:
            raise PasskeyError("passkeys are not offered here")
        challenge = self.challenge(actor.name, session_token)
        try:
            check_client_data(client_data, "webauthn.create", challenge, place.origins)
            credential_id, public = read_attestation(attestation, place.rp_id)
        except WebAuthnError as error:
            raise PasskeyError(str(error)) from None
        made = WaitingPasskey(
            kid=key_id(public),
            person=actor.name,
            credential_id=credential_id,
            public_pem=public_pem(public),
            made_at=now,
        )
        w = waiting_passkeys.c
        with self._store.transaction() as tx:
            connection: sa.Connection = tx._connection  # type: ignore[attr-defined]
            rows = connection.execute(
                sa.select(w.kid, w.person).where((w.person == actor.name) | (w.kid == made.kid))
            ).all()
            if any(row.kid == made.kid for row in rows):
                raise PasskeyError("this passkey waits already")
            if len(rows) >= MAX_WAITING:
                raise PasskeyError(f"{MAX_WAITING} passkeys wait already for the administrator")
            values = {name: getattr(made, name) for name in WaitingPasskey.__dataclass_fields__}
            connection.execute(waiting_passkeys.insert().values(**values))
            detail = {"key": made.kid.hex()[:16]}
            record(tx, now, actor, "passkey.make", actor.name, detail=detail)
        return made

    def waiting(self, person: str = "") -> list[WaitingPasskey]:
        """Return passkeys that wait, of one person or of all, the oldest first."""
        asked = sa.select(waiting_passkeys).order_by(waiting_passkeys.c.made_at)
        if person:
            asked = asked.where(waiting_passkeys.c.person == person)
        with self._store.reading() as connection:
            return [WaitingPasskey(**row._mapping) for row in connection.execute(asked)]

    def find(self, kid: bytes) -> WaitingPasskey:
        """Return a passkey that waits; raises PasskeyError."""
        found = next((one for one in self.waiting() if one.kid == kid), None)
        if found is None:
            raise PasskeyError("no such passkey waits")
        return found

    def drop(self, by: Actor | str, kid: bytes, action: str) -> None:
        """Let a passkey wait no more: it was added, or was refused; the audit says which."""
        found = self.find(kid)
        with self._store.transaction() as tx:
            connection: sa.Connection = tx._connection  # type: ignore[attr-defined]
            connection.execute(waiting_passkeys.delete().where(waiting_passkeys.c.kid == kid))
            detail = {"key": kid.hex()[:16]}
            record(tx, self._clock.wall(), by, action, found.person, detail=detail)
