"""Going over to another key for accounts: the next is handed out, taken in use, the former retired.

Three steps, each by an administrator and audited. Old and new lie side by side at every machine,
and every list row stands under both, until each machine has answered with its signed receipt; only
then may the new one be taken in use, and only when nothing live stands under the old one alone may
that be retired. Secrets are in files of mode 0600 and, sealed to one machine, in its order.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import sql_of
from central.audit import record
from central.clocks import load_law
from central.config import CentralSettings
from central.lists.holds import HoldSource, WireHolds, all_holds
from central.lists.key_steps import KeyState, state_of, switched_at
from central.lists.keys import TenantKeys, tenant_keys_of
from central.lists.twins import twins
from central.orders.book import Book
from central.orders.effects import Flag, flagged
from central.orders.log import SqlOrderLog
from central.orders.sealed import Vault
from central.store import list_tables as t
from central.store import lists as stored
from central.store.lists import ListChange
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.cosign import read_body, read_order, sign_order
from contract.keys import CENTRAL, Signer
from contract.messages import ID_BYTES
from contract.orders import MAX_LIFE_US, VERSION, Order, SealedKeys
from contract.tenant_keys import KeyBundle, seal_bundle
from contract.words import DeviceKind, OrderOutcome, OrderType

log = structlog.get_logger("keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReceipt:
    """One machine: has it the newest bundle?"""

    device: str
    state: str
    """has, waits, refused, no_box."""
    detail: str = ""


class KeyDesk:
    """Hands out keys. Thread-safe: all state is in the store and in files that never change."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        keys: Callable[[], TenantKeys],
        *,
        vault: Callable[[], Vault],
        tenant: str,
        signer: Signer | None,
        publish: Callable[[bytes], object] | None,
        holds: HoldSource,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``publish`` gives a signed order to a machine; None: there is no broker."""
        self._store = store
        self._clock = clock
        self._keys = keys
        self._vault = vault
        self._tenant = tenant
        self._signer = signer
        self._publish = publish
        self._holds = holds
        self._on_change = on_change

    # -- looking -----------------------------------------------------------------------------------

    def state(self) -> KeyState:
        """What counts now."""
        with self._store.reading() as connection:
            return state_of(connection)

    def bundle(self) -> KeyBundle:
        """The keys of now, in the clear: to be sealed, never sent."""
        state, keys = self.state(), self._keys()
        return KeyBundle(
            bundle=state.bundle,
            primary=state.primary,
            keys={number: keys.key(number).secret for number in state.numbers},
        )

    def sealed_for(self, device: str, box: bytes) -> bytes:
        """The keys of now for one machine, which is remembered by its box key."""
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            connection.execute(t.device_boxes.delete().where(t.device_boxes.c.device == device))
            row = {"device": device, "public": box, "at": int(self._clock.wall())}
            connection.execute(t.device_boxes.insert(), row)
        return seal_bundle(self.bundle(), box, self._tenant, device)

    def receipts(self) -> list[KeyReceipt]:
        """Each machine and the newest bundle: by its own signed answer, or by its enrolment."""
        state = self.state()
        with self._store.reading() as connection:
            boxes = {row.device: row.at for row in connection.execute(sa.select(t.device_boxes))}
            last = connection.execute(sa.select(sa.func.max(t.tenant_key_steps.c.at))).scalar() or 0
        answers = self._answers(state.bundle)
        found = []
        for device in self._store.devices():
            if device.kind is not DeviceKind.ATM or device.revoked_at is not None:
                continue
            name = device.device
            if name not in boxes:
                found.append(KeyReceipt(device=name, state="no_box"))
            elif name in answers:
                outcome, detail = answers[name]
                word = {OrderOutcome.APPLIED: "has", None: "waits"}.get(outcome, "refused")
                found.append(KeyReceipt(device=name, state=word, detail=detail))
            else:  # enrolled since the last step: the keys of now came with its certificate
                word = "has" if boxes[name] >= last else "waits"
                found.append(KeyReceipt(device=name, state=word))
        return found

    def _answers(self, bundle: int) -> dict[str, tuple[OrderOutcome | None, str]]:
        found: dict[str, tuple[OrderOutcome | None, str]] = {}
        for raw in self._store.orders_of_type(OrderType.TENANT_KEYS, 20_000):
            body = read_body(raw)
            if not isinstance(body, SealedKeys) or body.bundle < bundle:
                break
            for answer in self._store.answers(read_order(raw).order_id):
                reason = "" if answer.reason is None else answer.reason.value
                found.setdefault(answer.device, (answer.outcome, reason))
        return found

    # -- the three steps ---------------------------------------------------------------------------

    def begin(self, actor: Actor | str) -> int:
        """Make the next key and hand it to every machine; returns its number."""
        state = self.state()
        if state.coming is not None:
            raise RuleError(f"key {state.coming} is being handed out already")
        keys = self._keys()
        number = keys.numbers()[-1] + 1
        keys.make(number)
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            change = self._change("key", f"key {number}", actor, number)
            change_id = stored.add_change(connection, change)
            rows = stored.live_sealed(connection, state.primary)
            taken = stored.add_entries(
                connection, twins(rows, keys.key(number), self._vault(), change_id)
            )
            stored.set_counts(connection, change_id, taken=taken)
            self._step(tx, "begin", number, actor, {"rows": taken})
        self._hand_out()
        return number

    def switch(self, actor: Actor | str) -> None:
        """Take the key that was handed out in use; raises RuleError while a machine lacks it."""
        state = self.state()
        if state.coming is None:
            raise RuleError("no key is being handed out")
        lacking = [one.device for one in self.receipts() if one.state != "has"]
        if lacking:
            names = ", ".join(lacking[:10])
            raise RuleError(f"{len(lacking)} machines have not receipted it yet: {names}")
        with self._store.transaction() as tx:
            self._step(tx, "switch", state.coming, actor, {"former": state.primary})
        self._hand_out()

    def retire(self, actor: Actor | str, number: int) -> None:
        """Forget a former key; raises RuleError while something live stands under it alone."""
        state = self.state()
        if number not in state.former:
            raise RuleError(f"key {number} is not a former key that is still known")
        now = int(self._clock.wall())
        lacking = [one.device for one in self.receipts() if one.state != "has"]
        if lacking:
            raise RuleError(f"{len(lacking)} machines have not taken the new key in use yet")
        with self._store.reading() as connection:
            moment = switched_at(connection, number)
        if held := [h for h in self._holds(now).values() if h.since <= moment]:
            raise RuleError(
                f"{len(held)} live orders name their accounts under this key: they end first"
            )
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            stored.add_change(connection, self._change("key_off", f"key {number}", actor, number))
            self._step(tx, "retire", number, actor, {})
        self._hand_out()

    def _change(self, kind: str, name: str, actor: Actor | str, number: int) -> ListChange:
        by = actor.name if isinstance(actor, Actor) else actor
        now = int(self._clock.wall())
        return ListChange(
            kind=kind, state="approved", name=name, note="", back_to=number,
            proposed_by=by, proposed_at=now, decided_by=CENTRAL, decided_at=now,
        )  # fmt: skip

    def _step(
        self, tx: object, step: str, number: int, actor: Actor | str, detail: dict[str, int]
    ) -> None:
        now = int(self._clock.wall())
        by = actor.name if isinstance(actor, Actor) else actor
        row = {"step": step, "number": number, "actor": by, "at": now}
        sql_of(tx)._connection.execute(t.tenant_key_steps.insert(), row)
        record(sql_of(tx), now, actor, f"tenant_key.{step}", str(number), detail=detail)
        log.info("tenant_key_step", step=step, number=number)

    def _hand_out(self) -> None:
        """Give every machine the keys of now, each sealed to it."""
        self._on_change()
        if self._publish is None or self._signer is None:
            return
        bundle = self.bundle()
        for device, public in self._boxes():
            now = int(self._clock.wall())
            order = Order(
                version=VERSION,
                order_id=os.urandom(ID_BYTES),
                type=OrderType.TENANT_KEYS,
                issuer=CENTRAL,
                counter=self._store.take_order_counter(),
                issued_at=UnixMicros(now),
                not_before=UnixMicros(now - 3_600_000_000),
                expires=UnixMicros(now + MAX_LIFE_US - 1),
                targets=(device,),
            )
            sealed = seal_bundle(bundle, public, self._tenant, device)
            body = SealedKeys(bundle=bundle.bundle, sealed=sealed)
            self._publish(sign_order(order, body, tenant=self._tenant, signers=[self._signer]))

    def _boxes(self) -> Iterator[tuple[str, bytes]]:
        with self._store.reading() as connection:
            boxes = {
                row.device: row.public for row in connection.execute(sa.select(t.device_boxes))
            }
        for device in self._store.devices():
            is_here = device.kind is DeviceKind.ATM and device.revoked_at is None
            if is_here and device.device in boxes:
                yield device.device, bytes(boxes[device.device])


def _flags(store: SqlStore, clock: Clock) -> list[Flag]:
    """What orders watch and suspend, where no order desk is at hand to ask."""
    book = Book(load_law(), SqlOrderLog(store, clock, lambda events: None).load())
    return list(flagged(book, clock.wall()))


def key_desk_in(
    settings: CentralSettings,
    store: SqlStore,
    clock: Clock,
    *,
    signer: Signer | None = None,
    publish: Callable[[bytes], object] | None = None,
    holds: HoldSource | None = None,
    on_change: Callable[[], None] = lambda: None,
) -> KeyDesk:
    """Return the desk of a central's folder."""
    return KeyDesk(
        store,
        clock,
        lambda: tenant_keys_of(settings),
        vault=functools.cache(lambda: Vault.at(settings.folder / "sealed.key")),
        tenant=settings.tenant,
        signer=signer,
        publish=publish,
        holds=holds or all_holds(WireHolds(store), lambda: _flags(store, clock)),
        on_change=on_change,
    )
