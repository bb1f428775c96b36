"""Orders on their way: to each device, again until it answers, at once when it is back."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from central.store.interface import StoreUnavailableError
from central.store.orders import Pending
from central.store.sql import SqlStore
from contract import Clock, seal
from contract.clock import MonoMicros, UnixMicros, machine_boot_id
from contract.cosign import (
    FindOrderKey,
    OrderKey,
    SignedOrder,
    officer_key,
    open_order,
    read_body,
    read_order,
)
from contract.envelope import NO_PREVIOUS
from contract.keys import CENTRAL, KeySigner, Signer, key_id
from contract.messages import Body, OrderDelivery, TimeHint
from contract.orders import RULES, Officers
from contract.topics import Channel, down
from contract.words import OrderType, Signatory
from mqtt_bridge.ports import IntakePort

FIRST_AGAIN_S = 5.0
AGAIN_EACH_S = 0.02
"""For each delivery that waits for its answer: a thousand machines that answer at once stand behind
one another, and would be told twice after five seconds. One machine alone is told again at five."""
LONGEST_AGAIN_S = 60.0
HINT_EVERY_US = 60 * 1_000_000
"""A device gets the time at each birth and otherwise this often."""

_IDLE_S = 0.5
_MAX_DOUBLINGS = 8

_log = structlog.get_logger(__name__)

Heard = dict[str, tuple[bytes, int, bool]]


def order_keys(store: SqlStore, signer: KeySigner, at: UnixMicros | None = None) -> FindOrderKey:
    """Return the look-up that the central itself verifies by: its own key, the newest officers.

    ``at``: only officers who may sign what is issued then, as each device asks too. A release that
    the machines refuse would leave an account held there.
    """
    own = OrderKey(CENTRAL, frozenset({Signatory.CENTRAL, Signatory.ROOT}), signer.public)

    def find(kid: bytes) -> OrderKey | None:
        if kid == signer.kid:
            return own
        raw = store.newest_order(OrderType.OFFICERS)
        bundle = None if raw is None else read_body(raw)
        if not isinstance(bundle, Officers):
            return None
        for entry in bundle.officers:
            if at is not None and not entry.valid_from <= at < entry.valid_until:
                continue
            key = officer_key(bundle, entry)
            if key_id(key.public) == kid:
                return key
        return None

    return find


def take_order(store: SqlStore, raw: bytes, tenant: str, find_key: FindOrderKey) -> SignedOrder:
    """Keep a signed order for all devices that it is for; raises OrderError.

    Whichever process does it: the running central's dispatcher sends what the store has.
    """
    signed = open_order(raw, tenant=tenant, find_key=find_key)
    devices = [
        d.device
        for d in store.devices()
        if d.revoked_at is None and signed.order.is_for(d.device, d.kind)
    ]
    store.add_order(signed, devices)
    if signed.order.type is OrderType.OFFICERS:
        # Whoever gets the newest first refuses the former as old, which looks like an attack.
        store.drop_former(OrderType.OFFICERS, signed.order.counter)
    return signed


class OrderDispatcher:
    """Sends what is pending. :meth:`heard` and :meth:`publish` may be called from any thread."""

    def __init__(
        self,
        store: SqlStore,
        intake: IntakePort,
        *,
        tenant: str,
        signer: Signer,
        clock: Clock,
        find_key: FindOrderKey,
    ) -> None:
        self._store = store
        self._intake = intake
        self._tenant = tenant
        self._signer = signer
        self._clock = clock
        self._find_key = find_key
        self._changed = threading.Condition()
        self._heard: Heard = {}
        self._hinted: dict[str, int] = {}
        self._due: dict[tuple[bytes, str], int] = {}
        self._is_stopping = False

    def publish(self, raw: bytes) -> SignedOrder:
        """Take a signed order for all its devices; raises OrderError if it is not signed well."""
        signed = take_order(self._store, raw, self._tenant, self._find_key)
        with self._changed:
            self._changed.notify_all()
        return signed

    def heard(self, heard: Heard) -> None:
        """A device was born or told of its health: it gets the time, and what is pending."""
        with self._changed:
            for device, (boot, mono, is_birth) in heard.items():
                was_birth = self._heard.get(device, (b"", 0, False))[2]
                self._heard[device] = (boot, mono, is_birth or was_birth)
            self._changed.notify_all()

    def run(self) -> None:
        """Work until :meth:`stop`."""
        while not self._is_stopping:
            try:
                self.step()
            except StoreUnavailableError as error:
                _log.warning("orders_delayed", problem=error.problem)
            with self._changed:
                if not (self._heard or self._is_stopping):
                    self._changed.wait(_IDLE_S)

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def step(self) -> int:
        """Send what is due and return how many deliveries went."""
        if not self._intake.is_connected:
            return 0
        with self._changed:
            heard, self._heard = self._heard, {}
        born = {device for device, (_, _, is_birth) in heard.items() if is_birth}
        self._send_time(heard)
        # A birth ends the wait for answers, however long it takes until the line has room for it.
        self._due = {to: due for to, due in self._due.items() if to[1] not in born}
        for device in born:
            self._give_former_orders(device)
        pending = self._store.pending_orders(int(self._clock.wall()))
        if not pending:
            self._due.clear()
            return 0
        away = self._store.devices_away()
        # Topics have no order among themselves: who lacks the officers' keys gets those alone.
        waits = {item.device for item in pending if item.type is OrderType.OFFICERS}
        sent: list[Pending] = []
        for item in pending:
            is_held = item.device in waits and item.type is not OrderType.OFFICERS
            if is_held or item.device in away or not self._is_due(item):
                continue
            if not self._deliver(item, len(pending)):
                break
            sent.append(item)
        if sent:
            self._store.note_attempts(sent)
        return len(sent)

    def _give_former_orders(self, device: str) -> None:
        """A device that was enrolled after an order was published gets it too."""
        known = self._store.device(device)
        newest = self._store.newest_order(OrderType.OFFICERS)
        for raw in self._store.orders_unknown_to(device, int(self._clock.wall())):
            order = read_order(raw)
            if order.type is OrderType.OFFICERS and raw != newest:
                continue
            if known is not None and order.is_for(device, known.kind):
                self._store.add_target(order.order_id, device)

    def _is_due(self, item: Pending) -> bool:
        due = self._due.get((item.order_id, item.device))
        return due is None or due <= self._clock.mono()

    def _deliver(self, item: Pending, waiting: int) -> bool:
        body = OrderDelivery(device=item.device, attempt=item.attempts + 1, order=item.raw)
        if not self._say(body, item.device, RULES[item.type].channel):
            return False
        first_s = max(FIRST_AGAIN_S, AGAIN_EACH_S * waiting)
        again_s = min(LONGEST_AGAIN_S, first_s * 2 ** min(item.attempts, _MAX_DOUBLINGS))
        self._due[item.order_id, item.device] = self._clock.mono() + round(again_s * 1e6)
        return True

    def _send_time(self, heard: Heard) -> None:
        now = self._clock.mono()
        for device, (boot, mono, is_birth) in heard.items():
            if is_birth or now - self._hinted.get(device, -HINT_EVERY_US) >= HINT_EVERY_US:
                hint = TimeHint(device=device, echo_boot=boot, echo_mono=MonoMicros(mono))
                if self._say(hint, device, Channel.TIME):
                    self._hinted[device] = now

    def _say(self, body: Body, device: str, channel: Channel) -> bool:
        raw = seal(
            body,
            tenant=self._tenant,
            device=CENTRAL,
            boot_id=machine_boot_id(),
            seq=0,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            quality=self._clock.quality(),
            prev=NO_PREVIOUS,
            signer=self._signer,
        )
        return self._intake.publish(down(self._tenant, device, channel), raw)

    def pending(self, order_id: bytes) -> Sequence[str]:
        """Devices that have not answered an order."""
        return [a.device for a in self._store.answers(order_id) if a.outcome is None]
