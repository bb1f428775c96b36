"""Who may sign orders: keys of officers, in one bundle whose versions only grow.

The bundle is signed by the root key, which is the central's own for now, and goes to every device
before any order. Whoever is not in the newest one signs nothing, also under an older order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from central.actor import Actor, Role
from central.audit import record
from central.orders.dispatch import order_keys, take_order
from central.orders.passkeys import PasskeyDesk, PasskeyError
from central.orders.settings import PasskeyPlace
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.cosign import OrderError, SignedOrder, read_body, read_order, sign_order
from contract.keys import CENTRAL, KeySigner, key_id, load_public_pem, public_pem
from contract.messages import ID_BYTES
from contract.orders import VERSION, Officer, Officers, Order
from contract.words import OrderType

DAY_US = 24 * 3600 * 1_000_000
LIFE_DAYS = 365
"""How long a key signs, unless it is removed before."""
_MAX_DAYS = 3 * 366
_BUNDLE_LIFE_US = 390 * DAY_US
_RENEW_BEFORE_US = 60 * DAY_US
"""A device enrolled after the end of a bundle's delivery would know no officer."""
SIGNING_ROLES = frozenset({Role.REVIEWER, Role.COMMANDER})
"""Who may sign orders at all: see the permission orders.sign."""


class OfficerError(ValueError):
    """A change of the officers that cannot be made: nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One version of who may sign."""

    order_id: bytes
    version: int
    issued_at: UnixMicros
    expires: UnixMicros
    officers: tuple[Officer, ...]
    place: PasskeyPlace | None
    """Where its passkeys may be used; None: it has none."""


def kid_of(officer: Officer) -> bytes:
    """Key id under which an officer's signatures come."""
    return key_id(load_public_pem(officer.public_pem))


