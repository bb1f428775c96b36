"""How long an order takes at the ATM: from its arrival to the moment a decision would see it.

Real signatures of two officers, a real file synced to disk at each step, the real thread; the way
over the broker is not in it. A release takes the same steps as a stop, and has to be as fast.
"""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.accounts import CardRef
from contract.clock import SystemClock, UnixMicros
from contract.cosign import sign_order
from contract.keys import KeySigner, KnownKey, public_pem
from contract.messages import content_id
from contract.orders import AccountHold, AccountRelease, Officer, Officers, Order, OrderBody
from contract.topics import Channel
from contract.words import DecisionReason, DeviceKind, OrderType
from edge_agent.central_time import CentralTime
from edge_agent.order_store import OrderStore
from edge_agent.orders import OrderDesk, Receiver

ROUNDS: Final = 40
TENANT: Final = "bench"
DEVICE: Final = "atm-1"
HOUR_US: Final = 3600 * 1_000_000
GIVE_UP_S: Final = 20.0
POLL_S: Final = 0.0005

PAIRS: Final = (
    (OrderType.STOP_PAYMENT, OrderType.RELEASE_STOP, DecisionReason.STOP_PAYMENT),
    (OrderType.FREEZE, OrderType.RELEASE_FREEZE, DecisionReason.FROZEN),
)


@dataclass(frozen=True, slots=True)
class Enforced:
    """Milliseconds until each order of one type was in force."""

    type: OrderType
    took_ms: tuple[float, ...]

    @property
    def p95_ms(self) -> float:
        """95th percentile."""
        return sorted(self.took_ms)[min(len(self.took_ms) - 1, int(len(self.took_ms) * 0.95))]


class _Centre:
    """A central and two officers, who sign as the real ones do."""

    def __init__(self) -> None:
        self._central = Ed25519PrivateKey.generate()
        self._officers = {name: Ed25519PrivateKey.generate() for name in ("li", "wang")}
        self._counter = 0
        self._now = SystemClock().wall()

    def find(self, kid: bytes) -> KnownKey | None:
        """Look the central's key up."""
        signer = KeySigner(self._central)
        return KnownKey("central", signer.public) if kid == signer.kid else None

    def officers(self) -> bytes:
        """Return the bundle that names the officers."""
        since, until = UnixMicros(self._now - HOUR_US), UnixMicros(self._now + 24 * HOUR_US)
        named = tuple(
            Officer(
                officer=name,
                public_pem=public_pem(key.public_key()),
                valid_from=since,
                valid_until=until,
            )
            for name, key in self._officers.items()
        )
        body = Officers(bundle=1, officers=named)
        return self._signed(OrderType.OFFICERS, body, [self._central])[0]

    def order(self, type_: OrderType, body: OrderBody) -> tuple[bytes, bytes]:
        """Return an order of two officers, and its id."""
        return self._signed(type_, body, list(self._officers.values()))

    def until(self) -> UnixMicros:
        """Return the end of a term."""
        return UnixMicros(self._now + 48 * HOUR_US)

    def _signed(
        self, type_: OrderType, body: OrderBody, keys: list[Ed25519PrivateKey]
    ) -> tuple[bytes, bytes]:
        self._counter += 1
        order = Order(
            version=1,
            order_id=content_id("bench", self._counter),
            type=type_,
            issuer="central",
            counter=self._counter,
            issued_at=self._now,
            not_before=self._now,
            expires=UnixMicros(self._now + 24 * HOUR_US),
        )
        signers = [KeySigner(key) for key in keys]
        return sign_order(order, body, tenant=TENANT, signers=signers), order.order_id


def measure_orders(rounds: int = ROUNDS) -> tuple[Enforced, ...]:
    """Stop, release, freeze and release many accounts; one figure for each type of order."""
    centre, clock = _Centre(), SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        store = OrderStore(Path(folder) / "orders.sqlite3")
        receiver = Receiver(
            tenant=TENANT,
            device=DEVICE,
            kind=DeviceKind.ATM,
            find_central=centre.find,
            find_root=centre.find,
        )
        desk = OrderDesk(
            store,
            receiver,
            clock=clock,
            time=CentralTime(clock, bytes(16)),
            report=lambda result: None,
            act=lambda body: None,
        )
        desk.take(Channel.CONFIGURATION, centre.officers())
        thread = threading.Thread(target=desk.run, daemon=True)
        thread.start()
        try:
            return tuple(one for pair in PAIRS for one in _pair(desk, centre, *pair, rounds))
        finally:
            desk.stop()
            thread.join(GIVE_UP_S)
            store.close()


def _pair(
    desk: OrderDesk,
    centre: _Centre,
    hold: OrderType,
    release: OrderType,
    reason: DecisionReason,
    rounds: int,
) -> tuple[Enforced, Enforced]:
    held, freed = [], []
    for number in range(rounds):
        account = CardRef(hmac=content_id(hold.value, number) * 2, last4="0000")
        raw, name = centre.order(hold, AccountHold(account=account, until=centre.until()))
        held.append(_until(desk, raw, account, reason))
        body = AccountRelease(account=account, releases=(name,))
        raw, _ = centre.order(release, body)
        freed.append(_until(desk, raw, account, None))
    return Enforced(hold, tuple(held)), Enforced(release, tuple(freed))


def _until(desk: OrderDesk, raw: bytes, account: CardRef, wanted: DecisionReason | None) -> float:
    """Hand an order over and wait until a decision would see it; milliseconds."""
    began = time.perf_counter()
    desk.take(Channel.ORDERS, raw)
    while desk.hold_on(account) is not wanted:
        if time.perf_counter() - began > GIVE_UP_S:
            raise TimeoutError("the order was not enforced")
        time.sleep(POLL_S)
    return (time.perf_counter() - began) * 1000