class OfficersDesk:
    """Adds and removes officers; each change is a new bundle. State is in the store alone."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        signer: KeySigner,
        tenant: str,
        publish: Callable[[bytes], SignedOrder] | None = None,
        place: PasskeyPlace | None = None,
    ) -> None:
        """``publish``: the running central's; None: the store keeps it for that one to send.

        ``place``: where passkeys are used from now on; None: as the newest bundle says.
        """
        self._store = store
        self._clock = clock
        self._signer = signer
        self._tenant = tenant
        self._publish = publish or self._keep
        self.passkeys = PasskeyDesk(store, clock, tenant, place)

    def _keep(self, raw: bytes) -> SignedOrder:
        find_key = order_keys(self._store, self._signer)
        return take_order(self._store, raw, self._tenant, find_key)

    def newest(self) -> Bundle | None:
        """Return the bundle in force; None before the first."""
        return next(iter(self.history(1)), None)

    def history(self, limit: int = 20) -> list[Bundle]:
        """Return bundles, the newest first."""
        found = []
        for raw in self._store.orders_of_type(OrderType.OFFICERS, limit):
            order, body = read_order(raw), read_body(raw)
            assert isinstance(body, Officers)
            bundle = Bundle(
                order_id=order.order_id,
                version=body.bundle,
                issued_at=order.issued_at,
                expires=order.expires,
                officers=body.officers,
                place=PasskeyPlace(rp_id=body.rp_id, origins=body.origins) if body.rp_id else None,
            )
            found.append(bundle)
        return found

    def keys_of(self, name: str, at: UnixMicros | int) -> list[Officer]:
        """Return the keys with which a person signs what was drafted at a moment."""
        newest = self.newest()
        return [
            entry
            for entry in (() if newest is None else newest.officers)
            if entry.officer == name and entry.valid_from <= at < entry.valid_until
        ]

    def add(
        self,
        by: Actor | str,
        name: str,
        pem: str,
        days: int = LIFE_DAYS,
        *,
        credential_id: bytes | None = None,
    ) -> Bundle:
        """Let a person's key sign, from now on; raises OfficerError.

        ``credential_id``: the passkey that holds it; None: a key file does.
        """
        person = self._store.person(name)
        if person is None or person.disabled_at is not None:
            raise OfficerError(f"there is nobody called {name[:40]!r} who may sign in")
        if SIGNING_ROLES.isdisjoint(person.roles):
            raise OfficerError(f"{name} is neither reviewer nor commander")
        if not 1 <= days <= _MAX_DAYS:
            raise OfficerError(f"a key signs for 1 to {_MAX_DAYS} days")
        now = self._clock.wall()
        try:
            public = load_public_pem(pem.strip() + "\n")
            entry = Officer(
                officer=name,
                public_pem=public_pem(public),
                valid_from=now,
                valid_until=UnixMicros(now + days * DAY_US),
                credential_id=credential_id,
            )
        except (ValueError, TypeError) as error:
            raise OfficerError(f"this is no public key in PEM (Ed25519, P-256): {error}") from None
        kid = key_id(public)
        before = self._officers()
        if any(kid_of(known) == kid for known in before):
            raise OfficerError("this key is in the bundle already: each officer has their own")
        return self._issue(by, "officers.add", (*before, entry), name, kid)

    def accept(self, by: Actor | str, kid: bytes, days: int = LIFE_DAYS) -> Bundle:
        """Let a passkey that waits sign, from now on; raises OfficerError."""
        try:
            found = self.passkeys.find(kid)
            made = self.add(
                by, found.person, found.public_pem, days, credential_id=found.credential_id
            )
            self.passkeys.drop(by, kid, "passkey.accept")
        except PasskeyError as error:
            raise OfficerError(str(error)) from None
        return made

    def refuse(self, by: Actor | str, kid: bytes) -> None:
        """Let a passkey that waits never sign; raises OfficerError."""
        try:
            self.passkeys.drop(by, kid, "passkey.refuse")
        except PasskeyError as error:
            raise OfficerError(str(error)) from None

    def remove(self, by: Actor | str, kid: bytes) -> Bundle:
        """Let a key sign nothing more, wherever its bundle arrives; raises OfficerError."""
        before = self._officers()
        gone = next((entry for entry in before if kid_of(entry) == kid), None)
        if gone is None:
            raise OfficerError("no such key is in the bundle")
        rest = tuple(entry for entry in before if entry is not gone)
        return self._issue(by, "officers.remove", rest, gone.officer, kid)

    def renew_due(self) -> int:
        """Send the same officers anew before the delivery of their bundle ends.

        Also where the pages on which their passkeys are used have changed since.
        """
        newest = self.newest()
        if newest is None:
            return 0
        has_moved = self._place_of(newest.officers) != newest.place
        if not has_moved and newest.expires - self._clock.wall() > _RENEW_BEFORE_US:
            return 0
        self._issue(CENTRAL, "officers.renew", newest.officers, "", b"")
        return 1

    def _officers(self) -> tuple[Officer, ...]:
        newest = self.newest()
        return () if newest is None else newest.officers

    def _place_of(self, officers: tuple[Officer, ...]) -> PasskeyPlace | None:
        """Return what a bundle of these officers says of the place of passkeys."""
        if all(entry.credential_id is None for entry in officers):
            return None
        if self.passkeys.place is not None:
            return self.passkeys.place
        newest = self.newest()
        return None if newest is None else newest.place

    def _issue(
        self, by: Actor | str, action: str, officers: tuple[Officer, ...], name: str, kid: bytes
    ) -> Bundle:
        newest, now = self.newest(), self._clock.wall()
        version = 1 if newest is None else newest.version + 1
        order = Order(
            version=VERSION,
            order_id=os.urandom(ID_BYTES),
            type=OrderType.OFFICERS,
            issuer=CENTRAL,
            counter=self._store.take_order_counter(),
            issued_at=now,
            not_before=UnixMicros(now - DAY_US),  # a device's clock may be behind
            expires=UnixMicros(now + _BUNDLE_LIFE_US),
        )
        place = self._place_of(officers)
        try:
            body = Officers(
                bundle=version,
                officers=officers,
                rp_id="" if place is None else place.rp_id,
                origins=() if place is None else place.origins,
            )
            raw = sign_order(order, body, tenant=self._tenant, signers=[self._signer])
            with self._store.transaction() as tx:
                detail = {"officer": name, "key": kid.hex()[:16], "bundle": version}
                record(tx, now, by, action, name or str(version), detail=detail)
            self._publish(raw)
        except (ValueError, OrderError) as error:  # more keys than one message holds
            raise OfficerError(str(error)) from None
        made = self.newest()
        assert made is not None
        return made
